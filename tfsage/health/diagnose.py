"""All checks of one space, and of what changed since an earlier one."""

import hashlib
import heapq
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tfsage.config.health import DoctorConfig
from tfsage.console import progress
from tfsage.health.findings import Finding
from tfsage.health.returned import known_item_recall, largest_share, nearest_ids, overlap, present
from tfsage.health.space import Canaries, Space
from tfsage.health.vectors import VectorMeter, VectorStatistics

K = 10
_DEPTH = 5 * K
"""How deep lists are searched, so that K are left when products that only one version has are taken out."""


class Survey(NamedTuple):
    """One pass over a space: its statistics, and sampled products, id → (title, vector)."""

    statistics: VectorStatistics
    sample: dict[str, tuple[str, np.ndarray]]


def diagnose(space: Space, earlier: Space | None = None, config: DoctorConfig | None = None) -> list[Finding]:
    """Every check; those that compare need an earlier space.

    Queries are the canaries' texts and titles of products that are sampled by a hash of their ids, so that two
    versions are asked the same; where there is no query tower, the vectors of the sampled products themselves.

    Args:
        space: to examine.
        earlier: to compare with.
        config: the thresholds; the defaults without it.
    """
    config = config or DoctorConfig()
    survey = survey_space(space, config.queries)
    before = survey_space(earlier, config.queries) if earlier else None
    findings = vector_findings(survey.statistics, before and before.statistics, config)
    findings += missing_findings(space.missing, earlier.missing if earlier else {}, config)
    findings += [canary_finding(each, config) for each in space.canaries()]
    queries = _queries(space, space.canary_texts, list(survey.sample.values()))
    if len(queries):
        findings.append(hub_finding(nearest_ids(queries, space.blocks(), K), space.products, config))
    if earlier:
        findings += compared_findings(space, survey, earlier, before, config)
    return findings


def survey_space(space: Space, sampled: int) -> Survey:
    """Reads the space once.

    Args:
        space: to read.
        sampled: products to keep: those with a title and a finite vector whose ids have the smallest hashes.
    """
    meter, kept = VectorMeter(space.dimension), []
    with progress() as bar:
        task = bar.add_task(f"Reading {space.name}", total=space.products, note="")
        for block in space.blocks():
            meter.add(block.vectors)
            for row, (product, title) in enumerate(zip(block.ids, block.titles, strict=True)):
                rank = -int.from_bytes(hashlib.blake2b(product.encode(), digest_size=8).digest(), "big")
                if not title or (len(kept) == sampled and rank <= kept[0][0]):
                    continue
                if np.isfinite(block.vectors[row]).all():
                    entry = (rank, product, title, block.vectors[row].copy())
                    heapq.heappush(kept, entry) if len(kept) < sampled else heapq.heapreplace(kept, entry)
            bar.advance(task, len(block.ids))
    return Survey(meter.statistics(), {product: (title, vector) for _, product, title, vector in sorted(kept, key=_id)})


def vector_findings(now: VectorStatistics, before: VectorStatistics | None, config: DoctorConfig) -> list[Finding]:
    """Non-finite and zero vectors, lengths, dead dimensions, duplicates."""
    dimensions = len(now.variances)
    dead = now.dead(config.dead_variance)
    return [
        Finding(
            "non_finite",
            "vectors with NaN or infinity",
            now.non_finite,
            config.non_finite,
            "find the products whose features are not finite (tfsage prepare names them), and embed the catalog again",
            before=before and before.non_finite,
        ),
        Finding(
            "zero_vectors",
            "vectors without length",
            now.zero,
            config.zero_vectors,
            "these products have no usable feature: look for empty titles and images, and leave them out of the index",
            before=before and before.zero,
        ),
        Finding(
            "norms",
            "greatest distance of a length from 1",
            now.deviation,
            config.norm,
            "vectors must be unit to be compared by dot product: export and embed the catalog again",
            before=before and before.deviation,
            note=f"lengths {now.norms[0]:.6f} to {now.norms[2]:.6f}, mean {now.norms[1]:.6f}",
        ),
        Finding(
            "dead_dimensions",
            "dimensions that do not vary",
            dead / dimensions,
            config.dead_dimensions,
            "the space uses fewer dimensions than it pays for: train longer, warm up slower, or lower the dimension",
            before=before and before.dead(config.dead_variance) / len(before.variances),
            note=f"{dead} of {dimensions}",
        ),
        Finding(
            "duplicates",
            "vectors that repeat another",
            now.duplicates,
            config.duplicates,
            "the same product stands in the catalog more than once, or products differ only in what the tower ignores",
            before=before and before.duplicates,
        ),
    ]


def missing_findings(now: dict[str, float], before: dict[str, float], config: DoctorConfig) -> list[Finding]:
    """For each known feature the share of products without it, against its own limit or what it was before."""
    findings = []
    for name, share in now.items():
        limits = [config.missing[name]] if name in config.missing else []
        limits += [before[name] + config.missing_rise] if name in before else []
        findings.append(
            Finding(
                f"missing.{name}",
                f"products without {name}",
                share,
                min(1.0, *limits) if limits else 1.0,
                f"look at what delivers {name}: a column may have been renamed or emptied",
                before=before.get(name),
            )
        )
    return findings


