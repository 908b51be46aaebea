import numpy as np
import tensorflow as tf

from tfsage.data.rows import count_rows, slice_rows


def test_flat_values_go_with_their_rows():
    features = {
        "token_ids": tf.constant([1, 2, 3, 4, 5, 6]),
        "token_lengths": tf.constant([[1, 2], [0, 0], [0, 3]]),
        "images": tf.reshape(tf.range(8.0), [4, 2]),
        "image_lengths": tf.constant([0, 3, 1]),
        "embedding": tf.constant([[1.0], [2.0], [3.0]]),
    }
    assert count_rows(features) == 3
    part = slice_rows(features, 1, 3)
    assert part["token_ids"].numpy().tolist() == [4, 5, 6] and part["token_lengths"].numpy().tolist() == [
        [0, 0],
        [0, 3],
    ]
    assert part["images"].numpy().tolist() == features["images"].numpy().tolist()
    assert part["embedding"].numpy().ravel().tolist() == [2.0, 3.0]
    none = slice_rows(features, 2, 2)
    assert count_rows(none) == 0 and none["token_ids"].shape == (0,) and none["images"].shape == (0, 2)


def test_rows_of_fixed_width_have_no_lengths():
    features = {"padding_mask": tf.ones([4, 7]), "token_ids": tf.reshape(tf.range(28), [4, 7])}
    assert count_rows(features) == 4
    assert np.array_equal(slice_rows(features, 1, 2)["token_ids"], [list(range(7, 14))])
