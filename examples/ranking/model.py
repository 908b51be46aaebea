"""A small ranking model, without embeddings, with vectors from a table, or with the exported towers as layers."""

from pathlib import Path

import tensorflow as tf
import tf_keras


class TowerLayer(tf_keras.layers.Layer):
    """An exported tower (product_tower/1 or query_tower/1 of a bundle) as a Keras layer.

    Frozen until `trainable` is set; then the ranking model's gradients reach every weight of the tower.

    Args:
        folder: the SavedModel.
    """

    def __init__(self, folder: Path):
        super().__init__(trainable=False)
        self._tower = tf.saved_model.load(str(folder))
        # Keras finds the variables of a layer in its attributes.
        self._weights_of_tower = list(self._tower.trainable_variables)

    def call(self, raw: dict[str, tf.Tensor]) -> tf.Tensor:
        """float32 [rows, dimension], unit vectors."""
        return self._tower.embed(raw)


class Ranker(tf_keras.Model):
    """Scores products for queries: an MLP over the context and what query and product have in common.

    Inputs: `context`, and if there are embeddings `query` and `product`: vectors [rows, dimension], or with towers what
    these read.

    Args:
        normalization: of the context, adapted to the training rows.
        embeddings: whether there are any.
        query_tower, product_tower: turn raw inputs into vectors; None where the inputs are vectors.
    """

    def __init__(self, normalization, embeddings: bool, query_tower=None, product_tower=None):
        super().__init__()
        self.normalization, self.embeddings = normalization, embeddings
        self.query_tower, self.product_tower = query_tower, product_tower
        self.mlp = tf_keras.Sequential([tf_keras.layers.Dense(64, "relu"), tf_keras.layers.Dense(1)])

    def call(self, inputs, training=False):
        parts = [self.normalization(inputs["context"])]
        if self.embeddings:
            query = self.query_tower(inputs["query"]) if self.query_tower else inputs["query"]
            product = self.product_tower(inputs["product"]) if self.product_tower else inputs["product"]
            cosine = tf.reduce_sum(query * product, axis=1, keepdims=True)
            # The products of unit vectors are small numbers; a network begins best with those of about one.
            parts += [10.0 * cosine, 10.0 * query * product]
        return self.mlp(tf.concat(parts, axis=1))[:, 0]
