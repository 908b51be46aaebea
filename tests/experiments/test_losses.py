import json

import pytest

from tfsage.errors import TfsageError
from tfsage.experiments import run_experiment
from tfsage.experiments.grid import Size
from tfsage.experiments.losses import losses_on_home_depot, losses_on_shop
from tfsage.losses import check_loss

# What decides about batches, and about anything else than the loss.
SAME = ("text", "prepare", "towers", "tasks", "evaluation")


@pytest.mark.parametrize("size", Size)
@pytest.mark.parametrize("make", [losses_on_shop, losses_on_home_depot])
def test_every_form_is_consistent_and_changes_the_loss_alone(make, size):
    experiment = make(size)
    paper, *others = (experiment.config_of(variant, 1) for variant in experiment.variants)
    assert len({each.model_dump_json() for each in (paper, *others)}) == len(experiment.variants)
    for config in (paper, *others):
        check_loss(config.loss, config.training.random_negatives)
        assert all(getattr(config, section) == getattr(paper, section) for section in SAME)
        changed = config.training.model_copy(update={"random_negatives": paper.training.random_negatives})
        assert changed == paper.training
        assert config.training.random_negatives == paper.training.random_negatives or (
            config.loss.negatives == "in_batch"
        )


def test_the_reference_is_the_loss_of_the_paper():
    for make in (losses_on_shop, losses_on_home_depot):
        experiment = make(Size.DEFAULT)
        loss = experiment.config_of(experiment.variants[0], 1).loss
        form = (loss.negatives, loss.duplicates, loss.positive_correction, loss.correction)
        assert form == ("sum", "keep", "all", 1.0) and loss.learn_temperature


@pytest.mark.timeout(900)  # two trainings, each in a process of its own
def test_an_experiment_from_beginning_to_end_then_nothing_is_trained_again(tmp_path, capsys):
    out, words = tmp_path / "out", {"seeds": 1, "only": ["refined_mixture"], "size": "smoke"}
    results = run_experiment("losses/shop", out, **words)
    assert json.loads((out / "results_dev.json").read_text()) == results
    assert list(results["variants"]) == ["paper", "refined_mixture"] and results["failed"] == {}
    paired = results["variants"]["refined_mixture"]["differences"]["recall@10"]
    assert paired["low"] <= paired["difference"] <= paired["high"]
    assert results["variants"]["refined_mixture"]["temperature"] == pytest.approx(0.07)
    assert results["variants"]["paper"]["temperature"] != pytest.approx(0.07, abs=1e-6)
    assert "| refined_mixture |" in (out / "results_dev.md").read_text()
    assert "refined_mixture</text>" in (out / "results_dev.html").read_text()
    capsys.readouterr()
    assert run_experiment("losses/shop", out, **words) == results
    assert "2 of 2 cells are done" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"name": "losses/moon"}, "no experiment named 'losses/moon'; there are itemsage/table2, "),
        ({"name": "losses/shop", "only": ["paper", "best"]}, r"no variant named \['best'\]; there are paper, "),
        ({"name": "losses/shop", "reference": "best"}, r"no variant named \['best'\]"),
        ({"name": "losses/home_depot"}, "give --source"),
    ],
)
def test_what_there_is_not_is_refused(tmp_path, words, message):
    with pytest.raises(TfsageError, match=message):
        run_experiment(**words, out=tmp_path / "out")
