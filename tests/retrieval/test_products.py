"""A bundle's products and those added since are searched as one catalog: plain numpy over both is the judge."""

import numpy as np
import pyarrow as pa
import pytest

from tfsage.index import BruteForceIndex
from tfsage.retrieval.added import Added
from tfsage.retrieval.catalog import Catalog
from tfsage.retrieval.products import Products, Published
from tfsage.retrieval.searcher import Searcher

COUNT, ADDED, DIMENSION = 500, 120, 16


def catalog(ids, title: str) -> Catalog:
    return Catalog(pa.table({"product_id": pa.array(ids, pa.int64()), "title": [f"{title} {each}" for each in ids]}))


def unit(rng, count: int) -> np.ndarray:
    vectors = rng.normal(size=(count, DIMENSION)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(params=[0.0, 0.4, 1.0], ids=["all new", "some updates", "all updates"])
def both(request) -> tuple[Products, dict[int, np.ndarray]]:
    """Products, a few of them withdrawn, and the vector of each id that is left."""
    rng = np.random.default_rng(7)
    ids, vectors = rng.permutation(10_000)[:COUNT], unit(rng, COUNT)
    updates = int(request.param * ADDED)
    added_ids = [*rng.choice(ids, updates, replace=False), *range(20_000, 20_000 + ADDED - updates)]
    added_vectors = unit(rng, ADDED)
    published = Published(catalog(ids, "old"), Searcher(BruteForceIndex(vectors), vectors), None, None)
    withdrawn = tuple(map(str, [*ids[::50], *added_ids[::30], 77_777]))
    products = Products(published, Added(catalog(added_ids, "new"), added_vectors, None, None), withdrawn)
    whole = dict(zip(ids.tolist(), vectors, strict=True)) | dict(zip(map(int, added_ids), added_vectors, strict=True))
    return products, {key: vector for key, vector in whole.items() if str(key) not in withdrawn}


@pytest.mark.parametrize("k", [1, 10, 10_000])
@pytest.mark.parametrize("share", [1.0, 0.3, 0.01])
def test_the_nearest_are_those_of_brute_force_over_the_union(both, k, share):
    products, whole = both
    rng = np.random.default_rng(k)
    for query in unit(rng, 5):
        allowed = rng.random(products.count) < share
        excluded = rng.integers(0, products.count, 30)
        rows, scores, _ = products.nearest(query, k, allowed & products.left, excluded)
        cards = products.cards(rows)
        left = [key for key in whole if allowed[row := products.find(key)] and row not in excluded]
        expected = sorted(left, key=lambda key: -float(whole[key] @ query))[:k]
        assert [card.product_id for card in cards] == expected
        np.testing.assert_allclose(scores, [whole[key] @ query for key in expected], atol=1e-6)
        np.testing.assert_array_equal(
            products.vectors(rows), np.array([whole[key] for key in expected]).reshape(-1, 16)
        )
        assert all(card.title == f"{'new' if card.added else 'old'} {card.product_id}" for card in cards)


def test_what_a_cursor_says_is_the_same_product_after_the_file_has_changed(both):
    products, _ = both
    rows = np.arange(products.count)
    marks = products.marks(rows)
    assert len(set(marks.tolist())) == products.count
    np.testing.assert_array_equal(products.marked(marks), rows)
    names = [card.product_id for card in products.cards(rows)]
    others = catalog([*range(19_000, 19_010), *list(products.added.catalog)[::-1][:50]], "newer")
    later = Products(products._published, Added(others, unit(np.random.default_rng(1), 60), None, None))
    found = later.marked(marks)
    there = [name for name in names if later.find(name) is not None]
    assert [card.product_id for card in later.cards(found)] == there
