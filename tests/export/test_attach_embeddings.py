import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from export.attach_embeddings import attach_embeddings
from export.embed_catalog import vectors_of
from export.saved_model import Signature
from tests.export.fakes import DIMENSION
from tfsage.errors import TfsageError


@pytest.fixture
def tables(bundle, tmp_path):
    """The products of the bundle in another order, in two files, with one that it does not know."""
    ids = pa.concat_tables([pq.read_table(part) for part in bundle.parts()])["product_id"].to_pylist()
    ids = [*ids[::-1], "new"]
    folder = tmp_path / "tables"
    (folder / "products").mkdir(parents=True)
    titles = [f"title of {name}" for name in ids]
    half = len(ids) // 2
    for number, part in enumerate((slice(0, half), slice(half, None))):
        rows = pa.table({"product_id": ids[part], "title": titles[part]})
        pq.write_table(rows, folder / "products" / f"{number}.parquet")
    queries = {"query_id": ["a", "b", "c"], "text": ["red chair", None, "blue lamp"], "embedding": [[1.0], [2.0], None]}
    pq.write_table(pa.table(queries), folder / "queries.parquet")
    pq.write_table(pa.table({"pin_id": ["x", "y"], "title": ["green rug", None]}), folder / "pins.parquet")
    engagements = {
        "surface": ["search"],
        "query_type": ["query"],
        "query_id": ["a"],
        "entity_type": ["product"],
        "entity_id": [ids[0]],
        "action": ["click"],
    }
    pq.write_table(pa.table(engagements), folder / "engagements.parquet")
    return folder


def column(table, name):
    found = table[name].combine_chunks()
    return found.flatten().to_numpy().reshape(-1, DIMENSION)


def test_every_table_gets_the_vectors_of_its_own_rows(bundle, tables, tmp_path):
    out = tmp_path / "out"
    columns = {"queries": "embedding", "products": "itemsage", "pins": "itemsage"}
    written = attach_embeddings(bundle, tables, out, columns)
    products = pq.read_table(out / "products.parquet")
    assert products["product_id"].to_pylist()[-1] == "new" and products["itemsage"].null_count == 1
    assert written == {"products": (len(products), 1), "queries": (3, 0), "pins": (2, 0)}
    known = pa.concat_tables([pq.read_table(part) for part in bundle.parts()])
    np.testing.assert_array_equal(column(products, "itemsage"), vectors_of(known)[::-1])
    assert products["product_id"].to_pylist()[:-1] == known["product_id"].to_pylist()[::-1]
    assert products["title"].to_pylist()[-1] == "title of new"

    queries = pq.read_table(out / "queries.parquet")
    assert queries.column_names == ["query_id", "text", "embedding"], "the column that was there is replaced"
    wanted = Signature(bundle.query_tower)(query=[b"red chair", b"", b"blue lamp"])
    np.testing.assert_allclose(column(queries, "embedding"), wanted, atol=1e-6)

    tower = Signature(bundle.product_tower)
    empty = {name: np.full(2, b"", object) for name, spec in tower.inputs.items() if spec.dtype.name == "string"}
    image = {
        name: np.zeros((2, 1, spec.shape[-1]), np.float32) for name, spec in tower.inputs.items() if name not in empty
    }
    wanted = tower(**{**empty, **image, "title": np.array([b"green rug", b""], object)})
    np.testing.assert_allclose(column(pq.read_table(out / "pins.parquet"), "itemsage"), wanted, atol=1e-6)

    assert (out / "engagements.parquet").read_bytes() == (tables / "engagements.parquet").read_bytes()
    assert sorted(path.name for path in out.iterdir()) == [
        "engagements.parquet",
        "pins.parquet",
        "products.parquet",
        "queries.parquet",
    ]


def test_tables_that_nothing_is_asked_for_are_copied(bundle, tables, tmp_path):
    attach_embeddings(bundle, tables, tmp_path / "out", {"queries": "searchsage"})
    for file in (tables / "products").iterdir():
        assert (tmp_path / "out" / "products" / file.name).read_bytes() == file.read_bytes()


def test_a_table_that_is_not_there_is_named(bundle, tables, tmp_path):
    (tables / "pins.parquet").unlink()
    with pytest.raises(TfsageError, match="there is no table pins"):
        attach_embeddings(bundle, tables, tmp_path / "out", {"pins": "itemsage"})
    assert not (tmp_path / "out").exists()
