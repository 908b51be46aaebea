import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.evaluation.worlds import make_judgements
from tfsage.data.stores import RaggedStore, RaggedWriter
from tfsage.evaluation import baselines
from tfsage.evaluation.baselines import normalised, product_texts, rank_randomly, write_image_sums


def test_the_random_ranking_hits_by_chance():
    """k of the candidates that each pair really has: the distractors without what is barred, and itself."""
    judgements = make_judgements()
    barred = list(zip(*judgements.barred, strict=True))
    hits = rank_randomly(judgements).pair.hits(10)
    for query, hit in zip(judgements.query, hits, strict=True):
        competitors = [p for p in judgements.distractors if (query, p) not in barred]
        assert hit == pytest.approx(min(1, 10 / (len(competitors) + 1)))


def test_images_are_added_up_and_normalised(tmp_path, monkeypatch):
    monkeypatch.setattr(baselines, "_PRODUCTS", 2)
    images = np.array([[3, 0], [0, 4], [1, 1], [-5, 0]], np.float32)
    with RaggedWriter(tmp_path / "images", np.float32, (2,)) as writer:
        writer.append(images, np.array([2, 0, 1, 1]))
    write_image_sums(RaggedStore(tmp_path / "images"), tmp_path / "sums.npy")
    sums = np.load(tmp_path / "sums.npy")
    assert sums.dtype == np.float32
    np.testing.assert_allclose(sums, [[0.6, 0.8], [0, 0], [0.5**0.5, 0.5**0.5], [-1, 0]], rtol=1e-6)


def test_normalising_leaves_zeros_alone():
    np.testing.assert_allclose(normalised(np.array([[0.0, 0.0], [6.0, 8.0]])), [[0, 0], [0.6, 0.8]], rtol=1e-6)


def test_texts_join_strings_and_lists_in_the_order_of_the_fields(tmp_path):
    table = pa.table(
        {
            "colors": pa.array([["red", "blue"], None, [None, "green"]], pa.list_(pa.string())),
            "title": ["desk", None, "lamp"],
            "price": [1.0, 2.0, 3.0],
        }
    )
    pq.write_table(table, tmp_path / "products.parquet")
    texts = list(product_texts(tmp_path / "products.parquet", ("title", "brand", "colors")))
    assert [text.split() for text in texts] == [["desk", "red", "blue"], [], ["lamp", "green"]]


def test_products_without_any_text_column_are_empty(tmp_path):
    pq.write_table(pa.table({"product_id": ["a", "b"]}), tmp_path / "products.parquet")
    assert list(product_texts(tmp_path / "products.parquet", ("title",))) == ["", ""]
