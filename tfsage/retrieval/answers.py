"""From a request to a page of hits, on one loaded bundle."""

import time
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote

import numpy as np

from tfsage.errors import TfsageError
from tfsage.retrieval import home
from tfsage.retrieval.loaded import Loaded
from tfsage.retrieval.pages import MOST_SHOWN, Cursor, digest, resume
from tfsage.retrieval.problems import Problem
from tfsage.retrieval.products import Products
from tfsage.retrieval.schema import (
    Answer,
    Entity,
    Hit,
    HomeCluster,
    HomeRequest,
    Place,
    Range,
    Request,
    SearchRequest,
    SimilarRequest,
    Why,
)
from tfsage.serving.query_text import check_query

_DAY = 86_400.0


class Found(NamedTuple):
    """Hits before they are described: rows, scores, and of each where it comes from."""

    rows: np.ndarray
    scores: np.ndarray
    sources: list[dict[str, Place]]
    way: str


class Scope(NamedTuple):
    """Which products may be hits.

    products: those that there are.
    allowed: bool [count], or None for all.
    left_out: rows that are not wanted.
    marks: the products of the pages before, see `Products.marks`.
    shown: the rows of what is still there of them.
    """

    products: Products
    allowed: np.ndarray | None
    left_out: np.ndarray
    marks: np.ndarray
    shown: np.ndarray

    @property
    def excluded(self) -> np.ndarray:
        return np.concatenate([self.left_out, self.shown])


def search(loaded: Loaded, request: SearchRequest) -> Answer:
    """Products for a text.

    Raises:
        Problem: the request does not fit the bundle.
        TfsageError: the model server does not answer, or not in the bundle's space.
    """
    started = time.perf_counter()
    try:
        check_query(request.query)
    except TfsageError as error:
        raise Problem(422, str(error)) from None
    scope = _scope(loaded, loaded.products(), request)
    if request.hybrid and loaded.bm25 is None:
        raise Problem(400, "hybrid: this service was started without it; start it with --hybrid")
    embedded = loaded.client.lookup([request.query])
    embedding_took = time.perf_counter() - started
    if request.hybrid:
        found = _hybrid(request, embedded.vectors[0], scope)
    else:
        found = _nearest(embedded.vectors[0], request.k, scope)
    return _answer(loaded, request, scope, found, started, embedding_took, "hit" if embedded.cached[0] else "miss")


def similar(loaded: Loaded, request: SimilarRequest) -> Answer:
    """Products similar to one product, pin or vector. Raises as `search`."""
    started = time.perf_counter()
    products = loaded.products()
    row, vector = _resolve(loaded, products, request)
    scope = _scope(loaded, products, request, () if row is None else (row,))
    return _answer(loaded, request, scope, _nearest(vector, request.k, scope), started)


def home_products(loaded: Loaded, request: HomeRequest) -> Answer:
    """Products for an activity: those nearest to the medoids of sampled clusters, in turns. Raises as `search`."""
    started = time.perf_counter()
    products = loaded.products()
    known, unknown = _known(loaded, products, request)
    scope = _scope(loaded, products, request, [row for row, _ in known.values() if row is not None])
    now = time.time() if request.now is None else request.now
    places = list(known)
    ages = np.array([max(0.0, now - request.activity[place].timestamp) / _DAY for place in places])
    vectors = np.stack([vector for _, vector in known.values()])
    clusters = home.sample_clusters(home.find_clusters(vectors, ages), request.clusters, request.seed)
    # Each cluster may have to give the whole page, when the others find the very same products.
    rankings = [products.nearest(vectors[c.medoid], request.k, scope.allowed, scope.excluded) for c in clusters]
    merged = home.interleave([(rows, scores) for rows, scores, _ in rankings], request.k)
    found = Found(
        np.array([hit.row for hit in merged], np.int64),
        np.array([hit.score for hit in merged]),
        [{f"cluster {hit.ranking + 1}": Place(rank=hit.rank, score=hit.score)} for hit in merged],
        "exact" if any(way == "exact" for *_, way in rankings) else "index",
    )
    answer = _answer(loaded, request, scope, found, started)
    answer.unknown = unknown
    answer.clusters = [
        HomeCluster(
            members=[places[member] for member in cluster.members],
            medoid=places[cluster.medoid],
            importance=cluster.importance,
        )
        for cluster in clusters
    ]
    return answer


def _known(
    loaded: Loaded, products: Products, request: HomeRequest
) -> tuple[dict[int, tuple[int | None, np.ndarray]], list[int]]:
    """What of an activity is known, by its place, and the places of what is not: products leave a catalog."""
    known, unknown = {}, []
    for place, item in enumerate(request.activity):
        try:
            known[place] = _resolve(loaded, products, item)
        except Problem as problem:
            if problem.status != 404:
                raise
            unknown.append(place)
            missing = problem
    if not known:
        raise missing
    return known, unknown


