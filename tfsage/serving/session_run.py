"""Calls into a TensorFlow session, without the checks that Python adds to them.

TensorFlow Serving calls the C++ session, which does not compare what is fed with the placeholder's declared shape;
`tf.compat.v1.Session.run` does, and words a wrong type differently. `TF_SessionRun` is the same C++ call, but private
to TensorFlow, so this is the only file that knows it; without it the public call is used.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
from tensorflow.python.client import pywrap_tf_session

from tfsage.serving.status import ServingError, invalid

_raw_run = getattr(pywrap_tf_session, "TF_SessionRun_wrapper", None)


class SessionRunner:
    """Runs tensors of one session, whose graph must not change any more; safe to call from many threads."""

    def __init__(self, session: tf.compat.v1.Session):
        self._session = session
        if _raw_run is not None:
            session._extend_graph()

    def __call__(
        self, feeds: Mapping[tf.Tensor, np.ndarray], fetches: Sequence[tf.Tensor], timeout: float | None = None
    ) -> list[np.ndarray]:
        """The values of `fetches`.

        Args:
            feeds: values by symbolic tensor, passed through unchecked; strings are `bytes` in an object array.
            timeout: seconds after which TensorFlow gives the run up; None waits.

        Raises:
            ServingError: what the session or a kernel refused, with TensorFlow's status code and words.
        """
        options = None if timeout is None else tf.compat.v1.RunOptions(timeout_in_ms=max(1, int(timeout * 1000)))
        try:
            if _raw_run is None:
                return self._session.run(list(fetches), dict(feeds), options=options)
            return self._run_raw(feeds, fetches, options)
        except tf.errors.OpError as error:
            raise ServingError.from_tensorflow(error) from None
        except (UnicodeDecodeError, ValueError, TypeError) as error:
            # The bindings fail in this way when a kernel's message quotes input that is not UTF-8.
            raise invalid(f"the model rejected the input: {error}") from None

    def _run_raw(self, feeds, fetches, options) -> list[np.ndarray]:
        buffer = None if options is None else pywrap_tf_session.TF_NewBufferFromString(options.SerializeToString())
        try:
            return _raw_run(
                self._session._session,
                buffer,
                {tensor._as_tf_output(): value for tensor, value in feeds.items()},
                [tensor._as_tf_output() for tensor in fetches],
                [],
                None,
            )
        finally:
            if buffer is not None:
                pywrap_tf_session.TF_DeleteBuffer(buffer)
