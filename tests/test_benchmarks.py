"""The builds that benchmarks compare with are the same functions, and the benchmarks run."""

import json
import sys

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from benchmarks import enrichment, exact_ranks, query_encoding, query_training, serving_latency
from benchmarks.straight import same_weights, straight_loss, straight_twin
from benchmarks.train_step import (
    TOLERANCE,
    largest_difference,
    loss_curves,
    main,
    make_batch,
    our_step,
    product_tower,
    straight_step,
)
from benchmarks.worker import Worker
from tfsage.config import HashEmbeddingConfig, ImageConfig, ItemSageTowerConfig

PAIRS, VOCABULARY = 8, 300
CONFIG = ItemSageTowerConfig(
    kind="itemsage",
    images=ImageConfig(slots=3, dimension=8),
    hash_embedding=HashEmbeddingConfig(buckets=50, dimension=8),
    width=16,
    heads=2,
    feed_forward=32,
    head_hidden=24,
    dimension=8,
)


def gradient_descent(_):
    return tf_keras.optimizers.SGD(1.0)


def test_the_straight_build_has_the_loss_and_every_gradient_of_ours():
    tower, batch = product_tower(CONFIG, VOCABULARY), make_batch(CONFIG, VOCABULARY, PAIRS)
    twin = straight_twin(tower)
    before = [own.numpy() for own, _ in same_weights(tower, twin)]
    straight = straight_step(twin, gradient_descent)(batch)
    np.testing.assert_allclose(our_step(tower, gradient_descent)(batch), straight, rtol=1e-5)
    for start, (own, other) in zip(before, same_weights(tower, twin), strict=True):
        # The bias of the keys has no gradient but rounding: softmax ignores it.
        assert "key/bias" in own.name or np.abs(own.numpy() - start).max() > 1e-4, own.name
        np.testing.assert_allclose(own.numpy(), np.reshape(other.numpy(), own.shape), atol=1e-4, err_msg=own.name)


def test_their_loss_curves_are_one():
    ours, straight = loss_curves(CONFIG, VOCABULARY, PAIRS, 50)
    assert len(ours) == 50
    assert largest_difference(ours, straight) < TOLERANCE
    assert largest_difference(ours[1:], straight[:-1]) > 10 * TOLERANCE


def test_largest_difference_is_absolute_or_relative_and_never_overlooks_what_is_not_finite():
    assert largest_difference(np.array([10.0, 0.1]), np.array([10.5, 0.1])) == 0.5
    assert largest_difference(np.array([10.0, 0.2]), np.array([10.0, 0.1])) == pytest.approx(1.0)
    assert largest_difference(np.array([np.nan]), np.array([1.0])) == np.inf


def test_straight_loss_by_hand():
    # Logits [[2, 1], [0, 3]] against the positives, p = (1/2, 1/4), as in the docstring of tfsage.losses; random
    # negatives with logits (1, 2) and (1, 0), the last one a copy of the second positive.
    embeddings = tf.constant([[2.0, 0.0], [1.0, 3.0], [1.0, 1.0], [2.0, 0.0]])
    log_q = tf.math.log([0.5, 0.25, 0.1, 0.1])
    loss = straight_loss(tf.eye(2), embeddings, tf.constant([1, 2]), tf.constant([7, 8, 9, 8]), log_q, 1.0)
    in_batch = np.log1p((np.e / 0.25) / (np.e**2 / 0.5)), np.log1p((1 / 0.5) / (np.e**3 / 0.25))
    random = np.log1p((np.e + np.e**2) / np.e**2), np.log1p(np.e / np.e**3)
    np.testing.assert_allclose(loss, (sum(in_batch) + sum(random)) / 2, rtol=1e-5)


def test_a_worker_answers_and_says_how_it_ended():
    program = "import sys, json\nfor line in sys.stdin:\n    print(json.dumps({'got': line.strip()}), flush=True)"
    with Worker([sys.executable, "-c", program]) as worker:
        assert [worker.ask("a"), worker.ask("b")] == [{"got": "a"}, {"got": "b"}]
    with Worker([sys.executable, "-c", "raise SystemExit(3)"]) as worker, pytest.raises(SystemExit, match="code 3"):
        worker.ask("a")


def test_train_step_ends_with_one_json_object(capsys):
    main(smoke=True, curve=False)
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["name"], result["rounds"]) == ("train_step", 2)
    assert result["ratio"] > 0


