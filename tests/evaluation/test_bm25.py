import csv
import math
from collections import Counter

import numpy as np
import pytest

from tfsage.evaluation.bm25 import BM25, K1, B
from tfsage.evaluation.judgements import Judgements
from tfsage.evaluation.ranks import rank_rows
from tfsage.evaluation.recall import recall_sums

TITLES = ["Oak desk", "oak oak OAK shelf with oak doors", "steel desks, 1/2 in.", "", "lamp"]


def by_the_formula(query: list[str], document: list[str], documents: list[list[str]]) -> float:
    mean_length = sum(map(len, documents)) / len(documents)
    score = 0.0
    for token in query:
        having = sum(token in other for other in documents)
        idf = math.log(1 + (len(documents) - having + 0.5) / (having + 0.5))
        count = Counter(document)[token]
        score += idf * count / (count + K1 * (1 - B + B * len(document) / mean_length))
    return score


@pytest.mark.parametrize("query", ["oak desk", "desk oak oak", "the doors of steel", "1/2 in"])
def test_scores_follow_the_formula(query):
    bm25 = BM25(TITLES)
    documents = [bm25.tokens(title) for title in TITLES]
    known = [token for token in bm25.tokens(query) if any(token in document for document in documents)]
    expected = [by_the_formula(known, document, documents) for document in documents]
    assert max(expected) > 0
    (row,) = bm25.rows([query])
    np.testing.assert_allclose(row, expected, rtol=1e-5, atol=1e-7)


def test_tokens():
    assert BM25(TITLES).tokens("Desks 2x4 1/2-in. WOODEN 1.5 été") == [
        "desk",
        "2",
        "x",
        "4",
        "1/2",
        "in",
        "wooden",
        "1.5",
        "été",
    ]


@pytest.mark.parametrize("query", ["", "unheard words"])
def test_a_query_without_a_known_token_scores_nothing(query):
    (row,) = BM25(TITLES).rows([query])
    np.testing.assert_array_equal(row, np.zeros(5))


def test_a_catalog_without_text_scores_nothing():
    (row,) = BM25(["", ""]).rows(["desk"])
    np.testing.assert_array_equal(row, np.zeros(2))


def test_rows_may_be_overwritten():
    bm25 = BM25(TITLES)
    (first,) = bm25.rows(["oak"])
    expected = first.copy()
    first[:] = -1
    (again,) = bm25.rows(["oak"])
    np.testing.assert_array_equal(again, expected)


def test_home_depot(shared_data):
    """Stemmed BM25 on the test queries, measured elsewhere: R@10 .495, R@100 .808, R@1000 .929."""
    if shared_data is None:
        return
    products, queries, pairs = (
        read(shared_data / "home_depot" / f"{name}.tsv") for name in ("products", "queries", "qrels")
    )
    row_of = {product["product_id"]: row for row, product in enumerate(products)}
    text_of = {query["query_id"]: query["query"] for query in queries}
    relevant = [p for p in pairs if p["split"] == "test" and float(p["relevance"]) >= 2.67]
    ids, query = np.unique([pair["query_id"] for pair in relevant], return_inverse=True)
    judgements = Judgements(
        query=query,
        product=np.array([row_of[pair["product_id"]] for pair in relevant]),
        weight=np.ones(len(relevant)),
        products=len(products),
        distractors=np.arange(len(products)),
    )
    bm25 = BM25(product["title"] for product in products)
    ranks = rank_rows(bm25.rows([text_of[name] for name in ids]), judgements, "Ranking by BM25")
    recall = recall_sums(ranks, judgements, [10, 100, 1000])
    assert len(ids) == 991
    for k, expected in ((10, 0.495), (100, 0.808), (1000, 0.929)):
        assert recall[f"query_recall@{k}"].numerator.mean() == pytest.approx(expected, abs=0.004)


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
