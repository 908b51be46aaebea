"""Which cells of a table belong to an id, and how they are read."""

import tensorflow as tf

from tfsage.errors import TfsageError
from tfsage.text.splitmix import splitmix64


def integer_ids(ids: tf.Tensor) -> tf.Tensor:
    """Ids as integers: strings by a fingerprint of 63 bits (FarmHash), the same on every machine and in every run.

    Among a hundred million strings the chance that any two share a fingerprint is 1 in 2,000.

    Args:
        ids: integer or string [n].

    Returns:
        int64 [n].

    Raises:
        TfsageError: the ids are neither.

    >>> integer_ids(tf.constant([7, -7])).numpy().tolist()
    [7, -7]
    >>> integer_ids(tf.constant(["red shoes"])).numpy().tolist()
    [5009709496135997895]
    """
    ids = tf.convert_to_tensor(ids)
    if ids.dtype == tf.string:
        return tf.strings.to_hash_bucket_fast(ids, 2**63 - 1)
    if not ids.dtype.is_integer:
        raise TfsageError(f"frequency: ids must be integers or strings, got {ids.dtype.name}; convert them first")
    return tf.cast(ids, tf.int64)


def mixer_seeds(count: int, seed: int) -> tf.Variable:
    """Unrelated 64-bit numbers, int64 [count], in a variable: tables mean nothing without what filled them."""
    seeds = splitmix64(splitmix64(tf.constant(seed % 2**64, tf.uint64)) + tf.cast(tf.range(count), tf.uint64))
    return tf.Variable(tf.bitcast(seeds, tf.int64), trainable=False, name="seeds")


def hashed_cells(ids: tf.Tensor, seeds: tf.Variable, width: int) -> tf.Tensor:
    """A cell per row and id in a table of `width` cells per row, laid out row after row: int64 [rows, n]."""
    keys = tf.bitcast(ids, tf.uint64)[None, :] + tf.bitcast(seeds, tf.uint64)[:, None]
    columns = tf.cast(splitmix64(keys) % tf.constant(width, tf.uint64), tf.int64)
    return columns + width * tf.range(tf.shape(seeds, tf.int64)[0])[:, None]


def read_cells(table: tf.Variable, cells: tf.Tensor) -> tf.Tensor:
    """table[cells], at a cost that depends on the number of cells alone.

    `tf.gather` does the same for an ordinary variable, but reads, and copies, the whole of one that a distribution
    strategy made. Outside `strategy.run`, where no step waits for it, that is how it is read.
    """
    if tf.distribute.in_cross_replica_context():
        return tf.gather(table, cells)
    return tf.raw_ops.ResourceGather(resource=table.handle, indices=cells, dtype=table.dtype)
