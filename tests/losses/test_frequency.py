"""Every estimator of frequencies: what they have in common, exact counts, how they forget."""

import doctest

import numpy as np
import pytest
import tensorflow as tf

import tfsage.losses.frequency as frequency_package
from tests.losses.streams import observed, zipf_ids
from tfsage.errors import TfsageError
from tfsage.losses.frequency import (
    CountMinSketch,
    Decay,
    ExactFrequency,
    GapEstimator,
    Windows,
    integer_ids,
)

NOTHING = tf.zeros([0], tf.int64)
COUNTERS = {
    "exact": lambda aging: ExactFrequency(50, aging),
    "sketch": lambda aging: CountMinSketch(40, 3, True, aging, seed=1),
    "plain_sketch": lambda aging: CountMinSketch(40, 3, False, aging, seed=1),
}
ALL = {
    **{f"{name}_{aging}": (make, aging) for name, make in COUNTERS.items() for aging in (None, Decay(0.7, 3))},
    **{f"{name}_windows": (make, Windows(3, 2)) for name, make in COUNTERS.items()},
    "gap": (lambda aging: GapEstimator(40, 2, rate=0.1, initial_gap=5.0, seed=1), None),
}
every_counter = pytest.mark.parametrize("make", COUNTERS.values(), ids=COUNTERS)
every_estimator = pytest.mark.parametrize(("make", "aging"), ALL.values(), ids=ALL)


def variables(estimator):
    return [variable.numpy() for variable in estimator.variables]


@pytest.mark.parametrize("module", ["cells", "conditional", "count_min", "exact"])
def test_examples(module):
    results = doctest.testmod(getattr(frequency_package, module), extraglobs={"tf": tf})
    assert results.attempted
    assert not results.failed


class TestExactFrequency:
    def test_counts_and_log_q(self):
        ids = zipf_ids(1000, 20)
        frequency = ExactFrequency(30)
        for part in np.split(ids, 4):
            frequency.update(tf.constant(part))
        counts = np.bincount(ids, minlength=30)
        np.testing.assert_array_equal(frequency.count(tf.range(30)), counts)
        seen = np.flatnonzero(counts)
        log_q = frequency.log_q(tf.constant(seen))
        assert log_q.dtype == tf.float32
        np.testing.assert_allclose(log_q, np.log(counts[seen] / 1000), rtol=1e-6)
        np.testing.assert_allclose(np.exp(log_q).sum(), 1.0, rtol=1e-6)

    def test_rare_ids_have_no_floor(self):
        frequency = ExactFrequency(2)
        frequency.update(tf.zeros([3_000_000], tf.int64))
        frequency.update(tf.constant([1]))
        np.testing.assert_allclose(frequency.log_q(tf.constant([1])), [-np.log(3_000_001)], rtol=1e-6)

    def test_an_id_never_counted_has_the_log_q_of_one_observation(self):
        frequency = ExactFrequency(3)
        assert frequency.log_q(tf.constant([2])).numpy() == [0.0]
        frequency.update(tf.constant([0, 0, 0, 1]))
        np.testing.assert_allclose(frequency.log_q(tf.constant([2, 1])), np.log([0.25, 0.25]), rtol=1e-6)

    def test_counts_beyond_the_integers_of_float32(self):
        frequency = ExactFrequency(1)
        for _ in range(17):
            frequency.update(tf.zeros([1_000_000], tf.int64))
        frequency.update(tf.constant([0]))
        assert frequency.count(tf.constant([0])).numpy() == [17_000_001.0]
        assert frequency.total == 17_000_001.0

    @pytest.mark.parametrize("aging", [None, Windows(2, 1)])
    @pytest.mark.parametrize("wrong", [3, -1])
    def test_an_id_outside_the_range_is_an_error(self, aging, wrong):
        """Among windows it would else be an id of the next one."""
        frequency = ExactFrequency(3, aging)
        for use in (frequency.update, frequency.count):
            with pytest.raises(tf.errors.InvalidArgumentError, match=r"must be in \[0, 3\)"):
                use(tf.constant([wrong]))

    def test_strings_are_refused_with_the_way_out(self):
        with pytest.raises(TfsageError, match="count_min"):
            ExactFrequency(3).update(tf.constant(["lamp"]))


