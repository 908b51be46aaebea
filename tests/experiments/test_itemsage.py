import pytest

from tfsage.experiments import run_experiment
from tfsage.experiments.claims import FAILS, HOLDS, UNDECIDED
from tfsage.experiments.grid import Size
from tfsage.experiments.itemsage import itemsage_table_2, itemsage_table_3
from tfsage.experiments.itemsage_paper import CLOSEUP, REGULAR, SEARCH, SHOPPING, TASKS
from tfsage.losses import check_loss

TABLES = [itemsage_table_2, itemsage_table_3]


@pytest.mark.parametrize("size", Size)
@pytest.mark.parametrize("make", TABLES)
def test_every_variant_is_a_config_with_the_same_data_tasks_and_evaluation(make, size):
    experiment = make(size)
    reference, *others = (experiment.config_of(variant, 1) for variant in experiment.variants)
    assert [task.name for task in reference.tasks] == list(TASKS)
    for config in (reference, *others):
        check_loss(config.loss, config.training.random_negatives)
        for section in ("text", "prepare", "evaluation"):
            assert getattr(config, section) == getattr(reference, section)
        # Sum-MLP has one more, which it is trained on.
        assert config.tasks[: len(TASKS)] == reference.tasks
        assert config.training.batch_size == reference.training.batch_size
        assert {name: tower for name, tower in config.towers.items() if name != "product"} == {
            name: tower for name, tower in reference.towers.items() if name != "product"
        }
    assert len({each.model_dump_json() for each in (reference, *others)}) == len(experiment.variants)


@pytest.mark.parametrize("make", TABLES)
def test_the_paper_speaks_of_the_variants_that_there_are(make):
    experiment = make(Size.DEFAULT)
    names = {variant.name for variant in experiment.variants}
    assert experiment.paper.figures.keys() == names and experiment.paper.parameters.keys() <= names
    for claim in experiment.paper.claims:
        assert {claim.one, claim.other} <= names
        for task in claim.tasks:
            one, other = (experiment.paper.figures[name][task] for name in (claim.one, claim.other))
            # Table 2 gives three digits, and one tie: checkout on Closeup.
            assert one / other - 1 >= claim.at_least or abs(one - other) <= 0.001, (claim.says, task)


def test_what_the_paper_says_of_its_differences():
    """The relative differences that table 3 prints beside its figures, from the figures."""
    figures = itemsage_table_3(Size.DEFAULT).paper.figures

    def relative(name, tasks):
        return [round(100 * (figures[name][task] / figures["itemsage"][task] - 1), 1) for task in tasks]

    assert relative("image_only", CLOSEUP) == [-2.6, -3.1, -1.7, -0.9]
    assert relative("text_only", SEARCH) == pytest.approx([-10.7, -12.7, -6.2, -5.6], abs=0.11)
    assert relative("pos_only", CLOSEUP) == pytest.approx([-26.8, -25.9, -20.1, -15.7], abs=0.11)
    assert relative("regular", SHOPPING) == pytest.approx([-3.1, -2.4, -18.2, -12.0], abs=0.11)
    assert relative("shopping", REGULAR) == pytest.approx([-38.4, -38.1, -49.0, -48.6], abs=0.11)


@pytest.mark.timeout(900)  # two trainings, each in a process of its own
def test_an_experiment_from_beginning_to_end(tmp_path):
    out = tmp_path / "out"
    results = run_experiment("itemsage/table2", out, seeds=1, only=["sum"], split="test", size="smoke")
    paper = results["paper"]
    assert paper["variants"]["sum"]["parameters"] == 0
    assert paper["variants"]["itemsage"]["parameters_at_paper_sizes"] / 1e6 == pytest.approx(33.1, abs=0.05)
    assert paper["variants"]["sum"]["tasks"].keys() == set(CLOSEUP)
    assert paper["variants"]["sum"]["tasks"]["closeup_click"]["difference"]["paper"] == pytest.approx(-0.1875, abs=1e-4)
    (claim,) = paper["claims"]
    assert (claim["one"], claim["other"]) == ("itemsage", "sum") and claim["verdict"] in (HOLDS, FAILS, UNDECIDED)
    text = (out / "results_test.md").read_text()
    assert (
        ".663 (−18.7 %)" in text
        and "33.1 M (33.1 M)" in text
        and "| ItemSage outperforms Sum on Closeup (§4.1.2) |" in text
    )
