import types

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tfsage.config import Config
from tfsage.training.optimizers import CompositeOptimizer, RowWiseAdagrad, build_optimizer
from tfsage.training.schedule import WarmupCosine

ROWS, WIDTH = 12, 3


def batches(steps, seed=0, rows=ROWS, slices=8):
    """Sparse gradients with repeated rows, and what they are when dense."""
    generator = np.random.default_rng(seed)
    for _ in range(steps):
        indices, values = generator.integers(0, rows, slices), generator.normal(size=(slices, WIDTH))
        dense = np.zeros((rows, WIDTH))
        np.add.at(dense, indices, values)
        sparse = tf.IndexedSlices(tf.constant(values, tf.float32), tf.constant(indices), tf.constant([rows, WIDTH]))
        yield sparse, dense


def row_wise_adagrad(table, gradients, rate, epsilon=1e-10):
    """The definition, row by row, in plain numpy."""
    table, accumulated = table.copy(), np.zeros(len(table))
    for gradient in gradients:
        for row, values in enumerate(gradient):
            accumulated[row] += np.mean(values**2)
            table[row] -= rate * values / np.sqrt(accumulated[row] + epsilon)
    return table


def initial_table():
    return np.random.default_rng(9).normal(size=(ROWS, WIDTH))


def takes_table(variable):
    return variable.shape.rank == 2 and variable.shape[0] == ROWS


def takes_all(variable):
    return True


class TestRowWiseAdagrad:
    @pytest.mark.parametrize("sparse", [True, False])
    @pytest.mark.parametrize("traced", [True, False])
    def test_equals_its_definition(self, sparse, traced):
        table, optimizer = tf.Variable(initial_table(), dtype=tf.float32), RowWiseAdagrad(0.3)
        optimizer.build([table])

        def step(gradient):
            optimizer.apply_gradients([(gradient, table)])

        step = tf.function(step, reduce_retracing=True) if traced else step
        pairs = list(batches(5))
        for slices, dense in pairs:
            step(slices if sparse else tf.constant(dense, tf.float32))
        expected = row_wise_adagrad(initial_table(), [dense for _, dense in pairs], 0.3)
        np.testing.assert_allclose(table, expected, rtol=1e-4, atol=1e-6)

    def test_worked_example(self):
        table = tf.Variable([[1.0, 1.0]])
        RowWiseAdagrad(0.5).apply_gradients([(tf.constant([[3.0, 4.0]]), table)])
        np.testing.assert_allclose(table, [[1 - 0.4243, 1 - 0.5657]], atol=1e-4)

    def test_the_size_of_the_gradient_does_not_matter(self):
        tables = [tf.Variable(initial_table(), dtype=tf.float32) for _ in range(2)]
        for scale, table in zip((1.0, 100.0), tables, strict=True):
            optimizer = RowWiseAdagrad(0.3)
            for slices, _ in batches(3):
                optimizer.apply_gradients([(tf.IndexedSlices(scale * slices.values, slices.indices), table)])
        np.testing.assert_allclose(tables[0], tables[1], rtol=1e-4, atol=1e-6)

    def test_rows_that_are_not_in_the_batch_stay_bit_for_bit(self):
        table, optimizer = tf.Variable(initial_table(), dtype=tf.float32), RowWiseAdagrad(0.3)
        before = table.numpy()
        slices = tf.IndexedSlices(tf.ones([3, WIDTH]), tf.constant([2, 7, 2]), tf.constant([ROWS, WIDTH]))
        optimizer.apply_gradients([(slices, table)])
        changed = np.any(table.numpy() != before, axis=1)
        assert np.flatnonzero(changed).tolist() == [2, 7]
        accumulator = next(v for v in optimizer.variables if "row_accumulator" in v.name)
        assert accumulator.shape == [ROWS]
        np.testing.assert_array_equal(np.flatnonzero(accumulator), [2, 7])

    @pytest.mark.parametrize("composite", [False, True])
    def test_no_operation_passes_over_the_whole_table(self, composite):
        size = 54_321
        table, optimizer = tf.Variable(tf.zeros([size, WIDTH])), RowWiseAdagrad(0.3)
        if composite:
            optimizer = CompositeOptimizer([(optimizer, takes_all)], clip_norm=1.0)
        optimizer.build([table])

        @tf.function
        def step(values, indices):
            optimizer.apply_gradients([(tf.IndexedSlices(values, indices, tf.constant([size, WIDTH])), table)])

        graph = step.get_concrete_function(
            tf.TensorSpec([None, WIDTH], tf.float32), tf.TensorSpec([None], tf.int32)
        ).graph
        outputs = [output for operation in graph.get_operations() for output in operation.outputs]
        assert len(outputs) > 10
        assert not [output for output in outputs if output.shape.rank and output.shape[0] == size]

    def test_follows_a_schedule(self):
        table, optimizer = tf.Variable([[0.0]]), RowWiseAdagrad(WarmupCosine(1.0, 2, 10, 0.0))
        optimizer.apply_gradients([(tf.ones([1, 1]), table)])
        np.testing.assert_allclose(table, [[-0.5]], rtol=1e-6)
        optimizer.apply_gradients([(tf.ones([1, 1]), table)])
        np.testing.assert_allclose(table, [[-0.5 - 1 / np.sqrt(2)]], rtol=1e-6)

    def test_survives_serialisation(self):
        again = RowWiseAdagrad.from_config(RowWiseAdagrad(0.3, epsilon=0.01).get_config())
        table = tf.Variable(initial_table(), dtype=tf.float32)
        _, dense = next(batches(1))
        again.apply_gradients([(tf.constant(dense, tf.float32), table)])
        np.testing.assert_allclose(
            table, row_wise_adagrad(initial_table(), [dense], 0.3, epsilon=0.01), rtol=1e-4, atol=1e-6
        )


