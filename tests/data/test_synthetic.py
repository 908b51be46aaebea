"""The synthetic shop keeps what it promises about its truth."""

import re
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest

from tfsage.config import TEXT_FIELDS
from tfsage.data.synthetic import write_shop
from tfsage.errors import TfsageError
from tfsage.files import checksums

PRODUCTS = 1500


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop") / "tables"
    write_shop(folder, PRODUCTS, seed=3)
    return folder


def read(folder, name):
    return pq.read_table(folder / f"{name}.parquet")


def matrix(column) -> np.ndarray:
    return np.stack(column.to_numpy())


@pytest.fixture(scope="module")
def truth(folder):
    table = read(folder, "truth/truth")
    kinds = np.array(table["entity_type"].to_pylist())
    latent = matrix(table["latent"])
    return {
        "latent": {kind: latent[kinds == kind] for kind in ("product", "pin", "query")},
        "popularity": table["popularity"].to_numpy()[kinds == "product"],
    }


@pytest.fixture(scope="module")
def engaged(folder):
    """Query rows, product rows and counts of each surface."""
    table = read(folder, "engagements")
    surface = np.array(table["surface"].to_pylist())
    number = {name: np.array([int(re.sub(r"\D", "", value)) for value in table[name].to_pylist()]) for name in IDS}
    return {
        where: tuple(column[surface == where] for column in (*number.values(), table["count"].to_numpy()))
        for where in ("closeup", "search")
    }


IDS = ("query_id", "entity_id")


def test_the_tables_have_the_sizes_asked_for(tmp_path):
    write_shop(tmp_path / "shop", products=60, seed=1, queries=30, pins=20, engagements=500)
    shop = tmp_path / "shop"
    assert [read(shop, name).num_rows for name in ("products", "queries", "pins")] == [60, 30, 20]
    assert sum(read(shop, "engagements")["count"].to_pylist()) == 500
    assert set(read(shop, "products").schema.names) == {"product_id", "image_embeddings", *TEXT_FIELDS}


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_shop(tmp_path / name, 40, seed=seed, engagements=300)
    first, again, other = (checksums(tmp_path / name) for name in "abc")
    assert first == again
    assert all(first[name] != other[name] for name in first)


def test_images_are_views_of_one_look(folder):
    images = read(folder, "products")["image_embeddings"].to_pylist()
    counts = Counter(len(views) for views in images)
    assert set(counts) == set(range(1, 9))
    views = [np.array(product, np.float32) for product in images]
    np.testing.assert_allclose(np.linalg.norm(np.concatenate(views), axis=1), 1.0, atol=1e-5)
    within = np.mean([product[0] @ product[1] for product in views if len(product) > 1])
    across = np.mean([one[0] @ other[0] for one, other in zip(views, views[1:], strict=False)])
    assert within > across + 0.2


def test_popularity_follows_zipf_and_knows_nothing_of_relevance(truth):
    popularity = np.sort(truth["popularity"])[::-1]
    slope = np.polyfit(np.log(np.arange(1, PRODUCTS + 1)), np.log(popularity), 1)[0]
    assert slope == pytest.approx(-0.8, abs=0.01)
    for kind in ("pin", "query"):
        relevance = (truth["latent"]["product"] @ truth["latent"][kind].T).mean(axis=1)
        # Four standard errors of a correlation between independent columns.
        assert abs(np.corrcoef(truth["popularity"], relevance)[0, 1]) < 4 / np.sqrt(PRODUCTS)


@pytest.mark.parametrize(("surface", "kind"), [("closeup", "pin"), ("search", "query")])
def test_people_engage_with_what_is_relevant_and_with_what_is_popular(truth, engaged, surface, kind):
    query, product, count = engaged[surface]
    similarity = truth["latent"][kind] @ truth["latent"]["product"].T
    better = (similarity[query] > similarity[query, product][:, None]).mean(axis=1)
    assert np.average(better, weights=count) < 0.05
    times = np.bincount(product, count, minlength=PRODUCTS)
    popular = truth["popularity"] > np.quantile(truth["popularity"], 0.9)
    assert times[popular].mean() > 1.5 * times[~popular].mean()


def test_each_query_has_a_handful_of_products(engaged):
    for query, product, _ in engaged.values():
        distinct = np.unique(np.stack([query, product]), axis=1)[0]
        assert 2 <= np.median(np.unique(distinct, return_counts=True)[1]) <= 20


