"""Writes a synthetic shop as Parquet tables, of any size, with a known latent truth."""

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfsage.console import progress
from tfsage.data.staging import staged_folder
from tfsage.data.synthetic.concepts import ATTRIBUTES, LATENT_DIMENSION, Concepts, draw_products, vary
from tfsage.data.synthetic.engagements import ACTION_SHARES, Interest, Shoppers, draw_events, zipf_popularity
from tfsage.data.synthetic.text import ask, product_text
from tfsage.data.synthetic.vectors import FrozenSpaces
from tfsage.errors import TfsageError

_BATCH = 2048
_FIRST_DAY = dt.datetime(2024, 1, 1)
_IMAGE_SHARES = np.array([0.2, 0.2, 0.18, 0.15, 0.1, 0.08, 0.05, 0.04])
"""How many products have 1, 2, ... 8 images."""
_PINS_PER_BOARD = 10
_STREAMS = (
    "products", "product_text", "images", "pins", "pin_vectors", "queries", "query_vectors", "boards", "popularity",
    "closeup", "closeup_interest", "search", "search_interest",
)  # fmt: skip
"""Each has random numbers of its own, so that asking for more of one thing leaves the others as they are."""

Batches = Iterator[dict[str, pa.Array | list]]


def write_shop(
    out: str | Path,
    products: int,
    seed: int = 1,
    queries: int | None = None,
    pins: int | None = None,
    engagements: int | None = None,
    dimension: int = 256,
) -> None:
    """Writes products, pins, queries, engagements and boards, and the truth behind them, as Parquet.

    The same arguments give the same bytes. Catalog-sized columns are made batch by batch; only the attributes and
    the popularity of the products stay in memory (30 bytes a product).

    Args:
        out: the folder; `truth/truth.parquet` below it holds each entity's latent vector and each product's popularity.
        products: number of products.
        seed: decides everything.
        queries: number of distinct text queries; as many as products by default.
        pins: number of pins; as many as products by default.
        engagements: events on Closeup and Search together; 60 for each product by default.
        dimension: of both frozen embedding spaces.

    Raises:
        TfsageError: a size that no shop can have, or `out` holds something else.
    """
    queries, pins = (products if given is None else given for given in (queries, pins))
    engagements = 60 * products if engagements is None else engagements
    for name, value in (("products", products), ("queries", queries), ("pins", pins), ("engagements", engagements)):
        if value < 1:
            raise TfsageError(f"synth: {name} must be at least 1, got {value}")
    if dimension < LATENT_DIMENSION:
        raise TfsageError(f"synth: dimension must be at least {LATENT_DIMENSION}, got {dimension}")
    with staged_folder(out, "products.parquet") as folder:
        _Shop(seed, products, queries, pins, dimension).write(folder, engagements)


