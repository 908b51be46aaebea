"""Warm-up records: requests stored beside a SavedModel, replayed before it is offered.

The file is TensorFlow Serving's: `assets.extra/tf_serving_warmup_requests` in the version folder, one serialized
`PredictionLog` per TFRecord. The stock server refuses to load a version whose records fail, and so do we.
"""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from tfsage.errors import TfsageError
from tfsage.serving import metrics
from tfsage.serving.inference import classify, multi_inference, regress
from tfsage.serving.model import Model
from tfsage.serving.predict import predict
from tfsage.serving.status import ServingError

MAX_RECORDS = 1000
_FILE = Path("assets.extra") / "tf_serving_warmup_requests"
_CALLS = {
    "predict_log": predict,
    "classify_log": classify,
    "regress_log": regress,
    "multi_inference_log": multi_inference,
}


def write_warmup_requests(folder: Path, requests: Iterable[predict_pb2.PredictRequest]) -> None:
    """Stores Predict requests as the warm-up records of the SavedModel in `folder`."""
    path = folder / _FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for request in requests:
            log = prediction_log_pb2.PredictionLog()
            log.predict_log.request.CopyFrom(request)
            writer.write(log.SerializeToString())


def replay_warmup_requests(model: Model, folder: Path) -> int:
    """Sends every warm-up record of the SavedModel in `folder` to the model loaded from it.

    Returns:
        How many records there were; a SavedModel without the file has none.

    Raises:
        TfsageError: a record cannot be read, is not a request that is replayed or fails, or there are more than
            `MAX_RECORDS`.
    """
    path = folder / _FILE
    if not path.exists():
        return 0
    count, started, status = 0, time.perf_counter(), "INVALID_ARGUMENT"
    try:
        for count, record in enumerate(_records(path), start=1):
            if count > MAX_RECORDS:
                raise _damaged(path, f"there are more than {MAX_RECORDS} records")
            try:
                _replay(model, record)
            except (DecodeError, ValueError, ServingError) as error:
                raise _damaged(path, f"record {count} failed: {error}") from error
        status = "OK"
    finally:
        metrics.warmup_latency.add(str(folder), status, amount=(time.perf_counter() - started) * 1e6)
        metrics.warmup_records.add(str(folder), status, by=count)
    return count


def _records(path: Path) -> Iterator[bytes]:
    try:
        yield from tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    except tf.errors.DataLossError as error:
        raise _damaged(path, f"not a TFRecord file: {error.message}") from error


def _replay(model: Model, record: bytes) -> None:
    log = prediction_log_pb2.PredictionLog.FromString(record)
    kind = log.WhichOneof("log_type")
    if kind not in _CALLS:
        raise ValueError(f"it is a {kind}, expected one of {', '.join(_CALLS)}")
    _CALLS[kind](model, getattr(log, kind).request)


def _damaged(path: Path, what: str) -> TfsageError:
    return TfsageError(f"{path}: the warm-up records cannot be replayed: {what}; export the bundle again")