def test_shopping_actions_are_thirty_times_rarer(folder):
    table = read(folder, "engagements")
    counts = Counter()
    for action, count in zip(table["action"].to_pylist(), table["count"].to_pylist(), strict=True):
        counts[action] += count
    shopping = counts["add_to_cart"] + counts["checkout"]
    assert 25 < (counts["click"] + counts["save"]) / shopping < 35
    assert counts["click"] > counts["save"] > counts["long_click"] > counts["add_to_cart"] > counts["checkout"] > 0


def test_engagements_span_ninety_days_with_new_queries_all_along(folder):
    table = read(folder, "engagements")
    days = (table["timestamp"].to_numpy() - table["timestamp"].to_numpy().min()).astype("timedelta64[D]").astype(int)
    assert days.min() == 0 and days.max() == 89
    late = set(np.array(table["query_id"].to_pylist())[days >= 83])
    early = set(np.array(table["query_id"].to_pylist())[days < 60])
    assert 0.1 < len(late - early) / len(late) < 0.9


def test_the_two_frozen_spaces_are_incompatible(folder, truth):
    """Across the spaces a dot product says nothing; within each, near in truth is near in the space."""
    images = np.stack([views[0] for views in read(folder, "products")["image_embeddings"].to_pylist()])
    for table, kind, compatible in (("pins", "pin", True), ("queries", "query", False)):
        vectors = matrix(read(folder, table)["embedding"])
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
        relevance = truth["latent"][kind] @ truth["latent"]["product"].T
        across = np.corrcoef((vectors @ images.T).ravel(), relevance.ravel())[0, 1]
        assert across > 0.3 if compatible else abs(across) < 0.03
        among = truth["latent"][kind] @ truth["latent"][kind].T
        within = np.corrcoef(
            (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)], among[np.triu_indices(len(vectors), 1)]
        )
        assert within[0, 1] > 0.4


def test_titles_are_compositional_and_not_trivially_unique(folder):
    titles = read(folder, "products")["title"].to_pylist()
    words = Counter(word for title in titles for word in title.lower().split())
    several = sum(count for count in words.values() if count > 1)
    assert several / sum(words.values()) > 0.98


def test_each_modality_tells_what_the_other_does_not(folder, truth):
    """A ridge regression to the truth does better on words and image together than on either alone."""
    products = read(folder, "products")
    images = np.stack([np.mean(views, axis=0) for views in products["image_embeddings"].to_pylist()])
    texts = [" ".join(map(str, row.values())).lower() for row in products.select(list(TEXT_FIELDS)).to_pylist()]
    vocabulary = {
        word: place for place, word in enumerate(sorted({w for text in texts for w in re.findall(r"\w+", text)}))
    }
    words = np.zeros((PRODUCTS, len(vocabulary)))
    for row, text in enumerate(texts):
        words[row, [vocabulary[word] for word in re.findall(r"\w+", text)]] = 1.0

    def explained(features) -> float:
        fit, test = slice(0, 1000), slice(1000, None)
        target = truth["latent"]["product"]
        gram = features[fit] @ features[fit].T
        weights = np.linalg.solve(gram + 1.0 * np.eye(1000), target[fit] - target[fit].mean(0))
        error = target[test] - target[fit].mean(0) - features[test] @ features[fit].T @ weights
        return 1 - (error**2).sum() / ((target[test] - target[fit].mean(0)) ** 2).sum()

    scaled = images / images.std() / np.sqrt(images.shape[1]) * 5, words / np.sqrt(words.sum(1, keepdims=True)) * 2
    image, text = map(explained, scaled)
    both = explained(np.concatenate(scaled, axis=1))
    assert both > image + 0.05 and both > text + 0.05


def test_a_shop_has_what_the_demo_searches_for(folder):
    queries = read(folder, "queries")["text"].to_pylist()
    lengths = {len(query.split()) for query in queries}
    assert len(set(queries)) == PRODUCTS and {1, 2, 3, 4, 5} <= lengths
    titles = " | ".join(read(folder, "products")["title"].to_pylist()).lower()
    for words in ("desk", "walnut", "mid", "striped", "cotton", "brass"):
        assert words in titles


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"products": 0}, "products must be at least 1"),
        ({"products": 5, "dimension": 8}, "dimension must be at least"),
        ({"products": 1, "queries": 10_000}, "different queries fit a shop of this size"),
    ],
)
def test_a_shop_that_cannot_be(tmp_path, arguments, message):
    with pytest.raises(TfsageError, match=message):
        write_shop(tmp_path / "shop", **arguments)
    assert not (tmp_path / "shop").exists()
