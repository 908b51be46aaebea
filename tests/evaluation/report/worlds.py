"""A whole report made by hand, in the shape of metrics.json, format 2, with every section that the page can show."""

from tfsage.evaluation.report.contents import alarms

SYSTEMS = ("model", "fusion", "two_tower", "bm25", "popularity", "random")
LEVEL = {"model": 0.62, "fusion": 0.65, "two_tower": 0.5, "bm25": 0.41, "popularity": 0.12, "random": 0.01}
K = (10, 100)
DECILES = ("no engagements", *(f"decile {place}" for place in range(1, 11)))
NOVELTY = tuple(f"{query} query, {product} product" for query in ("seen", "novel") for product in ("seen", "novel"))
STRATA = {"popularity_decile": DECILES, "cold_start": ("cold", "warm"), "novelty": NOVELTY}


def make_report(**changes) -> dict:
    """What `gather_report` returns; `changes` replace entries."""
    metrics = changes.pop("metrics", None) or make_metrics()
    report = {
        "format": 1,
        "title": "a run",
        "alarms": alarms(metrics),
        "metrics": metrics,
        "examples": {
            "search_click": [
                {
                    "query": "<script>alert(1)</script>",
                    "recall": 0.5,
                    "relevant": ["desk", "oak desk", "a desk", "table"],
                    "returned": [{"title": "desk", "relevant": True}, {"title": "", "relevant": False}],
                }
            ]
        },
        "history": [
            {"step": step, "loss": {"all": 900 / step, "search_click": 950 / step}, "temperature": {"product": 0.07}}
            for step in (50, 100, 150)
        ],
        "data": {
            "tables": {"pins": {"rows": 12345}},
            "dates": ["2024-01-01", "2024-03-01"],
            "pairs": [{"split": "train", "pairs": 4321, "engagements": 9876.0}, {"split": "test", "pairs": 7}],
        },
        "index": make_index(),
        "serving": make_serving(),
    }
    return report | changes


def make_metrics() -> dict:
    """metrics.json of two tasks; the second has neither fusion nor grades."""
    return {
        "format": 2,
        "split": "test",
        "distractors": 20000,
        "products": 50000,
        "k": list(K),
        "bootstrap": 1000,
        "confidence": 0.95,
        "seed": 1,
        "skipped": ["closeup_save"],
        "missing_features": [
            {"entity_type": "pin", "feature": "title", "towers": ["unified"], "missing": 0.123, "absent": False},
            {"entity_type": "pin", "feature": "captions", "towers": ["unified", "b"], "missing": 1.0, "absent": True},
        ],
        "distractor_set": {"id": "v1-0123456789ab", "version": 1, "seed": 1, "size": 20000},
        "tasks": {
            "search_click": make_task(SYSTEMS),
            "closeup_checkout": make_task(tuple(name for name in SYSTEMS if name not in ("fusion", "bm25")), 0.9),
        },
    }


def make_task(systems: tuple[str, ...], factor: float = 1.0) -> dict:
    """One task of metrics.json."""
    level = {system: factor * LEVEL[system] for system in systems}
    baselines = [system for system in systems if system not in ("model", "fusion")]
    sizes = [1000, 5000, 20000, 50000]
    task = {
        "pairs": 4321,
        "queries": 1234,
        "engagements": 9876.0,
        **_measured(level["model"]),
        "baselines": {system: _measured(level[system]) for system in baselines},
        "differences": {system: _differences(level["model"] - level[system]) for system in baselines},
        "recall_curve": {"k": [1, 10, 100, 1000]}
        | {system: [min(1, value * share) for share in (0.3, 1, 1.4, 1.6)] for system, value in level.items()},
        "distractor_curve": {"distractors": sizes, "k": list(K)}
        | {
            system: {f"recall@{k}": [value * (1 - 0.1 * place) for place in range(len(sizes))] for k in K}
            for system, value in level.items()
        },
        "strata": {
            stratum: [
                {"group": group, "pairs": 100 + place, "queries": 50, "share": 1 / len(groups)}
                | {system: _measured(value * (0.6 + 0.05 * place)) for system, value in level.items()}
                for place, group in enumerate(groups)
            ]
            for stratum, groups in STRATA.items()
        },
        "ranks": {
            system: {"median_minimum": 7.0, "median_expected": 7.5, "median_maximum": 8.0, "tied": 0.03}
            | {f"recall@{k}_{which}": value for k in K for which in ("minimum", "maximum")}
            for system, value in level.items()
        },
        "hubness": {"k": 10, "queries": 1234, "alarm": None}
        | {name: _concentration(share) for name, share in HUBS.items()},
        "mean_cosine": {"queries": 0.1, "products": 0.05},
        "collapsed": False,
        "alarms": [],
    }
    if "fusion" in systems:
        others = ["model", *baselines]
        task["fusion"] = _measured(level["fusion"])
        task["fusion"]["differences"] = {o: _differences(level["fusion"] - level[o]) for o in others}
        task["graded"] = {system: {"ndcg@10": _value(value / 2)} for system, value in level.items()}
    return task


def make_index() -> dict:
    """An `IndexSummary` of a tree that was tuned."""
    curve = [
        {"effort": {"leaves": leaves, "reorder": 100}, "recall": recall, "recalls": {}, "milliseconds": leaves / 100}
        for leaves, recall in ((5, 0.7), (10, 0.85), (20, 0.93), (40, 0.961), (80, 0.98))
    ]
    effort = {"leaves": 40, "reorder": 100}
    about = {"kind": "scann_tree", "k": 10, "recall": 0.961, "target": 0.95, "tuned_on": "held-out dev queries"}
    return {**about, "effort": effort, "curve": curve}


def make_serving() -> dict:
    """serving.json of one task."""
    steps = [
        {"step": name, "recall@10": _value(0.6 - lost), "overlap@10": 1 - lost}
        | ({"lost@10": {"difference": -lost, "low": -lost - 0.002, "high": -lost + 0.002}} if lost else {})
        for name, lost in (("exact float32", 0.0), ("SavedModel", 0.001), ("index (scann_tree)", 0.017))
    ]
    return {"bundle": "0123456789ab", "k": [10], "tasks": {"search_click": steps}}


HUBS = {"model": 0.113, "engaged_products": 0.057, "popularity": 1.0}


def _concentration(share: float) -> dict:
    shape = {"above_10_percent": 8, "above_1_percent": 310, "skewness": 9.87, "gini": 0.817}
    return {"max_share": share, **shape, "coverage": 0.389, "expected_frequency": 18.54}


def _measured(value: float) -> dict:
    shares = {"recall": 1.0, "macro_recall": 0.95, "query_recall": 0.9}
    return {f"{name}@{k}": _value(value * share * (1 if k == 10 else 1.3)) for name, share in shares.items() for k in K}


def _differences(difference: float) -> dict:
    return {
        metric: {"difference": difference, "low": difference - 0.04, "high": difference + 0.04, "queries": 1234}
        for metric in _measured(0.5)
    }


def _value(value: float) -> dict:
    return {"value": value, "low": max(0.0, value - 0.02), "high": value + 0.02, "queries": 1234}
