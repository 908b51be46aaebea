import numpy as np
import pytest

from tests.evaluation.worlds import make_judgements, unit
from tfsage.config import EvaluationConfig
from tfsage.evaluation.dense_ranks import rank_dense
from tfsage.evaluation.judgements import Judgements
from tfsage.evaluation.recall import recall_sums
from tfsage.evaluation.serving_loss import Step, depths, serving_steps

CONFIG = EvaluationConfig(k=(3, 10), bootstrap=200)


@pytest.fixture(scope="module")
def world():
    made = make_judgements(2, queries=30, products=120, distractors=120)
    rng = np.random.default_rng(0)
    products = unit(rng.standard_normal((120, 8)))
    queries = unit(
        products[made.product[np.unique(made.query, return_index=True)[1]]] + 0.3 * rng.standard_normal((30, 8))
    )
    return made, queries, products


def exact_lists(queries, products, depth: int) -> np.ndarray:
    return np.argsort(-(queries.astype(np.float64) @ products.T), axis=1)[:, :depth]


def test_exact_lists_have_the_recall_of_the_exact_ranks(world):
    judgements, queries, products = world
    depth = depths(judgements, 10)
    (row,) = serving_steps([Step("exact", exact_lists(queries, products, depth.max()))], judgements, CONFIG)
    ranks = recall_sums(rank_dense(queries, products, judgements), judgements, CONFIG.k)
    for k in (3, 10):
        expected = ranks[f"recall@{k}"]
        assert row[f"recall@{k}"]["value"] == pytest.approx(expected.numerator.sum() / expected.denominator.sum())
        assert row[f"overlap@{k}"] == 1.0
    assert "lost@10" not in row


def test_depths_leave_k_products_after_the_positives_and_the_excluded():
    judgements = Judgements(
        np.array([0, 0, 1]), np.array([3, 4, 5]), np.ones(3), 9, np.arange(9), np.array([1]), np.array([5])
    )
    assert depths(judgements, 10).tolist() == [12, 11]


def test_every_step_is_told_beside_the_one_before():
    """One query with positive 5 of 10 products; the second step has it third, the third step has lost it."""
    judgements = Judgements(np.zeros(1, int), np.array([5]), np.ones(1), 10, np.arange(10))
    steps = [
        Step("exact", np.array([[5, 1, 2, 3]])),
        Step("stored", np.array([[1, 2, 5, 3]])),
        Step("index", np.array([[1, 2, 4, -1]])),
    ]
    rows = serving_steps(steps, judgements, EvaluationConfig(k=(2, 3), bootstrap=10))
    assert [row["step"] for row in rows] == ["exact", "stored", "index"]
    assert [row["recall@3"]["value"] for row in rows] == [1, 1, 0]
    assert [row["recall@2"]["value"] for row in rows] == [1, 0, 0]
    assert [row["lost@2"]["difference"] for row in rows[1:]] == [-1, 0]
    assert [row["lost@3"]["difference"] for row in rows[1:]] == [0, -1]
    assert [row["overlap@3"] for row in rows] == pytest.approx([1, 1, 2 / 3])


def test_what_never_competes_does_not_push_a_product_down():
    """Before positive 5 stand another positive, 6, and an excluded product, 7."""
    judgements = Judgements(
        np.zeros(2, int), np.array([5, 6]), np.ones(2), 10, np.arange(10), np.zeros(1, int), np.array([7])
    )
    config = EvaluationConfig(k=(1,), bootstrap=10)
    rows = serving_steps(
        [Step("exact", np.array([[7, 6, 5, 1]])), Step("index", np.array([[7, 1, 6, 5]]))], judgements, config
    )
    assert [row["recall@1"]["value"] for row in rows] == [1, 0]
    assert rows[1]["overlap@1"] == 0.0, "6 was first of what is shown, now it is 1"


def test_a_noisy_step_loses_and_the_interval_says_so(world):
    judgements, queries, products = world
    depth = depths(judgements, 10).max()
    noisy = unit(queries + 2.0 * np.random.default_rng(1).standard_normal(queries.shape) / np.sqrt(8))
    steps = [
        Step(name, exact_lists(q, products, depth))
        for name, q in (("exact", queries), ("same", queries), ("noisy", noisy))
    ]
    _, same, lossy = serving_steps(steps, judgements, CONFIG)
    assert (same["lost@10"]["difference"], same["lost@10"]["low"], same["overlap@10"]) == (0, 0, 1)
    assert lossy["lost@10"]["high"] < 0 and lossy["overlap@10"] < 0.9
