import warnings

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tests.training.tables import ROWS, WIDTH, gradients, results_as_long_as
from tfsage.config import HashEmbeddingConfig
from tfsage.text.hash_embedding import HashEmbedding
from tfsage.training.gradients import DistinctSlices
from tfsage.training.optimizers import CompositeOptimizer, Lamb, LazyAdam, RowWiseAdagrad
from tfsage.training.schedule import WarmupCosine

SGD = tf_keras.optimizers.SGD


def takes_table(variable):
    return variable.shape.rank == 2 and variable.shape[0] == ROWS


def takes_scalar(variable):
    return variable.shape.rank == 0


def takes_all(variable):
    return True


def small_model(seed=3):
    """A table, a matrix and a scalar."""
    generator = np.random.default_rng(seed)
    table = tf.Variable(generator.normal(size=(ROWS, WIDTH)), dtype=tf.float32, name="table")
    matrix = tf.Variable(generator.normal(size=(WIDTH, 2)), dtype=tf.float32, name="matrix")
    scalar = tf.Variable(0.5, name="scalar")
    return [table, matrix, scalar]


def loss_of(variables, rows):
    table, matrix, scalar = variables
    return tf.reduce_sum((scalar * tf.gather(table, rows) @ matrix - 1.0) ** 2)


def step_of(optimizer, variables):
    @tf.function
    def step(rows):
        with tf.GradientTape() as tape:
            loss = loss_of(variables, rows)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    return step


def composite(clip_norm=None, table=RowWiseAdagrad, rest=tf_keras.optimizers.Adam):
    return CompositeOptimizer(
        [(table(WarmupCosine(0.1, 2, 20, 0.1)), takes_table), (rest(WarmupCosine(0.01, 3, 8, 0.0)), takes_all)],
        clip_norm,
    )


ROW_BATCHES = [tf.constant(rows) for rows in ([0, 1, 1, 1], [2, 3, 3, 0], [5, 5, 5, 5], [1, 2, 3, 4], [0, 0, 7, 8])]


