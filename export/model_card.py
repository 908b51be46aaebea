"""MODEL_CARD.md: what a bundle is, what it was measured to do, and how to use it, written from what is on disk."""

from pathlib import Path

from tfsage.bundle import Bundle
from tfsage.evaluation.report import index_facts, load_report, report_markdown, serving_of
from tfsage.files import write_text


def write_model_card(bundle: Bundle, run: Path) -> None:
    """Writes the card into the bundle; what evaluation has not written into the run folder is left out.

    The loss of serving is told of this bundle's space alone.
    """
    report = load_report(run)
    if report is not None:
        report |= {"index": index_facts(bundle), "serving": serving_of(run, bundle)}
    write_text(bundle.folder / "MODEL_CARD.md", model_card(bundle, report))


def model_card(bundle: Bundle, report: dict | None) -> str:
    """The card as Markdown.

    Args:
        bundle: complete.
        report: what report.json holds, or None where the run was not evaluated.
    """
    manifest, index = bundle.manifest, bundle.manifest.index
    inputs = ", ".join(manifest.text_fields) or "none"
    lines = [
        f"# Embedding space {manifest.space_id}",
        "",
        f"{manifest.products:,} products in {manifest.dimension} dimensions; unit vectors, compared by dot product. "
        "Vectors of another space are not comparable with these.",
        "",
        "## Inputs",
        "",
        f"- Product text: {inputs}",
        f"- Product images: {manifest.image_column or 'none'}",
        f"- Query tower: {'text queries' if manifest.query_tower else 'none in this bundle'}",
        "",
        "## Quality",
        "",
        *_quality(report),
        "",
        "## Index",
        "",
        f"- {index.kind}, {', '.join(f'{k} {v}' for k, v in index.effort.items() if v) or 'exact'}",
        f"- recall@{index.k} against exact search: {index.recall:.3f} (target {index.target:.3f}), "
        f"measured with {index.tuned_on} that did not tune it",
        "",
        "## Use",
        "",
        "```python",
        "import tensorflow as tf",
        "import tensorflow_text  # registers the tokenizer's operations",
        "",
        'tower = tf.saved_model.load("product_tower/1")',
        "vectors = tower.embed(features)  # differentiable in tower.trainable_variables",
        "```",
        "",
        "## Versions",
        "",
        *[f"- {name} {version}" for name, version in manifest.versions.items()],
    ]
    return "\n".join(lines) + "\n"


def _quality(report: dict | None) -> list[str]:
    if report is None:
        return ["Not evaluated: `tfsage evaluate` had not been run when this was published."]
    return report_markdown(report)
