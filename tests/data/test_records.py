import shutil

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import TINY
from tests.data.test_batches import assert_equal, rows_of, to_numpy
from tfsage.config import Config, EmbeddingConfig
from tfsage.data.batches import TrainingBatches
from tfsage.data.features import EntityFeatures, candidate_features
from tfsage.data.prepared import PreparedData
from tfsage.data.records import RecordReader, make
from tfsage.data.records.shards import Shards
from tfsage.data.sources import pair_source
from tfsage.errors import TfsageError

IMAGES_TASK = {"name": "catalog_image", "source": "catalog_image", "query_tower": "pin"}


@pytest.fixture(scope="module")
def data(prepared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("with_records") / "data"
    shutil.copytree(prepared, folder, ignore=shutil.ignore_patterns("records"))
    return PreparedData(folder)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Blocks of about three products, so that the tiny shop has many shards."""
    monkeypatch.setattr(make, "LANES", 4)
    monkeypatch.setattr(make, "BLOCK_BYTES", 50_000)


def batches_of(data, tasks=(), **training):
    training = {**TINY["training"], "product_features": "records", **training}
    return TrainingBatches(data, Config.model_validate({**TINY, "tasks": tasks or TINY["tasks"], "training": training}))


def folders(data):
    return sorted(path for path in (data.folder / "records").iterdir() if path.is_dir())


def test_a_batch_has_the_same_parts_as_from_the_store(data):
    assert batches_of(data).signature() == batches_of(data, product_features="store").signature()


def test_every_stream_has_several_shards_and_no_two_share_a_folder(data):
    batches_of(data)(0)
    kinds = [folder.name.rsplit("-", 1)[0] for folder in folders(data)]
    # Two tasks have pairs of their own; the third reads the catalog, as the random negatives do.
    assert sorted(kinds) == ["catalog", "engagements", "engagements"]
    assert all(Shards(folder).layout.shards > 3 for folder in folders(data))


def test_an_epoch_has_every_pair_once_and_another_order_than_the_next(data):
    tasks = [*TINY["tasks"], IMAGES_TASK]
    config = Config.model_validate({**TINY, "tasks": tasks})
    reader = RecordReader(data, {"product": candidate_features(data, config.towers["product"])})
    for task in config.tasks:
        source = pair_source(data, task)
        stream = reader.pairs(task, source, seed=3)
        epochs = [stream.next(epoch * source.size, source.size).row for epoch in range(3)]
        for rows in epochs:
            assert sorted(rows) == list(range(source.size))
        orders = [*epochs, reader.pairs(task, source, seed=4).next(0, source.size).row]
        assert len({rows.tobytes() for rows in orders}) == 4


def test_six_steps_have_every_product_once_as_a_random_negative(data):
    batches = batches_of(data, random_negatives=50)
    seen = [batches(step)["pairs"]["product"]["negative_id"] for step in range(12)]
    for epoch in (seen[:6], seen[6:]):
        assert sorted(np.concatenate(epoch)) == list(range(300))


def test_features_are_those_of_the_store(data):
    tasks = [dict(task) for task in TINY["tasks"]] + [IMAGES_TASK]
    tasks[0] |= {"hide": ["images"], "hide_rate": 0.5}
    tasks[1] |= {"hide": ["text"], "hide_rate": 1.0}
    batches = batches_of(data, tasks)
    gather = candidate_features(data, Config.model_validate(TINY).towers["product"])
    for step in (0, 9):
        batch = batches(step)
        pairs, found = batch["pairs"]["product"], batch["candidates"]["product"]
        products = np.concatenate([pairs["candidate_id"], pairs["negative_id"]])
        hidden = found["token_lengths"].sum(1) == 0
        without_images = (found["image_lengths"] == 0) & (gather(products)["image_lengths"] > 0)
        assert_equal(found, gather(products, without_images, hidden))
        assert found["images"].dtype == np.float32 and found["token_ids"].dtype == np.int32
        # What was hidden is what the tasks say: all text of the second, about half of the images of the first.
        assert np.array_equal(hidden[:48], pairs["task"] == 1)
        assert (
            0 < without_images[:48][pairs["task"] == 0].sum() < 12 and not without_images[:48][pairs["task"] > 0].any()
        )


@pytest.mark.parametrize(
    "fields, column, embeddings",
    [
        (("brand", "no_such_field", "title"), None, []),
        ((), "image_embeddings", []),
        (("title",), "no_column", ["image_embeddings", "no_column"]),
        ((), None, ["image_embeddings"]),
    ],
)
def test_only_what_the_tower_reads_is_joined(data, fields, column, embeddings):
    gather = EntityFeatures(data, fields, column, 2, embeddings=[EmbeddingConfig(column=name) for name in embeddings])
    stream = RecordReader(data, {"product": gather})
    rows = stream.catalog("product", seed=1).next(0, 40)
    nothing = np.zeros(40, bool)
    assert_equal(stream.features("product", [rows], rows.row, nothing, nothing), gather(rows.row))


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_the_parts_of_a_batch_are_the_batch(data, parts):
    tasks = [dict(task) for task in TINY["tasks"]]
    tasks[1] |= {"hide": ["text"], "hide_rate": 0.5, "share": 0.2}
    whole = rows_of(batches_of(data, tasks)(3))
    divided = [rows_of(batches_of(data, tasks)(3, part, parts)) for part in range(parts)]
    for rows, wanted in enumerate(whole):
        found = sum((part[rows] for part in divided), [])
        assert sorted(found) == sorted(wanted) and len(wanted) == 48


def test_a_step_after_a_resume_is_the_step_and_reads_no_more_than_it_needs(data, monkeypatch):
    phases = [{"steps": 5, "tasks": ["search_click", "catalog_text"]}, {"steps": 7}]
    undisturbed = batches_of(data, phases=phases)
    batches = [undisturbed(step) for step in range(12)]
    read, block = [], Shards.block
    monkeypatch.setattr(Shards, "block", lambda shards, *place: read.append(place) or block(shards, *place))
    for step in (3, 8, 11):
        read.clear()
        assert_equal(batches_of(data, phases=phases)(step), batches[step])
        # Four streams of four lanes; 16 rows of a task are 4 of a lane, or 12 random negatives: a few blocks of 3.
        assert len(read) <= 3 * 4 * 3 + 4 * 6
    resumed = batches_of(data, phases=phases).dataset(first_step=9)
    for step, batch in enumerate(resumed, start=9):
        assert_equal(to_numpy(batch), batches[step])
    with pytest.raises(AssertionError):
        assert_equal(batches[3], batches[4])


def test_a_part_reads_only_its_lanes(data, monkeypatch):
    lanes, block = [set(), set()], Shards.block
    for part in (0, 1):
        batches = batches_of(data, [TINY["tasks"][2]], random_negatives=48)
        monkeypatch.setattr(
            Shards, "block", lambda shards, shard, lane, part=part: lanes[part].add(lane) or block(shards, shard, lane)
        )
        for step in range(12):
            batches(step, part, 2)
    # 300 products are 75 to a lane, so that 48 rows are always 12 of each lane.
    assert lanes == [{0, 1}, {2, 3}]


def test_mined_negatives_come_from_the_store(data):
    class Mined:
        def of_rows(self, pool, step, rows):
            return np.arange(3, dtype=np.int32), np.array([7, 7, 250])

    batches = batches_of(data)
    batches.hard_negatives = Mined()
    batch, rows = batches(0), np.array([7, 7, 250])
    found = batch["candidates"]["product"]
    assert batch["pairs"]["product"]["hard_id"].tolist() == rows.tolist()
    gather = candidate_features(data, Config.model_validate(TINY).towers["product"])
    assert np.array_equal(found["token_lengths"][-3:], gather(rows)["token_lengths"])
    assert np.array_equal(found["images"][-found["image_lengths"][-3:].sum() :], gather(rows)["images"])


def test_the_shards_are_tfrecords_that_tensorflow_reads(data):
    gather = candidate_features(data, Config.model_validate(TINY).towers["product"])
    folder = RecordReader(data, {"product": gather}).catalog("product", seed=1).folder
    fields, dimension, _ = Shards(folder).shape
    files = sorted(str(path) for path in folder.glob("*.tfrecord"))
    seen = []
    for record in tf.data.TFRecordDataset(files):
        words = tf.io.decode_raw(record, tf.int32)
        product = int(tf.bitcast(words[2:4], tf.int64))
        lengths, images = words[4 : 4 + fields].numpy(), int(words[4 + fields])
        tokens, vectors = tf.split(words[5 + fields :], [lengths.sum(), images * dimension])
        wanted = gather(np.array([product]))
        assert lengths.tolist() == wanted["token_lengths"][0].tolist()
        assert tokens.numpy().tolist() == wanted["token_ids"].tolist()
        vectors = tf.reshape(tf.bitcast(vectors, tf.float32), [-1, dimension])
        assert np.array_equal(vectors, wanted["images"])
        seen.append(product)
    assert sorted(seen) == list(range(300)) and seen != sorted(seen)


def test_what_is_not_needed_is_not_made(data, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(data.folder, folder, ignore=shutil.ignore_patterns("records"))
    copy = PreparedData(folder)
    batches_of(copy)
    assert not (folder / "records").exists()
    config = {**TINY, "loss": {"negatives": "in_batch"}, "tasks": TINY["tasks"][:2]}
    config["training"] = {**TINY["training"], "product_features": "records"}
    TrainingBatches(copy, Config.model_validate(config))(0)
    assert [path.name.split("-")[0] for path in folders(copy)] == ["engagements", "engagements"]
    TrainingBatches(copy, Config.model_validate(config))(1)
    assert len(folders(copy)) == 2


def test_other_data_get_other_records(data, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(data.folder, folder)
    before = len(folders(PreparedData(folder)))
    values = np.load(folder / "stores/product/tokens/values.npy", mmap_mode="r+")
    values[0] += 1
    values.flush()
    batches = batches_of(PreparedData(folder), [TINY["tasks"][2]], random_negatives=300)
    found = batches(0)["candidates"]["product"]["token_ids"]
    assert len(folders(PreparedData(folder))) == before + 1
    assert (np.isin(values[0], found)).all()


@pytest.mark.parametrize("harm", ["byte", "missing", "short"])
def test_damaged_records_are_refused(data, tmp_path, harm):
    folder = tmp_path / "data"
    shutil.copytree(data.folder, folder, ignore=shutil.ignore_patterns("records"))
    copy, tasks = PreparedData(folder), [TINY["tasks"][2]]
    batches_of(copy, tasks)(0)
    path = sorted(folders(copy)[0].glob("*.tfrecord"))[0]
    content = bytearray(path.read_bytes())
    if harm == "byte":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    if harm == "short":
        path.write_bytes(content[:-1])
    if harm == "missing":
        path.unlink()
    wanted = {"byte": "changed or damaged", "short": "not of the size", "missing": "missing"}
    with pytest.raises(TfsageError, match=wanted[harm] + ".*delete .*records/catalog-"):
        for step in range(12):
            batches_of(copy, tasks)(step)