def _resolve(loaded: Loaded, products: Products, entity: Entity) -> tuple[int | None, np.ndarray]:
    """The row, where it is a product, and the unit vector, float32 [dimension], of a product, pin or vector."""
    if entity.product_id is not None:
        row = products.row(entity.product_id)
        return row, products.vectors(np.array([row]))[0]
    if entity.pin_id is not None:
        if loaded.pins is None:
            raise Problem(400, "pin_id: this service knows no pins; start it with --pins, or give an embedding")
        vector = loaded.pins.vector(entity.pin_id)
    else:
        vector = np.array(entity.embedding)
        if len(vector) != (dimension := loaded.bundle.manifest.dimension):
            raise Problem(422, f"embedding: has {len(vector)} numbers, the vectors of this bundle {dimension}")
    # In float64, and by the largest component first, so that no square overflows or vanishes.
    vector = np.asarray(vector, np.float64) / max(np.abs(vector).max(), np.finfo(float).tiny)
    length = np.linalg.norm(vector)
    if not length > 0.5:
        raise Problem(422, "embedding: has no direction; give one whose length is not zero")
    return None, (vector / length).astype(np.float32)


def _scope(loaded: Loaded, products: Products, request: Request, left_out: Sequence[int] = ()) -> Scope:
    marks = np.zeros(0, np.uint64)
    if request.cursor is not None:
        marks = resume(request.cursor, loaded.name, _digest(request), len(loaded.catalog))
    unwanted = [row for row in map(products.find, request.exclude) if row is not None]
    filters = {
        name: (_bound(wanted.min, -np.inf), _bound(wanted.max, np.inf)) if isinstance(wanted, Range) else wanted
        for name, wanted in request.filters.items()
    }
    allowed = products.allowed(filters) if filters else None
    if products.left is not None:
        allowed = products.left if allowed is None else allowed & products.left
    return Scope(products, allowed, np.array([*unwanted, *left_out], np.int64), marks, products.marked(marks))


def _bound(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _nearest(vector: np.ndarray, k: int, scope: Scope) -> Found:
    rows, scores, way = scope.products.nearest(vector, k, scope.allowed, scope.excluded)
    before = len(scope.marks)
    places = [{"dense": Place(rank=before + n, score=float(score))} for n, score in enumerate(scores, start=1)]
    return Found(rows, scores, places, way)


def _hybrid(request: SearchRequest, vector: np.ndarray, scope: Scope) -> Found:
    hits = scope.products.fused(request.query, vector, request.k, scope.allowed, scope.left_out, scope.shown)
    sources = [
        {
            name: Place(rank=place[0], score=place[1])
            for name, place in (("dense", hit.dense), ("lexical", hit.lexical))
            if place is not None
        }
        for hit in hits
    ]
    rows = np.array([hit.row for hit in hits], np.int64)
    return Found(rows, np.array([hit.score for hit in hits]), sources, "hybrid")


def _answer(
    loaded: Loaded,
    request: Request,
    scope: Scope,
    found: Found,
    started: float,
    embedding_took: float = 0.0,
    cache: str | None = None,
) -> Answer:
    why = [[]] * len(found.rows)
    if request.explain and loaded.explainer is not None:
        why = loaded.explainer.nearest(scope.products.vectors(found.rows))
    hits = []
    cards = scope.products.cards(found.rows)
    for card, score, sources, reasons in zip(cards, found.scores, found.sources, why, strict=True):
        hits.append(
            Hit(
                product_id=card.product_id,
                title=card.title,
                score=score,
                sources=sources,
                image=f"/products/{quote(str(card.product_id), safe='')}/image" if card.has_picture else None,
                added=card.added,
                why=[Why(query=query, score=cosine) for query, cosine in reasons],
            )
        )
    shown = np.concatenate([scope.marks, scope.products.marks(found.rows)])
    more = len(hits) == request.k and len(shown) < MOST_SHOWN
    total = time.perf_counter() - started
    spent = {"embed": embedding_took, "search": total - embedding_took, "total": total}
    return Answer(
        hits=hits,
        cursor=Cursor(loaded.name, _digest(request), shown).encode() if more else None,
        bundle=loaded.name,
        space_id=loaded.bundle.manifest.space_id,
        way=found.way,
        cache=cache,
        milliseconds={name: round(seconds * 1e3, 3) for name, seconds in spent.items()},
    )


def _digest(request: Request) -> str:
    return digest(request.model_dump(mode="json"))
