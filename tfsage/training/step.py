"""The gradients of a batch, whole or in chunks."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from tfsage.data.rows import count_rows, slice_rows
from tfsage.training.gradients import DistinctSlices, sum_duplicates

Embed = Callable[[dict[str, tf.Tensor]], tf.Tensor]
Loss = Callable[[dict[str, tf.Tensor]], tuple[tf.Tensor, Any]]


def gradients_of(
    embed: dict[str, Embed],
    features: dict[str, dict[str, tf.Tensor]],
    loss_of: Loss,
    variables: Sequence[tf.Variable],
    chunk_size: int | None = None,
    generators: Sequence[tf.random.Generator] = (),
    scale: float = 1.0,
) -> tuple[tf.Tensor, Any, list[tf.Tensor | tf.IndexedSlices | None]]:
    """The loss of a batch and its gradient.

    With a chunk size, by cached gradients (Gao et al., RepL4NLP 2021): all rows are embedded chunk by chunk, keeping
    nothing but the embeddings; the loss gives the gradient of every embedding; then each chunk is embedded again, and
    that gradient taken back through it. Loss and gradient are those of the whole batch, in the memory of one chunk and
    all embeddings, for the time of one more forward pass. The loss sees the whole batch once in either case.

    Args:
        embed: name → a function from features to floating [n, d].
        features: name → features of n rows, as `tfsage.data.rows` slices them.
        loss_of: from the embeddings by name to the scalar loss and anything else worth knowing.
        variables: what to differentiate by.
        chunk_size: rows embedded at once; None for all.
        generators: of the dropout inside `embed`; the second pass draws what the first one drew.
        scale: what the loss is multiplied by on its way back, and the gradients divided by at the end: the gradients
            inside towers of half precision would vanish otherwise.

    Returns:
        loss, what else `loss_of` gave, and a gradient for each variable: None where nothing depends on it.
    """
    if chunk_size is None:
        with tf.GradientTape() as tape:
            loss, other = loss_of({name: embed[name](part) for name, part in features.items()})
        return loss, other, _divided(tape.gradient(loss, variables, _once_known(loss, scale)), scale)
    states, vectors = {}, {}
    for name, part in features.items():
        vectors[name], states[name] = _embed_chunks(embed[name], part, chunk_size, generators)
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        loss, other = loss_of(vectors)
    upstream, gradients = tape.gradient(loss, [vectors, list(variables)], _once_known(loss, scale))
    for name, part in features.items():
        if upstream[name] is not None:
            whole = tf.convert_to_tensor(upstream[name])
            own = _chunk_gradients(embed[name], part, whole, variables, chunk_size, generators, states[name])
            gradients = [_add(left, right) for left, right in zip(gradients, own, strict=True)]
    return loss, other, _divided(gradients, scale)


def _once_known(loss: tf.Tensor, scale: float) -> tf.Tensor:
    """The scale, when the loss is there: nothing is taken back before."""
    with tf.control_dependencies([loss]):
        return tf.identity(tf.constant(scale, loss.dtype))


def _divided(gradients: list, scale: float) -> list:
    if scale == 1.0:
        return gradients
    return [gradient if gradient is None else tf.math.scalar_mul(1.0 / scale, gradient) for gradient in gradients]


def _embed_chunks(embed: Embed, features: dict, size: int, generators) -> tuple[tf.Tensor, tuple[tf.TensorArray, ...]]:
    rows = count_rows(features)
    chunks = _chunks(rows, size)
    drawn = tuple(tf.TensorArray(g.state.dtype, chunks, element_shape=g.state.shape) for g in generators)
    first = embed(slice_rows(features, 0, 0))
    vectors = tf.TensorArray(first.dtype, chunks, infer_shape=False, element_shape=[None, first.shape[1]])

    def chunk(place, vectors, drawn):
        drawn = tuple(a.write(place, g.state.read_value()) for a, g in zip(drawn, generators, strict=True))
        part = slice_rows(features, place * size, tf.minimum((place + 1) * size, rows))
        return place + 1, vectors.write(place, embed(part)), drawn

    _, vectors, drawn = tf.while_loop(
        lambda place, *_: place < chunks, chunk, (0, vectors, drawn), parallel_iterations=1
    )
    return vectors.concat(), drawn


def _chunk_gradients(embed, features, upstream, variables, size, generators, drawn) -> list:
    rows = count_rows(features)
    chunks = _chunks(rows, size)

    def gradients(place):
        for generator, states in zip(generators, drawn, strict=True):
            generator.state.assign(states.read(place))
        first, last = place * size, tf.minimum((place + 1) * size, rows)
        with tf.GradientTape() as tape:
            vectors = embed(slice_rows(features, first, last))
        return tape.gradient(vectors, variables, output_gradients=upstream[first:last])

    def add_chunk(place, totals):
        return place + 1, tuple(_add_chunk(total, own) for total, own in zip(totals, gradients(place), strict=True))

    # No chunk is embedded again before the loss is done, nor before the chunk ahead of it is: a loop by itself only
    # waits for what its body reads first, and the memory of both would be needed at once.
    with tf.control_dependencies([upstream]):
        totals = tuple(_first_chunk(own, variable) for own, variable in zip(gradients(0), variables, strict=True))
    with tf.control_dependencies(tf.nest.flatten(totals)):
        second = tf.identity(1)
    shapes = (tf.TensorShape([]), tuple(_shape(total) for total in totals))
    _, totals = tf.while_loop(
        lambda place, _: place < chunks, add_chunk, (second, totals), shapes, parallel_iterations=1
    )
    return [_gradient(total, variable) for total, variable in zip(totals, variables, strict=True)]


def _chunks(rows: tf.Tensor, size: int) -> tf.Tensor:
    return tf.maximum(1, (rows + size - 1) // size)


class _TableSum(NamedTuple):
    """The sum of the gradients of chunks for a table: only the rows that a chunk has touched take memory.

    rows: int [m], distinct, in the order in which they came.
    values: [m, ...], their gradients.
    place: int32 [rows of the table], where a row is among `rows`; -1 = nowhere.
    """

    rows: tf.Tensor
    values: tf.Tensor
    place: tf.Tensor


def _first_chunk(
    gradient: tf.Tensor | tf.IndexedSlices | None, variable: tf.Variable
) -> tf.Tensor | _TableSum | tuple[()]:
    """The sum after the first chunk; () for a variable that has no gradient."""
    if gradient is None:
        return ()
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    own = sum_duplicates(gradient)
    place = tf.fill(variable.shape[:1], -1)
    place = tf.tensor_scatter_nd_update(place, own.indices[:, None], tf.range(tf.size(own.indices)))
    return _TableSum(own.indices, own.values, place)


def _shape(total: tf.Tensor | _TableSum | tuple[()]) -> tf.TensorShape | _TableSum | tuple[()]:
    """The shape of a sum at any chunk."""
    if isinstance(total, _TableSum):
        values = tf.TensorShape([None, *total.values.shape[1:]])
        return _TableSum(tf.TensorShape([None]), values, total.place.shape)
    return total.shape if isinstance(total, tf.Tensor) else ()


def _add_chunk(
    total: tf.Tensor | _TableSum | tuple[()], gradient: tf.Tensor | tf.IndexedSlices | None
) -> tf.Tensor | _TableSum | tuple[()]:
    if isinstance(total, tf.Tensor):
        return total + gradient
    if not isinstance(total, _TableSum):
        return total
    own = sum_duplicates(gradient)
    count = tf.size(total.rows)
    fresh = tf.boolean_mask(own.indices, tf.gather(total.place, own.indices) < 0)
    new = count + tf.range(tf.size(fresh))
    place = tf.tensor_scatter_nd_update(total.place, fresh[:, None], new)
    longer = tf.pad(total.values, [[0, tf.size(fresh)], *[[0, 0]] * (total.values.shape.rank - 1)])
    values = tf.tensor_scatter_nd_add(longer, tf.gather(place, own.indices)[:, None], own.values)
    return _TableSum(tf.concat([total.rows, fresh], 0), values, place)


def _gradient(total: tf.Tensor | _TableSum | tuple[()], variable: tf.Variable) -> tf.Tensor | DistinctSlices | None:
    if isinstance(total, _TableSum):
        return DistinctSlices(total.values, total.rows, tf.constant(variable.shape.as_list(), tf.int64))
    return total if isinstance(total, tf.Tensor) else None


def _add(left: tf.Tensor | tf.IndexedSlices | None, right: tf.Tensor | tf.IndexedSlices | None):
    if left is None or right is None:
        return right if left is None else left
    if isinstance(left, tf.IndexedSlices) and isinstance(right, tf.IndexedSlices):
        values, rows = (tf.concat(parts, 0) for parts in ([left.values, right.values], [left.indices, right.indices]))
        return tf.IndexedSlices(values, rows, left.dense_shape)
    return tf.convert_to_tensor(left) + tf.convert_to_tensor(right)
