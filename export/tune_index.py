"""The index of a bundle, from its embeddings and the queries that training never saw."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from export.embed_catalog import vectors_of
from export.tuning_queries import Halves, held_out_queries, perturbed_products
from tfsage.bundle import Bundle, IndexSummary
from tfsage.console import console
from tfsage.errors import TfsageError
from tfsage.index import build_index
from tfsage.training.run import Run


def tune_index(bundle: Bundle, run: Run | None, recall_target: float) -> Bundle:
    """Builds index/, tunes it, and writes its recall into the manifest.

    Args:
        bundle: with its embeddings.
        run: half of whose dev queries tune the index, and the others measure its recall; without one, or where it has
            none, perturbed product vectors do.
        recall_target: recall@10 against exact search that every kind of query shall reach.

    Raises:
        TfsageError: there are no embeddings, they are not the manifest's, or the recall stays below the target (the
            index is kept for inspection; publishing refuses it).
    """
    if bundle.manifest.products is None:
        raise TfsageError(f"{bundle.folder}: the catalog is not embedded yet; run python -m export.catalog first")
    bundle.check_embeddings()
    vectors, id_map = read_embeddings(bundle)
    queries = Halves({}, {}) if run is None else held_out_queries(run, bundle)
    tuned_on = "held-out dev queries" if queries.tuning else "perturbed product vectors"
    if not queries.tuning:
        console.print("No held-out queries: tuning on perturbed product vectors, which are easier than real queries")
        queries = perturbed_products(vectors)
    report = build_index(
        vectors,
        bundle.index,
        recall_target,
        queries.tuning,
        queries.measuring,
        space_id=bundle.manifest.space_id,
        id_map=id_map,
    )
    bundle = bundle.update(changed=("index",), index=IndexSummary.of(report, tuned_on))
    if report.recall < recall_target:
        raise TfsageError(
            f"{bundle.index}: recall@{report.k} against exact search is {report.recall:.3f}, below the target "
            f"{recall_target:.3f} (by kind of query: {_listed(report.recalls)}); lower export.recall_target in the "
            f"config if that is good enough; the bundle will not be published as it is"
        )
    return bundle


def read_embeddings(bundle: Bundle) -> tuple[np.ndarray, pa.Table]:
    """Vectors float32 [products, dimension] and the id map (product_id, title), in the order of the catalog."""
    vectors = np.empty((bundle.manifest.products, bundle.manifest.dimension), np.float32)
    maps, start = [], 0
    for part in bundle.parts():
        table = pq.read_table(part, partitioning=None)
        vectors[start : start + len(table)] = vectors_of(table)
        maps.append(table.select(["product_id", "title"]).replace_schema_metadata())
        start += len(table)
    return vectors, pa.concat_tables(maps)


def _listed(recalls: dict[str, float]) -> str:
    return ", ".join(f"{kind} {recall:.3f}" for kind, recall in recalls.items())
