import numpy as np
import tensorflow as tf

from tfsage.data.rows import slice_rows
from tfsage.training.feature_dropout import drop_entries, drop_tokens

KEYS = tf.constant([3, -5, 2**62, 11], tf.int64)


def texts(lengths):
    total = int(np.sum(lengths))
    return {"token_ids": tf.range(total), "token_lengths": tf.constant(lengths, tf.int32)}


def test_dropped_tokens_leave_their_own_bag():
    features = texts([[3, 0], [5000, 2]])
    kept = drop_tokens(features, 0.4, KEYS[:2])
    found, counts = kept["token_ids"].numpy(), kept["token_lengths"].numpy()
    assert counts.sum() == len(found)
    assert counts[0, 0] == (found < 3).sum() and counts[0, 1] == 0 and counts[1, 1] == (found >= 5003).sum()
    assert abs(counts[1, 0] / 5000 - 0.6) < 0.03
    assert np.array_equal(found, drop_tokens(features, 0.4, KEYS[:2])["token_ids"])


def test_other_keys_drop_other_tokens():
    features = texts([[2000]])
    one, other = (set(drop_tokens(features, 0.5, KEYS[k : k + 1])["token_ids"].numpy()) for k in (0, 1))
    assert abs(len(one & other) - 500) < 100


def test_dropped_entries_become_those_that_say_nothing():
    blank = np.arange(4, dtype=np.float32)
    features = {"images": tf.fill([3000, 4], 9.0), "image_lengths": tf.constant([1000, 0, 1900, 100])}
    images = drop_entries(features, 0.3, KEYS, blank)["images"].numpy()
    dropped = images != 9.0
    assert (abs(dropped.mean(axis=0) - 0.3) < 0.04).all()
    # Neither the images of a row nor the entries of an image go together.
    assert (abs(np.corrcoef(dropped.T.astype(float)) - np.eye(4)) < 0.06).all()
    assert abs(np.mean(dropped[1:] & dropped[:-1]) - 0.09) < 0.02
    assert np.array_equal(images[dropped], np.broadcast_to(blank, images.shape)[dropped])
    queries = drop_entries({"embedding": tf.fill([4, 2000], 9.0)}, 0.3, KEYS, blank[:1])["embedding"].numpy()
    assert (abs((queries == 0.0).mean(axis=1) - 0.3) < 0.05).all()


def test_a_row_loses_the_same_whatever_stands_beside_it():
    rng = np.random.default_rng(1)
    lengths = rng.integers(0, 30, (4, 3)).astype(np.int32)
    counts = np.array([3, 0, 5, 2], np.int32)
    images = rng.normal(size=(10, 8)).astype(np.float32)
    features = {**texts(lengths), "images": tf.constant(images), "image_lengths": tf.constant(counts)}

    def drop(features, keys):
        return drop_entries(drop_tokens(features, 0.4, keys), 0.4, keys, np.zeros(1, np.float32))

    whole = drop(features, KEYS)
    for first, last in ((0, 2), (2, 4), (1, 1)):
        part = drop(slice_rows(features, first, last), KEYS[first:last])
        expected = slice_rows(whole, first, last)
        for name, value in expected.items():
            assert np.array_equal(part[name], value), name
