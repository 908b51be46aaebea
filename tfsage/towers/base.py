"""What every tower is: raw entity -> features -> one unit vector."""

from collections.abc import Sequence

import tensorflow as tf
import tf_keras


class Tower(tf_keras.Model):
    """Maps entities (products, pins, queries) to unit vectors of one space.

    `featurize` turns what a caller has (strings, image embeddings) into what `call` computes with (token ids, flat
    images): it is the part without weights, so that a training pipeline can run it ahead of the step. An exported
    tower runs both. A subclass sets the two signatures and implements both methods; its `call` ends with
    `tfsage.towers.normalize.l2_normalize`.

    Attributes:
        raw_signature: name -> `tf.TensorSpec` of the inputs of `featurize`.
        feature_signature: name -> `tf.TensorSpec` of the inputs of `call`.
        dimension: size of the vectors.
        dropout_generators: what the dropout inside draws from, if there is any.
    """

    raw_signature: dict[str, tf.TensorSpec]
    feature_signature: dict[str, tf.TensorSpec]
    dimension: int
    dropout_generators: Sequence[tf.random.Generator]

    def __init__(self, name: str | None = None):
        # Under mixed precision the layers inside cast for themselves; the tower's own inputs stay as they are.
        super().__init__(name=name, autocast=False)
        self.dropout_generators = []

    def featurize(self, raw: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Features of the entities, computed in the graph, without weights."""
        raise NotImplementedError

    def call(self, features: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """float32 [rows, dimension] unit vectors, finite and unit also for an entity with nothing in it."""
        raise NotImplementedError

    def embed(self, raw: dict[str, tf.Tensor]) -> tf.Tensor:
        """float32 [rows, dimension] unit vectors of raw entities: what an exported tower serves."""
        return self(self.featurize(raw), training=False)
