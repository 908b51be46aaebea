"""The reader of a prepared folder: what training, evaluation and export know of the data.

Every entity type that the tables have is a catalog, `data.entity("product" | "pin" | "query")`: ids, texts, tokens of
its text columns and embedding columns, by row. Pairs lead from the queries of a type, `data.queries(query_type)`, to
the rows of such a catalog: `data.pairs(split, surface, query_type, actions, entity_type)`.
"""

import json
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import ibis
import numpy as np

from tfsage.data.schema import SPLITS, TABLE_OF_TYPE
from tfsage.data.stores import RaggedStore, StringStore
from tfsage.errors import TfsageError

FORMAT = 2


class Queries(NamedTuple):
    """The queries of one type; a query's row is its place here.

    Attributes:
        ids: int64 ids are kept as their decimal strings.
        texts: None where this type of query has no text.
        languages: of the texts, as the tables say them; None where they do not.
        embeddings: memory-mapped float32 [count, dimension]; None where this type has no frozen embedding.
        count: number of queries.
    """

    ids: StringStore
    texts: StringStore | None
    embeddings: np.memmap | None
    count: int
    languages: StringStore | None = None


class Pairs(NamedTuple):
    """Distinct (query, entity) pairs, ordered by query and entity.

    Attributes:
        query: int64 [n], rows of the queries of the type asked for.
        entity: int64 [n], rows of the catalog of the entity type asked for.
        weight: float32 [n], the largest weight among the actions seen for the pair.
        count: float64 [n], engagements summed over those actions.
    """

    query: np.ndarray
    entity: np.ndarray
    weight: np.ndarray
    count: np.ndarray

    @property
    def product(self) -> np.ndarray:
        """The entities, where products were asked for."""
        return self.entity


class Entity:
    """The catalog of one entity type; an entity's row is its place here, from 0.

    Attributes:
        kind: product, pin or query.
        count: rows.
        text_fields: the text columns whose tokens are stored, in the order of the token rows; none for queries, whose
            text is `texts`.
        embedding_columns: dimension by embedding column.
        id_type: string or int64, as in the table.
    """

    def __init__(self, folder: Path, kind: str, described: dict):
        self._folder, self._stores = folder, folder / "stores" / kind
        self.kind, self.count, self.id_type = kind, described["count"], described["id_type"]
        self._has_variants = described.get("variants", False)
        self.text_fields = tuple(described["text_fields"])
        self.embedding_columns = dict(described["embedding_columns"])

    @cached_property
    def ids(self) -> StringStore:
        """Ids by row; int64 ids as their decimal strings."""
        return StringStore(self._stores / "ids")

    @cached_property
    def texts(self) -> StringStore:
        """The title of a product or pin, the text of a query, by row; empty where there is none."""
        return StringStore(self._stores / ("texts" if self.kind == "query" else "titles"))

    @cached_property
    def tokens(self) -> RaggedStore:
        """Token ids (int32) of text field f of entity e in row e * len(text_fields) + f."""
        return RaggedStore(self._stores / "tokens")

    @cached_property
    def variant_groups(self) -> np.ndarray | None:
        """int64 [count], which group of variants each is in, -1 for none; None where the table does not tell."""
        if not self._has_variants:
            return None
        names = StringStore(self._stores / "variant_groups").gather(np.arange(self.count))
        groups, group = np.unique(np.array(names, object), return_inverse=True)
        return np.where(groups[group] == "", -1, group)

    def vectors(self, column: str) -> RaggedStore:
        """The vectors (float32 [dimension] each, zero vectors left out) of an embedding column, by row.

        Raises:
            TfsageError: the table has no such column.
        """
        if column not in self.embedding_columns:
            known = ", ".join(sorted(self.embedding_columns)) or "none"
            table = TABLE_OF_TYPE[self.kind]
            raise TfsageError(f"{self._folder}: the {table} have no embedding column {column!r}; there is {known}")
        return RaggedStore(self._stores / "vectors" / column)


