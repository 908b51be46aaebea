import dataclasses
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.evaluation.worlds import as_counts, make_judgements, make_vectors
from tfsage.errors import TfsageError
from tfsage.evaluation.baselines import rank_randomly
from tfsage.evaluation.dense_ranks import rank_dense
from tfsage.evaluation.frozen import (
    FrozenVectors,
    candidate_file,
    write_products,
    write_ranks,
    write_strata,
    write_task,
    write_tasks,
)
from tfsage.evaluation.strata import Stratum

PLACES = np.array([0, 1, 4, 5, 6, 8, 9, 10, 12, 13, 15])
"""Where the queries of the task lie in a file that also holds other queries."""


@pytest.fixture
def folder(tmp_path):
    judgements = make_judgements()
    queries, products = make_vectors(judgements)
    stored = np.full((16, 2), np.nan, np.float32)
    stored[PLACES] = queries
    np.save(tmp_path / "queries_text_query.npy", stored)
    np.save(tmp_path / "products_product.npy", products)
    write_products(tmp_path, [f"p{row}" for row in range(60)], judgements.distractors)
    ids = [f"q{q}" for q in judgements.query], [f"p{p}" for p in judgements.product]
    write_task(tmp_path / "search_click", judgements, PLACES, *ids)
    ranks = {"model": rank_dense(queries, products, judgements), "random": rank_randomly(judgements)}
    write_ranks(tmp_path / "search_click", ranks)
    write_tasks(tmp_path, {"search_click": {"queries": "queries_text_query.npy", "products": "products_product.npy"}})
    return tmp_path


def test_ranks_can_be_recomputed_from_the_files(folder):
    frozen = FrozenVectors(folder)
    assert frozen.tasks == ["search_click"]
    recomputed = rank_dense(*frozen.vectors("search_click"), frozen.judgements("search_click"))
    stored = frozen.ranks("search_click")
    assert list(stored) == ["model", "random"]
    np.testing.assert_array_equal(as_counts(stored["model"]), as_counts(recomputed))
    np.testing.assert_array_equal(
        as_counts(stored["random"]), as_counts(rank_randomly(frozen.judgements("search_click")))
    )


def test_judgements_come_back_whole(folder):
    expected, read = make_judgements(), FrozenVectors(folder).judgements("search_click")
    for name in ("query", "product", "weight", "distractors", "excluded_query", "excluded_product"):
        np.testing.assert_array_equal(getattr(read, name), getattr(expected, name))
    assert read.products == expected.products


def test_pairs_carry_their_ids(folder):
    judgements, ids = make_judgements(), FrozenVectors(folder).pair_ids("search_click")
    assert ids["query_id"].to_pylist() == [f"q{q}" for q in judgements.query]
    assert ids["product_id"].to_pylist() == [f"p{p}" for p in judgements.product]


def test_tasks_about_other_entities_have_a_catalog_of_their_own(folder):
    judgements = make_judgements()
    queries, pins = make_vectors(judgements)
    more = np.concatenate([pins, pins[:4]])
    np.save(folder / candidate_file("pin", "product"), more)
    others = dataclasses.replace(judgements, products=64)
    write_products(folder, [f"pin{row}" for row in range(64)], others.distractors, entity_type="pin")
    write_task(folder / "pin_save", others, PLACES, ["q"] * len(others.query), ["pin"] * len(others.query))
    files = {"queries": "queries_text_query.npy", "products": candidate_file("pin", "product"), "entity_type": "pin"}
    product = {"queries": "queries_text_query.npy", "products": "products_product.npy"}
    write_tasks(folder, {"search_click": product, "pin_save": files})
    frozen = FrozenVectors(folder)
    assert [frozen.entity_type(task) for task in frozen.tasks] == ["product", "pin"]
    assert [frozen.judgements(task).products for task in frozen.tasks] == [60, 64]
    np.testing.assert_array_equal(frozen.vectors("pin_save")[1], more)
    np.testing.assert_array_equal(frozen.vectors("search_click")[1], pins)


def test_no_tensorflow_is_needed(folder):
    code = f"""
import sys
from tfsage.evaluation import FrozenVectors
frozen = FrozenVectors({str(folder)!r})
frozen.judgements("search_click"), frozen.vectors("search_click"), frozen.ranks("search_click")
sys.exit(sum(name in sys.modules for name in ("tensorflow", "tf_keras", "scann")))
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_strata_come_back_and_old_folders_have_none(folder):
    assert FrozenVectors(folder).strata("search_click") == {}
    pairs = len(make_judgements().query)
    stratum = Stratum(np.arange(pairs) % 3 - 1, ("first", "never", "second"))
    write_strata(folder / "search_click", {"which": stratum})
    read = FrozenVectors(folder).strata("search_click")["which"]
    np.testing.assert_array_equal(read.code, stratum.code)
    assert read.names == stratum.names


def test_ranks_of_an_earlier_version_are_refused(folder):
    path = folder / "search_click" / "ranks.parquet"
    pq.write_table(pq.read_table(path).drop(["model.nested_greater", "model.nested_equal"]), path)
    with pytest.raises(TfsageError, match="earlier version; run `tfsage evaluate`"):
        FrozenVectors(folder).ranks("search_click")


def test_an_unfinished_evaluation_is_refused(tmp_path):
    with pytest.raises(TfsageError, match="tfsage evaluate"):
        FrozenVectors(tmp_path)
