"""Hard negatives are what they should be: searched for again, in plain numpy, from the batches themselves."""

import numpy as np
import pytest

from tests.conftest import TINY
from tests.omni import OMNI
from tfsage.config import Config
from tfsage.data.hard_negatives import NONE
from tfsage.data.prepared import PreparedData
from tfsage.embedding import embed_products
from tfsage.index import build_index
from tfsage.models import ItemSage, OmniSearchSage
from tfsage.training.mining import mine as module
from tfsage.training.mining.mine import HardNegativeMiner

SECTION = {"per_pair": 3, "window": [2, 80], "margin": 1.0}


def config(seed=1, **section):
    tasks = [*TINY["tasks"], {**TINY["tasks"][0], "name": "catalog_image", "source": "catalog_image"}]
    phases = [{"steps": 2, "tasks": ["search_click"]}, {"steps": 4}]
    training = {**TINY["training"], "phases": phases, "seed": seed}
    loss = {"hard_negatives": {**SECTION, **section}}
    return Config.model_validate({**TINY, "tasks": tasks, "loss": loss, "training": training})


@pytest.fixture(scope="module")
def data(prepared):
    return PreparedData(prepared)


@pytest.fixture(scope="module")
def model(data):
    return ItemSage(config(), data)


@pytest.fixture(scope="module")
def vectors(model, data):
    return embed_products(model.towers["product"], data)


@pytest.fixture(scope="module")
def miner(model, data):
    return HardNegativeMiner(model, data)


@pytest.fixture
def remine(miner, tmp_path, monkeypatch):
    """Mines for steps 1 to 4 with another config."""

    def run(**changed):
        wanted = config(**changed)
        monkeypatch.setattr(miner, "_section", wanted.loss.hard_negatives)
        monkeypatch.setattr(miner, "_seed", wanted.training.seed)
        mined = miner(1, 5, tmp_path / "scratch")
        assert not (tmp_path / "scratch").exists()
        assert mined.first_step == 1 and mined.sizes["product"].tolist() == [48] * 4
        return mined

    return run


def pairs_of(model, step):
    """Query vectors, query ids and positives of the pairs of a step, from the batch that training gets."""
    batch = model.batches(step)
    raw = {name: model.towers[name].embed(part).numpy() for name, part in batch["queries"].items()}
    pairs = batch["pairs"]["product"]
    queries = np.concatenate([raw[name] for name in sorted(raw)])[pairs["query_row"]]
    return queries, pairs["query_id"], pairs["candidate_id"]


def positives_of(data):
    """All products that a query has engaged with in training, by query id."""
    found = {}
    for first, surface, query_type in ((1 << 48, "closeup", "pin"), (0, "search", "query")):
        pairs = data.pairs("train", surface, query_type, {"click": 1.0})
        for query, product in zip(pairs.query.tolist(), pairs.product.tolist(), strict=True):
            found.setdefault(first + query, set()).add(product)
    return found


def check(mined, model, data, vectors, window, margin, per_pair, slack=1e-5):
    """Every pair has as many as it can, and every one of them may be one; returns how many there are of each pair."""
    known, counts = positives_of(data), []
    own = mined.products["product"].reshape(4, 48, per_pair)
    for step in range(4):
        for row, (query, query_id, positive) in enumerate(zip(*pairs_of(model, 1 + step), strict=True)):
            similarity = vectors.astype(np.float64) @ query
            limit = similarity[positive] - (1 - margin) * abs(similarity[positive])
            rank = np.empty(len(vectors), int)
            rank[np.argsort(-similarity, kind="stable")] = np.arange(len(vectors))
            barred = {int(positive)} | known.get(int(query_id), set())
            strict, loose = (
                {
                    product
                    for product in range(len(vectors))
                    if window[0] + ties <= rank[product] < window[1] - ties
                    and similarity[product] <= limit - ties * slack
                    and product not in barred
                }
                for ties in (1, -1)
            )
            chosen = [product for product in own[step, row].tolist() if product != NONE]
            assert len(set(chosen)) == len(chosen) and set(chosen) <= loose
            assert min(per_pair, len(strict)) <= len(chosen)
            assert own[step, row].tolist() == chosen + [NONE] * (per_pair - len(chosen))
            counts.append(len(chosen))
    return np.array(counts)


@pytest.mark.parametrize(
    ("window", "margin", "per_pair"), [((2, 80), 1.0, 3), ((0, 300), 0.8, 1), ((0, 40), 0.9, 5), ((290, 500), 1.0, 20)]
)
def test_what_is_mined_is_what_a_search_in_plain_numpy_allows(remine, model, data, vectors, window, margin, per_pair):
    mined = remine(window=window, margin=margin, per_pair=per_pair)
    counts = check(mined, model, data, vectors, window, margin, per_pair)
    assert mined.summary["pairs"] == 192 and mined.summary["without"] == pytest.approx((counts == 0).mean())
    assert counts.any()


