"""What replicas tell each other; every function is the identity where there is one replica alone."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import tensorflow as tf

Result = TypeVar("Result")


def gather(tensor: tf.Tensor) -> tf.Tensor:
    """The rows of all replicas, in the order of replicas: [Σ n_r, ...] for [n_r, ...]; n_r may differ, and be zero.

    The gradient adds up what every replica says of a row and goes back to the replica that the row came from.
    """
    context = _context()
    if context is None:
        return tensor
    # An argument of the step has no device until something is done with it, and a worker with one replica needs one.
    rows = context.all_gather(tf.identity(tensor), axis=0)
    return _with_dense_gradient(tf.ensure_shape(rows, [None, *tensor.shape[1:]]))


def gather_parts(tensor: tf.Tensor, sizes: Sequence[tf.Tensor]) -> tf.Tensor:
    """The first parts of all replicas, then their second ones, and so on; `sizes` are the rows of each, int32 scalars.

    Where there is one replica it is the tensor itself, not a copy.
    """
    if _context() is None:
        return tensor
    return tf.concat([gather(part) for part in tf.split(tensor, sizes)], 0)


def total(tensor: tf.Tensor) -> tf.Tensor:
    """The sum over all replicas, elementwise."""
    context = _context()
    return tensor if context is None else context.all_reduce(tf.distribute.ReduceOp.SUM, tensor)


def first_row(rows: tf.Tensor) -> tf.Tensor:
    """Where the rows of this replica begin among those of all, an int32 scalar; `rows` is their number."""
    context = _context()
    if context is None:
        return tf.constant(0)
    counts = gather(tf.reshape(rows, [1]))
    return tf.reduce_sum(counts[: context.replica_id_in_sync_group])


def once(function: Callable[..., Result], *tensors: tf.Tensor | tf.IndexedSlices) -> Result:
    """function(*tensors), where the tensors are equal on all replicas.

    Where the replicas of a worker share their memory, the first computes it for all; GPUs compute it each for itself,
    since that takes less time than to send it around.
    """
    context = _context()
    if context is None or not _share_memory(context.strategy):
        return function(*tensors)

    def on_first(strategy, *copies):
        with tf.device(strategy.extended.worker_devices[0]):
            return function(*(strategy.experimental_local_results(copy)[0] for copy in copies))

    return context.merge_call(on_first, args=tensors)


def _share_memory(strategy: tf.distribute.Strategy) -> bool:
    kinds = {tf.DeviceSpec.from_string(device).device_type for device in strategy.extended.worker_devices}
    return kinds == {"CPU"}


@tf.custom_gradient
def _with_dense_gradient(tensor: tf.Tensor):
    # The gradient of all_gather does not take IndexedSlices, which any gather from its result would hand it.
    return tf.identity(tensor), tf.convert_to_tensor


def _context() -> tf.distribute.ReplicaContext | None:
    context = tf.distribute.get_replica_context()
    if context is None:
        raise RuntimeError("to be called by a replica, inside strategy.run")
    return context if context.num_replicas_in_sync > 1 else None
