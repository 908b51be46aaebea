"""Lazy Adam: Adam for tables, at the cost of the rows that a step touches."""

from collections.abc import Sequence

import tensorflow as tf

from tfsage.training.optimizers.table import LearningRate, TableOptimizer, per_row
from tfsage.variables import read_rows, write_rows


class LazyAdam(TableOptimizer):
    """Adam in which each row of a table has a clock of its own: only steps with a gradient for the row count.

        n_r ← n_r + 1
        m_r ← β₁ m_r + (1 − β₁) g_r,   v_r ← β₂ v_r + (1 − β₂) g_r²
        x_r ← x_r − η m_r / (1 − β₁ⁿ) / (sqrt(v_r / (1 − β₂ⁿ)) + ε),   n = n_r

    for the rows r of a sparse gradient; of the other rows nothing is read or written. A row that occurs several times
    is touched once, by the sum of its slices. A dense gradient touches every row, rows of zeros included.

    It is Adam (Kingma and Ba, ICLR 2015) where every step touches every row. Where steps skip a row, it differs:

    - Adam lets the moments of a skipped row decay, and moves the row on by what is left of its momentum. Here both
      rest until the row is seen again. For a row seen every 1000th step Adam forgets all that it had seen; this
      optimizer averages the last ten gradients of the row, however long ago they were.
    - Bias correction counts the updates of the row, n_r, not the steps of the training. With the count of all steps,
      as in other lazy Adams, the moments of a row seen for the first time late in the training are taken for
      settled ones, and its first step is (1 − β₁) / sqrt(1 − β₂) ≈ 3.2 times η. Here it is η, whenever it comes.

    The first step of a row with g = (3, −4) and η = 0.001: m / (1 − β₁) = g, v / (1 − β₂) = g², and the row moves by
    (−0.001, 0.001); so it does if that step is the thousandth of the training.

    Args:
        learning_rate: η, a number or a schedule (of the steps of the training).
        beta_1, beta_2, epsilon: β₁, β₂, ε. Unlike in Keras' Adam, ε is that of the paper's algorithm 1: it is added
            after the bias correction, so that it does not weigh more in the first steps of a row than later.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 1e-3,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        name: str = "lazy_adam",
    ):
        super().__init__(learning_rate, name)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def build(self, var_list: Sequence[tf.Variable]) -> None:
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self._built = True
        self._momentums = [self.add_variable_from_reference(variable, "m") for variable in var_list]
        self._velocities = [self.add_variable_from_reference(variable, "v") for variable in var_list]
        # In the type of the variable: exact as long as it matters, since β₂ⁿ is nothing long before 2²⁴ updates.
        self._updates = [
            self.add_variable_from_reference(variable, "row_updates", shape=variable.shape[:1]) for variable in var_list
        ]

    def update_step(self, gradient: tf.Tensor | tf.IndexedSlices, variable: tf.Variable) -> None:
        place = self._place(variable)
        momentum, velocity, updates = self._momentums[place], self._velocities[place], self._updates[place]
        if isinstance(gradient, tf.IndexedSlices):
            rows, values = gradient.indices, gradient.values
            m, v, n = self._next(read_rows(momentum, rows), read_rows(velocity, rows), read_rows(updates, rows), values)
            write_rows(momentum, rows, m)
            write_rows(velocity, rows, v)
            write_rows(updates, rows, n)
            write_rows(variable, rows, read_rows(variable, rows) - self._step(m, v, n))
        else:
            m, v, n = self._next(momentum, velocity, updates, gradient)
            momentum.assign(m)
            velocity.assign(v)
            updates.assign(n)
            variable.assign_sub(self._step(m, v, n))

    def _next(self, m: tf.Tensor, v: tf.Tensor, n: tf.Tensor, gradient: tf.Tensor) -> tuple[tf.Tensor, ...]:
        m = m + (1.0 - self.beta_1) * (gradient - m)
        v = v + (1.0 - self.beta_2) * (tf.square(gradient) - v)
        return m, v, n + 1.0

    def _step(self, m: tf.Tensor, v: tf.Tensor, n: tf.Tensor) -> tf.Tensor:
        rate = tf.cast(self.learning_rate, m.dtype) / (1.0 - tf.pow(tf.constant(self.beta_1, n.dtype), n))
        unbias = tf.math.rsqrt(1.0 - tf.pow(tf.constant(self.beta_2, n.dtype), n))
        return per_row(rate, m) * m / (per_row(unbias, v) * tf.sqrt(v) + self.epsilon)

    def get_config(self) -> dict:
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
