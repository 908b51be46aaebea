import numpy as np
import pytest

from tests.conftest import TINY
from tfsage.config import TEXT_FIELDS, Config, TaskConfig
from tfsage.data.batches import TrainingBatches
from tfsage.data.features import EntityFeatures
from tfsage.data.prepared import PreparedData
from tfsage.data.sources import CatalogImagePairs, query_space
from tfsage.errors import TfsageError


@pytest.fixture(scope="module")
def data(prepared):
    return PreparedData(prepared)


def config(**training):
    return Config.model_validate({**TINY, "training": {**TINY["training"], **training}})


def pairs_of(batch):
    pairs = batch["pairs"]["product"]
    return pairs["task"], pairs["query_id"], pairs["candidate_id"]


def test_a_batch_holds_the_share_of_each_task(data):
    tasks = [dict(task) for task in TINY["tasks"]]
    tasks[0]["share"], tasks[1]["share"], tasks[2]["share"] = 4, 2, 1
    chosen = Config.model_validate({**TINY, "tasks": tasks})
    task, _, positive = pairs_of(TrainingBatches(data, chosen)(0))
    # 48 pairs at 4 : 2 : 1 are 27.43, 13.71 and 6.86: the largest remainders are rounded up.
    assert np.bincount(task).tolist() == [27, 14, 7]
    assert len(positive) == 48


def test_random_negatives_stream_over_the_whole_catalog(data):
    batches = TrainingBatches(data, config(random_negatives=50))
    seen = [batches(step)["pairs"]["product"]["negative_id"] for step in range(12)]
    # 300 products at 50 a step: six steps are an epoch of the catalog, the next six another, in another order.
    assert data.product_count == 300
    for epoch in (seen[:6], seen[6:]):
        assert sorted(np.concatenate(epoch)) == list(range(300))
    assert not any(np.array_equal(first, second) for first, second in zip(seen[:6], seen[6:], strict=True))


def test_an_epoch_visits_every_pair_once(data):
    batches = TrainingBatches(data, config(phases=[{"steps": 2000}]))
    wanted = data.pairs("train", "closeup", "pin", {"click": 1.0})
    size, seen, step = len(wanted.query), [], 0
    while len(seen) < size:
        task, query, positive = pairs_of(batches(step))
        seen += list(zip((query - query_space("pin"))[task == 0], positive[task == 0], strict=True))
        step += 1
    assert sorted(seen[:size]) == sorted(zip(wanted.query, wanted.product, strict=True))


def test_a_step_does_not_depend_on_the_steps_before(data):
    first, second = TrainingBatches(data, config()), TrainingBatches(data, config())
    for step in range(5):
        first(step)
    assert_equal(first(7), second(7))
    with pytest.raises(AssertionError):
        assert_equal(first(7), second(8))


def test_features_belong_to_the_candidates(data):
    batch = TrainingBatches(data, config())(3)
    pairs, features = batch["pairs"]["product"], batch["candidates"]["product"]
    rows = np.concatenate([pairs["candidate_id"], pairs["negative_id"]])
    ends = np.cumsum(features["token_lengths"].sum(1))
    for place in (0, 20, 95):
        own = features["token_ids"][ends[place] - features["token_lengths"][place].sum() : ends[place]]
        read = [place for place, field in enumerate(data.text_fields) if field in TEXT_FIELDS]
        stored, _ = data.tokens.gather(rows[place] * len(data.text_fields) + np.array(read))
        assert own.tolist() == stored.tolist()
    assert features["image_lengths"].sum() == len(features["images"])