class TestIntegerIds:
    def test_strings_of_any_kind_are_told_apart(self):
        strings = [str(n) for n in range(20_000)] + ["", " ", "å", "a\u030a", "x" * 1000, "x" * 1001]
        ids = integer_ids(tf.constant(strings))
        assert ids.dtype == tf.int64
        assert len(np.unique(ids)) == len(strings)

    def test_integers_stay(self):
        np.testing.assert_array_equal(integer_ids(tf.constant([-3, 5])), [-3, 5])
        assert integer_ids(tf.constant([2**64 - 1], tf.uint64)).numpy() == [-1]

    def test_other_types_are_refused(self):
        with pytest.raises(TfsageError, match="float32"):
            integer_ids(tf.constant([1.0]))


@every_counter
class TestDecay:
    def test_halves_every_weight_and_leaves_log_q(self, make):
        frequency = make(Decay(0.5, 1))
        ids = tf.range(5)
        frequency.update(tf.constant([0, 1, 1, 2, 2, 2, 2, 4]))
        count, log_q = frequency.count(ids).numpy(), frequency.log_q(ids[:3]).numpy()
        for halvings in range(1, 6):
            frequency.update(NOTHING)
            np.testing.assert_array_equal(frequency.count(ids), count * 0.5**halvings)
            assert frequency.total == 8 * 0.5**halvings
            np.testing.assert_allclose(frequency.log_q(ids[:3]), log_q, rtol=1e-6)

    def test_comes_after_every_so_many_updates_and_spares_the_latest_batch(self, make):
        frequency = make(Decay(0.5, 3))
        totals = []
        for _ in range(7):
            frequency.update(tf.constant([1]))
            totals.append(float(frequency.total))
        assert totals == [1, 2, 3, 2.5, 3.5, 4.5, 3.25]
        np.testing.assert_allclose(frequency.count(tf.constant([1])), [3.25])

    def test_new_observations_outweigh_old_ones(self, make):
        frequency = make(Decay(0.1, 1))
        frequency.update(tf.zeros([10], tf.int64))
        frequency.update(tf.ones([3], tf.int64))
        np.testing.assert_allclose(frequency.log_q(tf.constant([0, 1])), np.log([0.25, 0.75]), rtol=1e-4)


