"""Reciprocal-rank fusion against its formula, and the words' own ranking beside the vector's."""

import numpy as np
import pytest

from tfsage.evaluation.bm25 import BM25
from tfsage.index import BruteForceIndex
from tfsage.retrieval.hybrid import OtherTexts, fused
from tfsage.retrieval.searcher import Searcher

TEXTS = [f"{color} {thing}" for color in ("walnut", "oak", "red") for thing in ("desk", "chair", "lamp", "rug")]
VECTORS = np.random.default_rng(3).normal(size=(len(TEXTS), 8)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)


def search(text, query, allowed, excluded=()):
    (words,) = BM25(TEXTS).rows([text])
    nearest = Searcher(BruteForceIndex(VECTORS), VECTORS).nearest
    return fused(nearest, query, words, 20, allowed, np.array(excluded, np.int64))


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
def test_fused_scores_are_sums_of_reciprocal_ranks(left_out):
    allowed = np.ones(len(TEXTS), bool)
    allowed[left_out] = False
    hits = search("walnut desk", VECTORS[7], allowed)
    expected = by_formula("walnut desk", VECTORS[7], allowed)
    assert {hit.row for hit in hits} == set(expected)
    np.testing.assert_allclose([hit.score for hit in hits], [expected[hit.row] for hit in hits])
    assert [hit.score for hit in hits] == sorted(expected.values(), reverse=True)


def test_provenance_names_place_and_score_in_each_ranking():
    hits = {hit.row: hit for hit in search("walnut desk", VECTORS[7], None)}
    assert hits[7].dense == (1, pytest.approx(1.0, abs=1e-6))
    assert hits[7].lexical is None
    assert hits[0].lexical[0] == 1
    order = np.argsort(-(VECTORS @ VECTORS[7]))
    assert [hits[row].dense[0] for row in order] == list(range(1, len(TEXTS) + 1))


def test_excluded_products_are_in_neither_ranking():
    hits = search("walnut desk", VECTORS[7], None, [0, 7])
    assert {0, 7}.isdisjoint(hit.row for hit in hits)
    assert len(hits) == len(TEXTS) - 2


@pytest.mark.parametrize("query", ["walnut desk", "oak oak rug", "red", "brass"])
def test_other_texts_score_as_if_they_were_the_same_ones(query):
    """A text that says what an indexed one says has its score, whatever is beside it."""
    bm25 = BM25(["walnut desk with drawers", "oak rug", *TEXTS])
    (expected,) = bm25.rows([query])
    others = OtherTexts(bm25, ["a lamp of brass", *TEXTS, "walnut desk with drawers"])
    np.testing.assert_allclose(others.scores(query)[1:], [*expected[2:], expected[0]], rtol=1e-5)


def test_a_word_that_no_indexed_text_has_is_the_rarest():
    bm25 = BM25(TEXTS)
    scores = OtherTexts(bm25, ["brass lamp", "", "red lamp"]).scores("brass lamp")
    # Twelve texts of two tokens each; three have a lamp. A text of the mean length has tf / (tf + 1.2).
    brass, lamp = np.log(1 + 12.5 / 0.5), np.log(1 + 9.5 / 3.5)
    np.testing.assert_allclose(scores, [(brass + lamp) / 2.2, 0, lamp / 2.2])
    assert OtherTexts(BM25(["", ""]), ["brass"]).scores("brass") > 0
