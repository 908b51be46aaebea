from types import SimpleNamespace

import numpy as np
import pytest

from tfsage.config import EvaluationConfig, TaskConfig
from tfsage.evaluation.distractors import DistractorSet
from tfsage.evaluation.task_pairs import load_task_pairs

CATALOG = 50
OTHERS = 30
"""Pins, and queries."""
DISTRACTORS = {count: DistractorSet("v1", np.arange(10), np.arange(10, count)[::-1], 1) for count in (CATALOG, OTHERS)}


class Strings:
    def __init__(self, strings):
        self._strings = strings

    def __len__(self):
        return len(self._strings)

    def gather(self, rows):
        return [self._strings[row] for row in rows]


class Data:
    """A prepared folder in miniature: pairs (query, product, count) by split and action."""

    product_count = CATALOG
    product_ids = Strings([f"p{row}" for row in range(CATALOG)])

    def __init__(self, pairs, exclusions=(), entity_type="product", variant_groups=None):
        self._pairs, self._exclusions, self.entity_type = pairs, exclusions, entity_type
        self._variant_groups = variant_groups
        self._queries = SimpleNamespace(ids=Strings([f"q{row}" for row in range(100)]))

    def pairs(self, split, surface, query_type, actions, entity_type="product"):
        assert (surface, entity_type) == ("search", self.entity_type)
        rows = [
            row for (at, action), found in self._pairs.items() if at == split and action in actions for row in found
        ]
        query, product, count = np.array(sorted(rows), float).reshape(-1, 3).T
        return SimpleNamespace(
            query=query.astype(int), entity=product.astype(int), product=product.astype(int), count=count
        )

    def queries(self, query_type):
        return self._queries

    def entity(self, kind):
        count = CATALOG if kind == "product" else OTHERS
        return SimpleNamespace(count=count, variant_groups=self._variant_groups)

    def exclusions(self, query_type, entity_type="product"):
        query, product = np.array(self._exclusions, int).reshape(-1, 2).T
        return query, product


def load(data, split="test", query_type="query", evaluate_actions=None, **evaluation):
    task = TaskConfig(
        name="search_click",
        surface="search",
        query_type=query_type,
        entity_type=data.entity_type,
        actions={"click": 2, "save": 1},
        evaluate_actions=evaluate_actions,
        query_tower="text",
    )
    return load_task_pairs(
        data, task, split, EvaluationConfig(**evaluation), DISTRACTORS[data.entity(task.entity_type).count]
    )


def as_pairs(found):
    j = found.judgements
    pairs = zip(found.query_rows[j.query].tolist(), j.product.tolist(), j.weight.tolist(), strict=True)
    return sorted(pairs)


def excluded(found):
    j = found.judgements
    return set(zip(found.query_rows[j.excluded_query].tolist(), j.excluded_product.tolist(), strict=True))


def test_pairs_are_weighted_by_engagement_counts():
    data = Data({("test", "click"): [(7, 3, 5.0), (7, 4, 1.0)], ("test", "save"): [(9, 3, 2.0)]})
    found = load(data)
    assert as_pairs(found) == [(7, 3, 5.0), (7, 4, 1.0), (9, 3, 2.0)]
    assert found.query_rows.tolist() == [7, 9]
    assert found.judgements.products == CATALOG
    np.testing.assert_array_equal(found.judgements.order, [*range(10), *range(49, 9, -1)])


def test_the_actions_to_evaluate_may_differ_from_those_trained_on():
    data = Data({("test", "click"): [(7, 3, 5.0)], ("test", "checkout"): [(7, 8, 1.0)]})
    assert as_pairs(load(data, evaluate_actions=("checkout",))) == [(7, 8, 1.0)]


def test_what_a_query_engaged_with_in_other_splits_does_not_compete():
    data = Data(
        {
            ("train", "click"): [(7, 30, 1.0), (8, 31, 1.0)],
            ("dev", "click"): [(7, 32, 1.0)],
            ("test", "click"): [(7, 3, 5.0)],
        }
    )
    assert excluded(load(data)) == {(7, 30), (7, 32)}
    assert excluded(load(data, split="dev")) == {(7, 30), (7, 3)}


def test_exclusions_are_neither_relevant_nor_competitors():
    data = Data({("test", "click"): [(7, 3, 5.0), (7, 4, 1.0)]}, exclusions=[(7, 4), (7, 20), (1, 5)])
    found = load(data)
    assert as_pairs(found) == [(7, 3, 5.0)]
    assert excluded(found) == {(7, 4), (7, 20)}


def test_a_product_does_not_answer_itself():
    data = Data({("test", "click"): [(7, 7, 5.0), (7, 4, 1.0)]})
    found = load(data, query_type="product")
    assert as_pairs(found) == [(7, 4, 1.0)]
    assert excluded(found) == {(7, 7)}


def test_popularity_counts_training_engagements_of_the_same_actions():
    data = Data(
        {
            ("train", "click"): [(1, 3, 5.0), (2, 3, 2.0), (2, 6, 1.0)],
            ("train", "checkout"): [(1, 9, 4.0)],
            ("test", "click"): [(7, 3, 9.0)],
        }
    )
    popularity = load(data).popularity
    assert popularity.shape == (CATALOG,)
    assert (popularity[3], popularity[6], popularity.sum()) == (7.0, 1.0, 8.0)


@pytest.mark.parametrize("pairs", [{}, {("test", "click"): [(7, 4, 1.0)]}])
def test_nothing_to_evaluate(pairs):
    assert load(Data(pairs, exclusions=[(7, 4)])) is None


def test_too_many_pairs_are_sampled_by_query():
    rows = [(query, product, 1.0) for query in range(40) for product in range(3)]
    few = load(Data({("test", "click"): rows}), max_pairs=31)
    assert len(few.query_rows) == 10
    assert len(few.judgements.query) == 30, "a query keeps all of its pairs"
    more = load(Data({("test", "click"): rows}), max_pairs=60)
    assert set(few.query_rows) < set(more.query_rows), "samples are nested"
    assert few.query_rows.tolist() != list(range(10)), "not simply the first"
    assert len(load(Data({("test", "click"): rows}), max_pairs=120).query_rows) == 40


@pytest.mark.parametrize("entity_type", ["pin", "query"])
def test_candidates_may_be_pins_and_queries(entity_type):
    found = load(Data({("test", "click"): [(7, 7, 5.0), (7, 4, 1.0)]}, entity_type=entity_type))
    assert found.judgements.products == len(found.popularity) == OTHERS
    # A query is no related query of itself.
    related = entity_type == "query"
    assert as_pairs(found) == ([(7, 4, 1.0)] if related else [(7, 4, 1.0), (7, 7, 5.0)])
    assert excluded(found) == ({(7, 7)} if related else set())


def test_variants_of_the_positives_and_of_the_query_do_not_compete():
    group = np.full(CATALOG, -1)
    group[[4, 40, 41]], group[[7, 42]], group[[20, 21]] = 5, 2, 9
    pairs = {("test", "click"): [(7, 4, 1.0), (8, 3, 1.0)]}
    assert excluded(load(Data(pairs, variant_groups=group))) == {(7, 4), (7, 40), (7, 41)}
    found = load(Data({("test", "click"): [(7, 4, 1.0)]}, variant_groups=group), query_type="product")
    assert excluded(found) - {(7, 7)} == {(7, 4), (7, 40), (7, 41), (7, 42)}
    assert as_pairs(found) == [(7, 4, 1.0)], "a positive stays one although a variant of it is excluded"
