"""The tables that tfsage reads: their columns, and what each column may hold. This is the one home of both."""

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from tfsage.config import TEXT_FIELDS

SURFACES = ("home", "closeup", "search", "offsite")
QUERY_TYPES = ("query", "pin", "product")
ENTITY_TYPES = ("product", "pin", "query")
ACTIONS = ("click", "save", "long_click", "add_to_cart", "checkout")
SPLITS = ("train", "dev", "test")
ENRICHMENT_FIELDS = ("board_titles", "engaged_queries", "captions")
"""Text that others wrote about an entity (OmniSearchSage §3.2)."""
ALL_TEXT_FIELDS = TEXT_FIELDS + ENRICHMENT_FIELDS

Kind = Literal["id", "text", "category", "count", "grade", "timestamp", "vector", "vectors"]

EXPECTED = {
    "id": "string or int64",
    "text": "string or list<string>",
    "category": "string",
    "count": "an integer or a float",
    "grade": "an integer or a float",
    "timestamp": "timestamp or date",
    "vector": "list<float>, all of one length",
    "vectors": "list<list<float>>, all inner lists of one length",
}


@dataclass(frozen=True)
class Column:
    """What a column may hold.

    Attributes:
        kind: see `EXPECTED` for the Arrow types of each kind.
        required: whether the table is refused without it.
        values: for a category, every allowed value.
    """

    kind: Kind
    required: bool = False
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table's columns and its key.

    Attributes:
        columns: by name.
        key: the column whose values are distinct, or None.
        more_columns: whether embeddings and texts beyond `columns` are welcome.
    """

    columns: dict[str, Column]
    key: str | None = None
    more_columns: bool = False


_ID = Column("id", required=True)
_TEXT = {field: Column("text") for field in ALL_TEXT_FIELDS}

TABLES = {
    "products": Table(
        {"product_id": _ID, **_TEXT, "variant_group": Column("text"), "image_embeddings": Column("vectors")},
        "product_id",
        more_columns=True,
    ),
    "pins": Table(
        {"pin_id": _ID, **_TEXT, "embedding": Column("vector"), "image_embeddings": Column("vectors")},
        "pin_id",
        more_columns=True,
    ),
    "queries": Table(
        {
            "query_id": Column("id"),
            "text": Column("text", required=True),
            "language": Column("text"),
            "embedding": Column("vector"),
        },
        "query_id",
    ),
    "engagements": Table(
        {
            "surface": Column("category", True, SURFACES),
            "query_type": Column("category", True, QUERY_TYPES),
            "query_id": _ID,
            "entity_type": Column("category", True, ENTITY_TYPES),
            "entity_id": _ID,
            "action": Column("category", True, ACTIONS),
            "count": Column("count"),
            "timestamp": Column("timestamp"),
            "split": Column("category", False, SPLITS),
        }
    ),
    "boards": Table(
        {
            "board_id": _ID,
            "title": Column("text"),
            "entity_id": _ID,
            "entity_type": Column("category", False, ("product", "pin")),
            "timestamp": Column("timestamp"),
        }
    ),
    "exclusions": Table(
        {
            "query_type": Column("category", True, QUERY_TYPES),
            "query_id": _ID,
            "entity_type": Column("category", True, ENTITY_TYPES),
            "entity_id": _ID,
        }
    ),
    "relevance": Table(
        {
            "query_type": Column("category", True, QUERY_TYPES),
            "query_id": _ID,
            "entity_type": Column("category", True, ENTITY_TYPES),
            "entity_id": _ID,
            "grade": Column("grade", required=True),
        }
    ),
}
"""Every table, in the order in which they are checked. `engagements.count` is 1 where the column is absent. A `queries`
table without `query_id` uses the text itself as the id. A row of `boards` without `entity_type` is about whatever has
its id. Products of one `variant_group` (sizes or colours of one article) do not compete with one another in an
evaluation. `relevance` holds what people judged, from 0 for irrelevant upwards: for evaluation, never for training."""

REQUIRED_TABLES = ("products", "engagements")
TABLE_OF_TYPE = {"product": "products", "pin": "pins", "query": "queries"}


def is_string(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def is_vector(kind: pa.DataType) -> bool:
    return is_list(kind) and pa.types.is_floating(kind.value_type)


def is_vectors(kind: pa.DataType) -> bool:
    return is_list(kind) and is_vector(kind.value_type)


_ACCEPTS = {
    "id": lambda kind: is_string(kind) or kind == pa.int64(),
    "text": lambda kind: is_string(kind) or (is_list(kind) and is_string(kind.value_type)) or pa.types.is_null(kind),
    "category": is_string,
    "count": lambda kind: pa.types.is_integer(kind) or pa.types.is_floating(kind),
    "grade": lambda kind: pa.types.is_integer(kind) or pa.types.is_floating(kind),
    "timestamp": lambda kind: pa.types.is_timestamp(kind) or pa.types.is_date(kind),
    "vector": is_vector,
    "vectors": is_vectors,
}


def accepts(kind: Kind, arrow_type: pa.DataType) -> bool:
    """Whether a column of that Arrow type can be read as `kind`."""
    return _ACCEPTS[kind](arrow_type)
