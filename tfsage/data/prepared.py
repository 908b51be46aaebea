"""The reader of a prepared folder: what training, evaluation and export know of the data."""

import json
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import ibis
import numpy as np

from tfsage.data.schema import SPLITS
from tfsage.data.stores import RaggedStore, StringStore
from tfsage.errors import TfsageError

FORMAT = 1


class Queries(NamedTuple):
    """The queries of one type; a query's row is its place here.

    Attributes:
        ids: int64 ids are kept as their decimal strings.
        texts: None where this type of query has no text.
        embeddings: memory-mapped float32 [count, dimension]; None where this type has no frozen embedding.
        count: number of queries.
    """

    ids: StringStore
    texts: StringStore | None
    embeddings: np.memmap | None
    count: int


class Pairs(NamedTuple):
    """Distinct (query, product) pairs, ordered by query and product.

    Attributes:
        query: int64 [n], rows of the queries of the type asked for.
        product: int64 [n], rows of the catalog.
        weight: float32 [n], the largest weight among the actions seen for the pair.
        count: float64 [n], engagements summed over those actions.
    """

    query: np.ndarray
    product: np.ndarray
    weight: np.ndarray
    count: np.ndarray


class PreparedData:
    """A prepared folder, memory-mapped.

    Attributes:
        folder: where it lies.
        manifest: format version, counts, text fields, split rule and dates, vocabulary fingerprint.
        text_fields: the text columns whose tokens are stored, in the order of the token rows.
        product_count: rows of the catalog.

    Raises:
        TfsageError: the folder is not a prepared folder, or was written by another version.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        try:
            self.manifest = json.loads((self.folder / "manifest.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise TfsageError(
                f"{folder}: not a prepared folder (no manifest.json); make one with `tfsage prepare`"
            ) from None
        except ValueError as error:
            raise TfsageError(f"{folder}/manifest.json: damaged ({error}); run `tfsage prepare` again") from None
        if self.manifest.get("format") != FORMAT:
            raise TfsageError(
                f"{folder}: prepared in format {self.manifest.get('format')}, this version reads format {FORMAT}; "
                "run `tfsage prepare` again"
            )
        self.text_fields = tuple(self.manifest["text_fields"])
        self.product_count = self.manifest["products"]

    @property
    def vocabulary_folder(self) -> Path:
        return self.folder / "vocabulary"

    @cached_property
    def product_ids(self) -> StringStore:
        """Product ids by row; int64 ids as their decimal strings (`manifest["id_types"]` tells)."""
        return StringStore(self._store("product", "ids"))

    @cached_property
    def titles(self) -> StringStore:
        """Product titles by row, empty where there is none."""
        return StringStore(self._store("product", "titles"))

    @cached_property
    def tokens(self) -> RaggedStore:
        """Token ids (int32) of text field f of product p in row p * len(text_fields) + f."""
        return RaggedStore(self._store("product", "tokens"))

    def images(self, column: str = "image_embeddings") -> RaggedStore:
        """The vectors (float32 [dimension] each) of an embedding column of the products, by row.

        Raises:
            TfsageError: the products have no such column.
        """
        columns = self.manifest["embedding_columns"]
        if column not in columns:
            raise TfsageError(
                f"{self.folder}: the products have no embedding column {column!r}; "
                f"there is {', '.join(sorted(columns)) or 'none'}"
            )
        return RaggedStore(self._store("product", "vectors", column))

    def queries(self, query_type: str) -> Queries:
        """The queries of a type: `query` (text), `pin`, or `product` (a product's first image stands for it).

        Raises:
            TfsageError: the tables had no such queries.
        """
        described = self.manifest["queries"].get(query_type)
        if described is None:
            known = ", ".join(sorted(self.manifest["queries"])) or "none"
            raise TfsageError(f"{self.folder}: there are no queries of type {query_type!r} (there are: {known})")
        folder = self._store(query_type)
        texts = StringStore(folder / described["texts"]) if described["texts"] else None
        embeddings = np.load(folder / "embeddings.npy", mmap_mode="r") if described["dimension"] else None
        return Queries(StringStore(folder / "ids"), texts, embeddings, described["count"])

    def pairs(self, split: str, surface: str, query_type: str, actions: dict[str, float]) -> Pairs:
        """The pairs of one task in one split.

        Args:
            split: train, dev or test.
            surface: home, closeup, search or offsite.
            query_type: query, pin or product.
            actions: weight of one engagement, by action; pairs seen only with other actions are left out.
        """
        if split not in SPLITS:
            raise ValueError(f"split {split!r} is not one of {SPLITS}")
        table = ibis.duckdb.connect().read_parquet(self.folder / f"pairs_{split}.parquet")
        pairs = task_pairs(table, surface, query_type, actions).order_by("query", "entity").to_pyarrow()
        types = {"query": np.int64, "entity": np.int64, "weight": np.float32, "count": np.float64}
        return Pairs(*[pairs[name].to_numpy().astype(dtype) for name, dtype in types.items()])

    def held_out_queries(self, query_type: str) -> np.ndarray:
        """Rows (int64, rising) of the queries of a type that occur in a dev or test pair of any task."""
        rows = [
            ibis.duckdb.connect()
            .read_parquet(self.folder / f"pairs_{split}.parquet")
            .filter(ibis._.query_type == query_type)
            .select("query")
            .to_pyarrow()["query"]
            .to_numpy()
            for split in ("dev", "test")
        ]
        return np.unique(np.concatenate(rows))

    def exclusions(self, query_type: str) -> tuple[np.ndarray, np.ndarray]:
        """Pairs that are neither relevant nor candidates: query rows int64 [m] and product rows int64 [m]."""
        path = self.folder / "exclusions.parquet"
        if not path.exists():
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        table = ibis.duckdb.connect().read_parquet(path)
        rows = table.filter(table.query_type == query_type, table.entity_type == "product").to_pyarrow()
        return rows["query"].to_numpy(), rows["entity"].to_numpy()

    def _store(self, *parts: str) -> Path:
        return self.folder.joinpath("stores", *parts)


def task_pairs(table: ibis.Table, surface: str, query_type: str, actions: dict[str, float]) -> ibis.Table:
    """The pairs of one task, among those of a split: distinct query, entity with their weight and count."""
    chosen = table.filter(
        table.surface == surface,
        table.query_type == query_type,
        table.entity_type == "product",
        table.action.isin(list(actions)),
    )
    weight = ibis.cases(*[(chosen.action == action, float(weight)) for action, weight in actions.items()])
    grouped = chosen.mutate(weight=weight).group_by("query", "entity")
    return grouped.agg(weight=ibis._.weight.max(), count=ibis._["count"].sum())