def small_model(seed=3):
    """A table, a matrix and a scalar with a loss that uses all three."""
    generator = np.random.default_rng(seed)
    table = tf.Variable(generator.normal(size=(ROWS, WIDTH)), dtype=tf.float32, name="table")
    matrix = tf.Variable(generator.normal(size=(WIDTH, 2)), dtype=tf.float32, name="matrix")
    scalar = tf.Variable(0.5, name="scalar")
    return [table, matrix, scalar]


def step_of(optimizer, variables):
    @tf.function
    def step(rows):
        table, matrix, scalar = variables
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum((scalar * tf.gather(table, rows) @ matrix - 1.0) ** 2)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    return step


def composite(clip_norm=None):
    return CompositeOptimizer(
        [(RowWiseAdagrad(WarmupCosine(0.1, 2, 20, 0.1)), takes_table), (tf_keras.optimizers.Adam(0.01), takes_all)],
        clip_norm,
    )


ROW_BATCHES = [tf.constant(rows) for rows in ([0, 1, 1, 1], [2, 3, 3, 0], [5, 5, 5, 5], [1, 2, 3, 4], [0, 0, 7, 8])]


class TestCompositeOptimizer:
    def test_equals_the_optimizers_on_their_own(self):
        variables, expected = small_model(), small_model()
        step = step_of(composite(), variables)
        adagrad, adam = RowWiseAdagrad(WarmupCosine(0.1, 2, 20, 0.1)), tf_keras.optimizers.Adam(0.01)
        for rows in ROW_BATCHES:
            step(rows)
            table, matrix, scalar = expected
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum((scalar * tf.gather(table, rows) @ matrix - 1.0) ** 2)
            gradients = tape.gradient(loss, expected)
            adagrad.apply_gradients([(gradients[0], table)])
            adam.apply_gradients([(gradients[1], matrix), (gradients[2], scalar)])
        for ours, theirs in zip(variables, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)

    def test_clips_the_gradient_of_all_groups_together_with_repeated_rows_summed(self):
        variables = small_model()
        optimizer = CompositeOptimizer(
            [(tf_keras.optimizers.SGD(1.0), takes_table), (tf_keras.optimizers.SGD(1.0), takes_all)], clip_norm=0.5
        )
        before = [variable.numpy() for variable in variables]
        slices, dense = next(batches(1))
        matrix, scalar = np.full((WIDTH, 2), 0.3, np.float32), np.float32(2.0)
        optimizer.apply_gradients(zip([slices, tf.constant(matrix), tf.constant(scalar)], variables, strict=True))
        norm = np.sqrt(np.sum(dense**2) + np.sum(matrix**2) + scalar**2)
        assert norm > 0.5
        for start, variable, gradient in zip(before, variables, (dense, matrix, scalar), strict=True):
            np.testing.assert_allclose(start - variable, gradient * 0.5 / norm, rtol=1e-4, atol=1e-6)

    def test_a_checkpoint_holds_the_state_of_every_group(self, tmp_path):
        variables, optimizer = small_model(), composite(clip_norm=1.0)
        step = step_of(optimizer, variables)
        for rows in ROW_BATCHES[:3]:
            step(rows)
        path = tf.train.Checkpoint(optimizer=optimizer, variables=variables).write(str(tmp_path / "checkpoint"))
        other_variables, other = small_model(seed=4), composite(clip_norm=1.0)
        other.build(other_variables)
        status = tf.train.Checkpoint(optimizer=other, variables=other_variables).read(path)
        status.assert_existing_objects_matched().assert_consumed()
        other_step = step_of(other, other_variables)
        for rows in ROW_BATCHES[3:]:
            step(rows)
            other_step(rows)
        assert other.iterations == 5
        for ours, theirs in zip(variables, other_variables, strict=True):
            np.testing.assert_array_equal(ours, theirs)

    def test_variables_are_those_of_all_groups(self):
        optimizer = composite()
        optimizer.build(small_model())
        names = " ".join(variable.name for variable in optimizer.variables)
        for part in ("row_accumulator/table", "m/matrix", "v/scalar"):
            assert part in names

    def test_schedules_follow_the_steps_of_the_whole(self):
        """The table has no gradient in the first two steps; its third step is at the rate of step 2."""
        table, matrix, _ = small_model()
        schedule = WarmupCosine(1.0, 4, 20, 0.1)
        optimizer = CompositeOptimizer(
            [(tf_keras.optimizers.SGD(schedule), takes_table), (tf_keras.optimizers.SGD(0.1), takes_all)]
        )
        before = table.numpy()
        for _ in range(2):
            optimizer.apply_gradients([(None, table), (tf.ones_like(matrix), matrix)])
        np.testing.assert_array_equal(table, before)
        optimizer.apply_gradients([(tf.ones_like(table), table), (tf.ones_like(matrix), matrix)])
        np.testing.assert_allclose(before - table, 0.75, rtol=1e-5)

    def test_the_first_group_that_wants_a_variable_gets_it(self):
        variables = small_model()
        optimizer = CompositeOptimizer(
            [(tf_keras.optimizers.SGD(1.0), takes_table), (tf_keras.optimizers.SGD(0.0), takes_all)]
        )
        before = [variable.numpy() for variable in variables]
        optimizer.apply_gradients([(tf.ones_like(variable), variable) for variable in variables])
        np.testing.assert_allclose(before[0] - variables[0], 1.0, rtol=1e-5)
        np.testing.assert_array_equal(before[1], variables[1])

    def test_a_variable_that_no_group_wants_is_an_error(self):
        with pytest.raises(ValueError, match="matrix"):
            CompositeOptimizer([(tf_keras.optimizers.SGD(1.0), takes_table)]).build(small_model())

    def test_trains_a_keras_model_with_compile_and_fit(self):
        tf_keras.utils.set_random_seed(1)
        model = tf_keras.Sequential([tf_keras.layers.Embedding(ROWS, WIDTH), tf_keras.layers.Dense(1)])
        model.compile(composite(clip_norm=1.0), "mse")
        ids = np.arange(ROWS).repeat(20)[:, None]
        history = model.fit(ids, (ids % 3 == 0).astype(np.float32), epochs=15, verbose=0).history["loss"]
        assert history[-1] < 0.3 * history[0]