@every_counter
class TestWindows:
    def test_forget_exactly(self, make):
        """As if the forgotten batches had been empty, but for nothing else."""
        batches = [zipf_ids(30, 50, seed) for seed in range(11)]
        frequency = make(Windows(3, 2))
        for last, batch in enumerate(batches):
            frequency.update(tf.constant(batch))
            first = max(0, last // 2 - 2) * 2
            fresh = make(Windows(3, 2))
            for place in range(last + 1):
                fresh.update(tf.constant(batches[place]) if place >= first else NOTHING)
            for found, expected in zip(variables(frequency), variables(fresh), strict=True):
                np.testing.assert_array_equal(found, expected)
            assert frequency.total == 30 * (last + 1 - first)

    def test_one_window_begins_anew(self, make):
        frequency = make(Windows(1, 2))
        for ids in ([1, 1], [1], [2]):
            frequency.update(tf.constant(ids))
        np.testing.assert_array_equal(frequency.count(tf.constant([1, 2])), [0, 1])
        assert frequency.total == 1


@every_counter
@pytest.mark.parametrize("aging", [None, Decay(0.6, 3), Windows(3, 4)])
@pytest.mark.parametrize("batches", [5, 60])
def test_never_below_the_truth(make, aging, batches):
    parts = np.array_split(zipf_ids(400, 50), batches)
    frequency = make(aging)
    excess = []
    for done, part in enumerate(parts, 1):
        frequency.update(tf.constant(part))
        excess.append(frequency.count(tf.range(50)).numpy() - observed(parts[:done], 50, aging))
    assert np.min(excess) == 0
    assert (np.max(excess) > 0) == isinstance(frequency, CountMinSketch)


@every_estimator
class TestEveryEstimator:
    def test_a_restored_one_counts_on_as_if_nothing_had_happened(self, make, aging, tmp_path):
        """Even with the seeds of the first: a table means nothing without the hash functions that filled it."""
        parts = [tf.constant(zipf_ids(40, 50, seed)) for seed in range(9)]
        original, restored = make(aging), make(aging)
        if not isinstance(original, ExactFrequency):
            restored._seeds.assign(restored._seeds + 1)
        for part in parts[:4]:
            original.update(part)
        path = tf.train.Checkpoint(frequency=original).write(str(tmp_path / "checkpoint"))
        tf.train.Checkpoint(frequency=restored).read(path).assert_consumed()
        for part in parts[4:]:
            for estimator in (original, restored):
                estimator.update(part)
        for found, expected in zip(variables(restored), variables(original), strict=True):
            np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(restored.log_q(tf.range(50)), original.log_q(tf.range(50)))

    def test_nothing_of_it_is_trained(self, make, aging):
        assert make(aging).trainable_variables == ()

    def test_in_a_function_with_batches_of_any_size(self, make, aging):
        eager, traced = make(aging), make(aging)

        @tf.function(reduce_retracing=True)
        def step(ids):
            traced.update(ids)
            return traced.log_q(ids)

        for size in (10, 0, 3, 300, 7, 1, 20):
            ids = tf.constant(zipf_ids(size, 50, seed=size), tf.int64)
            eager.update(ids)
            np.testing.assert_array_equal(step(ids), eager.log_q(ids))

    def test_the_order_of_a_batch_says_nothing(self, make, aging):
        one, other = make(aging), make(aging)
        for seed in range(7):
            ids = zipf_ids(30, 50, seed)
            one.update(tf.constant(ids))
            other.update(tf.constant(np.random.default_rng(seed).permutation(ids)))
        for left, right in zip(variables(one), variables(other), strict=True):
            np.testing.assert_array_equal(left, right)

    def test_strings_are_counted_as_their_fingerprints(self, make, aging):
        if isinstance(make(aging), ExactFrequency):
            return
        strings, integers = make(aging), make(aging)
        for seed in range(5):
            names = tf.constant([f"product {number}" for number in zipf_ids(30, 50, seed)])
            strings.update(names)
            integers.update(integer_ids(names))
            np.testing.assert_array_equal(strings.log_q(names), integers.log_q(integer_ids(names)))


LARGE = {
    "exact": lambda: ExactFrequency(5000),
    "exact_decay": lambda: ExactFrequency(5000, Decay(0.5, 2)),
    "sketch_windows": lambda: CountMinSketch(5000, 2, True, Windows(2, 2)),
    "plain_sketch": lambda: CountMinSketch(5000, 2, False),
    "gap": lambda: GapEstimator(5000, 2),
}


@pytest.mark.parametrize("strategy", ["none", "mirrored"])
@pytest.mark.parametrize("make", LARGE.values(), ids=LARGE)
def test_the_cost_of_a_step_follows_the_batch(make, strategy):
    """No tensor of a step is as large as a table, but within the branch that forgets."""
    strategy = tf.distribute.MirroredStrategy(["CPU:0"]) if strategy == "mirrored" else tf.distribute.get_strategy()
    with strategy.scope():
        frequency = make()

    def step(ids):
        frequency.update(ids)
        return frequency.log_q(ids)

    traced = tf.function(lambda ids: strategy.run(step, args=(ids,))).get_concrete_function(tf.constant([1, 2, 3]))
    operations = traced.graph.get_operations()
    sizes = [output.shape.num_elements() or 0 for op in operations for output in op.outputs]
    assert max(sizes) < 100
    assert {"ResourceGather"} <= {op.type for op in operations}
    np.testing.assert_array_equal(traced(tf.constant([1, 2, 3])), frequency.log_q(tf.constant([1, 2, 3])))
