"""A sentence-transformers model from a local folder: text queries and product texts by what it makes of them."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tfsage.errors import TfsageError


def sentence_encoder(folder: str | Path):
    """The model of a folder; nothing is downloaded.

    Raises:
        TfsageError: the package is not installed, or the folder holds no such model.
    """
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise TfsageError(
            "baselines: sentence-transformers is not installed; `pip install sentence-transformers`, or leave "
            "--sentence-model out"
        ) from None
    folder = Path(folder)
    if not (folder / "modules.json").exists():
        raise TfsageError(f"{folder}: no sentence-transformers model (no modules.json); name its folder")
    return SentenceTransformer(str(folder), local_files_only=True)


def embed_texts(encoder, texts: Iterable[str], batch_size: int = 64) -> np.ndarray:
    """float32 [n, d], unit vectors (zeros where the model gives zeros)."""
    vectors = encoder.encode(list(texts), batch_size=batch_size, normalize_embeddings=True, show_progress_bar=False)
    return np.asarray(vectors, np.float32)
