"""Ids of both types, attributes in any order, pictures and pins, and files that are not what they should be."""

from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfsage.errors import TfsageError
from tfsage.retrieval.catalog import Catalog, Pins

NUMBERS = pa.table({"product_id": pa.array([2**62, 7, -1]), "title": ["a", None, "c"]})
BUNDLE = SimpleNamespace(manifest=SimpleNamespace(space_id="a" * 12, dimension=2))


def written(folder, **columns):
    pq.write_table(pa.table(columns), folder / "table.parquet")
    return folder / "table.parquet"


def test_ids_that_are_numbers_are_found_as_numbers_or_text():
    catalog = Catalog(NUMBERS)
    assert [catalog.find(given) for given in (2**62, str(2**62), 7, "7", "-1", "x", 8)] == [0, 0, 1, 1, 2, None, None]
    assert [catalog.describe(row) for row in (1, 0)] == [(7, ""), (2**62, "a")]
    assert list(catalog) == [2**62, 7, -1]


def test_ids_that_are_text_are_found_as_text_or_numbers():
    catalog = Catalog(pa.table({"product_id": ["7", "x"], "title": ["a", "b"]}))
    assert [catalog.find(given) for given in (7, "7", "x", "07")] == [0, 0, 1, None]


def test_attributes_are_put_in_the_order_of_the_index(tmp_path):
    brands, words = ["later", "none", "first"], [["x", None], None, ["y"]]
    path = written(tmp_path, product_id=[-1, 99, 2**62], brand=brands, description=words, vectors=[[1.0]] * 3)
    catalog = Catalog(NUMBERS, path)
    assert list(catalog.attributes.allowed({"brand": ["first", "none"]})) == [True, False, False]
    assert list(catalog.attributes.allowed({"brand": ["later"]})) == [False, False, True]
    assert set(catalog.attributes.fields) == {"brand"}


def test_texts_are_everything_that_is_said_of_a_product(tmp_path):
    path = written(tmp_path, product_id=[7, 2**62], title=["oak desk", None], colors=[["red", None, "blue"], None])
    texts = list(Catalog(NUMBERS, path).texts())
    # Where the table has no title, that of the embeddings stands for it.
    assert [text.split() for text in texts] == [["a"], ["oak", "desk", "red", "blue"], ["c"]]
    prices = written(tmp_path, product_id=[-1], price=[1.0])
    assert list(Catalog(NUMBERS, prices).texts()) == ["a", "", "c"]


def test_a_table_of_other_products_is_refused(tmp_path):
    with pytest.raises(TfsageError, match="has none of the products of the index"):
        Catalog(NUMBERS, written(tmp_path, product_id=[1, 2]))
    with pytest.raises(TfsageError, match="has no column product_id; it has id"):
        Catalog(NUMBERS, written(tmp_path, id=[1, 2]))
    with pytest.raises(TfsageError, match="product_id: string, where the bundle's are int64"):
        Catalog(NUMBERS, written(tmp_path, product_id=["7", "x"]))
    (tmp_path / "table.parquet").write_bytes(b"PAR1")
    with pytest.raises(TfsageError, match="cannot be read as Parquet"):
        Catalog(NUMBERS, tmp_path / "table.parquet")


def test_pins_are_of_the_bundles_space(tmp_path):
    pins = Pins(written(tmp_path, pin_id=["a", "b"], embedding=[[1.0, 2.0], [3.0, 4.0]]), BUNDLE)
    assert list(pins.vector("b")) == [3.0, 4.0]
    for wrong, message in (
        ({"embedding": [[1.0], [2.0]]}, "expected 2 finite numbers"),
        ({"embedding": [[1.0, 2.0], [float("nan"), 4.0]]}, "expected 2 finite numbers"),
        ({"embedding": [[1.0, 2.0, 3.0], [4.0]]}, "expected 2 finite numbers"),
        ({"embedding": [[1.0, 2.0]] * 2, "space_id": ["b" * 12] * 2}, "pins of space"),
    ):
        with pytest.raises(TfsageError, match=message):
            Pins(written(tmp_path, pin_id=["a", "b"], **wrong), BUNDLE)
