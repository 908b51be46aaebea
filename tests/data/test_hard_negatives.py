import numpy as np
import pytest

from tests.conftest import TINY
from tfsage.config import Config
from tfsage.data.batches import TrainingBatches
from tfsage.data.hard_negatives import NONE, MinedNegatives
from tfsage.data.prepared import PreparedData
from tfsage.errors import TfsageError


def mined():
    """Steps 10, 11 and 12 with 2, 0 and 3 pairs."""
    products = np.array([[7, 8], [NONE, NONE], [3, NONE], [4, 5], [6, 6]])
    return MinedNegatives(10, {"product": np.array([2, 0, 3])}, {"product": products}, {"pairs": 5.0, "without": 0.2})


@pytest.mark.parametrize(
    ("step", "places", "rows", "products"),
    [
        (10, [0, 1], [0, 0], [7, 8]),
        (10, [1, 0], [1, 1], [7, 8]),
        (12, [0, 1, 2], [0, 1, 1, 2, 2], [3, 4, 5, 6, 6]),
        (12, [2], [0, 0], [6, 6]),
        (12, [], [], []),
        (11, [], [], []),
        (9, [0], [], []),
        (13, [0, 1], [], []),
    ],
)
def test_every_pair_has_its_own(step, places, rows, products):
    row, product = mined().of_rows("product", step, np.array(places, np.int64))
    assert (row.tolist(), product.tolist()) == (rows, products)
    assert (row.dtype, product.dtype) == (np.int32, np.int64)


def test_a_pool_that_nothing_was_mined_for_has_none():
    row, product = mined().of_rows("pin", 10, np.arange(2))
    assert (row.tolist(), product.tolist()) == ([], [])


def test_a_file_says_the_same(tmp_path):
    path = tmp_path / "made" / "10.npz"
    mined().save(path)
    loaded = MinedNegatives.load(path)
    assert loaded.first_step == 10 and loaded.summary == {"pairs": 5.0, "without": 0.2}
    for step in (10, 11, 12):
        places = np.arange(mined().sizes["product"][step - 10])
        for found, expected in zip(
            loaded.of_rows("product", step, places), mined().of_rows("product", step, places), strict=True
        ):
            assert np.array_equal(found, expected) and found.dtype == expected.dtype
    assert [file.name for file in path.parent.iterdir()] == ["10.npz"]


def test_a_file_is_whole_or_not_there(tmp_path, monkeypatch):
    path = tmp_path / "10.npz"
    mined().save(path)
    before = path.read_bytes()

    def killed(*_, **__):
        raise KeyboardInterrupt

    for name in ("numpy.savez", "os.replace"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(name, killed)
            mined().save(path)
        assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"half of a file", None])
def test_a_damaged_file_is_named_with_the_remedy(tmp_path, content):
    path = tmp_path / "10.npz"
    if content is None:
        np.savez(path, other=np.zeros(3))
    else:
        path.write_bytes(content)
    with pytest.raises(TfsageError, match="10.npz: not a file of hard negatives .* delete it"):
        MinedNegatives.load(path)


@pytest.fixture(scope="module")
def batches(prepared):
    """Batches with 0, 1 or 2 hard negatives a pair; none for step 4."""
    batches = TrainingBatches(PreparedData(prepared), Config.model_validate(TINY))
    products = np.random.default_rng(1).integers(0, 300, (2 * 48, 2))
    products[::3, 1], products[::6, 0] = NONE, NONE
    batches.hard_negatives = MinedNegatives(2, {"product": np.array([48, 48])}, {"product": products}, {})
    return batches


def hard_of(part):
    """The hard negatives of every row of a part, with their keys: a sorted list of (query id, positive, [...])."""
    pairs, keys = part["pairs"]["product"], part["row_keys"]["candidates"]["product"]
    hard = np.stack([pairs["hard_id"], keys[len(keys) - len(pairs["hard_id"]) :]], axis=1)
    rows = [
        (int(query), int(positive), hard[pairs["hard_row"] == row].tolist())
        for row, (query, positive) in enumerate(zip(pairs["query_id"], pairs["candidate_id"], strict=True))
    ]
    assert sum(len(own) for *_, own in rows) == len(pairs["hard_id"])
    return sorted(rows)


@pytest.mark.parametrize("parts", [2, 3])
def test_a_row_has_the_same_whatever_the_parts(batches, parts):
    whole = hard_of(batches(3))
    assert {len(own) for *_, own in whole} == {0, 1, 2}
    assert sorted(sum((hard_of(batches(3, part, parts)) for part in range(parts)), [])) == whole


def test_no_two_choices_are_made_alike(batches):
    keys = batches(3)["row_keys"]["candidates"]["product"]
    assert len(np.unique(keys)) > 160 and len(np.unique(keys[:96])) == 96


def test_they_go_to_the_pairs_that_they_were_mined_for(batches):
    pairs = batches(3)["pairs"]["product"]
    products = batches.hard_negatives.products["product"][48:]
    for row in range(48):
        assert pairs["hard_id"][pairs["hard_row"] == row].tolist() == [p for p in products[row] if p != NONE]


def test_their_features_come_last(batches):
    part = batches(3)
    pairs, features = part["pairs"]["product"], part["candidates"]["product"]
    hard = pairs["hard_id"]
    assert len(features["token_lengths"]) == 96 + len(hard)
    alone = batches._reader.features("product", [], hard, *np.zeros((2, len(hard)), bool))
    assert np.array_equal(features["token_lengths"][96:], alone["token_lengths"])
    assert np.array_equal(features["token_ids"][-len(alone["token_ids"]) :], alone["token_ids"])


def test_steps_that_nothing_was_mined_for_have_none(batches):
    assert batches(4)["pairs"]["product"]["hard_id"].size == 0


def test_the_pairs_of_a_step_are_told_without_their_products(prepared):
    tasks = [*TINY["tasks"], {**TINY["tasks"][1], "name": "search_again", "spelling_noise": 0.5, "share": 0.3}]
    phases = [{"steps": 2}, {"steps": 2, "tasks": ["search_again", "closeup_click"]}]
    config = {**TINY, "tasks": tasks, "training": {**TINY["training"], "phases": phases}}
    batches = TrainingBatches(PreparedData(prepared), Config.model_validate(config))
    for step in (1, 2, 3):
        batch, rows = batches(step), batches.pair_rows("product", step)
        pairs = batch["pairs"]["product"]
        assert batches.pair_count("product", step) == len(pairs["query_id"]) == 48
        assert np.concatenate([own.query_id for _, own in rows]).tolist() == pairs["query_id"].tolist()
        assert np.concatenate([own.candidate for _, own in rows]).tolist() == pairs["candidate_id"].tolist()
        queries = {
            tower: [value for own, part in rows if own == tower for value in part.raw[name].tolist()]
            for tower, name in (("pin", "embedding"), ("text", "query"))
        }
        together = queries["pin"] + queries["text"]
        expected = batch["queries"]["pin"]["embedding"].tolist() + batch["queries"]["text"]["query"].tolist()
        assert together == [expected[row] for row in pairs["query_row"]]