def test_queries_stand_in_the_row_their_pair_names(data):
    batch = TrainingBatches(data, config())(0)
    pairs = batch["pairs"]["product"]
    pins = pairs["task"] == 0
    vectors = batch["queries"]["pin"]["embedding"]
    # Towers are concatenated in the order of their names: "pin" before "text".
    expected = data.queries("pin").embeddings[pairs["query_id"][pins] - query_space("pin")]
    assert np.array_equal(vectors[pairs["query_row"][pins]], expected)
    texts = batch["queries"]["text"]["query"]
    searches = pairs["task"] == 1
    rows = pairs["query_row"][searches] - len(vectors)
    wanted = data.queries("query").texts.gather(pairs["query_id"][searches])
    assert [texts[row].decode() for row in rows] == wanted


def test_hidden_groups_are_empty_for_that_task_alone(data):
    tasks = [dict(task) for task in TINY["tasks"]]
    tasks[2] |= {"hide": ["images"], "hide_rate": 1.0}
    batch = TrainingBatches(data, Config.model_validate({**TINY, "tasks": tasks}))(0)
    images = batch["candidates"]["product"]["image_lengths"][:48]
    hidden = batch["pairs"]["product"]["task"] == 2
    assert (images[hidden] == 0).all() and (images[~hidden] > 0).all()


def test_phases_choose_the_tasks(data):
    batches = TrainingBatches(data, config(phases=[{"steps": 2, "tasks": ["catalog_text"]}, {"steps": 3}]))
    assert batches.total_steps == 5
    assert set(pairs_of(batches(1))[0]) == {2}
    assert set(pairs_of(batches(2))[0]) == {0, 1, 2}
    with pytest.raises(IndexError):
        batches(5)


def test_a_task_without_pairs_is_an_error_unless_it_is_optional(data):
    tasks = [dict(task) for task in TINY["tasks"]]
    tasks[1] |= {"surface": "home"}
    with pytest.raises(TfsageError, match="search_click has no training pairs .*surface home"):
        TrainingBatches(data, Config.model_validate({**TINY, "tasks": tasks}))
    tasks[1] |= {"optional": True}
    assert TrainingBatches(data, Config.model_validate({**TINY, "tasks": tasks})).left_out == ["search_click"]


def test_the_dataset_is_the_batches(data):
    batches = TrainingBatches(data, config())
    for step, batch in enumerate(batches.dataset(first_step=10), start=10):
        assert_equal(to_numpy(batch), batches(step))
    assert step == 11


def test_only_the_first_images_and_the_asked_fields_are_gathered(data):
    features = EntityFeatures(data, ("brand", "no_such_field", "title"), "image_embeddings", slots=2)
    rows = np.array([5, 0, 5])
    found = features(rows)
    values, lengths = data.images().gather(rows)
    assert found["image_lengths"].tolist() == np.minimum(lengths, 2).tolist()
    assert np.array_equal(found["images"][:2], values[:2])
    assert (found["token_lengths"][:, 1] == 0).all()
    brand = data.text_fields.index("brand")
    stored, _ = data.tokens.gather(rows * len(data.text_fields) + brand)
    first = found["token_ids"][: found["token_lengths"][0, 0]]
    assert first.tolist() == stored[: len(first)].tolist()


def assert_equal(left, right):
    import tensorflow as tf

    tf.nest.map_structure(np.testing.assert_array_equal, left, right)


def to_numpy(batch):
    import tensorflow as tf

    return tf.nest.map_structure(lambda part: part.numpy(), batch)


def test_self_pairs_leave_held_out_images_alone(data, monkeypatch):
    pins = data.held_out_queries("pin")[:5]
    monkeypatch.setattr(PreparedData, "exclusions", lambda self, query_type: (pins, np.arange(5)))
    task = {"name": "self", "source": "catalog_image", "query_tower": "pin"}

    def products(**options):
        source = CatalogImagePairs(data, TaskConfig(**task, **options))
        return set(source.take(np.arange(source.size), np.arange(source.size, dtype=np.uint64)).candidate.tolist())

    with_images = set(np.flatnonzero(np.diff(data.images().offsets)).tolist())
    assert products() == with_images - set(range(5))
    assert products(held_out_images=True) == with_images


