"""What the optimizers of tables have in common."""

import tensorflow as tf
import tf_keras

from tfsage.training.gradients import sum_duplicates

LearningRate = float | tf_keras.optimizers.schedules.LearningRateSchedule


class TableOptimizer(tf_keras.optimizers.Optimizer):
    """An optimizer whose state belongs to rows: a sparse gradient costs nothing that grows with the table.

    A row that occurs several times in a sparse gradient gets one update, by the sum of its slices. Under a strategy
    the slices of all replicas are added up first. Variables need a rank of at least one.
    """

    def __init__(self, learning_rate: LearningRate, name: str):
        # Keras' default weight decay of 0 would still pass over the whole table in every step; None does not.
        super().__init__(name=name, weight_decay=None, jit_compile=False)
        self._learning_rate = self._build_learning_rate(learning_rate)

    def get_config(self) -> dict:
        return {"name": self.name, "learning_rate": self._serialize_hyperparameter(self._learning_rate)}

    def _place(self, variable: tf.Variable) -> int:
        """The place of a variable in the list that the optimizer was built with."""
        return self._index_dict[self._var_key(variable)]

    def _deduplicate_sparse_grad(self, grads):
        return [sum_duplicates(gradient) for gradient in grads]


def per_row(factors: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """[rows] as [rows, 1, ...], to be multiplied with `like` of any rank."""
    return tf.reshape(factors, [-1, *[1] * (like.shape.rank - 1)])