class _Shop:
    def __init__(self, seed: int, products: int, queries: int, pins: int, dimension: int):
        self._seed = seed
        self._concepts = Concepts(seed)
        self._spaces = FrozenSpaces(dimension, seed)
        self._products = draw_products(products, self._rng("products"))
        rng = self._rng("pins")
        self._pins = vary(_take(self._products, rng.integers(products, size=pins)), rng)
        self._queries, self._texts = self._distinct_queries(queries)

    def write(self, folder: Path, engagements: int) -> None:
        popularity = zipf_popularity(len(self._products["category"]), self._rng("popularity"))
        entities = {"product": self._products, "pin": self._pins, "query": self._queries}
        sizes = {kind: len(values["category"]) for kind, values in entities.items()}
        # Each entity is written with its table and again with the truth, each pin also with its board.
        total = 2 * sum(sizes.values()) + sizes["pin"] + engagements
        with progress() as bar:
            task = bar.add_task("Writing a synthetic shop", total=total, note="")

            def write(name: str, batches: Batches) -> None:
                _write(folder / f"{name}.parquet", batches, lambda rows: bar.advance(task, rows))

            write("products", self._product_rows())
            write("pins", self._pin_rows())
            write("queries", self._query_rows())
            write("boards", self._board_rows())
            write("engagements", self._engagement_rows(popularity, engagements))
            (folder / "truth").mkdir()
            write("truth/truth", self._truth_rows(entities, popularity))
            # Equal engagements share a row, so there are fewer rows than events.
            bar.update(task, completed=total)

    def _product_rows(self) -> Batches:
        for number, (rows, values) in enumerate(_batches(self._products)):
            rng = self._rng("images", number)
            counts = 1 + rng.choice(len(_IMAGE_SHARES), len(rows), p=_IMAGE_SHARES)
            images = self._spaces.images(self._concepts.latent(values, seen=True), counts, rng)
            ends = np.concatenate([[0], np.cumsum(counts)])
            yield {
                "product_id": _ids("p", rows),
                **product_text(values, self._rng("product_text", number)),
                "image_embeddings": pa.ListArray.from_arrays(pa.array(ends, pa.int32()), _vectors(images)),
            }

    def _pin_rows(self) -> Batches:
        for number, (rows, values) in enumerate(_batches(self._pins)):
            rng = self._rng("pin_vectors", number)
            _, titles = ask(values, rng)
            titled = rng.random(len(rows)) < 0.7
            yield {
                "pin_id": _ids("pin", rows),
                "title": pa.array(titles, pa.string(), mask=~titled),
                "embedding": _vectors(self._spaces.pins(self._concepts.latent(values), rng)),
            }

    def _query_rows(self) -> Batches:
        for number, (rows, values) in enumerate(_batches(self._queries)):
            rng = self._rng("query_vectors", number)
            yield {
                "query_id": _ids("q", rows),
                "text": self._texts[rows[0] : rows[-1] + 1],
                "embedding": _vectors(self._spaces.queries(self._concepts.latent(values), rng)),
            }

    def _board_rows(self) -> Batches:
        """People collect pins of one style for one room."""
        rng = self._rng("boards")
        order = np.lexsort([rng.random(len(self._pins["category"])), self._pins["room"], self._pins["style"]])
        boards = np.arange(len(order)) // _PINS_PER_BOARD
        first = order[boards * _PINS_PER_BOARD]
        styles, rooms = ATTRIBUTES["style"].forms, ATTRIBUTES["room"].forms
        yield {
            "board_id": _ids("b", boards),
            "title": [
                f"{styles[style][0]} {rooms[room][0]}".title()
                for style, room in zip(self._pins["style"][first], self._pins["room"][first], strict=True)
            ],
            "entity_id": _ids("pin", order),
        }

    def _engagement_rows(self, popularity: np.ndarray, count: int) -> Batches:
        shoppers = Shoppers(self._concepts, self._products, popularity)
        actions = np.array(list(ACTION_SHARES))
        first_day = np.datetime64(_FIRST_DAY, "us")
        on_closeup = count // 2
        for surface, query_type, letter, queries, events in (
            ("closeup", "pin", "pin", self._pins, on_closeup),
            ("search", "query", "q", self._queries, count - on_closeup),
        ):
            interest = Interest(len(queries["category"]), events, self._rng(f"{surface}_interest"))
            for number, (rows, asked) in enumerate(_batches(queries)):
                event = draw_events(shoppers, asked, rows, interest, self._rng(surface, number))
                count = len(event["count"])
                yield {
                    "surface": [surface] * count,
                    "query_type": [query_type] * count,
                    "query_id": _ids(letter, event["query"]),
                    "entity_type": ["product"] * count,
                    "entity_id": _ids("p", event["product"]),
                    "action": pa.array(actions[event["action"]]),
                    "count": pa.array(event["count"]),
                    "timestamp": pa.array(first_day + event["day"].astype("timedelta64[D]")),
                }

    def _truth_rows(self, entities: dict[str, dict], popularity: np.ndarray) -> Batches:
        for entity_type, letter in (("product", "p"), ("pin", "pin"), ("query", "q")):
            for rows, values in _batches(entities[entity_type]):
                latent = self._concepts.latent(values)
                known = pa.array(popularity[rows]) if entity_type == "product" else pa.nulls(len(rows), pa.float64())
                yield {
                    "entity_type": [entity_type] * len(rows),
                    "entity_id": _ids(letter, rows),
                    "latent": _vectors(latent / np.linalg.norm(latent, axis=1, keepdims=True)),
                    "popularity": known,
                }

    def _distinct_queries(self, count: int) -> tuple[dict[str, np.ndarray], list[str]]:
        """Asks until `count` different texts are found, or next to no new ones turn up."""
        rng = self._rng("queries")
        found: dict[str, tuple] = {}
        while len(found) < count:
            before = len(found)
            about = _take(self._products, rng.integers(len(self._products["category"]), size=2 * count))
            asked, texts = ask(about, rng)
            for text, values in zip(texts, np.stack(list(asked.values()), axis=1), strict=True):
                if text:
                    found.setdefault(text, values)
            if len(found) - before < count / 20:
                raise TfsageError(
                    f"synth: about {len(found):,} different queries fit a shop of this size, {count:,} were asked for; "
                    "ask for fewer queries or more products"
                )
        texts = list(found)[:count]
        columns = np.stack([found[text] for text in texts], axis=1)
        return dict(zip(ATTRIBUTES, columns, strict=True)), texts

    def _rng(self, stream: str, batch: int = 0) -> np.random.Generator:
        return np.random.default_rng([self._seed, _STREAMS.index(stream) + 10, batch])


def _batches(values: dict[str, np.ndarray]) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    count = len(values["category"])
    for start in range(0, count, _BATCH):
        rows = np.arange(start, min(start + _BATCH, count))
        yield rows, _take(values, rows)


def _take(values: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    return {name: column[rows] for name, column in values.items()}


def _ids(letters: str, rows: np.ndarray) -> pa.Array:
    return pa.array([f"{letters}{row}" for row in rows.tolist()], pa.string())


def _vectors(vectors: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel(), pa.float32()), vectors.shape[1])


def _write(path: Path, batches: Batches, advance: Callable[[int], None]) -> None:
    writer = None
    try:
        for columns in batches:
            table = pa.table(columns)
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)
            advance(table.num_rows)
    finally:
        if writer is not None:
            writer.close()
