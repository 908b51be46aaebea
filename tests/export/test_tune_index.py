"""The index of a bundle is tuned with the queries it is meant for, and told when it falls short."""

from types import SimpleNamespace

import numpy as np
import pytest

from export import tune_index as module
from export import tuning_queries
from export.embed_catalog import embed_catalog
from export.tune_index import read_embeddings, tune_index
from tests.export.fakes import query_tower, write_products
from tfsage.bundle import Bundle
from tfsage.data.prepared import Pairs
from tfsage.errors import TfsageError

TEXTS = ["red chair", "blue lamp", "green rug", "white bed", "black desk"]


class Strings(list):
    def gather(self, rows):
        return [self[row] for row in rows]


class Data:
    """Dev pairs of text queries and of pins; queries 1 and 4 are held out."""

    manifest = {"queries": {"query": {}, "pin": {}}}

    def pairs(self, split, surface, query_type, actions, entity_type):
        assert split == "dev"
        rows = {"query": [4, 1, 4], "pin": []}[query_type]
        return Pairs(np.array(rows, np.int64), np.zeros(len(rows), np.int64), None, None)

    def queries(self, query_type):
        return SimpleNamespace(texts=Strings(TEXTS), ids=Strings(f"q{row}" for row in range(len(TEXTS))))


def task(**fields):
    defaults = {
        "source": "engagements",
        "pool": "product",
        "entity_type": "product",
        "surface": "search",
        "actions": {"click": 1},
    }
    return SimpleNamespace(**defaults | fields)


@pytest.fixture
def run():
    tasks = (
        task(query_type="query", query_tower="text"),
        task(query_type="pin", query_tower="pin"),
        task(query_type="query", query_tower="text", source="catalog_text"),
        task(query_type="query", query_tower="elsewhere", pool="other"),
    )
    export = SimpleNamespace(product_tower="product", query_tower="text")
    return SimpleNamespace(config=SimpleNamespace(tasks=tasks, export=export), data=Data(), load_towers=dict)


@pytest.fixture
def embedded(towers, tmp_path):
    return embed_catalog(towers, write_products(tmp_path / "products.parquet", 80), batch_size=16)


def test_held_out_queries_go_through_the_exported_tower(embedded, run):
    halves = tuning_queries.held_out_queries(run, embedded)
    assert [list(half) for half in halves] == [["query through text"]] * 2
    parts = [half["query through text"] for half in halves]
    assert [len(part) for part in parts] == [1, 1]
    wanted = query_tower().embed({"query": [TEXTS[1], TEXTS[4]]}).numpy()
    found = np.concatenate(parts)
    np.testing.assert_allclose(found[np.argsort(found[:, 0])], wanted[np.argsort(wanted[:, 0])], atol=1e-5)


def test_half_of_the_queries_are_held_back_by_a_hash_of_their_ids():
    vectors, ids = np.arange(101, dtype=np.float32)[:, None], [f"q{row}" for row in range(101)]

    def halves(order) -> tuple[set, set]:
        made = tuning_queries.Halves({}, {})
        tuning_queries._add(made, "kind", vectors[order], [ids[row] for row in order])
        return tuple({int(value) for value in half["kind"][:, 0]} for half in made)

    tuning, measuring = halves(np.arange(101))
    assert (len(tuning), len(measuring)) == (51, 50)
    assert not tuning & measuring
    # Not by their order, which is that of the table: neither its first half nor every other one.
    assert 15 < sum(row < 50 for row in tuning) < 35
    assert 15 < sum(row % 2 == 0 for row in tuning) < 40
    assert halves(np.random.default_rng(0).permutation(101)) == (tuning, measuring)
    assert halves([5]) == ({5}, {5})


def test_the_manifest_has_the_recall_of_the_half_that_did_not_tune(embedded, run, monkeypatch):
    given = {}

    def build(vectors, folder, target, tuning, measuring, **named):
        given.update(tuning=tuning, measuring=measuring)
        return real(vectors, folder, target, tuning, measuring, **named)

    real = module.build_index
    monkeypatch.setattr(module, "build_index", build)
    tune_index(embedded, run, 0.9)
    expected = tuning_queries.held_out_queries(run, embedded)
    for half, wanted in zip(("tuning", "measuring"), expected, strict=True):
        np.testing.assert_array_equal(given[half]["query through text"], wanted["query through text"])


def test_the_index_is_in_the_manifest(embedded, run):
    bundle = tune_index(embedded, run, 0.9)
    summary = Bundle.open(bundle.folder).manifest.index
    assert (summary.kind, summary.recall, summary.target) == ("scann_brute_force", 1.0, 0.9)
    assert summary.tuned_on == "held-out dev queries"
    bundle.verify()
    vectors, id_map = read_embeddings(bundle)
    index = bundle.load_index()
    assert index.search(vectors, 80).rows.shape == (80, 80)
    np.testing.assert_allclose(index.search(vectors, 1).scores[:, 0], 1.0, atol=1e-5)
    assert index.id_map.equals(id_map)


def test_without_held_out_queries_products_are_perturbed_and_it_says_so(embedded, capsys):
    bundle = tune_index(embedded, None, 0.9)
    assert bundle.manifest.index.tuned_on == "perturbed product vectors"
    assert "perturbed product vectors" in capsys.readouterr().err
    vectors, _ = read_embeddings(bundle)
    halves = tuning_queries.perturbed_products(vectors)
    assert [len(half["perturbed products"]) for half in halves] == [40, 40]
    moved = np.concatenate([half["perturbed products"] for half in halves])
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), 1, atol=1e-5)
    assert 0.7 < (moved @ vectors.T).max(axis=1).mean() < 0.97


def test_a_recall_below_the_target_is_an_error_that_the_manifest_keeps(embedded, monkeypatch):
    real = module.build_index

    def poor(*arguments, **named):
        return real(*arguments, **named).model_copy(update={"recall": 0.5, "recalls": {"query": 0.5}})

    monkeypatch.setattr(module, "build_index", poor)
    with pytest.raises(TfsageError, match="recall@10 against exact search is 0.500, below the target 0.900"):
        tune_index(embedded, None, 0.9)
    assert Bundle.open(embedded.folder).manifest.index.recall == 0.5


def test_without_embeddings_there_is_nothing_to_index(towers):
    with pytest.raises(TfsageError, match="the catalog is not embedded yet; run python -m export.catalog first"):
        tune_index(towers, None, 0.9)
