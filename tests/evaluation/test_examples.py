import numpy as np

from tests.evaluation.worlds import make_judgements, unit
from tfsage.evaluation.dense_ranks import rank_dense
from tfsage.evaluation.examples import RETURNED, choose_examples
from tfsage.evaluation.recall import recall_sums


class Named:
    def __init__(self, prefix):
        self._prefix = prefix

    def gather(self, rows):
        return [f"{self._prefix}{row}" for row in rows]


def test_best_and_worst_with_what_was_returned():
    judgements = make_judgements(2, queries=30, products=200)
    rng = np.random.default_rng(0)
    products = unit(rng.standard_normal((200, 8)))
    target = np.zeros((30, 8))
    np.add.at(target, judgements.query, products[judgements.product])
    queries = unit(target + rng.standard_normal((30, 8)))
    ranks = rank_dense(queries, products, judgements)
    recall = recall_sums(ranks, judgements, [RETURNED])[f"query_recall@{RETURNED}"].numerator
    examples = choose_examples(queries, products, judgements, ranks, Named("q"), Named("p"), 3, seed=1)
    assert [example.recall for example in examples[:3]] == sorted(recall)[::-1][:3]
    assert [example.recall for example in examples[3:]] == sorted(recall)[:3]
    for example in examples:
        query = int(example.query[1:])
        relevant = {f"p{p}" for p in judgements.product[judgements.query == query]}
        assert example.recall == recall[query]
        assert set(example.relevant) == relevant
        excluded = judgements.excluded_product[judgements.excluded_query == query]
        scores = products @ queries[query]
        scores[excluded] = -2
        assert [title for title, _ in example.returned] == [f"p{p}" for p in np.argsort(-scores)[:RETURNED]]
        assert all(mark == (title in relevant) for title, mark in example.returned)


def test_few_queries_are_shown_once():
    judgements = make_judgements(2, queries=2)
    vectors = unit(np.random.default_rng(0).standard_normal((62, 8)))
    ranks = rank_dense(vectors[:2], vectors[2:], judgements)
    examples = choose_examples(vectors[:2], vectors[2:], judgements, ranks, Named("q"), Named("p"), 3, seed=1)
    assert sorted(example.query for example in examples) == ["q0", "q1"]
