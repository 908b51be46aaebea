"""Builds a ScaNN searcher in a process of its own: `python -m tfsage.index.worker VECTORS SPEC OUT`.

ScaNN aborts its whole process on some inputs and writes to standard error from C++; here neither reaches the caller.
"""

import sys
from pathlib import Path

import numpy as np

from tfsage.index.spec import IndexSpec

_NEIGHBOURS = 10
_ANISOTROPIC_THRESHOLD = 0.2


def build_searcher(vectors: np.ndarray, spec: IndexSpec, folder: Path) -> None:
    """Builds and serializes a searcher over checked vectors (float32 [n, dimension]) into an existing folder.

    `spherical=True` chooses leaves by normalised centroids: on unit vectors it halves the leaves that a recall needs.
    The threshold weighs quantization error along the vector more than across it (Guo et al., 2020).
    """
    from scann import ReorderType, scann_ops_pybind

    builder = scann_ops_pybind.builder(vectors, _NEIGHBOURS, "dot_product")
    if spec.kind == "scann_brute_force":
        builder = builder.score_brute_force()
    else:
        if spec.kind == "scann_tree":
            builder = builder.tree(
                num_leaves=spec.leaves,
                num_leaves_to_search=spec.start_effort.leaves,
                training_sample_size=spec.training_rows,
                spherical=True,
                quantize_centroids=spec.quantize_centroids,
            )
        builder = builder.score_ah(2, anisotropic_quantization_threshold=_ANISOTROPIC_THRESHOLD)
        builder = builder.reorder(spec.start_effort.reorder, quantize=ReorderType[spec.reorder_dtype.upper()])
    # A path stored absolute would break the index as soon as its bundle is renamed.
    builder.build().serialize(str(folder), relative_path=True)


if __name__ == "__main__":
    # ScaNN imports TensorFlow only to offer its own operations to it; without, this process starts in a tenth of
    # the time and leaves half a gigabyte to the index.
    sys.modules["tensorflow"] = None
    build_searcher(np.load(sys.argv[1]), IndexSpec.model_validate_json(sys.argv[2]), Path(sys.argv[3]))