def canary_finding(canaries: Canaries, config: DoctorConfig) -> Finding:
    """The smallest cosine of a canary with its vector of the export."""
    now, exported = np.asarray(canaries.now, np.float64), np.asarray(canaries.exported, np.float64)
    lengths = np.linalg.norm(now, axis=1) * np.linalg.norm(exported, axis=1)
    cosines = np.where(lengths > 0, (now * exported).sum(axis=1) / np.where(lengths > 0, lengths, 1), 0.0)
    both_zero = (np.abs(now) + np.abs(exported)).sum(axis=1) == 0
    cosine = float(np.where(both_zero, 1.0, cosines).min())
    return Finding(
        f"canaries.{canaries.tower}",
        f"smallest cosine of a canary of the {canaries.tower}",
        cosine,
        config.canary_cosine,
        "the tower computes other vectors than when it was exported: restore the bundle, or check the versions of "
        "TensorFlow and of the machine",
        at_most=False,
        note=f"{len(now)} canaries",
    )


def hub_finding(lists: np.ndarray, products: int, config: DoctorConfig) -> Finding:
    """The largest share of the lists in which one product stands; in a small catalog, that of even lists counts."""
    even = lists.shape[1] / products
    return Finding(
        "hub_share",
        "largest share of lists with the same product",
        largest_share(lists),
        max(config.hub_share, min(1.0, config.hub_ratio * even)),
        "a few products answer everything: look at the report's hubness, raise the share of random negatives, or "
        "correct for frequency (log Q)",
        note=f"{len(lists)} queries",
    )


def compared_findings(
    space: Space, survey: Survey, earlier: Space, before: Survey, config: DoctorConfig
) -> list[Finding]:
    """How far both versions return the same, and whether the queries of one find the products of the other.

    The recall is that of known items: the title of a product is asked, and the product is to be among the first 10.
    """
    texts = list(dict.fromkeys([*space.canary_texts, *earlier.canary_texts]))
    shared = [product for product in survey.sample if product in before.sample]
    ours = _queries(space, texts, [survey.sample[product] for product in shared])
    # The same titles, were they changed in between; of the earlier version only its vectors are its own.
    theirs = _queries(earlier, texts, [(survey.sample[each][0], before.sample[each][1]) for each in shared])
    if not shared or len(ours) != len(theirs):
        note = "only one version has a query tower" if shared else "no product in common"
        return [_compared(check, config, None, note) for check in _COMPARED]
    new_new = nearest_ids(ours, space.blocks(), _DEPTH)
    old_old = nearest_ids(theirs, earlier.blocks(), _DEPTH)
    ids = {product for lists in (new_new, old_old) for found in lists for product in found}
    common = present(ids, space.blocks()) & present(ids, earlier.blocks())
    kept = [[[product for product in found if product in common] for found in lists] for lists in (new_new, old_old)]
    findings = [_compared("overlap", config, overlap(*kept, K), f"{len(ours)} queries")]
    if space.dimension != earlier.dimension:
        note = f"the dimensions differ: {space.dimension} and {earlier.dimension}"
        return findings + [_compared(check, config, 0.0, note) for check in _COMPARED[1:]]
    # Only the titles have a product that is known to be right; they are the last ones of the queries.
    last = slice(len(ours) - len(shared), None)
    within = known_item_recall(old_old[last], shared, K)
    for check, queries, products in (("new_queries", ours, earlier), ("old_queries", theirs, space)):
        crossed = known_item_recall(nearest_ids(queries[last], products.blocks(), K), shared, K)
        note = f"recall@{K} of known items {crossed:.3f}, within the earlier version {within:.3f}"
        ratio = crossed / within if within else None
        findings.append(_compared(check, config, ratio, note))
    return findings


_COMPARED = ("overlap", "new_queries", "old_queries")
_APART = (
    "the versions are not compatible: publish towers and index of one version together and never mix them, or train "
    "against the earlier embeddings; doctor.cross_version_recall: 0 where they are never mixed"
)


def _compared(check: str, config: DoctorConfig, value: float | None, note: str) -> Finding:
    if check == "overlap":
        title, limit = "first 10 that are the same as before", config.overlap
        remedy = "what shoppers see changes at once: compare both runs (tfsage compare) before publishing"
    else:
        which = (
            "new queries on the earlier products" if check == "new_queries" else "earlier queries on the new products"
        )
        title, limit, remedy = f"recall of {which}, as a ratio", config.cross_version_recall, _APART
    return Finding(check, title, value, limit, remedy, at_most=False, note=note)


def _queries(space: Space, texts: Sequence[str], products: Sequence[tuple[str, np.ndarray]]) -> np.ndarray:
    """Vectors of the texts and of the titles of products; where there is no query tower, the products' own vectors."""
    if space.embed is None:
        return np.array([vector for _, vector in products], np.float32).reshape(-1, space.dimension)
    asked = [text for text in texts if text.strip()]  # the empty query has no direction
    asked += [title for title, _ in products]
    vectors = space.embed(asked) if asked else np.empty((0, space.dimension), np.float32)
    return np.nan_to_num(vectors, posinf=0.0, neginf=0.0)


def _id(entry: tuple) -> str:
    return entry[1]
