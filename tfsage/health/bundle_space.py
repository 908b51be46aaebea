"""A bundle as a space: its Parquet parts read in blocks, its SavedModels run as a model server runs them."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow.parquet as pq

from tfsage.bundle import MISSING, Bundle
from tfsage.errors import TfsageError
from tfsage.health.space import Block, Canaries, Space
from tfsage.serving.model import DEFAULT_SIGNATURE, Model

_ROWS = 16_384
_TEXTS = 32


def bundle_space(bundle: Bundle) -> Space:
    """The space of a bundle, whose towers are loaded here; its vectors stay on the disk.

    Raises:
        TfsageError: the catalog is not embedded yet, the embeddings are not the manifest's, or a SavedModel cannot be
            loaded.
    """
    manifest = bundle.manifest
    if manifest.products is None:
        raise TfsageError(f"{bundle.folder}: the catalog is not embedded yet; run python -m export.catalog first")
    bundle.check_embeddings()
    towers = {"product tower": Model.load("product_tower", 1, bundle.product_tower)}
    if bundle.query_tower is not None:
        towers["query tower"] = Model.load("query_tower", 1, bundle.query_tower)
    return Space(
        name=bundle.folder.name,
        dimension=manifest.dimension,
        products=manifest.products,
        blocks=lambda: _blocks(bundle),
        embed=_embedder(towers["query tower"]) if "query tower" in towers else None,
        canary_texts=manifest.canaries.queries,
        canaries=lambda: list(_canaries(bundle, towers)),
        missing=missing_features(bundle),
    )


def missing_features(bundle: Bundle) -> dict[str, float]:
    """Share of the products that lack a feature, by its name, as `export.catalog` has counted them in every part."""
    missing, rows = Counter(), 0
    for part in bundle.parts():
        with pq.ParquetFile(part) as file:
            counted = (file.schema_arrow.metadata or {}).get(MISSING.encode())
            if counted is None:
                return {}
            missing.update(json.loads(counted))
            rows += file.metadata.num_rows
    return {name: count / rows for name, count in missing.items()}


def _blocks(bundle: Bundle) -> Iterator[Block]:
    for part in bundle.parts():
        with pq.ParquetFile(part) as file:
            for batch in file.iter_batches(batch_size=_ROWS, columns=["product_id", "title", "embedding"]):
                vectors = batch.column("embedding").flatten().to_numpy(zero_copy_only=False).astype(np.float32)
                yield Block(
                    [str(product) for product in batch.column("product_id").to_pylist()],
                    [title or "" for title in batch.column("title").to_pylist()],
                    vectors.reshape(len(batch), bundle.manifest.dimension),
                )


def _embedder(tower: Model) -> Callable[[Sequence[str]], np.ndarray]:
    def embed(texts: Sequence[str]) -> np.ndarray:
        return np.concatenate([_run(tower, query=texts[at : at + _TEXTS]) for at in range(0, len(texts), _TEXTS)])

    return embed


def _canaries(bundle: Bundle, towers: dict[str, Model]) -> Iterator[Canaries]:
    kept = bundle.manifest.product_canaries
    if kept.vectors:
        now = _run(towers["product tower"], **kept.inputs)
        yield Canaries("product tower", now, np.array(kept.vectors, np.float32))
    kept = bundle.manifest.canaries
    if kept.vectors and "query tower" in towers:
        now = _run(towers["query tower"], query=kept.queries)
        yield Canaries("query tower", now, np.array(kept.vectors, np.float32))


def _run(tower: Model, **inputs: Sequence) -> np.ndarray:
    """The embeddings of raw inputs; strings are encoded here."""
    signature = tower.signatures[DEFAULT_SIGNATURE]
    feeds = {}
    for name, values in inputs.items():
        tensor = signature.inputs[name]
        if tensor.dtype.name == "string":
            feeds[tensor] = np.array([value.encode() for value in values], object)
        else:
            feeds[tensor] = np.array(values, tensor.dtype.as_numpy_dtype)
    return tower.run(feeds, [signature.outputs["embedding"]])[0]
