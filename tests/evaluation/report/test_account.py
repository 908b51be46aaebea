"""What the evaluator measures is what the page can show: no shape made by hand in between."""

import numpy as np

from tests.evaluation.report.test_page import Page
from tests.evaluation.worlds import unit
from tfsage.evaluation import account, strata
from tfsage.evaluation.report import render_report, report_markdown
from tfsage.evaluation.report.contents import alarms


def test_every_part_of_real_metrics_is_shown():
    rng = np.random.default_rng(0)
    products = unit(rng.standard_normal((120, 8)))
    pairs = np.stack([np.arange(40), rng.permutation(120)[:40]], axis=1)
    queries = unit(products[pairs[:, 1]] + 0.5 * rng.standard_normal((40, 8)))
    popularity, seen = rng.integers(0, 9, 120).astype(float), rng.random(40) < 0.5
    groups = {
        "popularity_decile": strata.popularity_deciles(popularity, pairs[:, 1]),
        "novelty": strata.novelty(seen, seen[::-1]),
        "language": strata.labelled(["en", "de"] * 20),
    }
    task = account(
        queries,
        products,
        pairs,
        k=(5, 20),
        popularity=popularity,
        strata=groups,
        graded=(pairs, np.ones(40)),
        bootstrap=50,
    )
    metrics = {"split": "test", "k": [5, 20], "distractors": 120, "products": 120, "confidence": 0.95}
    metrics |= {"bootstrap": 50, "skipped": [], "tasks": {"search_click": task}}
    about = {"title": "real", "alarms": alarms(metrics), "metrics": metrics, "index": None, "serving": None}
    report = {**about, "examples": {}, "history": [], "data": {}}
    page = render_report(report)
    text = Page(page).text
    for name in ("popularity decile", "novelty", "language", "ndcg@5", "Ranks under ties", "number of distractors"):
        assert name in text
    own = task["recall@5"]
    assert f"{own['value']:.3f}[{own['low']:.3f}, {own['high']:.3f}]" in text
    assert f"{task['strata']['language'][0]['model']['recall@5']['value']:.3f}" in text
    card = "\n".join(report_markdown(report))
    assert "| language | de | 20 | 50.0 % |" in card and "ndcg@5" in card
