"""LAMB: Adam whose step on a layer is as long as the layer's weights say."""

from collections.abc import Sequence

import tensorflow as tf
import tf_keras

from tfsage.training.optimizers.paths import is_matrix
from tfsage.training.optimizers.table import LearningRate


class Lamb(tf_keras.optimizers.Optimizer):
    """LAMB (You et al., ICLR 2020, algorithm 2), for large batches.

        m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²
        r = m / (1 − β₁ᵗ) / (sqrt(v / (1 − β₂ᵗ)) + ε),   u = r + λ x
        x ← x − η (‖x‖ / ‖u‖) u

    with Euclidean norms over a whole variable; the trust ratio ‖x‖ / ‖u‖ is 1 where either norm is zero. Each matrix
    thus moves by the share η of its own length. Biases, layer norms and scalars such as the temperature have neither
    trust ratio nor weight decay, as in the authors' code: x ← x − η r. A bias that starts at zero could not leave it
    otherwise, and a temperature would run away with its own size.

    A matrix x = ((3, 0), (0, 4)) with its first gradient ((2, 2), (2, 2)), η = 0.1 and λ = 0: r = ((1, 1), (1, 1)),
    ‖x‖ = 5, ‖u‖ = 2, so that every entry moves by 0.1 · 2.5 = 0.25.

    A sparse gradient is used as the dense one that it stands for: the norms concern the whole variable.

    Args:
        learning_rate: η, a number or a schedule.
        weight_decay: λ, of matrices only (`tfsage.training.optimizers.paths.is_matrix`).
        beta_1, beta_2, epsilon: β₁, β₂, ε.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 1e-3,
        weight_decay: float = 0.0,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-6,
        name: str = "lamb",
    ):
        # Keras would apply the decay apart from the step; here it is part of what the trust ratio scales.
        super().__init__(name=name, weight_decay=None, jit_compile=False)
        self._learning_rate = self._build_learning_rate(learning_rate)
        self.decay, self.beta_1, self.beta_2, self.epsilon = weight_decay, beta_1, beta_2, epsilon

    def build(self, var_list: Sequence[tf.Variable]) -> None:
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self._built = True
        self._momentums = [self.add_variable_from_reference(variable, "m") for variable in var_list]
        self._velocities = [self.add_variable_from_reference(variable, "v") for variable in var_list]
        # Asked for here, since the copies of a variable on further replicas have other names.
        self._matrices = frozenset(self._var_key(variable) for variable in var_list if is_matrix(variable))

    def update_step(self, gradient: tf.Tensor | tf.IndexedSlices, variable: tf.Variable) -> None:
        key = self._var_key(variable)
        m, v = (slots[self._index_dict[key]] for slots in (self._momentums, self._velocities))
        gradient = tf.convert_to_tensor(gradient)
        m.assign_add((1.0 - self.beta_1) * (gradient - m))
        v.assign_add((1.0 - self.beta_2) * (tf.square(gradient) - v))
        steps = tf.cast(self.iterations + 1, variable.dtype)
        first = 1.0 - tf.pow(tf.constant(self.beta_1, variable.dtype), steps)
        second = 1.0 - tf.pow(tf.constant(self.beta_2, variable.dtype), steps)
        step = m / first / (tf.sqrt(v / second) + self.epsilon)
        rate = tf.cast(self.learning_rate, variable.dtype)
        if key in self._matrices:
            step = step + self.decay * variable
            rate = rate * _trust_ratio(tf.convert_to_tensor(variable), step)
        variable.assign_sub(rate * step)

    def get_config(self) -> dict:
        return {
            "name": self.name,
            "learning_rate": self._serialize_hyperparameter(self._learning_rate),
            "weight_decay": self.decay,
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }


def _trust_ratio(weights: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
    weights, step = tf.norm(weights), tf.norm(step)
    return tf.where((weights > 0.0) & (step > 0.0), tf.math.divide_no_nan(weights, step), 1.0)
