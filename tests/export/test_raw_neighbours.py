import numpy as np
import pyarrow as pa
import tensorflow as tf

from export.raw_features import raw_features


def test_graph_neighbours_are_read_from_the_column_of_their_name():
    vectors = [[[1.0, 2.0]], None, [[3.0, 4.0], [5.0, 6.0]]]
    kind = pa.list_(pa.list_(pa.float32(), 2))
    batch = pa.record_batch({"product_id": ["a", "b", "c"], "around": pa.array(vectors, kind)})
    spec = {name: tf.TensorSpec([None, None, 2], tf.float32) for name in ("image_embeddings", "around")}
    raw = raw_features(batch, spec, "pictures")
    expected = [[[1, 2], [0, 0]], [[0, 0], [0, 0]], [[3, 4], [5, 6]]]
    np.testing.assert_array_equal(raw["around"], np.array(expected, np.float32))
    assert not raw["image_embeddings"].any()
