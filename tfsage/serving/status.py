"""What a request can fail with: a gRPC status code and a message, and what each code becomes over HTTP."""

from http import HTTPStatus

import grpc
import tensorflow as tf

_MESSAGE_LIMIT = 1024
_CLIENT_CLOSED_REQUEST = 499

_HTTP_STATUS = {
    grpc.StatusCode.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.FAILED_PRECONDITION: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.OUT_OF_RANGE: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    grpc.StatusCode.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    grpc.StatusCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS: HTTPStatus.CONFLICT,
    grpc.StatusCode.ABORTED: HTTPStatus.CONFLICT,
    grpc.StatusCode.RESOURCE_EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
    grpc.StatusCode.CANCELLED: _CLIENT_CLOSED_REQUEST,
    grpc.StatusCode.UNIMPLEMENTED: HTTPStatus.NOT_IMPLEMENTED,
    grpc.StatusCode.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: HTTPStatus.GATEWAY_TIMEOUT,
}
_BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}


class ServingError(Exception):
    """A request that is answered with an error.

    Attributes:
        code: the gRPC status code, as TensorFlow Serving would choose it.
        message: its text, in TensorFlow Serving's wording.
    """

    def __init__(self, code: grpc.StatusCode, message: str):
        super().__init__(message)
        self.code, self.message = code, message

    @classmethod
    def from_tensorflow(cls, error: tf.errors.OpError) -> "ServingError":
        """The error a kernel or the session gave; TensorFlow and gRPC number their codes alike."""
        return cls(_BY_NUMBER.get(error.error_code, grpc.StatusCode.UNKNOWN), error.message)

    @property
    def grpc_details(self) -> str:
        """The message as TensorFlow Serving sends it over gRPC: cut, and marked where it was cut."""
        text = self.message.encode("utf-8", "replace").decode()
        return text if len(text) <= _MESSAGE_LIMIT else f"{text[:_MESSAGE_LIMIT]}...TRUNCATED"

    @property
    def http_status(self) -> int:
        return int(_HTTP_STATUS.get(self.code, HTTPStatus.INTERNAL_SERVER_ERROR))


def invalid(message: str) -> ServingError:
    """The most frequent failure: INVALID_ARGUMENT."""
    return ServingError(grpc.StatusCode.INVALID_ARGUMENT, message)
