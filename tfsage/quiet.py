"""Keeps TensorFlow's own log noise off the user's screen; the one place where that is done."""

import contextlib
import ctypes
import importlib
import io
import logging
import os
import warnings

_NOISY_PACKAGES = ("tensorflow", "tf_keras", "keras_core", "keras_nlp", "tensorflow_recommenders")
_SET_MIN_LOG_LEVEL = "_ZN4absl12lts_2025012714SetMinLogLevelENS0_18LogSeverityAtLeastE"
_ABSL_ERROR = 2


def quiet_tensorflow() -> None:
    """Imports TensorFlow so that only its errors are logged: no start-up, deprecation or retracing notes.

    A command calls this before its other imports, since most of the noise is made while TensorFlow is being imported.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for package in _NOISY_PACKAGES:
        warnings.filterwarnings("ignore", module=rf"{package}\b")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    import tensorflow as tf
    from absl import logging as absl_logging

    absl_logging.set_verbosity(absl_logging.ERROR)
    # Some of TensorFlow's C++ files log through Abseil directly, which does not read TF_CPP_MIN_LOG_LEVEL. Where a
    # build names the library or the function otherwise, their few lines stay.
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(os.path.join(tf.sysconfig.get_lib(), "libtensorflow_cc.so.2"))
        library[_SET_MIN_LOG_LEVEL](ctypes.c_int(_ABSL_ERROR))


def quiet_keras_nlp() -> None:
    """Also imports keras-nlp, whose banner would go to standard output, where a command's results belong."""
    quiet_tensorflow()
    with contextlib.redirect_stdout(io.StringIO()):
        importlib.import_module("keras_nlp")
