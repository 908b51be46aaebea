"""The retriever's answers are those of exact search, in a process that knows nothing of the project."""

import contextlib
import json
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from export.save_retriever import Retriever, build_layer, save_retriever
from export.saved_model import Signature
from export.tune_index import read_embeddings
from export.tuning_queries import Halves
from tests.conftest import command
from tests.export import fakes
from tfsage.errors import TfsageError

QUERIES = ["red chair", "blue", "white rug lamp", "green shelf", "unknown"]
FRESH = """
import json, sys
import tensorflow as tf, tensorflow_text
from scann import scann_ops
serve = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
answers = [serve(query=tf.constant(texts)) for texts in (json.loads(sys.argv[2]), ["blue"])]
print(json.dumps([{name: value.numpy().astype(str).tolist() for name, value in each.items()} for each in answers]))
"""


def exact(bundle, texts, k):
    """Scores of all products, and the k best."""
    vectors, id_map = read_embeddings(bundle)
    scores = Signature(bundle.query_tower)(query=np.array([text.encode() for text in texts], object)) @ vectors.T
    return dict(enumerate(id_map["product_id"].to_pylist())), scores, -np.sort(-scores, axis=1)[:, :k]


def test_at_full_effort_a_fresh_process_answers_as_exact_search_does(made_bundle, tmp_path):
    vectors, id_map = read_embeddings(made_bundle)
    ids = tf.constant(id_map["product_id"].to_pylist())
    retriever = Retriever(made_bundle.query_tower, build_layer(vectors, ids, 7, leaves=6, searched=6, reorder=60))
    tf.saved_model.save(retriever, str(tmp_path / "1"), {"serving_default": retriever.retrieve})
    words = [sys.executable, "-c", FRESH, str(tmp_path / "1"), json.dumps(QUERIES)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    many, one = json.loads(done.stdout.splitlines()[-1])
    names, scores, best = exact(made_bundle, QUERIES, 7)
    np.testing.assert_allclose(np.array(many["scores"], float), best, atol=1e-5)
    place = {name: row for row, name in names.items()}
    # Which of two equal products comes first is nobody's promise: an id has to have its own score.
    rows = np.array([[place[name] for name in each] for each in many["ids"]])
    np.testing.assert_allclose(np.take_along_axis(scores, rows, axis=1), best, atol=1e-5)
    assert all(len(set(each)) == 7 for each in many["ids"])
    assert one["scores"] == [many["scores"][1]]


def test_the_leaves_searched_follow_from_the_target(made_bundle, tmp_path):
    vectors, _ = read_embeddings(made_bundle)
    queries = Halves({"products": vectors[:40]}, {"products": vectors[40:80]})
    assert save_retriever(made_bundle, queries, 0.95, 10, tmp_path / "retriever", leaves=10) >= 0.9
    serve = tf.saved_model.load(str(tmp_path / "retriever" / "1")).signatures["serving_default"]
    found = serve(query=tf.constant(QUERIES))
    assert found["ids"].shape == (5, 10) and found["ids"].dtype == tf.string
    assert serve.structured_input_signature[1]["query"].shape.as_list() == [None]
    assert serve(query=tf.constant([], tf.string))["ids"].shape == (0, 10)


def test_recall_is_that_of_queries_which_did_not_choose_the_leaves(made_bundle, tmp_path, monkeypatch, capsys):
    """Products lie in the leaf that is searched first; random directions, far from all, need many."""
    monkeypatch.setattr(tf.saved_model, "save", lambda _, folder, *more: tf.io.gfile.makedirs(folder))
    monkeypatch.setattr("export.save_retriever.staged_folder", lambda out, *_: contextlib.nullcontext(out))
    vectors, _ = read_embeddings(made_bundle)
    far = np.random.default_rng(1).normal(size=(200, vectors.shape[1])).astype(np.float32)
    far /= np.linalg.norm(far, axis=1, keepdims=True)
    halves = Halves({"products": vectors[:40]}, {"products": far})
    measured = save_retriever(made_bundle, halves, 0.3, 10, tmp_path / "retriever", leaves=20)
    tuned = float(re.findall(r"recall@10 (\S+)", capsys.readouterr().err)[-1])
    assert tuned >= 0.3
    assert measured < tuned - 0.02


def test_where_too_few_are_found_the_ids_are_empty(made_bundle):
    """One leaf of twenty holds a few products only, and 30 are asked for."""
    vectors, id_map = read_embeddings(made_bundle)
    layer = build_layer(vectors, tf.constant(id_map["product_id"].to_pylist()), 30, leaves=20, searched=1)
    retriever = Retriever(made_bundle.query_tower, layer)
    found = retriever.retrieve(tf.constant(["red chair"]))
    ids, scores = found["ids"].numpy()[0], found["scores"].numpy()[0]
    count = int(np.isfinite(scores).sum())
    assert 0 < count < 30
    assert (ids[count:] == b"").all() and (scores[count:] == -np.inf).all()
    assert len(set(ids[:count])) == count and b"" not in ids[:count]


def test_what_it_needs(made_towers, tmp_path):
    with pytest.raises(TfsageError, match="no embeddings; run python -m export.catalog first"):
        save_retriever(made_towers, Halves({}, {}), 0.9, 10, tmp_path / "out")
    alone = fakes.write_towers(tmp_path / "bundle").update(query_tower=False)
    with pytest.raises(TfsageError, match="there is no query tower"):
        save_retriever(alone, Halves({}, {}), 0.9, 10, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command(bundles, trained_run, tmp_path):
    done = command(["export.retriever", "--run", trained_run, "--out", tmp_path / "retriever", "-k", 5])
    assert "retriever with recall@5" in done.stderr
    assert (tmp_path / "retriever" / "1" / "saved_model.pb").exists()