def test_query_training_reads_pairs_and_learns(tmp_path):
    texts, products = query_training.training_pairs(tmp_path, pairs=8, batches=2)
    assert np.shape(texts) == (2, 8) and products.shape == (2, 8, 256)
    assert len({text for batch in texts for text in batch}) == 16
    tower = query_training.make_tower(query_training.SMALL, texts, tmp_path / "vocabulary.txt")
    assert tower.tokenizer.vocabulary_size() == query_training.SMALL["vocabulary_size"]
    step = query_training.our_step(tower, texts, products)
    losses = [step() for _ in range(60)]
    assert losses[-2] < losses[0] and losses[-1] < losses[1]


def test_query_training_is_the_same_in_sentence_transformers(capsys):
    if not (query_training.ENVIRONMENT / ".installed").exists():
        print("\n.venv-sbert is missing (make bench-sbert makes it): query_training is not compared")
        return
    query_training.main(smoke=True)
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["name"], result["rounds"]) == ("query_training", 2)
    assert result["ratio"] > 0


def test_query_encoding_needs_the_same_vectors_in_sentence_transformers(capsys):
    if not (query_training.ENVIRONMENT / ".installed").exists():
        print("\n.venv-sbert is missing (make bench-sbert makes it): query_encoding is not compared")
        return
    query_encoding.main(smoke=True)
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["name"], result["rounds"]) == ("query_encoding", 2)
    assert min(result["ratio"], result["batches"]) > 0


class Encoder:
    """Both sides of query_encoding: encodes to the lengths of the texts, and remembers what it was given."""

    def __init__(self):
        self.batches = []

    def embed(self, texts):
        self.batches.append(texts)
        return np.array([[len(text)] for text in texts], np.float32)

    def ask(self, line):
        request = json.loads(line)
        if "texts" in request:
            return {"vectors": self.embed(request["texts"]).tolist()}
        self.batches += request["batches"]
        return {"seconds": [float(len(self.batches))] * len(request["batches"])}


def test_query_encoding_asks_both_sides_the_same_and_leaves_the_first_round_out():
    ours, theirs = Encoder(), Encoder()
    seconds = query_encoding.measure(ours, theirs, ["a", "bb", "ccc", "dd", "e"], size=2, rounds=2, calls=3)
    assert ours.batches == theirs.batches == [["a", "bb"], ["ccc", "dd"]] * 4 + [["a", "bb"]]
    assert seconds["sentence-transformers"] == [6.0] * 3 + [9.0] * 3
    assert len(seconds["tfsage"]) == 6


def test_query_encoding_ends_when_the_vectors_differ(monkeypatch):
    query_encoding.check_same(Encoder(), Encoder(), ["a", "bb"])
    other = Encoder()
    monkeypatch.setattr(other, "embed", lambda texts: np.array([[len(text) + 1e-3] for text in texts], np.float32))
    with pytest.raises(SystemExit, match="the vectors differ by 0.001"):
        query_encoding.check_same(other, Encoder(), ["a", "bb"])


def test_query_encoding_reads_a_file_of_queries(tmp_path):
    (tmp_path / "queries.txt").write_text("red chair\n\nblue lamp\nred chair\ncaf\u00e9 table\n")
    assert sorted(query_encoding.query_texts(tmp_path / "queries.txt", tmp_path, 0)) == ["blue lamp", "red chair"]


def test_exact_ranks_ends_with_one_json_object(capsys):
    exact_ranks.main(smoke=True)
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["name"], result["rounds"]) == ("exact_ranks", 2)
    assert min(result["ratio"], result["share_of_matmul"]) > 0
    assert set(result["memory_mb"]) == {"2000", "8000"}


def test_serving_latency_ends_with_one_json_object(capsys):
    serving_latency.main(smoke=True)
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["name"], result["rounds"]) == ("serving_latency", 2)
    assert min(result["ratio"], result["p99"], result["batching"]) > 0


def test_enrichment_ends_with_one_json_object(capsys):
    enrichment.main(smoke=True)
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["name"], result["rounds"]) == ("enrichment", 1)
    assert min(result["ratio"], *result["peak_gib"].values()) > 0


def test_months_that_keep_all_queries_agree_with_a_full_recount_and_those_that_keep_few_do_not():
    agreed = enrichment.agreement(0.4, 500, kept=[20, 500], products=2)
    assert agreed[500] == 1.0 and agreed[20] < 0.95