def test_known_positives_of_a_batch_are_those_of_the_log(data):
    batches = TrainingBatches(data, config())
    log = [
        data.pairs("train", "closeup", "pin", {"click": 1.0}),
        data.pairs("train", "search", "query", {"click": 1.0}),
    ]
    spaces = [query_space("pin"), query_space("query")]
    known = {
        (q + s, p)
        for pairs, s in zip(log, spaces, strict=True)
        for q, p in zip(pairs.query, pairs.product, strict=True)
    }
    for step in range(3):
        pairs = batches(step)["pairs"]["product"]
        columns = np.concatenate([pairs["candidate_id"], pairs["negative_id"]])
        expected = {
            (row, product)
            for row, query in enumerate(pairs["query_id"])
            for product in columns
            if (query, product) in known and product != pairs["candidate_id"][row]
        }
        assert set(map(tuple, pairs["known"].tolist())) == expected


def test_tables_without_images_have_products_without_images(data):
    features = EntityFeatures(data, (), "no_such_column", slots=2, image_dimension=7)
    found = features(np.array([3, 1]))
    assert found["images"].shape == (0, 7) and found["image_lengths"].tolist() == [0, 0]


@pytest.mark.parametrize("parts", [2, 3, 7])
def test_the_parts_of_a_batch_are_the_batch(data, parts):
    tasks = [dict(task) for task in TINY["tasks"]]
    tasks[1] |= {"hide": ["text"], "hide_rate": 0.5, "share": 0.2}
    batches = TrainingBatches(data, Config.model_validate({**TINY, "tasks": tasks}))
    whole, divided = rows_of(batches(3)), [rows_of(batches(3, part, parts)) for part in range(parts)]
    for rows, wanted in enumerate(whole):
        found = sum((part[rows] for part in divided), [])
        assert sorted(found) == sorted(wanted) and len(wanted) == 48
    sizes = [len(part[0]) for part in divided]
    assert max(sizes) - min(sizes) <= len(tasks)


def test_the_positives_of_a_step_are_told_with_all_the_pairs_they_come_from(data):
    batches = TrainingBatches(data, config(phases=[{"steps": 2, "tasks": ["catalog_text"]}, {"steps": 3}]))
    (count, products), *others = batches.positives("product", 1)
    assert (count, others) == (48, []) and sorted(products) == list(range(data.product_count))
    tasks = batches.positives("product", 2)
    assert [count for count, _ in tasks] == [16, 16, 16]
    wanted = data.pairs("train", "closeup", "pin", {"click": 1.0})
    assert sorted(tasks[0][1]) == sorted(wanted.product)


def rows_of(batch):
    """All that a pair, and a random negative, has in a batch."""
    pairs, features = batch["pairs"]["product"], batch["candidates"]["product"]
    texts = split(features["token_ids"], features["token_lengths"].sum(1))
    images = split(features["images"], features["image_lengths"])
    products = list(zip(map(bytes, texts), map(bytes, images), batch["row_keys"]["candidates"]["product"], strict=True))
    queries = [bytes(vector) for vector in batch["queries"]["pin"]["embedding"]] + list(
        batch["queries"]["text"]["query"]
    )
    keys = np.concatenate([batch["row_keys"]["queries"][name] for name in ("pin", "text")])
    known = [sorted(pairs["known"][pairs["known"][:, 0] == row, 1]) for row in range(len(pairs["task"]))]
    own = ("query_id", "candidate_id", "weight", "task")
    positives = [
        (*(pairs[name][row] for name in own), queries[at], keys[at], known[row], products[row])
        for row, at in enumerate(pairs["query_row"])
    ]
    return [str(row) for row in positives], [
        str(row) for row in zip(pairs["negative_id"], products[len(known) :], strict=True)
    ]


def split(values, lengths):
    return np.split(values, np.cumsum(lengths)[:-1])
