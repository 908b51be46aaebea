"""Evaluated run folders without any training: vectors that find the truth up to noise."""

import json

import numpy as np

from tests.evaluation.worlds import unit
from tfsage.evaluation.dense_ranks import rank_dense
from tfsage.evaluation.frozen import write_products, write_ranks, write_task, write_tasks


def write_run(folder, tasks, seed, noise=0.8, temperature=0.07, hub=0.1, seconds=(0.5, 0.2)):
    """Writes what a comparison reads of a run evaluated on dev; returns the ranks of each task.

    `tasks`: name → judgements. `seconds`: of a step, in each epoch.
    """
    vectors = folder / "vectors" / "dev"
    vectors.mkdir(parents=True)
    first = next(iter(tasks.values()))
    products = unit(np.random.default_rng(99).standard_normal((first.products, 16)))
    write_products(vectors, [str(row) for row in range(first.products)], first.distractors)
    ranks = {}
    for name, judgements in tasks.items():
        target = np.zeros((judgements.queries, 16))
        np.add.at(target, judgements.query, products[judgements.product])
        queries = unit(target + noise * np.random.default_rng(seed).standard_normal(target.shape))
        ranks[name] = rank_dense(queries, products, judgements)
        ids = [f"q{query}" for query in judgements.query], [str(product) for product in judgements.product]
        write_task(vectors / name, judgements, np.arange(judgements.queries), *ids)
        write_ranks(vectors / name, {"model": ranks[name]})
    write_tasks(vectors, {name: {"queries": "q.npy", "products": "p.npy"} for name in tasks})
    hubness = {"model": {"max_share": hub, "coverage": 0.5}}
    metrics = {"tasks": {name: {"hubness": hubness, "recall@5": {"value": 0.25}} for name in tasks}}
    (folder / "metrics_dev.json").write_text(json.dumps(metrics))
    epochs = [
        {"temperature": {"product": temperature}, "throughput": {"pairs_per_second": 9.0, "seconds_input": each}}
        for each in seconds
    ]
    (folder / "history.jsonl").write_text("".join(json.dumps(epoch) + "\n" for epoch in epochs))
    return ranks
