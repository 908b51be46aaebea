import numpy as np
import pytest

from tfsage.evaluation.strata import Stratum, cold_start, labelled, modality, novelty, popularity_deciles, query_length


def as_labels(stratum: Stratum) -> list[str | None]:
    return [stratum.names[code] if code >= 0 else None for code in stratum.code]


def test_deciles_hold_a_tenth_of_the_engaged_products_each():
    popularity = np.random.default_rng(0).permutation(np.concatenate([np.zeros(50), np.arange(1, 201)]))
    labels = np.array(as_labels(popularity_deciles(popularity, np.arange(250))))
    assert (labels == "no engagements").sum() == 50
    for decile in range(1, 11):
        values = popularity[labels == f"decile {decile}"]
        assert sorted(values) == list(range(20 * decile - 19, 20 * decile + 1))


def test_equally_popular_products_share_a_decile():
    stratum = popularity_deciles(np.array([1.0] * 30 + [2.0] * 5), np.arange(35))
    assert len(set(as_labels(stratum)[:30])) == 1
    assert as_labels(stratum)[34] == "decile 10"


def test_deciles_depend_on_the_order_of_popularity_alone():
    popularity = np.random.default_rng(1).pareto(1.0, 300) * (np.arange(300) % 4 > 0)
    product = np.random.default_rng(2).integers(300, size=1000)
    one, other = popularity_deciles(popularity, product), popularity_deciles(np.sqrt(popularity) * 7, product)
    np.testing.assert_array_equal(one.code, other.code)


def test_nothing_was_engaged_with():
    assert as_labels(popularity_deciles(np.zeros(3), np.array([1, 1]))) == ["no engagements"] * 2


def test_seen_and_novel():
    query, product = np.array([True, True, False, False]), np.array([True, False, True, False])
    assert as_labels(novelty(query, product)) == [
        "seen query, seen product",
        "seen query, novel product",
        "novel query, seen product",
        "novel query, novel product",
    ]
    assert as_labels(cold_start(product)) == ["warm", "cold", "warm", "cold"]


def test_modality():
    text, image = np.array([True, True, False, False]), np.array([True, False, True, False])
    assert as_labels(modality(text, image)) == ["text and image", "text only", "image only", "neither"]


def test_query_length_counts_words():
    assert as_labels(query_length(["desk", " oak  desk ", "a b c d", "a b c d e", "a b c d e f g"])) == [
        "1",
        "2",
        "4",
        "5+",
        "5+",
    ]


def test_pairs_without_a_label_are_in_no_group():
    stratum = labelled(["fr", None, "de", "", "fr"])
    assert as_labels(stratum) == ["fr", None, "de", None, "fr"]
    assert [(name, pairs.tolist()) for name, pairs in stratum.groups()] == [("de", [2]), ("fr", [0, 4])]


def test_groups_without_pairs_are_left_out_and_the_others_keep_their_order():
    stratum = Stratum(np.array([2, 0, 2]), ("a", "b", "c"))
    assert [(name, pairs.tolist()) for name, pairs in stratum.groups()] == [("a", [1]), ("c", [0, 2])]


@pytest.mark.parametrize("decile", range(1, 11))
def test_every_decile_is_reached_with_few_products(decile):
    labels = as_labels(popularity_deciles(np.arange(1.0, 11.0), np.arange(10)))
    assert f"decile {decile}" == labels[decile - 1]
