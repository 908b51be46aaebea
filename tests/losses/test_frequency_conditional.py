import numpy as np
import pytest
import tensorflow as tf

from tests.losses.streams import zipf_ids
from tfsage.losses.frequency import ConditionalFrequency, Decay, Windows, integer_ids


def pairs(size, seed=0):
    return zipf_ids(size, 12, seed), zipf_ids(size, 30, seed + 100)


def test_log_of_the_share_of_the_query():
    queries, ids = pairs(2000)
    frequency = ConditionalFrequency(1 << 14)
    for query_part, id_part in zip(np.split(queries, 4), np.split(ids, 4), strict=True):
        frequency.update(tf.constant(query_part), tf.constant(id_part))
    table = np.zeros([12, 30])
    np.add.at(table, (queries, ids), 1)
    seen = np.nonzero(table)
    expected = np.log((table / table.sum(axis=1, keepdims=True))[seen])
    log_q = frequency.log_q(tf.constant(seen[0]), tf.constant(seen[1]))
    assert log_q.dtype == tf.float32
    np.testing.assert_allclose(log_q, expected, rtol=1e-5, atol=1e-7)


def test_a_query_seen_once_leaves_its_positive_as_it_is():
    frequency = ConditionalFrequency(1 << 10)
    frequency.update(tf.constant([5]), tf.constant([3]))
    assert frequency.log_q(tf.constant([5]), tf.constant([3])).numpy() == [0.0]


def test_a_pair_never_counted_has_the_log_q_of_one_observation():
    frequency = ConditionalFrequency(1 << 10)
    assert frequency.log_q(tf.constant([5]), tf.constant([3])).numpy() == [0.0]
    frequency.update(tf.constant([5, 5, 5]), tf.constant([3, 3, 4]))
    np.testing.assert_allclose(frequency.log_q(tf.constant([5]), tf.constant([9])), [-np.log(3)], rtol=1e-6)


@pytest.mark.parametrize("aging", [None, Decay(0.7, 2), Windows(2, 2)])
@pytest.mark.parametrize("conservative", [True, False])
def test_never_above_zero_however_crowded(aging, conservative):
    frequency = ConditionalFrequency(4, 2, conservative, aging)
    for seed in range(8):
        queries, ids = (tf.constant(part) for part in pairs(30, seed))
        frequency.update(queries, ids)
        log_q = frequency.log_q(queries, ids).numpy()
        assert np.all(np.isfinite(log_q))
        assert np.all(log_q <= 0)


class TestPairKeys:
    def test_small_pairs_have_keys_of_their_own(self):
        """Unlike under p + 17 q, where (q, p) = (1, 17) and (2, 0) are one."""
        queries, ids = (part.ravel() for part in np.meshgrid(np.arange(400), np.arange(400)))
        keys = ConditionalFrequency(4).pair_keys(tf.constant(queries), tf.constant(ids)).numpy()
        assert len(np.unique(keys)) == 400 * 400
        assert len(np.unique(ids + 17 * queries)) < 10_000

    def test_a_pair_is_not_its_reverse(self):
        frequency = ConditionalFrequency(4)
        one, other = frequency.pair_keys(tf.constant([1]), tf.constant([2])), frequency.pair_keys([2], [1])
        assert one.numpy() != other.numpy()

    def test_the_seed_chooses_them(self):
        queries, ids = tf.range(100), tf.range(100)
        keys = [ConditionalFrequency(4, seed=seed).pair_keys(queries, ids).numpy() for seed in (1, 1, 2)]
        np.testing.assert_array_equal(keys[0], keys[1])
        assert not np.any(keys[0] == keys[2])


def test_strings_are_counted_as_their_fingerprints():
    strings, integers = ConditionalFrequency(64), ConditionalFrequency(64)
    queries, ids = (tf.constant([f"name {number}" for number in part]) for part in pairs(200))
    strings.update(queries, ids)
    integers.update(integer_ids(queries), integer_ids(ids))
    np.testing.assert_array_equal(strings.log_q(queries, ids), integers.log_q(integer_ids(queries), integer_ids(ids)))


def test_a_restored_one_counts_on_as_if_nothing_had_happened(tmp_path):
    original, restored = (ConditionalFrequency(64, aging=Windows(2, 3), seed=seed) for seed in (1, 2))
    for seed in range(4):
        original.update(*map(tf.constant, pairs(40, seed)))
    path = tf.train.Checkpoint(frequency=original).write(str(tmp_path / "checkpoint"))
    tf.train.Checkpoint(frequency=restored).read(path).assert_consumed()
    for seed in range(4, 9):
        for frequency in (original, restored):
            frequency.update(*map(tf.constant, pairs(40, seed)))
    queries, ids = map(tf.constant, pairs(200, 50))
    np.testing.assert_array_equal(restored.log_q(queries, ids), original.log_q(queries, ids))
    for found, expected in zip(restored.variables, original.variables, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_nothing_of_it_is_trained():
    assert ConditionalFrequency(4).trainable_variables == ()