def config(**optimizer):
    towers = {"text": {"kind": "ngram"}, "product": {"kind": "unified"}}
    task = {"name": "title", "source": "catalog_text", "query_tower": "text", "candidate_tower": "product"}
    training = {"optimizer": optimizer, "phases": [{"steps": 30}, {"steps": 10}]}
    return Config.model_validate({"towers": towers, "tasks": [task], "training": training})


class TestBuildOptimizer:
    def test_tables_are_trained_row_wise_and_the_rest_with_adam(self):
        table, matrix, scalar = small_model()
        optimizer = build_optimizer(
            config(learning_rate=0.01, table_learning_rate=0.2, warmup_steps=0, clip_norm=None),
            types.SimpleNamespace(table_variables=[table]),
        )
        before = [variable.numpy() for variable in (table, matrix, scalar)]
        gradient = np.random.default_rng(0).normal(size=(ROWS, WIDTH))
        optimizer.apply_gradients(
            [(tf.constant(gradient, tf.float32), table), (tf.ones_like(matrix), matrix), (tf.ones_like(scalar), scalar)]
        )
        np.testing.assert_allclose(table, row_wise_adagrad(before[0], [gradient], 0.2), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(before[1] - matrix, 0.01, rtol=1e-3)
        np.testing.assert_allclose(before[2] - scalar, 0.01, rtol=1e-3)

    def test_the_schedule_spans_all_phases(self):
        table, matrix, _ = small_model()
        optimizer = build_optimizer(
            config(learning_rate=0.01, warmup_steps=10, final_scale=0.2, clip_norm=None),
            types.SimpleNamespace(table_variables=[table]),
        )
        optimizer.build([table, matrix])
        rates = []
        for step in (0, 9, 25, 40):
            optimizer.iterations.assign(step)
            optimizer.apply_gradients([(tf.zeros_like(matrix), matrix)])
            rates.append(optimizer.optimizers[-1].learning_rate.numpy())
        np.testing.assert_allclose(rates, [0.001, 0.01, 0.01 * 0.6, 0.01 * 0.2], rtol=1e-5)

    def test_weight_decay_is_for_matrices_only(self):
        table, matrix, scalar = small_model()
        bias = tf.Variable([1.0, 2.0])
        optimizer = build_optimizer(
            config(learning_rate=0.1, weight_decay=0.5, warmup_steps=0, clip_norm=None),
            types.SimpleNamespace(table_variables=[table]),
        )
        variables = [table, matrix, scalar, bias]
        before = [variable.numpy() for variable in variables]
        optimizer.apply_gradients([(tf.zeros_like(variable), variable) for variable in variables])
        np.testing.assert_allclose(matrix, before[1] * (1 - 0.1 * 0.5), rtol=1e-5)
        for place in (0, 2, 3):
            np.testing.assert_array_equal(variables[place], before[place])

    def test_clips(self):
        table, matrix, _ = small_model()
        model = types.SimpleNamespace(table_variables=[table])
        moved = {}
        for clip_norm in (None, 1e-12):
            optimizer = build_optimizer(config(learning_rate=0.01, warmup_steps=0, clip_norm=clip_norm), model)
            before = matrix.numpy()
            optimizer.apply_gradients([(tf.ones_like(matrix), matrix)])
            moved[clip_norm] = np.abs(before - matrix).max()
        # Adam does not mind the scale of a gradient until its epsilon of 1e-7 does.
        assert moved[1e-12] < 0.01 * moved[None]
