"""How many products lack a feature: counted while the catalog is embedded, kept beside the vectors."""

import pyarrow as pa
import pyarrow.compute as pc

from export.raw_features import text_column


def count_missing(batch: pa.RecordBatch, text_fields: tuple[str, ...], image_column: str | None) -> dict[str, int]:
    """For each feature of the product tower the rows of `batch` that lack it: null, empty, or no such column."""
    missing = {name: _zeros(pc.binary_length(text_column(batch, name))) for name in text_fields}
    if image_column in batch.schema.names:
        missing[image_column] = _zeros(pc.list_value_length(batch.column(image_column)).fill_null(0))
    elif image_column:
        missing[image_column] = len(batch)
    return missing


def _zeros(lengths: pa.Array) -> int:
    return len(lengths) - int(pc.sum(pc.greater(lengths, 0)).as_py() or 0)
