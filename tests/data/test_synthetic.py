"""The synthetic shop keeps what it promises about its truth."""

import re
from collections import Counter

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tfsage.config import TEXT_FIELDS
from tfsage.data.synthetic import write_shop
from tfsage.data.synthetic.words import SHAPES
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
    # Of all engagements those of Closeup and of text queries, in any language, with products.
    table = table.filter(pc.equal(table["entity_type"], "product"))
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
    assert [read(shop, name).num_rows for name in ("products", "pins")] == [60, 20]
    languages = read(shop, "queries")["language"].to_pylist()
    assert languages[:30] == ["en"] * 30 and set(languages[30:]) == {"es", "de"} and len(languages) <= 36
    assert sum(count_of(shop, "closeup", "pin", "product").values()) == 250
    english = {f"q{row}" for row in range(30)}
    asked = count_of(shop, "search", "query", "product")
    assert sum(count for query, count in asked.items() if query in english) == 250
    assert set(read(shop, "products").schema.names) == {"product_id", "image_embeddings", "captions", *TEXT_FIELDS}


def count_of(shop, *kinds: str) -> Counter:
    """Engagements by query, of one surface, type of query and type of entity."""
    counted = Counter()
    for row in read(shop, "engagements").to_pylist():
        if (row["surface"], row["query_type"], row["entity_type"]) == kinds:
            counted[row["query_id"]] += row["count"]
    return counted


def test_more_of_one_thing_leaves_the_others_as_they_are(tmp_path):
    """What a shop of the same seed had before it sold to more people stays, row by row."""
    write_shop(tmp_path / "few", 40, seed=1, pins=20, engagements=300)
    write_shop(tmp_path / "many", 40, seed=1, pins=20, engagements=300, days=60)
    for name in ("products", "pins", "queries", "truth/truth"):
        assert read(tmp_path / "few", name).equals(read(tmp_path / "many", name))
    board = ["board_id", "title", "entity_id"]
    assert read(tmp_path / "few", "boards").select(board).equals(read(tmp_path / "many", "boards").select(board))
    days = pc.min_max(read(tmp_path / "many", "engagements")["timestamp"]).as_py()
    assert (days["max"] - days["min"]).days < 60


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
    table = table.filter(pc.equal(table["surface"], "closeup"))
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


def test_people_find_pins_and_related_queries_that_are_relevant(folder, truth):
    rows = [row for row in read(folder, "engagements").to_pylist() if row["entity_type"] != "product"]
    assert {row["surface"] for row in rows} == {"search"} and {row["query_type"] for row in rows} == {"query"}
    assert {(row["entity_type"], row["action"]) for row in rows} == {
        ("pin", "save"),
        ("pin", "long_click"),
        ("query", "click"),
    }
    languages = read(folder, "queries")["language"].to_pylist()
    for kind, most in (("pin", 0.05), ("query", 0.1)):
        found = [row for row in rows if row["entity_type"] == kind]
        query, entity = (np.array([int(re.sub(r"\D", "", row[name])) for row in found]) for name in IDS)
        similarity = truth["latent"]["query"] @ truth["latent"][kind].T
        better = (similarity[query] > similarity[query, entity][:, None]).mean(axis=1)
        assert better.mean() < most, kind
        if kind == "query":
            assert (query != entity).all()
            assert all(languages[one] == languages[other] for one, other in zip(query, entity, strict=True))


def test_people_buy_in_other_shops_too(folder):
    rows = [row for row in read(folder, "engagements").to_pylist() if row["surface"] == "offsite"]
    assert {(row["query_type"], row["entity_type"]) for row in rows} == {("query", "product")}
    assert {row["action"] for row in rows} == {"add_to_cart", "checkout"}


def test_a_query_in_another_language_asks_for_what_an_english_one_asks_for(folder, truth):
    queries = read(folder, "queries")
    languages = np.array(queries["language"].to_pylist())
    latent = truth["latent"]["query"]
    assert (languages[:PRODUCTS] == "en").all() and (languages[PRODUCTS:] != "en").all()
    alike = latent[languages != "en"] @ latent[languages == "en"].T
    np.testing.assert_allclose(alike.max(axis=1), 1.0, atol=1e-5)
    texts = queries["text"].to_pylist()
    assert len(set(texts)) == len(texts)
    spanish = " ".join(text for text, language in zip(texts, languages, strict=True) if language == "es")
    german = " ".join(text for text, language in zip(texts, languages, strict=True) if language == "de")
    assert "escritorio" in spanish and "para" in spanish and "schreibtisch" in german and "für" in german


def test_three_pins_in_ten_have_no_text_of_their_own(folder):
    pins = read(folder, "pins").to_pylist()
    silent = np.mean([pin["title"] is None and pin["description"] is None for pin in pins])
    assert silent == pytest.approx(0.3, abs=4 * np.sqrt(0.3 * 0.7 / len(pins)))
    assert 0.2 < np.mean([pin["description"] is not None for pin in pins]) < 0.5
    assert all(pin["captions"] for pin in pins)


def test_captions_tell_of_shapes_which_no_other_text_does_and_are_wrong_at_times(folder, truth):
    products = read(folder, "products")
    said = [caption[0].split() for caption in products["captions"].to_pylist()]
    latent = truth["latent"]["product"]
    spoken = [next((shape for shape in SHAPES if shape in words), None) for words in said]
    known = np.array([shape is not None for shape in spoken])
    assert 0.7 < known.mean() < 0.9
    names = np.array([shape or "" for shape in spoken])
    centers = {shape: latent[names == shape].mean(axis=0) for shape in SHAPES}
    # Whose captions speak of the same shape are alike in truth, which captions at random would not bring about.
    mean = latent.mean(axis=0)
    right = np.mean([(latent[row] - mean) @ (centers[names[row]] - mean) > 0 for row in np.flatnonzero(known)])
    assert 0.75 < right < 1.0
    texts = " ".join(" ".join(map(str, row.values())) for row in products.select(list(TEXT_FIELDS)).to_pylist()).lower()
    assert "scalloped" not in texts and "slender" not in texts


def test_boards_hold_products_and_pins_under_telling_and_generic_titles(folder):
    boards = read(folder, "boards").to_pylist()
    for kind, letters in (("product", "p"), ("pin", "pin")):
        titles = Counter(row["title"] for row in boards if row["entity_type"] == kind)
        assert titles["Home"] and len(titles) > 50
        assert all(re.fullmatch(rf"{letters}\d+", row["entity_id"]) for row in boards if row["entity_type"] == kind)
    sizes = Counter(row["board_id"] for row in boards)
    assert max(sizes.values()) == 10 and len({(row["board_id"], row["title"]) for row in boards}) == len(sizes)


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
    queries = read(folder, "queries")["text"].to_pylist()[:PRODUCTS]
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
