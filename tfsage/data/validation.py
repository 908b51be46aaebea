"""Finds the rows that cannot be used, before any work is done."""

from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from ibis import _

from tfsage.data.bad_rows import NOT_UTF8, BadRows
from tfsage.data.columns import first_dimension, invalid_utf8, plain, read_vectors, texts
from tfsage.data.schema import QUERY_TYPES, TABLE_OF_TYPE
from tfsage.data.tables import Batch, Source


class ContentCheck:
    """Looks at what each row holds by itself: encodings and vectors. One pass over a table, batch by batch.

    Args:
        source: the table.
        bad: where bad rows are noted.
        dimensions: the length that the vectors of a column should have, where somebody says so.
    """

    def __init__(self, source: Source, bad: BadRows, dimensions: dict[str, int]):
        self._source, self._bad = source, bad
        self.dimensions = dict(dimensions)
        self._not_utf8: set[str] = set()

    def check(self, batch: Batch) -> None:
        names = batch.rows.schema.names
        for name, column in self._source.columns.items():
            array = batch.rows.column(names.index(name))
            if column.kind in ("vector", "vectors"):
                self._check_vectors(batch, name, array, column.kind == "vectors")
            elif column.kind in ("id", "category", "text"):
                rows = invalid_utf8(array)
                if len(rows) and name in self._source.relation_columns:
                    self._not_utf8.add(batch.file)
                self._note(batch, name, rows, NOT_UTF8)
        if self._source.name == "queries":
            self._check_query_texts(batch)

    def finish(self, scratch: Path) -> None:
        """Lets the relations of the table be read although some ids are not UTF-8: such ids are null there."""
        if self._not_utf8:
            stand_ins = [self._without_bad_ids(number, file, scratch) for number, file in enumerate(self._source.files)]
            self._source.replace_relation_files(stand_ins)

    def _check_vectors(self, batch: Batch, name: str, array: pa.Array, several: bool) -> None:
        dimension = self.dimensions.get(name) or first_dimension(array, several)
        if dimension is None:
            return
        self.dimensions[name] = dimension
        vectors = read_vectors(array, several, dimension)
        row = vectors.row
        wrong = np.unique(row[vectors.wrong_length])
        self._note(batch, name, wrong, f"a vector is not of length {dimension}")
        not_finite = np.setdiff1d(row[vectors.not_finite], wrong)
        self._note(batch, name, not_finite, "a vector holds NaN, infinity or null")

    def _check_query_texts(self, batch: Batch) -> None:
        array = batch.rows.column(batch.rows.schema.get_field_index("text"))
        if not len(invalid_utf8(array)):
            blank = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(texts(array)), ""), True)
            rows = np.flatnonzero(blank.to_numpy(zero_copy_only=False))
            self._note(batch, "text", rows, "the text of a query is missing or blank")

    def _note(self, batch: Batch, column: str, rows: np.ndarray, reason: str) -> None:
        if not len(rows):
            return
        shown = batch.rows.column(batch.rows.schema.get_field_index(self._source.key or column)).take(pa.array(rows))
        self._bad.add(self._source.name, batch.file, column, reason, batch.first_row + rows, _readable(shown))

    def _without_bad_ids(self, number: int, file: Path, scratch: Path) -> Path:
        stand_in = scratch / f"{self._source.name}-{number}.parquet"
        table = pq.read_table(file, columns=self._source.relation_columns)
        for place, name in enumerate(table.column_names):
            if self._source.columns[name].kind in ("id", "category", "text"):
                chunks = [_null_where(chunk, invalid_utf8(chunk)) for chunk in table.column(name).chunks]
                table = table.set_column(place, name, pa.chunked_array(chunks))
        pq.write_table(table, stand_in)
        return stand_in


