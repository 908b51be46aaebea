"""MODEL_CARD.md: what a bundle is, what it was measured to do, and how to use it, written from what is on disk."""

import json
from pathlib import Path

from tfsage.bundle import Bundle
from tfsage.files import write_text


def write_model_card(bundle: Bundle, metrics: Path) -> None:
    """Writes the card into the bundle; metrics are left out when the file is not there."""
    measured = json.loads(metrics.read_text(encoding="utf-8")) if metrics.exists() else None
    write_text(bundle.folder / "MODEL_CARD.md", model_card(bundle, measured))


def model_card(bundle: Bundle, metrics: dict | None) -> str:
    """The card as Markdown.

    Args:
        bundle: complete.
        metrics: what metrics.json holds, or None.
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
        *_quality(metrics),
        "",
        "## Index",
        "",
        f"- {index.kind}, {', '.join(f'{k} {v}' for k, v in index.effort.items() if v) or 'exact'}",
        f"- recall@{index.k} against exact search: {index.recall:.3f} (target {index.target:.3f}), "
        f"measured with {index.tuned_on}",
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


def _quality(metrics: dict | None) -> list[str]:
    if metrics is None:
        return ["Not evaluated: `tfsage evaluate` had not been run when this was published."]
    rows = ["| task | metric | this model | baselines |", "|---|---|---|---|"]
    for task, measured in metrics["tasks"].items():
        for name in (name for name in measured if name.startswith("recall@")):
            others = [
                f"{baseline} {_interval(values[name])}"
                for baseline, values in measured["baselines"].items()
                if name in values
            ]
            rows.append(f"| {task} | {name} | {_interval(measured[name])} | {', '.join(others)} |")
    return [*rows, "", f"95 % intervals by bootstrap over queries; {metrics['distractors']:,} distractors."]


def _interval(value: dict) -> str:
    return f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"
