"""Pre-joined TFRecord shards: product features read in sequence, for catalogs that are larger than memory."""

from tfsage.data.records.choice import choose_reader
from tfsage.data.records.reader import RecordReader

__all__ = ["RecordReader", "choose_reader"]
