"""Each illness is planted alone, and exactly its alarm rings."""

import tracemalloc

import numpy as np
import pytest

from tests.evaluation.worlds import unit
from tests.health.worlds import DIMENSION, PRODUCTS, healthy_vectors, make_space, rotation
from tfsage.config.health import DoctorConfig
from tfsage.health import Block, Canaries, diagnose
from tfsage.health.diagnose import canary_finding, hub_finding, survey_space

CONFIG = DoctorConfig(queries=120)


def alarms(space, earlier=None, config=CONFIG) -> list[str]:
    return [finding.check for finding in diagnose(space, earlier, config) if finding.verdict == "alarm"]


def with_rows(rows, values) -> np.ndarray:
    vectors = healthy_vectors()
    vectors[rows] = values
    return vectors


def without_dimension(place: int) -> np.ndarray:
    vectors = healthy_vectors()
    vectors[:, place] = 0
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def swapped() -> list[Canaries]:
    kept = healthy_vectors()[:5]
    return [Canaries("query tower", kept, kept[[1, 0, 2, 3, 4]])]


def test_a_healthy_space_rings_no_alarm():
    findings = diagnose(make_space(), make_space(name="old"), CONFIG)
    assert {finding.verdict for finding in findings} == {"healthy"}
    values = {finding.check: finding.value for finding in findings}
    assert values["overlap"] == values["new_queries"] == values["old_queries"] == values["canaries.query tower"] == 1.0


@pytest.mark.parametrize(
    ("space", "check"),
    [
        (make_space(with_rows([7], np.nan)), "non_finite"),
        (make_space(with_rows([7, 8], 0.0)), "zero_vectors"),
        (make_space(1.01 * healthy_vectors()), "norms"),
        (make_space(without_dimension(3)), "dead_dimensions"),
        (make_space(with_rows(slice(0, 100), healthy_vectors()[100:200])), "duplicates"),
        (make_space(missing={"title": 0.06, "brand": 0.4}), "missing.title"),
        (make_space(missing={"title": 0.01, "brand": 0.5}), "missing.brand"),
        (make_space(canaries=swapped), "canaries.query tower"),
        (make_space(embed=lambda texts: np.tile(healthy_vectors()[:1], (len(texts), 1))), "hub_share"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_exactly_its_alarm_rings(space, check):
    earlier = make_space() if check == "missing.brand" else None
    assert alarms(space, earlier) == [check]


def test_a_rotated_space_returns_the_same_and_cannot_be_mixed():
    assert alarms(make_space(turn=rotation()), make_space()) == ["new_queries", "old_queries"]
    mixed = CONFIG.model_copy(update={"cross_version_recall": 0.0})
    assert alarms(make_space(turn=rotation()), make_space(), mixed) == []


def test_another_order_of_products_is_another_answer():
    """The vectors have changed owners, in products and queries alike: each version finds its own, no list is kept."""
    order = np.random.default_rng(3).permutation(PRODUCTS)
    vectors = healthy_vectors()[order]
    space = make_space(vectors, embed=lambda texts: vectors[[int(text[1:]) for text in texts]])
    assert set(alarms(space, make_space())) == {"overlap", "new_queries", "old_queries"}


def test_products_that_only_one_version_has_do_not_count():
    fewer = make_space(healthy_vectors()[: PRODUCTS // 2])
    findings = {finding.check: finding for finding in diagnose(fewer, make_space(), CONFIG)}
    assert findings["overlap"].value > 0.97


def test_other_dimensions_cannot_be_mixed_and_nothing_in_common_is_not_measured():
    wider = np.concatenate([healthy_vectors(), healthy_vectors(1)], axis=1) / np.sqrt(2).astype(np.float32)
    space = make_space(wider, dimension=2 * DIMENSION, embed=lambda texts: wider[[int(text[1:]) for text in texts]])
    findings = {finding.check: finding for finding in diagnose(space, make_space(), CONFIG)}
    assert findings["new_queries"].verdict == "alarm" and "dimensions differ" in findings["new_queries"].note

    def renamed():
        yield from (block._replace(ids=[f"x{product}" for product in block.ids]) for block in make_space().blocks())

    findings = {finding.check: finding for finding in diagnose(make_space(blocks=renamed), make_space(), CONFIG)}
    assert {findings[check].verdict for check in ("overlap", "new_queries", "old_queries")} == {"not measured"}
    assert findings["overlap"].note == "no product in common"
    findings = {finding.check: finding for finding in diagnose(make_space(embed=None), make_space(), CONFIG)}
    assert (findings["overlap"].value, findings["overlap"].note) == (None, "only one version has a query tower")


def test_both_versions_are_asked_the_titles_of_the_new_one():
    def retitled():
        yield from (block._replace(titles=["t0"] * len(block.ids)) for block in make_space().blocks())

    assert alarms(make_space(), make_space(blocks=retitled)) == []


def test_the_empty_query_is_not_asked():
    assert alarms(make_space(canary_texts=["", "t4"])) == []  # the stand-in of the tower would fail on it


def test_a_space_without_query_tower_is_asked_its_own_products():
    findings = diagnose(make_space(embed=None), make_space(embed=None), CONFIG)
    assert {finding.verdict for finding in findings} == {"healthy"}


def test_the_earlier_value_stands_beside():
    earlier = make_space(with_rows([1, 2, 3], 0.0))
    findings = {finding.check: finding for finding in diagnose(make_space(), earlier, CONFIG)}
    assert findings["zero_vectors"].before == 3 / PRODUCTS and findings["zero_vectors"].value == 0.0


def test_a_canary_that_is_nan_or_zero_where_it_was_not_is_an_alarm():
    kept = healthy_vectors()[:2]
    for broken in (np.nan * kept, 0 * kept):
        assert canary_finding(Canaries("product tower", broken, kept), CONFIG).verdict == "alarm"
    empty = np.zeros((1, DIMENSION), np.float32)
    assert canary_finding(Canaries("product tower", empty, empty), CONFIG).verdict == "healthy"


def test_in_a_small_catalog_frequent_products_are_no_hubs():
    lists = np.array([["a", "b"], ["a", "c"], ["d", "e"]], object)
    assert hub_finding(lists, 10, CONFIG).verdict == "healthy"
    assert hub_finding(lists, 1000, CONFIG).verdict == "alarm"


def test_the_sample_is_the_same_in_any_order_and_blocks():
    def reversed_blocks():
        for block in reversed(list(make_space().blocks())):
            yield block._replace(ids=block.ids[::-1], titles=block.titles[::-1], vectors=block.vectors[::-1])

    one, other = survey_space(make_space(), 50), survey_space(make_space(blocks=reversed_blocks), 50)
    assert list(one.sample) == list(other.sample) and len(one.sample) == 50
    assert all(one.sample[product][0] == other.sample[product][0] == f"t{product[1:]}" for product in one.sample)


def test_memory_does_not_grow_with_the_catalog():
    def peak(blocks: int) -> int:
        def read():
            for number in range(blocks):
                names = [f"p{number}-{row}" for row in range(2000)]
                yield Block(names, names, unit(np.random.default_rng(number).standard_normal((2000, 64))))

        tracemalloc.start()
        try:
            diagnose(make_space(dimension=64, products=2000 * blocks, blocks=read, embed=None), None, CONFIG)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)  # what is loaded or made only once
    assert peak(30) < 1.5 * peak(5)
