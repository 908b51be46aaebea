import numpy as np
import pytest

from tfsage.evaluation import fusion
from tfsage.evaluation.fusion import dense_rows, fused_rows, reciprocal_ranks


def test_ranks_by_hand():
    np.testing.assert_allclose(reciprocal_ranks(np.array([0.2, 0.9, 0.5])), [1 / 63, 1 / 61, 1 / 62])


def test_equals_share_the_mean_of_their_ranks():
    np.testing.assert_allclose(reciprocal_ranks(np.array([3.0, 7.0, 3.0, 1.0])), [1 / 62.5, 1 / 61, 1 / 62.5, 1 / 64])


def test_what_was_not_found_contributes_nothing():
    np.testing.assert_allclose(reciprocal_ranks(np.array([0.0, 2.0, 0.0, 5.0]), above=0.0), [0, 1 / 62, 0, 1 / 61])


def test_below_the_depth_nothing_contributes(monkeypatch):
    monkeypatch.setattr(fusion, "DEPTH", 3)
    np.testing.assert_allclose(reciprocal_ranks(np.array([5.0, 4, 3, 2, 1])), [1 / 61, 1 / 62, 1 / 63, 0, 0])
    tied_at_the_depth = reciprocal_ranks(np.array([5.0, 4, 3, 3, 1]))
    np.testing.assert_allclose(tied_at_the_depth, [1 / 61, 1 / 62, 1 / 63.5, 1 / 63.5, 0])


def test_fusion_adds_both_rankings():
    dense, lexical = np.array([0.9, 0.8, 0.1], np.float32), np.array([0.0, 3.0, 9.0], np.float32)
    (row,) = fused_rows([dense], [lexical])
    np.testing.assert_allclose(row, [1 / 61, 1 / 62 + 1 / 62, 1 / 63 + 1 / 61])


def test_rounding_noise_of_dot_products_is_a_tie():
    dense = np.array([0.5, 0.5 + 1e-7, 0.1], np.float32)
    (row,) = fused_rows([dense], [np.zeros(3)])
    assert row[0] == row[1]


def test_dense_rows_in_any_block(monkeypatch):
    rng = np.random.default_rng(0)
    queries, products = rng.random((7, 4), np.float32), rng.random((9, 4), np.float32)
    monkeypatch.setattr(fusion, "_CELLS", 20)
    np.testing.assert_allclose(np.stack(list(dense_rows(queries, products))), queries @ products.T, rtol=1e-6)


def test_rankings_of_different_length_are_refused():
    with pytest.raises(ValueError, match="zip"):
        list(fused_rows([np.zeros(2)], []))
