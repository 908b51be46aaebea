"""Row-wise Adagrad: one number of state per row of a table."""

from collections.abc import Sequence

import tensorflow as tf

from tfsage.training.optimizers.table import LearningRate, TableOptimizer, per_row
from tfsage.variables import read_rows, write_rows


class RowWiseAdagrad(TableOptimizer):
    """Adagrad with one accumulator per row of a table, not one per number.

        a_r ← a_r + mean(g_r²),   x_r ← x_r − η g_r / sqrt(a_r + ε)

    Sparse gradients touch only the rows they hold, and cost nothing that grows with the table; a row that occurs
    several times in a batch gets one update, by the sum of its gradients. A dense gradient gives the same result,
    since a row of zeros changes nothing. Variables need a rank of at least one.

    The row-wise form is that of DLRM's embedding tables (Naumov et al., 2019); Adagrad is Duchi et al., JMLR 2011.
    With a = 0, g = (3, 4) and η = 0.5: a becomes 12.5, and the step is 0.5 · (3, 4) / 3.5355 = (0.4243, 0.5657).

    Args:
        learning_rate: η, a number or a schedule.
        epsilon: ε, far below the mean square of a useful gradient: the first step of a row has a root mean square
            of η, except where the gradient itself is nearly nothing.
    """

    def __init__(self, learning_rate: LearningRate = 0.05, epsilon: float = 1e-10, name: str = "row_wise_adagrad"):
        super().__init__(learning_rate, name)
        self.epsilon = epsilon

    def build(self, var_list: Sequence[tf.Variable]) -> None:
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self._built = True
        self._accumulators = [
            self.add_variable_from_reference(variable, "row_accumulator", shape=variable.shape[:1])
            for variable in var_list
        ]

    def update_step(self, gradient: tf.Tensor | tf.IndexedSlices, variable: tf.Variable) -> None:
        accumulator = self._accumulators[self._place(variable)]
        rate = tf.cast(self.learning_rate, variable.dtype)
        if isinstance(gradient, tf.IndexedSlices):
            rows, values = gradient.indices, gradient.values
            accumulated = read_rows(accumulator, rows) + _row_means(tf.square(values))
            write_rows(accumulator, rows, accumulated)
            step = per_row(rate * tf.math.rsqrt(accumulated + self.epsilon), values) * values
            write_rows(variable, rows, read_rows(variable, rows) - step)
        else:
            accumulator.assign_add(_row_means(tf.square(gradient)))
            variable.assign_sub(per_row(rate * tf.math.rsqrt(accumulator + self.epsilon), gradient) * gradient)

    def get_config(self) -> dict:
        return {**super().get_config(), "epsilon": self.epsilon}


def _row_means(values: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(values, axis=list(range(1, values.shape.rank)))
