"""Several optimizers as one."""

from collections.abc import Callable, Sequence

import tensorflow as tf
import tf_keras

from tfsage.training import replicas
from tfsage.training.gradients import DistinctSlices, clip_by_global_norm, sum_duplicates

Group = tuple[tf_keras.optimizers.Optimizer | None, Callable[[tf.Variable], bool]]


class CompositeOptimizer(tf_keras.optimizers.Optimizer):
    """Several optimizers as one: each variable belongs to the first group that wants it.

    The schedules of all groups follow the steps of the whole, also through phases in which a group has no gradient.
    The gradients of all groups are clipped together. Under a strategy the gradients of all replicas are added up
    before that, so that the norm is the one that a single device would see. Sparse gradients stay sparse all the way:
    each replica sums its repeated rows, slices travel, and rows that several replicas touched are summed again, once.

        optimizer = CompositeOptimizer(
            [
                (RowWiseAdagrad(0.05), lambda variable: "hash_embedding" in variable.name),
                (None, lambda variable: "frozen" in variable.name),
                (tf_keras.optimizers.Adam(1e-3), lambda variable: True),
            ],
            clip_norm=1.0,
        )

    A checkpoint of it holds the state of every group. Call `build(variables)` before restoring one.

    Args:
        groups: pairs of an optimizer and a predicate on variables; None in place of an optimizer freezes them.
        clip_norm: the largest global norm of the gradients, or None. What is frozen does not count.

    Raises:
        ValueError: (from `build`) no group wants a variable.
    """

    def __init__(self, groups: Sequence[Group], clip_norm: float | None = None, name: str = "composite"):
        super().__init__(name=name, weight_decay=None, jit_compile=False)
        self.optimizers = [optimizer for optimizer, _ in groups if optimizer is not None]
        # A closure, because attributes that are lists become part of the checkpoint.
        self._optimizer_of = lambda variable: _first(variable, groups)
        self._clip_norm = clip_norm

    def trains(self, variable: tf.Variable) -> bool:
        """Whether it is moved at all: a frozen variable needs no gradient."""
        return self._optimizer_of(variable) is not None

    def build(self, var_list: Sequence[tf.Variable]) -> None:
        if getattr(self, "_built", False):
            return
        super().build(var_list)
        owners = [self._optimizer_of(variable) for variable in var_list]
        for optimizer in self.optimizers:
            optimizer.build([variable for variable, owner in zip(var_list, owners, strict=True) if owner is optimizer])
            self._variables.extend(optimizer.variables)
        self._built = True

    # Everything below is decided while tracing; AutoGraph would only warn that it cannot read the predicates.
    @tf.autograph.experimental.do_not_convert
    def apply_gradients(self, grads_and_vars, name=None, skip_gradients_aggregation=False):
        """Updates every variable that has a gradient; returns the number of steps done, a variable.

        Args:
            grads_and_vars: pairs of a gradient (dense, `tf.IndexedSlices`, `DistinctSlices` or None) and a variable.
            skip_gradients_aggregation: the gradients are the sums over all replicas already.
        """
        pairs = list(grads_and_vars)
        with tf.init_scope():
            self.build([variable for _, variable in pairs])
        pairs = [
            (sum_duplicates(gradient), variable)
            for gradient, variable in pairs
            if gradient is not None and self.trains(variable)
        ]
        if not skip_gradients_aggregation:
            pairs = self.aggregate_gradients(pairs)
        gradients = replicas.once(self._finished, *[gradient for gradient, _ in pairs])
        for optimizer in self.optimizers:
            group = [
                (gradient, variable)
                for gradient, (_, variable) in zip(gradients, pairs, strict=True)
                if self._optimizer_of(variable) is optimizer
            ]
            if group:
                optimizer.iterations.assign(self.iterations)
                optimizer.apply_gradients(group, skip_gradients_aggregation=True)
        return self.iterations.assign_add(1)

    def _finished(self, *gradients: tf.Tensor | tf.IndexedSlices) -> list[tf.Tensor | DistinctSlices]:
        """Adds up the slices of a row that came from several replicas, then clips."""
        distinct = [sum_duplicates(gradient) for gradient in gradients]
        if self._clip_norm is None or not distinct:
            return distinct
        return clip_by_global_norm(distinct, self._clip_norm)

    def update_step(self, gradient, variable):
        self._optimizer_of(variable).update_step(gradient, variable)


def _first(variable: tf.Variable, groups: Sequence[Group]) -> tf_keras.optimizers.Optimizer | None:
    for optimizer, wants in groups:
        if wants(variable):
            return optimizer
    raise ValueError(f"No group of the optimizer wants the variable {variable.name}: end with one that wants all.")
