"""Writes a synthetic shop as Parquet tables, of any size, with a known latent truth."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfsage.console import progress
from tfsage.data.staging import staged_folder
from tfsage.data.synthetic.boards import board_rows
from tfsage.data.synthetic.captions import captions
from tfsage.data.synthetic.columns import Batches, Streams, batches, ids, take, vectors
from tfsage.data.synthetic.concepts import ATTRIBUTES, LATENT_DIMENSION, Concepts, draw_products, vary
from tfsage.data.synthetic.engagements import zipf_popularity
from tfsage.data.synthetic.log import LETTERS, engagement_rows
from tfsage.data.synthetic.text import ask, product_text
from tfsage.data.synthetic.translations import LANGUAGES, translate
from tfsage.data.synthetic.vectors import FrozenSpaces
from tfsage.errors import TfsageError

_FIRST_DAY = dt.datetime(2024, 1, 1)
_IMAGE_SHARES = np.array([0.2, 0.2, 0.18, 0.15, 0.1, 0.08, 0.05, 0.04])
"""How many products have 1, 2, ... 8 images."""
_TRANSLATED = 0.2
"""Queries in other languages, beside one in English."""


def write_shop(
    out: str | Path,
    products: int,
    seed: int = 1,
    queries: int | None = None,
    pins: int | None = None,
    engagements: int | None = None,
    dimension: int = 256,
    days: int = 90,
) -> None:
    """Writes products, pins, queries, engagements and boards, and the truth behind them, as Parquet.

    Products and pins have captions of what their pictures show; of the pins, three in ten have no text of their own.
    Queries are in English; a fifth as many, in Spanish and German, ask for the same as some of those. People find
    products by pins and queries, pins by queries, and queries by queries in their language; they also buy in other
    shops (`offsite`).

    The same arguments give the same bytes. Catalog-sized columns are made batch by batch; only the attributes and
    the popularity of the products stay in memory (30 bytes a product).

    Args:
        out: the folder; `truth/truth.parquet` below it holds each entity's latent vector and each product's popularity.
        products: number of products.
        seed: decides everything.
        queries: number of distinct English text queries; as many as products by default.
        pins: number of pins; as many as products by default.
        engagements: with products, on Closeup and by English queries on Search; 60 for each product by default. All
            others come on top, in fixed proportions.
        dimension: of both frozen embedding spaces.
        days: how many days the log and the boards span.

    Raises:
        TfsageError: a size that no shop can have, or `out` holds something else.
    """
    queries, pins = (products if given is None else given for given in (queries, pins))
    engagements = 60 * products if engagements is None else engagements
    for name, value in (
        ("products", products),
        ("queries", queries),
        ("pins", pins),
        ("engagements", engagements),
        ("days", days),
    ):
        if value < 1:
            raise TfsageError(f"synth: {name} must be at least 1, got {value}")
    if dimension < LATENT_DIMENSION:
        raise TfsageError(f"synth: dimension must be at least {LATENT_DIMENSION}, got {dimension}")
    with staged_folder(out, "products.parquet") as folder:
        _Shop(seed, products, queries, pins, dimension, days).write(folder, engagements)


class _Shop:
    def __init__(self, seed: int, products: int, queries: int, pins: int, dimension: int, days: int):
        self._streams = Streams(seed)
        self._days = days
        self._concepts = Concepts(seed)
        self._spaces = FrozenSpaces(dimension, seed)
        self._products = draw_products(products, self._streams("products"))
        rng = self._streams("pins")
        self._pins = vary(take(self._products, rng.integers(products, size=pins)), rng)
        self._english, self._texts = self._distinct_queries(queries)
        self._foreign, more_texts, languages = self._translations(queries)
        self._texts += more_texts
        self._languages = ["en"] * queries + languages

    def write(self, folder: Path, engagements: int) -> None:
        popularity = zipf_popularity(len(self._products["category"]), self._streams("popularity"))
        queries = {name: np.concatenate([column, self._foreign[name]]) for name, column in self._english.items()}
        entities = {"product": self._products, "pin": self._pins, "query": queries}
        sizes = {kind: len(values["category"]) for kind, values in entities.items()}
        # Each entity is written with its table and again with the truth, each pin and product also with its boards.
        total = 2 * sum(sizes.values()) + 3 * (sizes["pin"] + sizes["product"]) + 2 * engagements
        with progress() as bar:
            task = bar.add_task("Writing a synthetic shop", total=total, note="")

            def write(name: str, batches: Batches) -> None:
                _write(folder / f"{name}.parquet", batches, lambda rows: bar.advance(task, rows))

            write("products", self._product_rows())
            write("pins", self._pin_rows())
            write("queries", self._query_rows())
            write("boards", board_rows(entities, self._streams, _FIRST_DAY, self._days))
            log = (self._languages, popularity, self._streams, _FIRST_DAY, self._days, engagements)
            write("engagements", engagement_rows(self._concepts, entities, *log))
            (folder / "truth").mkdir()
            write("truth/truth", self._truth_rows(entities, popularity))
            # Equal engagements share a row, so there are fewer rows than events.
            bar.update(task, completed=total)

    def _product_rows(self) -> Batches:
        for number, (rows, values) in enumerate(batches(self._products)):
            rng = self._streams("images", number)
            counts = 1 + rng.choice(len(_IMAGE_SHARES), len(rows), p=_IMAGE_SHARES)
            images = self._spaces.images(self._concepts.latent(values, seen=True), counts, rng)
            ends = np.concatenate([[0], np.cumsum(counts)])
            yield {
                "product_id": ids("p", rows),
                **product_text(values, self._streams("product_text", number)),
                "image_embeddings": pa.ListArray.from_arrays(pa.array(ends, pa.int32()), vectors(images)),
                "captions": captions(values, self._streams("product_captions", number)),
            }

    def _pin_rows(self) -> Batches:
        for number, (rows, values) in enumerate(batches(self._pins)):
            rng = self._streams("pin_vectors", number)
            _, titles = ask(values, rng)
            titled = rng.random(len(rows)) < 0.7
            embedding = vectors(self._spaces.pins(self._concepts.latent(values), rng))
            rng = self._streams("pin_text", number)
            _, more = ask(values, rng)
            # What has no title has no description either.
            described = titled & (rng.random(len(rows)) < 0.5)
            yield {
                "pin_id": ids("pin", rows),
                "title": pa.array(titles, pa.string(), mask=~titled),
                "embedding": embedding,
                "description": pa.array([f"Found this {text}." for text in more], pa.string(), mask=~described),
                "captions": captions(values, self._streams("pin_captions", number)),
            }

    def _query_rows(self) -> Batches:
        first = 0
        for stream, queries in (("query_vectors", self._english), ("translation_vectors", self._foreign)):
            for number, (rows, values) in enumerate(batches(queries)):
                rows = rows + first
                rng = self._streams(stream, number)
                yield {
                    "query_id": ids("q", rows),
                    "text": self._texts[rows[0] : rows[-1] + 1],
                    "embedding": vectors(self._spaces.queries(self._concepts.latent(values), rng)),
                    "language": self._languages[rows[0] : rows[-1] + 1],
                }
            first = len(queries["category"])

    def _truth_rows(self, entities: dict[str, dict], popularity: np.ndarray) -> Batches:
        for entity_type, letter in LETTERS.items():
            for rows, values in batches(entities[entity_type]):
                latent = self._concepts.latent(values)
                known = pa.array(popularity[rows]) if entity_type == "product" else pa.nulls(len(rows), pa.float64())
                yield {
                    "entity_type": [entity_type] * len(rows),
                    "entity_id": ids(letter, rows),
                    "latent": vectors(latent / np.linalg.norm(latent, axis=1, keepdims=True)),
                    "popularity": known,
                }

    def _distinct_queries(self, count: int) -> tuple[dict[str, np.ndarray], list[str]]:
        """Asks until `count` different texts are found, or next to no new ones turn up."""
        rng = self._streams("queries")
        found: dict[str, tuple] = {}
        while len(found) < count:
            before = len(found)
            about = take(self._products, rng.integers(len(self._products["category"]), size=2 * count))
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

    def _translations(self, count: int) -> tuple[dict[str, np.ndarray], list[str], list[str]]:
        """Some of the English queries as people of other languages type them: attributes, texts and languages."""
        rng = self._streams("translations")
        chosen = rng.permutation(count)[: int(_TRANSLATED * count)]
        known = set(self._texts)
        found: dict[str, tuple[int, str]] = {}
        for place, language in enumerate(LANGUAGES):
            rows = chosen[place :: len(LANGUAGES)]
            for text, row in zip(translate(take(self._english, rows), language), rows.tolist(), strict=True):
                if text not in known:
                    found.setdefault(text, (row, language))
        rows = np.array([row for row, _ in found.values()], np.int64)
        return take(self._english, rows), list(found), [language for _, language in found.values()]


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
