"""Small retrieval problems full of ties, and their ranks by plain Python."""

from dataclasses import replace

import numpy as np

from tfsage.evaluation.judgements import Judgements
from tfsage.evaluation.ranks import Ranks


def unit(vectors) -> np.ndarray:
    vectors = np.asarray(vectors, np.float64)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def make_judgements(seed: int = 0, queries: int = 11, products: int = 60, distractors: int = 35) -> Judgements:
    """Random pairs (1 to 5 per query), exclusions (some of them positives), and distractors."""
    rng = np.random.default_rng(seed)
    pairs = [(q, p) for q in range(queries) for p in rng.choice(products, rng.integers(1, 6), replace=False)]
    pairs = [pairs[place] for place in rng.permutation(len(pairs))]
    query, product = np.array(pairs).T
    return Judgements(
        query=query,
        product=product,
        weight=rng.integers(1, 9, len(pairs)).astype(np.float64),
        products=products,
        distractors=rng.choice(products, distractors, replace=False),
        excluded_query=rng.integers(queries, size=30),
        excluded_product=rng.integers(products, size=30),
    )


def make_vectors(judgements: Judgements, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors from a handful of directions in the plane, so that many products tie exactly."""
    rng = np.random.default_rng(seed)
    angles = np.linspace(0, np.pi, 7)
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    queries = unit(directions[rng.integers(7, size=judgements.queries)])
    return queries, unit(directions[rng.integers(7, size=judgements.products)])


def ranks_by_loops(score, judgements: Judgements, tolerance: float = 0.0):
    """`score(query, product)` counted by a double loop, in the columns of `as_counts`."""
    j = judgements
    positives = {q: {int(p) for p, owner in zip(j.product, j.query, strict=True) if owner == q} for q in set(j.query)}
    excluded = {(int(q), int(p)) for q, p in zip(j.excluded_query, j.excluded_product, strict=True)}
    samples = [set(j.distractors), *(set(j.order[:size]) for size in j.sizes)]
    counts = []
    for q, y in zip(j.query, j.product, strict=True):
        row = np.zeros((2 + len(j.sizes), 2), int)
        for candidate in range(j.products):
            relevant = candidate in positives[q]
            if candidate == y or ((int(q), candidate) in excluded and not relevant):
                continue
            lead = score(q, candidate) - score(q, y)
            kind = 0 if lead > tolerance else 1 if abs(lead) <= tolerance else None
            if kind is None:
                continue
            row[1, kind] += 1
            for place, sample in zip((0, *range(2, len(row))), samples, strict=True):
                row[place, kind] += candidate in sample and not relevant
        counts.append(row.ravel())
    return np.array(counts)


def as_counts(ranks) -> np.ndarray:
    """Of a PairRanks: greater and equal among the distractors, in the catalog, and in every nested sample."""
    each = [ranks.pair, ranks.catalog]
    each += [Ranks(*counts) for counts in zip(ranks.nested.greater, ranks.nested.equal, strict=True)]
    return np.stack([counts for one in each for counts in (one.greater, one.equal)], axis=1)


def relabelled(judgements: Judgements, permutation: np.ndarray) -> Judgements:
    """The same question after product p has become product permutation[p]."""
    return replace(
        judgements,
        remaining=permutation[judgements.order[len(judgements.distractors) :]],
        product=permutation[judgements.product],
        distractors=permutation[judgements.distractors],
        excluded_product=permutation[judgements.excluded_product],
    )
