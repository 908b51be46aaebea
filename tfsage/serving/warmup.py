"""Warm-up records: requests stored beside a SavedModel, replayed before it is offered.

The file is TensorFlow Serving's: `assets.extra/tf_serving_warmup_requests` in the version folder, one serialized
`PredictionLog` per TFRecord. The stock server refuses to load a version whose records fail, and so do we.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from tfsage.errors import TfsageError
from tfsage.serving.model import Model
from tfsage.serving.predict import predict
from tfsage.serving.status import ServingError

MAX_RECORDS = 1000
_FILE = Path("assets.extra") / "tf_serving_warmup_requests"


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
        TfsageError: a record cannot be read, is not a Predict request or fails, or there are more than `MAX_RECORDS`.
    """
    path = folder / _FILE
    count = 0
    if path.exists():
        for count, record in enumerate(_records(path), start=1):
            if count > MAX_RECORDS:
                raise _damaged(path, f"there are more than {MAX_RECORDS} records")
            try:
                predict(model, _request(record))
            except (DecodeError, ValueError, ServingError) as error:
                raise _damaged(path, f"record {count} failed: {error}") from error
    return count


def _records(path: Path) -> Iterator[bytes]:
    try:
        yield from tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    except tf.errors.DataLossError as error:
        raise _damaged(path, f"not a TFRecord file: {error.message}") from error


def _request(record: bytes) -> predict_pb2.PredictRequest:
    log = prediction_log_pb2.PredictionLog.FromString(record)
    kind = log.WhichOneof("log_type")
    if kind != "predict_log":
        raise ValueError(f"it is a {kind}, expected a predict_log")
    return log.predict_log.request


def _damaged(path: Path, what: str) -> TfsageError:
    return TfsageError(f"{path}: the warm-up records cannot be replayed: {what}; export the bundle again")
