"""The temperature of the softmax, fixed or learned."""

import math

import tensorflow as tf
import tf_keras


class Temperature(tf_keras.layers.Layer):
    """τ, held as log(1/τ), never below a floor nor above a cap.

    The logarithm makes a gradient step multiplicative (CLIP, Radford et al., 2021). At the floor a gradient that
    would lower τ further is dropped, while one that raises it passes, so τ can leave the floor again; likewise at the
    cap. The variable is a scalar: like every variable of rank below two it is exempt from weight decay.

    Args:
        initial: τ at the start.
        floor: the smallest τ.
        cap: the largest τ.
        learned: whether τ is trainable.
    """

    def __init__(self, initial: float, floor: float, cap: float, learned: bool):
        # The precision of variables, whatever a mixed precision policy computes in.
        super().__init__(name="temperature", dtype=tf_keras.backend.floatx())
        self._initial, self._limits, self._log_scale = initial, (math.log(1.0 / cap), math.log(1.0 / floor)), None
        if learned:
            start = tf_keras.initializers.Constant(math.log(1.0 / initial))
            self._log_scale = self.add_weight(name="log_scale", shape=(), initializer=start)

    def scale(self) -> tf.Tensor:
        """1 / τ, a scalar: float32, or float64 if that is the default precision of Keras."""
        if self._log_scale is None:
            return tf.constant(1.0 / self._initial, self.dtype)
        return tf.exp(_clamp(tf.convert_to_tensor(self._log_scale), *self._limits))

    def value(self) -> tf.Tensor:
        """τ, a scalar."""
        return 1.0 / self.scale()


def _clamp(log_scale: tf.Tensor, least: float, most: float) -> tf.Tensor:
    @tf.custom_gradient
    def clamp(log_scale):
        def gradient(upstream):
            # A descent step would push log(1/τ) further beyond its limit.
            beyond = ((log_scale >= most) & (upstream < 0.0)) | ((log_scale <= least) & (upstream > 0.0))
            return tf.where(beyond, tf.zeros_like(upstream), upstream)

        return tf.clip_by_value(log_scale, least, most), gradient

    return clamp(log_scale)
