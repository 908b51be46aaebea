"""Batch inference: right vectors in the catalog's order, and the same ones after a kill."""

import itertools
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from export import embed_catalog as module
from export.embed_catalog import embed_catalog, embed_products, embed_record_batches, vectors_of
from export.raw_features import raw_features
from tests.conftest import ROOT
from tests.export.fakes import product_tower, products_table, write_products
from tfsage.errors import TfsageError

COUNT = 300


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(module, "PART_ROWS", 64)


@pytest.fixture
def products(tmp_path):
    return write_products(tmp_path / "products.parquet", COUNT)


def test_every_product_gets_its_own_vector_in_order(towers, products):
    embedded = embed_catalog(towers, products, batch_size=10)
    assert [path.name for path in embedded.parts()] == [f"part-{place:05d}.parquet" for place in range(5)]
    table = pa.concat_tables([pq.read_table(path) for path in embedded.parts()])
    source = pq.read_table(products)
    assert table["product_id"].to_pylist() == source["product_id"].to_pylist()
    assert table["title"].to_pylist() == source["title"].to_pylist()
    assert set(table["space_id"].to_pylist()) == {towers.manifest.space_id}
    tower = product_tower()
    inputs = raw_features(source.combine_chunks().to_batches()[0], tower.raw_signature, "image_embeddings")
    np.testing.assert_allclose(vectors_of(table), tower.embed(inputs), atol=1e-5)
    assert embedded.manifest.products == COUNT
    embedded.check_embeddings()


def test_vectors_do_not_depend_on_how_the_file_is_cut(towers, products, tmp_path):
    """Row groups of 7 rows, against one: the tower must see the same rows together."""
    first = [pq.read_table(path) for path in embed_catalog(towers, products, batch_size=10).parts()]
    pq.write_table(pq.read_table(products), tmp_path / "cut.parquet", row_group_size=7)
    second = [pq.read_table(path) for path in embed_catalog(towers, tmp_path / "cut.parquet", batch_size=10).parts()]
    assert first == second


def test_a_file_of_their_own_holds_what_the_parts_would_and_the_bundle_stays(towers, products, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in towers.folder.rglob("*")}
    out = tmp_path / "day" / "added.parquet"
    assert embed_products(towers, products, out, batch_size=16) == COUNT
    assert {path: path.stat().st_mtime_ns for path in towers.folder.rglob("*")} == before
    found = pq.read_table(out)
    # Parts of 64 products are cut into the same batches of 16.
    parts = pa.concat_tables([pq.read_table(path) for path in embed_catalog(towers, products, batch_size=16).parts()])
    assert found.replace_schema_metadata(None).equals(parts.replace_schema_metadata(None))


def test_what_fails_leaves_the_file_that_was_there(towers, products, tmp_path, monkeypatch):
    out = tmp_path / "added.parquet"
    out.write_bytes(b"yesterday's")
    calls = itertools.count(1)

    def fail_later(vectors, what, dimension):
        if next(calls) == 3:
            raise TfsageError("not finite")

    monkeypatch.setattr(module, "check_vectors", fail_later)
    with pytest.raises(TfsageError, match="not finite"):
        embed_products(towers, products, out, batch_size=10)
    assert out.read_bytes() == b"yesterday's"
    assert sorted(path.name for path in tmp_path.iterdir() if "added" in path.name) == ["added.parquet"]


def test_inference_is_lazy(towers):
    """A cluster, and bounded memory, need one batch out before the next is taken in."""
    taken = []

    def stream():
        for place in range(3):
            taken.append(place)
            yield products_table(5).to_batches()[0]

    embedded = embed_record_batches(stream(), str(towers.product_tower), "image_embeddings", "s")
    assert len(next(embedded)) == 5
    assert taken == [0]


def test_reading_holds_a_window_of_the_file_not_the_file(tmp_path):
    """Arrow keeps all column chunks it has read by default; a catalog of any size must fit in the same memory."""
    random = np.random.default_rng(0)
    values = pa.FixedSizeListArray.from_arrays(random.normal(size=5_000_000).astype(np.float32), 250)
    table = pa.table({"product_id": np.arange(20_000), "image_embeddings": values})
    pq.write_table(table, tmp_path / "big.parquet", row_group_size=1000)
    del table, values
    before, peak = pa.total_allocated_bytes(), 0
    for _ in module._aligned_batches(tmp_path / "big.parquet", 256):
        peak = max(peak, pa.total_allocated_bytes() - before)
    assert peak < (tmp_path / "big.parquet").stat().st_size / 2


