"""How the learning rate moves during training."""

import math

import tensorflow as tf
import tf_keras


class WarmupCosine(tf_keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, then half a cosine down to a share of the peak (SGDR, Loshchilov and Hutter, 2017, no restarts).

    Step s < warmup_steps has peak · (s + 1) / warmup_steps, so that no step is lost to a rate of zero; then
    peak · (f + (1 − f) (1 + cos πx) / 2) with f = final_scale and x going from 0 to 1 at total_steps, where it stays.

    Args:
        peak: the learning rate at the end of the warm-up.
        warmup_steps: may be zero, and may exceed `total_steps`, as in a short trial run.
        total_steps: steps of the whole training, warm-up included.
        final_scale: the last learning rate, as a share of the peak.
    """

    def __init__(self, peak: float, warmup_steps: int, total_steps: int, final_scale: float):
        self.peak, self.warmup_steps = peak, warmup_steps
        self.total_steps, self.final_scale = total_steps, final_scale

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The learning rate of a step (a scalar; the first is 0), a float32 scalar."""
        step = tf.cast(step, tf.float32)
        warm = (step + 1.0) / max(self.warmup_steps, 1)
        done = (step - self.warmup_steps) / max(self.total_steps - self.warmup_steps, 1)
        cosine = 0.5 * (1.0 + tf.cos(math.pi * tf.minimum(done, 1.0)))
        scale = tf.where(step < self.warmup_steps, warm, self.final_scale + (1.0 - self.final_scale) * cosine)
        return self.peak * scale

    def get_config(self) -> dict:
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
            "final_scale": self.final_scale,
        }
