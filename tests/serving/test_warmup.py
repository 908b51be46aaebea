"""Warm-up records: all of them are replayed, and any that fails keeps the model from being served."""

import re

import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tests.serving.models import TinyTower, predict_request
from tfsage.errors import TfsageError
from tfsage.serving.client import embed_request
from tfsage.serving.model import Model
from tfsage.serving.warmup import MAX_RECORDS, replay_warmup_requests, write_warmup_requests

FILE = "assets.extra/tf_serving_warmup_requests"
GOOD = embed_request(["a", "b"])
BAD = predict_request("query_tower", text=["a"])


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Model:
    folder = tmp_path_factory.mktemp("warm")
    TinyTower(("query",), seed=3).save(folder)
    return Model.load("query_tower", 1, folder)


def write_logs(folder, logs) -> None:
    (folder / "assets.extra").mkdir()
    with tf.io.TFRecordWriter(str(folder / FILE)) as writer:
        for log in logs:
            writer.write(log)


def test_every_record_is_sent_to_the_model(model, tmp_path, monkeypatch):
    runs, run = [], model.run
    monkeypatch.setattr(model, "run", lambda feeds, *rest: runs.append(feeds) or run(feeds, *rest))
    write_warmup_requests(tmp_path, [GOOD, embed_request([""])])
    assert replay_warmup_requests(model, tmp_path) == 2
    assert [next(iter(feeds.values())).tolist() for feeds in runs] == [[b"a", b"b"], [b""]]


def test_a_model_without_records_is_fine(model, tmp_path):
    assert replay_warmup_requests(model, tmp_path) == 0


def test_the_record_that_fails_is_named(model, tmp_path):
    write_warmup_requests(tmp_path, [GOOD, BAD])
    message = (
        f"{tmp_path / FILE}: the warm-up records cannot be replayed: record 2 failed: Signature input alias: query"
    )
    with pytest.raises(TfsageError, match=f"^{re.escape(message)}"):
        replay_warmup_requests(model, tmp_path)


def test_more_records_than_the_stock_server_takes_are_refused(model, tmp_path):
    write_warmup_requests(tmp_path, [GOOD] * (MAX_RECORDS + 1))
    with pytest.raises(TfsageError, match="more than 1000 records"):
        replay_warmup_requests(model, tmp_path)


def test_a_damaged_file_is_refused(model, tmp_path):
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / FILE).write_bytes(b"this is not a TFRecord file at all")
    with pytest.raises(TfsageError, match="not a TFRecord file"):
        replay_warmup_requests(model, tmp_path)


def test_a_record_of_another_kind_is_refused(model, tmp_path):
    log = prediction_log_pb2.PredictionLog()
    log.session_run_log.SetInParent()
    write_logs(tmp_path, [log.SerializeToString()])
    with pytest.raises(TfsageError, match="record 1 failed: it is a session_run_log"):
        replay_warmup_requests(model, tmp_path)


def test_a_record_that_is_no_message_is_refused(model, tmp_path):
    write_logs(tmp_path, [b"\xff\xff\xff"])
    with pytest.raises(TfsageError, match="record 1 failed"):
        replay_warmup_requests(model, tmp_path)
