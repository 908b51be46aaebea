"""Text files that configure TensorFlow Serving, and the messages of them that its API wheel leaves out.

The wheel has `ModelServerConfig`; `BatchingParameters`, `MonitoringConfig` and `SSLConfig` are declared here with the
field numbers and types of session_bundle_config.proto, monitoring_config.proto and ssl_config.proto.
"""

from pathlib import Path
from typing import TypeVar

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from google.protobuf.message import Message

from tfsage.errors import TfsageError

_FIELD = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "tfsage.serving"
_INT64, _STRING, _BOOL = (f".google.protobuf.{name}Value" for name in ("Int64", "String", "Bool"))
_MESSAGES = {
    "BatchingParameters": {
        "max_batch_size": (1, _INT64),
        "batch_timeout_micros": (2, _INT64),
        "max_enqueued_batches": (3, _INT64),
        "num_batch_threads": (4, _INT64),
        "thread_pool_name": (5, _STRING),
        "allowed_batch_sizes": (6, _FIELD.TYPE_INT64),
        "pad_variable_length_inputs": (7, _FIELD.TYPE_BOOL),
        "enable_large_batch_splitting": (8, _BOOL),
        "max_execution_batch_size": (9, _INT64),
    },
    "PrometheusConfig": {"enable": (1, _FIELD.TYPE_BOOL), "path": (2, _FIELD.TYPE_STRING)},
    "MonitoringConfig": {"prometheus_config": (1, f".{_PACKAGE}.PrometheusConfig")},
    "SSLConfig": {
        "server_key": (1, _FIELD.TYPE_STRING),
        "server_cert": (2, _FIELD.TYPE_STRING),
        "custom_ca": (3, _FIELD.TYPE_STRING),
        "client_verify": (4, _FIELD.TYPE_BOOL),
    },
}
_REPEATED = {"allowed_batch_sizes"}
_LARGEST_FILE = 16 << 20

AnyMessage = TypeVar("AnyMessage", bound=Message)


def _message_classes() -> dict[str, type[Message]]:
    file = descriptor_pb2.FileDescriptorProto(name="tfsage/serving.proto", package=_PACKAGE, syntax="proto3")
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            label = _FIELD.LABEL_REPEATED if field in _REPEATED else _FIELD.LABEL_OPTIONAL
            added = message.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                added.type, added.type_name = _FIELD.TYPE_MESSAGE, kind
            else:
                added.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _MESSAGES
    }


_CLASSES = _message_classes()
BatchingParameters = _CLASSES["BatchingParameters"]
MonitoringConfig = _CLASSES["MonitoringConfig"]
SSLConfig = _CLASSES["SSLConfig"]


def read_textproto(path: str | Path, message: AnyMessage) -> AnyMessage:
    """Reads a protobuf text file into `message`, and returns it.

    Raises:
        TfsageError: the file cannot be read, or is not such a message.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise TfsageError(f"{path}: larger than {_LARGEST_FILE >> 20} MB; give the configuration file")
        return text_format.Parse(path.read_text("utf-8"), message)
    except (OSError, UnicodeDecodeError) as error:
        raise TfsageError(f"{path}: cannot be read ({error}); check the path") from None
    except text_format.ParseError as error:
        raise TfsageError(
            f"{path}: Error parsing text-format tensorflow.serving.{message.DESCRIPTOR.name}: {error}; mend this line"
        ) from None
