"""What the classification examples feed their probes with."""

import json

import numpy as np
import pyarrow.parquet as pq

from examples.classification import _same_title_or_picture, _without_words_of
from examples.query_classification import ACTIONS, labelled_queries
from examples.query_classification import main as classify_queries
from tfsage.training.run import Run


def test_titles_and_pictures_join_products_in_chains():
    titles = ["Red Shoe", "red shoe", "Blue Hat", "Green Bag", "Blue hat"]
    pictures = ["a", "b", "b", "c", "d"]
    # The first two share a title, the second a picture with the third, and that its title with the last.
    groups = _same_title_or_picture(titles, pictures)
    assert len({groups[row] for row in (0, 1, 2, 4)}) == 1
    assert groups[3] != groups[0]
    assert len(groups) == 5


def test_words_of_labels_are_taken_out_in_every_inflection():
    names = {"Casual Shoes", "Navy Blue"}
    texts = ["Nike Navy-blue Running Shoe, casually", "BLUES brothers", ""]
    assert _without_words_of(names, texts) == ["Nike Running", "brothers", ""]


def test_a_query_is_labelled_by_where_most_of_its_held_out_engagements_lead(trained_run):
    run = Run.open(trained_run)
    queries, paths = labelled_queries(run)
    category = pq.read_table(run.data.folder / "products.parquet")["google_product_category"].to_numpy()
    pairs = [run.data.pairs(split, "search", "query", ACTIONS) for split in ("dev", "test")]
    assert len(queries) > 20
    for query, path in zip(queries[:20], paths[:20], strict=True):
        led = np.concatenate([category[own.product[own.query == query]] for own in pairs])
        counts = np.concatenate([own.count[own.query == query] for own in pairs])
        assert counts[led == " > ".join(path)].sum() > counts.sum() / 2
    asked = np.unique(np.concatenate([own.query for own in pairs]))
    assert set(queries) < set(asked)


def test_queries_are_probed_at_every_level(trained_run, bundles, tmp_path, capsys):
    out = tmp_path / "out.json"
    classify_queries(trained_run, bundles, labelled=(60, 120), out=out)
    results = json.loads(out.read_text())
    assert [each["label"] for each in results] == [f"level {level} of the taxonomy" for level in (2, 2, 3, 3)]
    assert all({"query tower linear", "fasttext", "majority"} <= set(each["systems"]) for each in results)
    assert "level 3 of the taxonomy" in capsys.readouterr().out
