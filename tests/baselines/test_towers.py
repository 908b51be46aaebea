import pytest

from tfsage.baselines.towers import baseline_config
from tfsage.config import Config
from tfsage.errors import TfsageError


def config(**product):
    section = {"kind": "itemsage", "dimension": 64, "images": {"slots": 3, "dimension": 32}, **product}
    return Config.model_validate(
        {
            "towers": {"product": section, "text": {"kind": "ngram", "share_embedding": "product", "dimension": 64}},
            "tasks": [{"name": "t", "source": "catalog_text", "query_tower": "text"}],
            "training": {"seed": 7},
        }
    )


def test_only_the_product_tower_changes():
    plain = config(hash_embedding={"buckets": 99})
    changed = baseline_config(plain, "mlp_concat_mlp")
    tower = changed.towers["product"]
    assert (tower.kind, tower.dimension, tower.images.slots, tower.hash_embedding.buckets) == (
        "mlp_concat_mlp", 64, 3, 99,
    )  # fmt: skip
    assert changed.model_copy(update={"towers": plain.towers}) == plain
    assert changed.towers["text"] == plain.towers["text"]


def test_a_query_tower_gets_an_embedding_of_its_own_when_the_product_tower_has_none():
    changed = baseline_config(config(hash_embedding={"buckets": 99}), "sum_mlp")
    assert changed.towers["product"].hidden == (64,)
    text = changed.towers["text"]
    assert text.share_embedding is None and text.hash_embedding.buckets == 99


def test_images_that_are_not_there_cannot_be_summed():
    with pytest.raises(TfsageError, match="leave it out"):
        baseline_config(config(images=None), "sum_mlp")