def test_equals_the_optimizers_on_their_own():
    variables, expected = small_model(), small_model()
    step = step_of(composite(), variables)
    adagrad = RowWiseAdagrad(WarmupCosine(0.1, 2, 20, 0.1))
    adam = tf_keras.optimizers.Adam(WarmupCosine(0.01, 3, 8, 0.0))
    for rows in ROW_BATCHES:
        step(rows)
        table, matrix, scalar = expected
        with tf.GradientTape() as tape:
            loss = loss_of(expected, rows)
        own = tape.gradient(loss, expected)
        adagrad.apply_gradients([(own[0], table)])
        adam.apply_gradients([(own[1], matrix), (own[2], scalar)])
    for ours, theirs in zip(variables, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_clips_the_gradient_of_all_groups_together_with_repeated_rows_summed():
    variables = small_model()
    optimizer = CompositeOptimizer([(SGD(1.0), takes_table), (SGD(1.0), takes_all)], clip_norm=0.5)
    before = [variable.numpy() for variable in variables]
    slices, dense, _ = next(gradients("repeated rows"))
    slices = tf.IndexedSlices(tf.cast(slices.values, tf.float32), slices.indices, slices.dense_shape)
    matrix, scalar = np.full((WIDTH, 2), 0.3, np.float32), np.float32(2.0)
    optimizer.apply_gradients(zip([slices, tf.constant(matrix), tf.constant(scalar)], variables, strict=True))
    norm = np.sqrt(np.sum(dense**2) + np.sum(matrix**2) + scalar**2)
    assert norm > 0.5
    for start, variable, gradient in zip(before, variables, (dense, matrix, scalar), strict=True):
        np.testing.assert_allclose(start - variable, gradient * 0.5 / norm, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("table", [RowWiseAdagrad, LazyAdam])
@pytest.mark.parametrize("rest", [tf_keras.optimizers.AdamW, Lamb])
def test_goes_on_from_a_checkpoint_bit_for_bit(table, rest, tmp_path):
    variables, optimizer = small_model(), composite(1.0, table, rest)
    step = step_of(optimizer, variables)
    for rows in ROW_BATCHES[:3]:
        step(rows)
    path = tf.train.Checkpoint(optimizer=optimizer, variables=variables).write(str(tmp_path / "checkpoint"))
    other_variables, other = small_model(seed=4), composite(1.0, table, rest)
    other.build(other_variables)
    status = tf.train.Checkpoint(optimizer=other, variables=other_variables).read(path)
    status.assert_existing_objects_matched().assert_consumed()
    other_step = step_of(other, other_variables)
    for rows in ROW_BATCHES[3:]:
        step(rows)
        other_step(rows)
    assert other.iterations == 5
    for ours, theirs in zip([*variables, *optimizer.variables], [*other_variables, *other.variables], strict=True):
        np.testing.assert_array_equal(ours, theirs, err_msg=ours.name)
    for part, rate in zip(
        other.optimizers, (WarmupCosine(0.1, 2, 20, 0.1), WarmupCosine(0.01, 3, 8, 0.0)), strict=True
    ):
        np.testing.assert_array_equal(part.learning_rate, rate(tf.constant(4)))


def test_variables_are_those_of_all_groups():
    optimizer = composite()
    optimizer.build(small_model())
    names = " ".join(variable.name for variable in optimizer.variables)
    for part in ("row_accumulator/table", "m/matrix", "v/scalar"):
        assert part in names


def test_schedules_follow_the_steps_of_the_whole():
    """The table has no gradient in the first two steps; its third step is at the rate of step 2."""
    table, matrix, _ = small_model()
    optimizer = CompositeOptimizer([(SGD(WarmupCosine(1.0, 4, 20, 0.1)), takes_table), (SGD(0.1), takes_all)])
    before = table.numpy()
    for _ in range(2):
        optimizer.apply_gradients([(None, table), (tf.ones_like(matrix), matrix)])
    np.testing.assert_array_equal(table, before)
    optimizer.apply_gradients([(tf.ones_like(table), table), (tf.ones_like(matrix), matrix)])
    np.testing.assert_allclose(before - table, 0.75, rtol=1e-5)


def test_the_first_group_that_wants_a_variable_gets_it():
    variables = small_model()
    optimizer = CompositeOptimizer([(SGD(1.0), takes_table), (SGD(0.0), takes_all)])
    before = [variable.numpy() for variable in variables]
    optimizer.apply_gradients([(tf.ones_like(variable), variable) for variable in variables])
    np.testing.assert_allclose(before[0] - variables[0], 1.0, rtol=1e-5)
    np.testing.assert_array_equal(before[1], variables[1])


def test_what_is_frozen_neither_moves_nor_counts_in_the_norm():
    variables = small_model()
    optimizer = CompositeOptimizer(
        [(None, takes_table), (SGD(1.0), takes_scalar), (SGD(1.0), takes_all)], clip_norm=1.0
    )
    before = [variable.numpy() for variable in variables]
    own = [tf.fill([ROWS, WIDTH], 1e6), tf.fill([WIDTH, 2], 0.3), tf.constant(0.0)]
    optimizer.apply_gradients(zip(own, variables, strict=True))
    assert [optimizer.trains(variable) for variable in variables] == [False, True, True]
    np.testing.assert_array_equal(variables[0], before[0])
    np.testing.assert_allclose(before[1] - variables[1], 0.3, rtol=1e-5)
    assert not any("table" in variable.name for variable in optimizer.variables)


def test_a_variable_that_no_group_wants_is_an_error():
    with pytest.raises(ValueError, match="matrix"):
        CompositeOptimizer([(SGD(1.0), takes_table)]).build(small_model())


def test_a_step_without_any_gradient_counts():
    variables = small_model()
    optimizer = composite(clip_norm=1.0)
    optimizer.apply_gradients([(None, variable) for variable in variables])
    assert optimizer.iterations == 1


@pytest.mark.parametrize("table", [RowWiseAdagrad, LazyAdam])
@pytest.mark.parametrize("kind", [tf.IndexedSlices, DistinctSlices])
def test_a_table_is_never_passed_over(table, kind):
    """From the hash embedding to the update, with clipping, nothing is as long as one of the tables."""
    buckets, tokens = 54_321, 65_432
    layer = HashEmbedding(tokens, HashEmbeddingConfig(buckets=buckets, dimension=4))
    optimizer = CompositeOptimizer([(table(0.1), takes_all)], clip_norm=1.0)
    optimizer.build(layer.trainable_variables)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.int32)])
    def step(token_ids, lengths):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(token_ids, lengths) ** 2)
        own = tape.gradient(loss, layer.trainable_variables)
        own = [kind(gradient.values, gradient.indices, gradient.dense_shape) for gradient in own]
        optimizer.apply_gradients(zip(own, layer.trainable_variables, strict=True))

    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*IndexedSlices.*")
        graph = step.get_concrete_function()
    assert results_as_long_as(graph, buckets) == []
    assert results_as_long_as(graph, tokens) == []


def test_the_look_into_the_graph_finds_a_dense_pass():
    size = 54_321
    variable = tf.Variable(tf.zeros([size, WIDTH]))
    optimizer = CompositeOptimizer([(tf_keras.optimizers.Adam(), takes_all)])
    optimizer.build([variable])

    @tf.function(input_signature=[tf.TensorSpec([None, WIDTH], tf.float32), tf.TensorSpec([None], tf.int32)])
    def step(values, indices):
        optimizer.apply_gradients([(tf.IndexedSlices(values, indices, tf.constant([size, WIDTH])), variable)])

    assert results_as_long_as(step.get_concrete_function(), size)


def test_trains_a_keras_model_with_compile_and_fit():
    tf_keras.utils.set_random_seed(1)
    model = tf_keras.Sequential([tf_keras.layers.Embedding(ROWS, WIDTH), tf_keras.layers.Dense(1)])
    groups = [(RowWiseAdagrad(0.1), takes_table), (tf_keras.optimizers.Adam(0.01), takes_all)]
    model.compile(CompositeOptimizer(groups, clip_norm=1.0), "mse")
    ids = np.arange(ROWS).repeat(20)[:, None]
    history = model.fit(ids, (ids % 3 == 0).astype(np.float32), epochs=15, verbose=0).history["loss"]
    assert history[-1] < 0.3 * history[0]
