"""Search: a text goes over gRPC to the query tower, its vector to the index, and products come out."""

from pathlib import Path
from typing import NamedTuple

from tfsage.bundle import Bundle
from tfsage.serving.connect import connect
from tfsage.serving.query_text import check_query


class Hit(NamedTuple):
    """One product found. score: cosine of the angle between query and product."""

    product_id: str | int
    title: str
    score: float


def search(root: str | Path, text: str, k: int = 10, address: str | None = None) -> list[Hit]:
    """The products of the published bundle that are nearest to a text query, best first.

    Args:
        root: the folder of bundles.
        text: the query.
        k: how many; fewer are returned when the catalog is smaller.
        address: host:port of a model server. None takes the one on 127.0.0.1:8500 if it serves this bundle's
            space, else starts one in this process for the call, and says so.

    Raises:
        TfsageError: the query is not fit to search for; nothing is published; the bundle has no query tower or a
            damaged index; the server cannot be reached or serves another space.
    """
    check_query(text)
    bundle = Bundle.current(root)
    with connect(bundle, () if address is None else (address,)) as client:
        index = bundle.load_index()
        vectors = client.embed([text])
    rows, scores = index.search(vectors, k)
    found = rows[0] >= 0
    products = index.id_map.take(rows[0][found]).to_pylist()
    return [
        Hit(product["product_id"], product["title"] or "", float(score))
        for product, score in zip(products, scores[0][found], strict=True)
    ]
