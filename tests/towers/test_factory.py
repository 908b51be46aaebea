import pytest
import tensorflow as tf

from tests.text import reference
from tfsage.config import Config, TextConfig
from tfsage.errors import TfsageError
from tfsage.text.wordpiece import learn_wordpiece
from tfsage.towers.base import Tower
from tfsage.towers.baselines import MlpConcatMlpTower, SumTower
from tfsage.towers.distilbert import DistilBertTower
from tfsage.towers.factory import build_towers
from tfsage.towers.product import ItemSageTower
from tfsage.towers.query import FrozenTower, NgramTower
from tfsage.towers.unified import UnifiedTower

TEXT = TextConfig(light_stemming=True)
HASHES = {"buckets": 30, "dimension": 8}
IMAGES = {"slots": 2, "dimension": 4}
PRODUCT = {
    "kind": "itemsage",
    "text_fields": ["title", "brand"],
    "images": IMAGES,
    "hash_embedding": HASHES,
    "width": 8,
    "heads": 2,
    "feed_forward": 8,
    "head_hidden": 8,
    "dimension": 8,
}
NGRAM = {"kind": "ngram", "hash_embedding": HASHES, "dimension": 8}


@pytest.fixture(scope="module")
def vocabulary():
    return reference.vocabulary(reference.TEXTS, TEXT)


def _config(**towers) -> Config:
    task = {"name": "search", "surface": "search", "actions": {"click": 1}, "query_tower": "text"}
    export = {"query_tower": "text"}
    return Config(text=TEXT, towers={"product": PRODUCT, "text": NGRAM} | towers, tasks=[task], export=export)


def test_every_kind_by_name(vocabulary, tmp_path):
    config = _config(
        concat={**{k: PRODUCT[k] for k in ("text_fields", "images", "hash_embedding")}, "kind": "mlp_concat_mlp"},
        images={"kind": "sum", "images": IMAGES},
        unified={"kind": "unified", "text_fields": ["title"], "hash_embedding": HASHES, "hidden": [8]},
        frozen={"kind": "frozen", "input_dimension": 4, "hidden": []},
        bert={"kind": "distilbert", "width": 8, "heads": 2, "feed_forward": 8, "layers": 1},
    )
    towers = build_towers(config, vocabulary, learn_wordpiece(reference.TEXTS, 300, tmp_path / "w.txt"), ("title",))
    kinds = {
        "product": ItemSageTower,
        "text": NgramTower,
        "concat": MlpConcatMlpTower,
        "images": SumTower,
        "unified": UnifiedTower,
        "frozen": FrozenTower,
        "bert": DistilBertTower,
    }
    assert {name: type(tower) for name, tower in towers.items()} == kinds
    for name, tower in towers.items():
        assert isinstance(tower, Tower) and tower.name == name
        assert tower.dimension == config.towers[name].dimension


def test_towers_have_hash_embeddings_of_their_own_unless_they_share(vocabulary):
    shared = {"kind": "ngram", "share_embedding": "product", "dimension": 8}
    towers = build_towers(
        _config(shared=shared, again={**shared, "share_embedding": "shared"}), vocabulary, None, ("title",)
    )
    assert towers["shared"].hash_embedding is towers["product"].hash_embedding
    assert towers["again"].hash_embedding is towers["product"].hash_embedding
    assert towers["text"].hash_embedding is not towers["product"].hash_embedding


def test_a_shared_embedding_is_trained_by_both(vocabulary):
    shared = {"kind": "ngram", "share_embedding": "product", "dimension": 8}
    tower = build_towers(_config(shared=shared), vocabulary, None, ("title",))["shared"]
    tower.embed({"query": tf.constant(["walnut"])})
    assert tower.hash_embedding.table.ref() in {variable.ref() for variable in tower.trainable_variables}


def test_towers_without_text_need_no_vocabulary():
    frozen = {"kind": "frozen", "input_dimension": 4, "dimension": 8}
    config = _config(product={"kind": "sum", "images": IMAGES, "dimension": 8}, text=frozen)
    assert set(build_towers(config, None, None, ())) == {"product", "text"}
    with pytest.raises(TfsageError, match="there is no vocabulary"):
        build_towers(_config(), None, None, ("title",))


@pytest.mark.parametrize(
    ("towers", "problem"),
    [
        ({"a": NGRAM | {"share_embedding": "b"}, "b": NGRAM | {"share_embedding": "a"}}, "share in a circle"),
        ({"a": NGRAM | {"share_embedding": "a"}}, "share in a circle"),
        (
            {"a": NGRAM | {"share_embedding": "frozen"}, "frozen": {"kind": "frozen"}},
            "towers.a.share_embedding: tower 'frozen' has no hash embedding",
        ),
        ({"a": PRODUCT | {"text_fields": ["title", "titel"]}}, r"towers.a.text_fields: no column \['titel'\]"),
    ],
)
def test_what_cannot_be_built_is_refused(vocabulary, towers, problem):
    with pytest.raises(TfsageError, match=problem):
        build_towers(_config(**towers), vocabulary, None, ("title",))


@pytest.mark.parametrize("present", [("title", "captions"), ("title",)])
def test_an_enriched_column_is_a_text_field_whether_or_not_the_data_has_it(vocabulary, present):
    config = _config(product=PRODUCT | {"text_fields": ["title", "captions"]})
    assert build_towers(config, vocabulary, None, present)["product"].text_fields == ("title", "captions")