_SLOWLY = """
import sys, time
from pathlib import Path
import tfsage
from export import embed_catalog
from tfsage.bundle import Bundle
embed_catalog.PART_ROWS = 64
write = embed_catalog._write_part
def slowly(path, *part):
    write(path, *part)
    print("wrote", path.name, flush=True)
    time.sleep(0.3)
embed_catalog._write_part = slowly
embed_catalog.embed_catalog(Bundle.open(sys.argv[1]), Path(sys.argv[2]), 10)
"""


def test_killed_and_run_again_it_writes_the_same_files(towers, products, tmp_path):
    undisturbed = {path.name: path.read_bytes() for path in embed_catalog(towers, products, batch_size=10).parts()}
    for path in towers.parts():
        path.unlink()
    words = [sys.executable, "-c", _SLOWLY, str(towers.folder), str(products)]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert [process.stdout.readline() for _ in range(2)] == ["wrote part-00000.parquet\n", "wrote part-00001.parquet\n"]
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    (towers.embeddings / ".part-00002.parquet.partial").write_bytes(b"half")
    kept = {path: path.stat().st_mtime_ns for path in towers.parts()[:2]}
    time.sleep(0.01)
    again = embed_catalog(towers, products, batch_size=10)
    assert {path.name: path.read_bytes() for path in again.parts()} == undisturbed
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert sorted(path.name for path in towers.embeddings.iterdir()) == sorted(undisturbed)


@pytest.mark.parametrize("damage", [lambda data: data[:-40], lambda data: b"", lambda data: data[:300] + b"\xff" * 200])
def test_a_damaged_part_is_made_anew(towers, products, damage):
    embedded = embed_catalog(towers, products, batch_size=10)
    whole = [path.read_bytes() for path in embedded.parts()]
    embedded.parts()[1].write_bytes(damage(whole[1]))
    again = embed_catalog(embedded, products, batch_size=10)
    assert [path.read_bytes() for path in again.parts()] == whole


def test_a_changed_catalog_is_embedded_anew(towers, products):
    """The same ids, another text: parts must not be mistaken for finished; a shorter catalog leaves none behind."""
    embed_catalog(towers, products, batch_size=10)
    changed = products_table(100).set_column(1, "title", pa.array(["red bed"] * 100))
    pq.write_table(changed, products)
    again = embed_catalog(towers, products, batch_size=10)
    assert again.manifest.products == 100
    assert [pq.read_metadata(path).num_rows for path in again.parts()] == [64, 36]
    assert pq.read_table(again.parts()[0])["title"][0].as_py() == "red bed"


def test_int64_ids_stay_int64(towers, tmp_path):
    table = products_table(5).set_column(0, "product_id", pa.array([2**40 + row for row in range(5)], pa.int64()))
    pq.write_table(table, tmp_path / "products.parquet")
    embedded = embed_catalog(towers, tmp_path / "products.parquet", batch_size=10)
    ids = pq.read_table(embedded.parts()[0])["product_id"]
    assert ids.type == pa.int64() and ids[4].as_py() == 2**40 + 4


def with_ids(ids):
    return products_table(len(ids)).set_column(0, "product_id", pa.array(ids))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (with_ids(["a", "b", "a"]), "product_id is null or repeats .for example 'a'"),
        (with_ids(["a", None]), "product_id is null or repeats .for example None"),
        (with_ids([1.5, 2.5]), "product_id: expected string or int64, got double"),
        (products_table(0), "the products table is empty"),
        (products_table(3).drop_columns("product_id"), "has no column product_id; it has title"),
    ],
)
def test_bad_catalogs_are_refused(towers, table, message, tmp_path):
    pq.write_table(table, tmp_path / "bad.parquet")
    with pytest.raises(TfsageError, match=message):
        embed_catalog(towers, tmp_path / "bad.parquet", batch_size=10)
    assert towers.parts() == []


def test_files_that_are_no_tables_are_refused(towers, tmp_path):
    with pytest.raises(TfsageError, match="no such products table"):
        embed_catalog(towers, tmp_path / "none.parquet", batch_size=10)
    (tmp_path / "text.parquet").write_text("product_id,title")
    with pytest.raises(TfsageError, match="not a Parquet file"):
        embed_catalog(towers, tmp_path / "text.parquet", batch_size=10)


def test_weights_that_are_not_finite_are_refused(towers, products, monkeypatch):
    class Broken:
        dimension, inputs = 8, module.load_signature(str(towers.product_tower)).inputs

        def __call__(self, **inputs):
            return np.full((len(inputs["title"]), 8), np.nan, np.float32)

    monkeypatch.setattr(module, "load_signature", lambda folder: Broken())
    with pytest.raises(TfsageError, match="embeddings of the products from 'p0' on: row 0 holds NaN"):
        embed_catalog(towers, products, batch_size=10)
    assert towers.parts() == []
