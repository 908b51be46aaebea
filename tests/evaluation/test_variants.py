import numpy as np
import pytest

from tfsage.evaluation import account
from tfsage.evaluation.variants import variants_of


def test_every_member_of_every_group_of_a_query_once():
    group = np.array([0, 1, 0, -1, 1, 0, -1])
    query, product = variants_of(np.array([5, 5, 5, 9, 9]), np.array([0, 2, 3, 4, 6]), group)
    assert sorted(zip(query.tolist(), product.tolist(), strict=True)) == [(5, 0), (5, 2), (5, 5), (9, 1), (9, 4)]


def test_products_without_a_group_are_no_variants_of_one_another():
    query, product = variants_of(np.array([1, 2]), np.array([0, 1]), np.full(4, -1))
    assert len(query) == len(product) == 0


def test_a_positive_is_not_pushed_down_by_its_own_variants():
    """Nine copies of the article in other colours score the same; they are one answer, not ten."""
    products = np.eye(3, dtype=np.float32)[[0] * 10 + [1] * 5 + [2] * 5]
    pairs = np.array([[0, 3]])
    alone = account(products[:1], products, pairs, k=(1,), bootstrap=10)["recall@1"]["value"]
    assert alone == pytest.approx(0.1)
    excluded = np.stack(variants_of(pairs[:, 0], pairs[:, 1], np.array([0] * 10 + [-1] * 10)), axis=1)
    assert account(products[:1], products, pairs, k=(1,), excluded=excluded, bootstrap=10)["recall@1"]["value"] == 1