class PreparedData:
    """A prepared folder, memory-mapped.

    Attributes:
        folder: where it lies.
        manifest: format version, counts, text fields, split rule and dates, vocabulary fingerprint.
        text_fields: the text columns of products whose tokens are stored, in the order of the token rows.
        product_count: rows of the products.

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
        self.text_fields = tuple(self.manifest["entities"]["product"]["text_fields"])
        self.product_count = self.manifest["entities"]["product"]["count"]

    @property
    def vocabulary_folder(self) -> Path:
        return self.folder / "vocabulary"

    def entity(self, kind: str) -> Entity:
        """The catalog of an entity type: product, pin or query.

        Raises:
            TfsageError: the tables had no such entities.
        """
        if kind not in self._entities:
            known = ", ".join(sorted(self._entities))
            raise TfsageError(f"{self.folder}: there are no entities of type {kind!r} (there are: {known})")
        return self._entities[kind]

    @property
    def entity_types(self) -> tuple[str, ...]:
        """The entity types that the tables had, products first."""
        return tuple(self._entities)

    @cached_property
    def _entities(self) -> dict[str, Entity]:
        return {kind: Entity(self.folder, kind, described) for kind, described in self.manifest["entities"].items()}

    @property
    def product_ids(self) -> StringStore:
        """Product ids by row."""
        return self.entity("product").ids

    @property
    def titles(self) -> StringStore:
        """Product titles by row, empty where there is none."""
        return self.entity("product").texts

    @property
    def tokens(self) -> RaggedStore:
        """Token ids (int32) of text field f of product p in row p * len(text_fields) + f."""
        return self.entity("product").tokens

    def images(self, column: str = "image_embeddings") -> RaggedStore:
        """The vectors (float32 [dimension] each) of an embedding column of the products, by row.

        Raises:
            TfsageError: the products have no such column.
        """
        return self.entity("product").vectors(column)

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
        languages = StringStore(folder / "languages") if described.get("languages") else None
        return Queries(StringStore(folder / "ids"), texts, embeddings, described["count"], languages)

    def pairs(
        self, split: str, surface: str, query_type: str, actions: dict[str, float], entity_type: str = "product"
    ) -> Pairs:
        """The pairs of one task in one split.

        Args:
            split: train, dev or test.
            surface: home, closeup, search or offsite.
            query_type: query, pin or product.
            actions: weight of one engagement, by action; pairs seen only with other actions are left out.
            entity_type: product, pin or query: what was engaged with.
        """
        if split not in SPLITS:
            raise ValueError(f"split {split!r} is not one of {SPLITS}")
        table = ibis.duckdb.connect().read_parquet(self.folder / f"pairs_{split}.parquet")
        pairs = task_pairs(table, surface, query_type, actions, entity_type).order_by("query", "entity").to_pyarrow()
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

    def trained_on(self, role: str, kind: str) -> np.ndarray:
        """Rows (int64, rising) of a kind that any training pair has in a role, `query` or `entity`."""
        pairs = ibis.duckdb.connect().read_parquet(self.folder / "pairs_train.parquet")
        rows = pairs.filter(pairs[f"{role}_type"] == kind).select(role).distinct().order_by(role)
        return rows.to_pyarrow()[role].to_numpy()

    def exclusions(self, query_type: str, entity_type: str = "product") -> tuple[np.ndarray, np.ndarray]:
        """Pairs that are neither relevant nor candidates: query rows int64 [m] and entity rows int64 [m]."""
        path = self.folder / "exclusions.parquet"
        if not path.exists():
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        table = ibis.duckdb.connect().read_parquet(path)
        rows = table.filter(table.query_type == query_type, table.entity_type == entity_type).to_pyarrow()
        return rows["query"].to_numpy(), rows["entity"].to_numpy()

    def relevance(self, query_type: str, entity_type: str = "product") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What people judged: query rows int64 [m], entity rows int64 [m] and grades float64 [m], from 0."""
        path = self.folder / "relevance.parquet"
        if not path.exists():
            return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
        table = ibis.duckdb.connect().read_parquet(path)
        rows = table.filter(table.query_type == query_type, table.entity_type == entity_type).to_pyarrow()
        return rows["query"].to_numpy(), rows["entity"].to_numpy(), rows["grade"].to_numpy()

    def _store(self, *parts: str) -> Path:
        return self.folder.joinpath("stores", *parts)


def task_pairs(
    table: ibis.Table, surface: str, query_type: str, actions: dict[str, float], entity_type: str = "product"
) -> ibis.Table:
    """The pairs of one task, among those of a split: distinct query, entity with their weight and count."""
    chosen = table.filter(
        table.surface == surface,
        table.query_type == query_type,
        table.entity_type == entity_type,
        table.action.isin(list(actions)),
    )
    weight = ibis.cases(*[(chosen.action == action, float(weight)) for action, weight in actions.items()])
    grouped = chosen.mutate(weight=weight).group_by("query", "entity")
    return grouped.agg(weight=ibis._.weight.max(), count=ibis._["count"].sum())
