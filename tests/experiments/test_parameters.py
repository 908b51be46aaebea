import pytest

from tfsage.config import ItemSageTowerConfig, MlpConcatMlpTowerConfig, NeighbourConfig, SumTowerConfig
from tfsage.experiments.parameters import count_parameters


def test_sum_has_nothing_to_train():
    assert count_parameters(SumTowerConfig(kind="sum"), 1000) == 0
    assert count_parameters(SumTowerConfig(kind="sum", hidden=[10]), 1000) == 256 * 10 + 10 + 10 * 256 + 256


def test_a_small_tower_by_hand():
    embedding = {"buckets": 20, "dimension": 4}
    section = MlpConcatMlpTowerConfig(
        kind="mlp_concat_mlp", text_fields=["title"], images=None, hash_embedding=embedding, hidden=3, dimension=2
    )
    hashed = 20 * 4 + 7 * 2
    of_slot = (4 * 3 + 3) + 2 * (3 * 3 + 3)
    of_all = 2 * (3 * 3 + 3) + (3 * 2 + 2)
    assert count_parameters(section, tokens=7) == hashed + of_slot + of_all


def test_graph_neighbours_cost_one_linear_map():
    sizes = {"kind": "itemsage", "text_fields": [], "width": 8, "heads": 2, "feed_forward": 4, "head_hidden": 4}
    plain = ItemSageTowerConfig(**sizes)
    wider = plain.model_copy(update={"neighbours": NeighbourConfig(dimension=6)})
    assert count_parameters(wider, 1) - count_parameters(plain, 1) == pytest.approx(6 * 8 + 8)