def test_they_are_harder_than_random_products_and_no_harder_than_the_positives(remine, model, data, vectors):
    mined = remine()
    similarity, positive, random = [], [], []
    for step in range(1, 5):
        queries, _, positives = pairs_of(model, step)
        row, product = mined.of_rows("product", step, np.arange(48))
        similarity += np.einsum("nd,nd->n", queries[row], vectors[product]).tolist()
        having = np.unique(row)
        positive += np.einsum("nd,nd->n", queries[having], vectors[positives[having]]).tolist()
        random += (queries[having] @ vectors.T).mean(axis=1).tolist()
    assert np.mean(random) + 0.02 < np.mean(similarity) < np.mean(positive)
    assert mined.summary["similarity"] == pytest.approx(np.mean(similarity), abs=1e-6)
    assert mined.summary["positive_similarity"] == pytest.approx(np.mean(positive), abs=1e-6)


def test_the_same_is_mined_whatever_the_chunks_and_again(remine, monkeypatch):
    expected = remine().products["product"]
    assert (expected != NONE).any()
    for size in (1, 10**6):
        monkeypatch.setattr(module, "_PAIRS", size)
        monkeypatch.setattr(module, "_PRODUCTS", 64 + size)
        monkeypatch.setattr(module, "_HITS", 1600 * size)
        assert np.array_equal(remine().products["product"], expected)


def test_another_seed_draws_others(remine):
    expected, changed = remine().products["product"], remine(seed=2).products["product"]
    assert np.array_equal(expected == NONE, changed == NONE)
    assert (expected != changed).mean() > 0.1 * (expected != NONE).mean()


def test_a_large_catalog_is_searched_through_an_index(remine, model, data, vectors, monkeypatch):
    reports = []
    monkeypatch.setattr(module, "_EXACT", 100)
    monkeypatch.setattr(module, "build_index", lambda *args: reports.append(build_index(*args)))
    check(remine(), model, data, vectors, (2, 80), 1.0, 3)
    assert [report.count for report in reports] == [300]


def test_excluded_products_are_no_hard_negatives(remine, model, monkeypatch):
    query_id = np.concatenate([pairs_of(model, step)[1] for step in range(1, 5)])
    before = remine().products["product"]
    row, column = np.nonzero((before != NONE) & (query_id >> 48 == 1)[:, None])
    assert len(row) > 5
    excluded = query_id[row] - (1 << 48), before[row, column]
    nobody = np.zeros((2, 0), np.int64)
    monkeypatch.setattr(
        PreparedData, "exclusions", lambda self, kind, entity_type: tuple(excluded if kind == "pin" else nobody)
    )
    after = remine().products["product"]
    assert not {*zip(*excluded, strict=True)} & {
        (query - (1 << 48), product) for query, own in zip(query_id, after, strict=True) for product in own
    }
    assert np.array_equal(after[query_id >> 48 != 1], before[query_id >> 48 != 1])


def test_each_pool_has_its_own(data, tmp_path):
    towers = {**TINY["towers"], "second": TINY["towers"]["product"]}
    tasks = [TINY["tasks"][0], {**TINY["tasks"][1], "candidate_tower": "second"}]
    phases = [{"steps": 1, "tasks": ["search_click"]}, {"steps": 1}]
    changed = {**TINY, "towers": towers, "tasks": tasks, "loss": {"hard_negatives": SECTION}}
    changed["training"] = {**TINY["training"], "phases": phases}
    mine = HardNegativeMiner(ItemSage(Config.model_validate(changed), data), data)
    mined = mine(0, 2, tmp_path / "scratch")
    assert {pool: own.tolist() for pool, own in mined.sizes.items()} == {"product": [0, 24], "second": [48, 24]}
    assert all((own != NONE).any() for own in mined.products.values())
    first = mine(0, 1, tmp_path / "scratch")
    assert np.array_equal(first.products["second"], mined.products["second"][:48])
    assert first.products["product"].shape == (0, 3) and first.summary["pairs"] == 48


def test_candidates_of_every_entity_type_are_mined_from_their_own_catalog(data, tmp_path):
    towers = {**OMNI["towers"], "text": {"kind": "ngram", "hash_embedding": {"buckets": 500, "dimension": 16}}}
    changed = Config.model_validate({**OMNI, "towers": towers, "loss": {"hard_negatives": SECTION}})
    model = OmniSearchSage(changed, data)
    mined = HardNegativeMiner(model, data)(0, 2, tmp_path / "scratch")
    batches = [model.batches(step) for step in range(2)]
    for pool, types in model.batches.entity_types.items():
        found = mined.products[pool]
        assert (found != NONE).any() and found.max() < data.entity(types).count
        if types == "query":
            own = np.concatenate([batch["pairs"][pool]["query_id"] for batch in batches])
            assert not (found == own[:, None]).any(), "a query is no hard negative of itself"


def test_without_any_the_summary_says_so(remine):
    mined = remine(window=(0, 1), per_pair=1, margin=0.0)
    assert (mined.products["product"] == NONE).all()
    assert mined.summary == {"pairs": 192.0, "without": 1.0}
