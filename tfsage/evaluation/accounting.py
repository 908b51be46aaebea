"""Recall accounting from plain arrays: no files, no entities, no model, no TensorFlow."""

from collections.abc import Mapping

import numpy as np

from tfsage.config import EvaluationConfig
from tfsage.evaluation.graded import Grades
from tfsage.evaluation.judgements import Judgements
from tfsage.evaluation.measure import measure_task
from tfsage.evaluation.ranks import rank_static
from tfsage.evaluation.strata import Stratum


def account(
    queries: np.ndarray,
    products: np.ndarray,
    pairs: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    k: tuple[int, ...] = (10, 100),
    distractors: np.ndarray | None = None,
    remaining: np.ndarray | None = None,
    excluded: np.ndarray | None = None,
    popularity: np.ndarray | None = None,
    strata: Mapping[str, Stratum] | None = None,
    graded: tuple[np.ndarray, np.ndarray] | None = None,
    bootstrap: int = 1000,
    seed: int = 1,
) -> dict:
    """Everything that metrics.json says of one task, from its vectors and its pairs.

    Example:
        >>> import numpy as np
        >>> from tfsage.evaluation import account, strata
        >>> products = np.eye(4, dtype=np.float32)
        >>> queries = products[[0, 1, 2]]
        >>> pairs = np.array([[0, 0], [1, 1], [2, 3]])     # query, product
        >>> groups = {"cold_start": strata.cold_start(np.array([True, True, False]))}
        >>> metrics = account(queries, products, pairs, weights=np.array([5.0, 1.0, 2.0]), k=(1,), strata=groups)
        >>> metrics["recall@1"]["value"]                   # (5 + 1) / 8: the third pair misses
        0.75
        >>> [(row["group"], row["model"]["recall@1"]["value"]) for row in metrics["strata"]["cold_start"]]
        [('cold', 0.0), ('warm', 1.0)]

    Args:
        queries: floating [Q, d], no longer than one; every query has a pair.
        products: floating [n, d], no longer than one, the catalog; float32 may be memory-mapped.
        pairs: int [m, 2], row of the query and row of the product that it engaged with; no pair twice.
        weights: float [m], how often; 1 by default.
        k: cut-offs.
        distractors: int [c], rows of the catalog, C~, in the order in which samples of it are nested; the whole
            catalog in an order drawn by `seed` by default.
        remaining: int [n - c], the order in which the rest joins until the whole catalog competes.
        excluded: int [e, 2], (query, product) that never compete: known positives of other splits, variants of the
            positives, the query itself. The query's other positives in `pairs` need not be named.
        popularity: float [n], for a popularity ranker beside the model, and for the references of hubness.
        strata: groups of pairs (see `tfsage.evaluation.strata`), by name.
        graded: (int [g, 2] (query, product), float [g] grades from 0), for nDCG.
        bootstrap: draws of queries behind every interval.
        seed: of draws.

    Returns:
        One task of metrics.json (see docs/evaluation.md): recall@k, macro_recall@k and query_recall@k with their
        intervals, "ranks" under ties, "recall_curve", "distractor_curve", "strata", "graded", "hubness", "alarms".

    Raises:
        ValueError: the arrays contradict one another, or a vector is not finite or longer than one.
    """
    queries, products = np.asanyarray(queries, np.float32), np.asanyarray(products, np.float32)
    pairs = np.asarray(pairs, np.int64)
    none = np.zeros((0, 2), np.int64)
    excluded = none if excluded is None else np.asarray(excluded, np.int64)
    judgements = Judgements(
        query=pairs[:, 0],
        product=pairs[:, 1],
        weight=np.ones(len(pairs)) if weights is None else np.asarray(weights, np.float64),
        products=len(products),
        distractors=np.random.default_rng(seed).permutation(len(products)) if distractors is None else distractors,
        excluded_query=excluded[:, 0],
        excluded_product=excluded[:, 1],
        remaining=remaining,
    )
    config = EvaluationConfig(k=k, bootstrap=bootstrap, seed=seed)
    baselines = {} if popularity is None else {"popularity": lambda asked: rank_static(popularity, asked)}
    grades = None if graded is None else Grades(*np.asarray(graded[0], np.int64).T, np.asarray(graded[1], np.float64))
    return measure_task(
        queries, products, judgements, config, baselines, popularity=popularity, strata=strata, grades=grades
    ).metrics
