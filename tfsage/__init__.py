"""tfsage: product, pin and query embeddings for shopping search and recommendation.

Importing the package is cheap: TensorFlow is loaded when a name that needs it is first used.
"""

import importlib
import os
import sys

__version__ = "0.1.0"

# TensorFlow Recommenders 0.7 works on Keras 2 only, and TensorFlow reads this when it first loads Keras.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

if "tensorflow" in sys.modules and not sys.modules["tensorflow"].keras.Model.__module__.startswith("tf_keras"):
    raise ImportError(
        "TensorFlow was imported before tfsage and has loaded Keras 3, which TensorFlow Recommenders 0.7 "
        "cannot use. Import tfsage first, or set TF_USE_LEGACY_KERAS=1 before importing tensorflow."
    )

_PUBLIC = {
    "EmbeddingModel": "tfsage.models",
    "ItemSage": "tfsage.models",
    "OmniSearchSage": "tfsage.models",
    "SearchSage": "tfsage.models",
    "Config": "tfsage.config",
    "load_config": "tfsage.config",
    "PreparedData": "tfsage.data.prepared",
    "TfsageError": "tfsage.errors",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str):
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'tfsage' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_PUBLIC])
