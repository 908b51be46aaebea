"""The temperature of the softmax, fixed or learned."""

import math

import tensorflow as tf
import tf_keras


class Temperature(tf_keras.layers.Layer):
    """τ, held as log(1/τ) and never below a floor.

    The logarithm makes a gradient step multiplicative (CLIP, Radford et al., 2021). At the floor a gradient that
    would lower τ further is dropped, while one that raises it passes, so τ can leave the floor again.
    The variable is a scalar: like every variable of rank below two it is exempt from weight decay.

    Args:
        initial: τ at the start.
        floor: the smallest τ.
        learned: whether τ is trainable.
    """

    def __init__(self, initial: float, floor: float, learned: bool):
        super().__init__(name="temperature", dtype="float32")
        self._limit = math.log(1.0 / floor)
        start = math.log(1.0 / initial)
        if learned:
            self._log_scale = self.add_weight(
                name="log_scale", shape=(), initializer=tf_keras.initializers.Constant(start)
            )
        else:
            self._log_scale = start

    def scale(self) -> tf.Tensor:
        """1 / τ, a float32 scalar."""
        return tf.exp(_clamp(tf.convert_to_tensor(self._log_scale, tf.float32), self._limit))

    def value(self) -> tf.Tensor:
        """τ, a float32 scalar."""
        return 1.0 / self.scale()


def _clamp(log_scale: tf.Tensor, limit: float) -> tf.Tensor:
    @tf.custom_gradient
    def clamp(log_scale):
        def gradient(upstream):
            # A descent step with a negative gradient would push log(1/τ) further beyond its limit.
            return tf.where((log_scale >= limit) & (upstream < 0.0), tf.zeros_like(upstream), upstream)

        return tf.minimum(log_scale, limit), gradient

    return clamp(log_scale)
