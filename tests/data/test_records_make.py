import shutil
from collections import namedtuple

import numpy as np
import pytest

from tests.data.tiny import tiny_config, tiny_shop, write_tables
from tfsage.data.features import EntityFeatures
from tfsage.data.prepare import prepare
from tfsage.data.prepared import PreparedData
from tfsage.data.records import choose_reader, make
from tfsage.data.records.choice import MEMORY_SHARE, usable_memory
from tfsage.data.records.make import open_or_make
from tfsage.data.records.record import Records, decode_ids
from tfsage.data.records.spill import Spill
from tfsage.errors import TfsageError


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    prepare(write_tables(folder / "tables", tiny_shop()), tiny_config(), folder / "data")
    return PreparedData(folder / "data")


def made(data, folder, products=(3, 1, 1, 5)):
    gather = EntityFeatures(data, ("title",), "image_embeddings", 20, 4)
    return open_or_make(folder, lambda: np.array(products), gather, "a stream", {"about": "a test"})


def ids(shards):
    lanes = range(shards.layout.lanes)
    blocks = [shards.block(0, lane) for lane in lanes]
    return [pair for block, starts in blocks for pair in decode_ids(Records([block] * len(starts), starts)).tolist()]


@pytest.mark.parametrize("memory", [1, 40, 1000, 1 << 20])
def test_rows_leave_a_spill_by_bucket_in_the_order_of_their_keys(tmp_path, memory):
    rng, rows = np.random.default_rng(0), {bucket: {} for bucket in range(5)}
    spill = Spill(tmp_path, memory)
    for key in rng.permutation(100).tolist():
        row = rng.bytes(rng.integers(0, 30))
        rows[key % 4][key] = row
        spill.add(key % 4, key, row)
    assert (len(list(tmp_path.iterdir())) > 0) == (memory < 1 << 20)
    for bucket, own in rows.items():
        assert spill.take(bucket) == [own[key] for key in sorted(own)]
        assert spill.take(bucket) == []
    assert list(tmp_path.iterdir()) == []


def test_records_have_the_rows_and_their_products(data, tmp_path):
    shards = made(data, tmp_path / "records" / "stream")
    assert sorted(ids(shards)) == [[0, 3], [1, 1], [2, 1], [3, 5]]


def test_records_are_made_once(data, tmp_path, monkeypatch):
    folder = tmp_path / "records" / "stream"
    made(data, folder)
    monkeypatch.setattr(make, "_make", None)
    made(data, folder)


def test_a_full_disk_is_named_before_anything_is_written(data, tmp_path, monkeypatch):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(free=100))
    with pytest.raises(TfsageError, match="records of a stream take .* GB are free; .*product_features: store"):
        made(data, tmp_path / "records" / "stream")
    assert not (tmp_path / "records" / "stream").exists()


def test_a_folder_that_cannot_be_written_is_named(data, tmp_path):
    (tmp_path / "records").write_text("a file")
    with pytest.raises(TfsageError, match="cannot be written.*product_features: store"):
        made(data, tmp_path / "records" / "stream")


def test_auto_is_records_once_the_stores_are_larger_than_a_share_of_memory(data):
    features = [EntityFeatures(data, (field,), "image_embeddings", 20, 4) for field in ("title", "colors")]
    stores = [data.tokens, data.images()]
    size = sum(store.values.nbytes + store.offsets.nbytes for store in stores)
    memory = int(size / MEMORY_SHARE)
    assert choose_reader("auto", features, memory + 2) == "store"
    assert choose_reader("auto", features, memory - 2) == "records"
    assert choose_reader("store", features, 0) == "store"
    assert choose_reader("records", features, 1 << 60) == "records"
    # Without images only the tokens count.
    assert choose_reader("auto", [EntityFeatures(data, ("title",))], memory - 2) == "store"


def test_a_container_has_the_memory_of_its_limit(tmp_path):
    physical, limit = usable_memory(tmp_path / "none"), tmp_path / "memory.max"
    limit.write_text("max\n")
    assert usable_memory(limit) == physical > 1 << 28
    limit.write_text("1000000\n")
    assert usable_memory(limit) == 1_000_000
