"""Reciprocal-rank fusion against its formula, and the words' own ranking beside the vector's."""

import numpy as np
import pytest

from tfsage.evaluation.bm25 import BM25
from tfsage.index import BruteForceIndex
from tfsage.retrieval.hybrid import Hybrid
from tfsage.retrieval.searcher import Searcher

TEXTS = [f"{color} {thing}" for color in ("walnut", "oak", "red") for thing in ("desk", "chair", "lamp", "rug")]
VECTORS = np.random.default_rng(3).normal(size=(len(TEXTS), 8)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def hybrid() -> Hybrid:
    return Hybrid(Searcher(BruteForceIndex(VECTORS), VECTORS), TEXTS)


def by_formula(text, query, allowed) -> dict[int, float]:
    """Sum of 1 / (60 + rank); places by score, those that tie share the mean of theirs; words that miss do not rank."""
    fused = dict.fromkeys(np.flatnonzero(allowed), 0.0)
    (words,) = BM25(TEXTS).rows([text])
    for scores, ranked in ((VECTORS @ query, allowed), (words, allowed & (words > 0))):
        for row in np.flatnonzero(ranked):
            higher, equal = (scores[ranked] > scores[row]).sum(), (scores[ranked] == scores[row]).sum()
            fused[row] += 1 / (60 + higher + (equal + 1) / 2)
    return fused


@pytest.mark.parametrize("left_out", [[], [0, 3, 5]])
def test_fused_scores_are_sums_of_reciprocal_ranks(hybrid, left_out):
    allowed = np.ones(len(TEXTS), bool)
    allowed[left_out] = False
    hits = hybrid.search("walnut desk", VECTORS[7], 20, allowed, np.zeros(0, np.int64))
    expected = by_formula("walnut desk", VECTORS[7], allowed)
    assert {hit.row for hit in hits} == set(expected)
    np.testing.assert_allclose([hit.score for hit in hits], [expected[hit.row] for hit in hits])
    assert [hit.score for hit in hits] == sorted(expected.values(), reverse=True)


def test_provenance_names_place_and_score_in_each_ranking(hybrid):
    nothing = np.zeros(0, np.int64)
    hits = {hit.row: hit for hit in hybrid.search("walnut desk", VECTORS[7], 20, None, nothing)}
    assert hits[7].dense == (1, pytest.approx(1.0, abs=1e-6))
    assert hits[7].lexical is None
    assert hits[0].lexical[0] == 1
    order = np.argsort(-(VECTORS @ VECTORS[7]))
    assert [hits[row].dense[0] for row in order] == list(range(1, len(TEXTS) + 1))


def test_excluded_products_are_in_neither_ranking(hybrid):
    hits = hybrid.search("walnut desk", VECTORS[7], 20, None, np.array([0, 7]))
    assert {0, 7}.isdisjoint(hit.row for hit in hits)
    assert len(hits) == len(TEXTS) - 2
