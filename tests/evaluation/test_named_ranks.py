import numpy as np
import pytest

from tests.evaluation.worlds import make_judgements, unit
from tfsage.errors import TfsageError
from tfsage.evaluation.dense_ranks import rank_dense
from tfsage.evaluation.frozen import write_products, write_ranks, write_task, write_tasks
from tfsage.evaluation.named_ranks import named_ranks


def write_baseline(run, name, judgements, task="click"):
    folder = run / "baselines" / name / "vectors" / "test"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(len(name))
    vectors = [unit(rng.standard_normal((n, 4))) for n in (judgements.queries, judgements.products)]
    ranks = rank_dense(*vectors, judgements)
    write_products(folder, [str(row) for row in range(judgements.products)], judgements.distractors)
    ids = [str(query) for query in judgements.query], [str(product) for product in judgements.product]
    write_task(folder / task, judgements, np.arange(judgements.queries), *ids)
    write_ranks(folder / task, {"model": ranks})
    write_tasks(folder, {task: {}})
    return ranks


def test_rankings_are_read_by_the_name_of_their_folder(tmp_path):
    judgements = make_judgements(1, 20, 50, 30)
    written = {name: write_baseline(tmp_path, name, judgements) for name in ("plain", "elsewhere")}
    found = named_ranks(tmp_path, "test", "click", judgements)
    assert found.keys() == written.keys()
    for name, ranks in written.items():
        np.testing.assert_array_equal(found[name].pair.greater, ranks.pair.greater)
    assert named_ranks(tmp_path, "dev", "click", judgements) == {}
    assert named_ranks(tmp_path, "test", "save", judgements) == {}


def test_a_ranking_of_other_pairs_is_refused(tmp_path):
    write_baseline(tmp_path, "plain", make_judgements(1, 20, 50, 30))
    with pytest.raises(TfsageError, match="ranked other pairs of click"):
        named_ranks(tmp_path, "test", "click", make_judgements(2, 20, 50, 30))
