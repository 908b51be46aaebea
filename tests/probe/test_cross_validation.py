import numpy as np
import pytest

from tfsage.errors import TfsageError
from tfsage.probe import cross_validate


def accuracy(result, system):
    return result["systems"][system]["accuracy"]["value"]


@pytest.fixture
def points():
    return np.random.default_rng(1).normal(size=(600, 6)).astype(np.float32)


def test_labels_that_a_linear_map_can_read(points):
    planted = (points @ np.random.default_rng(2).normal(size=(6, 3))).argmax(axis=1)
    # Scales that differ a thousandfold are nothing to a standardised probe, and would ruin another.
    result = cross_validate({"item": points * [1e-3, 1, 1, 1, 1, 1e3] + 5}, planted, folds=3, resamples=200)
    assert accuracy(result, "item linear") > 0.95
    assert accuracy(result, "item mlp") > 0.9
    assert accuracy(result, "majority") == pytest.approx(np.bincount(planted).max() / 600)
    low = result["systems"]["item linear"]["differences"]["majority"]["accuracy"]["low"]
    assert low > 0.4
    assert (result["rows"], result["labels"], result["groups"]) == (600, 3, 600)


def test_shuffled_labels_are_at_chance(points):
    """An MLP knows its training rows by heart here: were any of them tested, the score would be far above chance."""
    shuffled = np.random.default_rng(5).permutation(600) % 2
    result = cross_validate({"item": points}, shuffled, [f"{row:03d}" for row in range(600)], folds=3, resamples=200)
    for system in ("item linear", "item mlp", "fasttext"):
        assert abs(accuracy(result, system) - 0.5) < 0.08, system


def test_xor_needs_the_mlp(points):
    either = (points[:, 0] > 0) ^ (points[:, 1] > 0)
    result = cross_validate({"item": points[:, :2]}, either, folds=3, resamples=200)
    assert accuracy(result, "item mlp") > 0.9
    assert accuracy(result, "item linear") < 0.65


def test_copies_of_a_row_tell_nothing_when_they_are_a_group(points):
    """Random labels, and six copies of each point: whoever splits the copies looks them up."""
    copied, random = np.repeat(points[:100], 6, axis=0), np.repeat(np.random.default_rng(3).integers(0, 2, 100), 6)
    split = cross_validate({"item": copied}, random, folds=3, resamples=200)
    kept = cross_validate({"item": copied}, random, groups=np.repeat(np.arange(100), 6), folds=3, resamples=200)
    assert accuracy(split, "item mlp") > 0.9
    assert accuracy(kept, "item mlp") < 0.65
    assert kept["groups"] == 100
    wide, narrow = (each["systems"]["majority"]["accuracy"] for each in (kept, split))
    assert wide["high"] - wide["low"] > 1.5 * (narrow["high"] - narrow["low"]), "copies are not independent rows"


def test_fasttext_reads_the_text_and_the_others_do_not(points):
    words = np.array(["red chairs", "blue desks", "blue chairs"])
    kind = np.random.default_rng(4).integers(0, 3, 300)
    texts = [f"{words[k]} {row}" for row, k in enumerate(kind)]
    result = cross_validate({"item": points[:300]}, words[kind], texts, folds=2, resamples=200)
    assert accuracy(result, "fasttext") > 0.95
    assert accuracy(result, "item linear") < 0.45


def test_rare_labels_are_left_out_and_counted():
    labels = np.array(["often", "seldom"])[(np.arange(600) % 3 == 0).astype(int)].astype(object)
    labels[:4] = "rare"
    result = cross_validate({}, labels, folds=5, resamples=100)
    assert result["left_out"] == {"rows": 4, "labels": 1}
    assert (result["rows"], result["labels"]) == (596, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ["a"] * 600}, "1 of 1 occur in at least 5"),
        ({"groups": [1, 2]}, "groups: 2 rows where there are 600 labels"),
        ({"texts": ["a"]}, "texts: 1 rows where there are 600 labels"),
        ({"folds": 1}, "folds: 1 leave nothing"),
    ],
)
def test_what_cannot_be_probed(points, change, message):
    arguments = {"labels": np.arange(600) % 2} | change
    with pytest.raises(TfsageError, match=message):
        cross_validate({"item": points}, **arguments)


def test_an_embedding_that_is_not_finite(points):
    points[7, 2] = np.nan
    with pytest.raises(TfsageError, match="item: row 7 holds NaN"):
        cross_validate({"item": points}, np.arange(600) % 2)
