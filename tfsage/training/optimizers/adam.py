"""Adam with one pass over the memory of a variable."""

import tensorflow as tf
import tf_keras


class FusedAdam(tf_keras.optimizers.Adam):
    """Keras' Adam (Kingma and Ba, ICLR 2015; decoupled `weight_decay` as in AdamW), one operation a variable.

        m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²
        x ← x − η sqrt(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (sqrt(v) + ε),   t = steps so far

    Keras writes that as a dozen operations, each of which passes over the whole variable; every replica of a strategy
    repeats them. Sparse gradients, arguments, state and checkpoints are those of Keras' Adam.

    The first step with g = (3, −4) and η = 0.001 is (−0.001, 0.001), up to ε: m / (1 − β₁) = g, v / (1 − β₂) = g².
    """

    def update_step(self, gradient: tf.Tensor | tf.IndexedSlices, variable: tf.Variable) -> None:
        if isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable)
            return
        place = self._index_dict[self._var_key(variable)]
        beta_1, beta_2 = (tf.constant(beta, variable.dtype) for beta in (self.beta_1, self.beta_2))
        step = tf.cast(self.iterations + 1, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[place].handle,
            v=self._velocities[place].handle,
            beta1_power=tf.pow(beta_1, step),
            beta2_power=tf.pow(beta_2, step),
            lr=tf.cast(self.learning_rate, variable.dtype),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=tf.constant(self.epsilon, variable.dtype),
            grad=gradient,
        )