def check_relations(sources: dict[str, Source], bad: BadRows, connection: ibis.BaseBackend, by_time: bool) -> None:
    """Looks at how rows relate: nulls, unknown values, counts, duplicate keys, and ids that no table has.

    Rows that are bad already are passed over; when a row is bad, rows that name it are bad as well.
    """
    ids = []
    for name in ("products", "pins", "queries"):
        if name in sources:
            _check_columns(sources[name], bad, connection)
            _check_key(sources[name], bad, connection)
            ids.append(_known_ids(sources[name], bad, connection))
    known = ibis.union(*ids) if len(ids) > 1 else ids[0]
    for name in ("engagements", "boards", "exclusions", "relevance"):
        if name in sources:
            _check_columns(sources[name], bad, connection)
    for name in ("engagements", "exclusions", "relevance"):
        if name in sources:
            for role in ("query", "entity"):
                _check_reference(sources[name], role, known, bad, connection)
    if "boards" in sources:
        table = bad.good("boards", sources["boards"].expression(connection))
        entities = known.filter(_.type != "query").select(entity_id=_.id).distinct()
        missing = table.anti_join(entities, "entity_id").mutate(example=_.entity_id)
        bad.add_expression("boards", "entity_id", "an id that neither products nor pins have", missing)
    if by_time:
        table = bad.good("engagements", sources["engagements"].expression(connection))
        undated = table.filter(_.timestamp.isnull()).mutate(example=_.entity_id)
        bad.add_expression("engagements", "timestamp", "null, but the split is by time", undated)


def _check_columns(source: Source, bad: BadRows, connection: ibis.BaseBackend) -> None:
    table = bad.good(source.name, source.expression(connection))
    label = source.key or "entity_id"
    for name, column in source.columns.items():
        value = table[name] if name in table.columns else None
        if value is None or column.kind == "timestamp":
            continue
        rows = table.filter(value.isnull()).mutate(example=_[label])
        bad.add_expression(source.name, name, "null", rows)
        if column.kind == "id":
            blank = table.filter(value == "").mutate(example=_[label])
            bad.add_expression(source.name, name, "an empty id", blank)
        if column.kind == "category":
            reason = f"unknown value (known: {', '.join(column.values)})"
            rows = table.filter(value.notnull(), value.notin(column.values)).mutate(example=value)
            bad.add_expression(source.name, name, reason, rows)
        if column.kind in ("count", "grade"):
            number = value.cast("float64")
            too_low = number <= 0 if column.kind == "count" else number < 0
            rows = table.filter(too_low | number.isnan() | number.isinf()).mutate(example=value.cast("string"))
            reason = "not a number above 0" if column.kind == "count" else "not a number from 0 upwards"
            bad.add_expression(source.name, name, reason, rows)


def _check_key(source: Source, bad: BadRows, connection: ibis.BaseBackend) -> None:
    table = bad.good(source.name, source.expression(connection))
    place = ibis.row_number().over(group_by=source.key, order_by=["file", "row"])
    again = table.mutate(place=place).filter(_.place > 0).mutate(example=_[source.key])
    bad.add_expression(source.name, source.key, "a duplicate of an earlier row's key", again)


def _known_ids(source: Source, bad: BadRows, connection: ibis.BaseBackend) -> ibis.Table:
    entity_type = next(kind for kind, table in TABLE_OF_TYPE.items() if table == source.name)
    good = bad.good(source.name, source.expression(connection))
    return good.select(type=ibis.literal(entity_type), id=_[source.key])


def _check_reference(source: Source, role: str, known: ibis.Table, bad: BadRows, connection: ibis.BaseBackend) -> None:
    table = bad.good(source.name, source.expression(connection))
    missing = table.mutate(type=_[f"{role}_type"], id=_[f"{role}_id"]).anti_join(known, ["type", "id"])
    for entity_type in QUERY_TYPES:
        rows = missing.filter(_.type == entity_type).mutate(example=_.id)
        reason = f"a {entity_type} id that no row of {TABLE_OF_TYPE[entity_type]} has"
        bad.add_expression(source.name, f"{role}_id", reason, rows)


def _readable(array: pa.Array) -> list[str]:
    """Values as text that can be printed whatever their bytes."""
    array = plain(array)
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        array = array.cast(pa.large_binary())
    return [
        value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
        for value in array.to_pylist()
    ]


def _null_where(array: pa.Array, rows: np.ndarray) -> pa.Array:
    array = plain(array)
    keep = np.ones(len(array), bool)
    keep[rows] = False
    return pc.if_else(pa.array(keep), array, pa.scalar(None, array.type))
