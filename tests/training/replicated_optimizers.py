"""The same global gradients given to optimizers on a number of replicas, run as a program.

python -m tests.training.replicated_optimizers REPLICAS OUT.npz
"""

import sys
import warnings

import numpy as np
import tensorflow as tf

from tests.training.tables import results_as_long_as
from tfsage.config import HashEmbeddingConfig
from tfsage.text.hash_embedding import HashEmbedding
from tfsage.training.optimizers import CompositeOptimizer, FusedAdam, Lamb, LazyAdam, RowWiseAdagrad
from tfsage.training.schedule import WarmupCosine

ROWS, WIDTH, STEPS = 54_321, 2, 3
CASES = {
    "row-wise": (RowWiseAdagrad, Lamb, 0.5),
    "row-wise unclipped": (RowWiseAdagrad, FusedAdam, None),
    "lazy": (LazyAdam, FusedAdam, 0.5),
}
"""Optimizer of the table, that of the rest, and the norm that gradients are clipped to."""
SHARES = {1: [4], 2: [2, 2], 4: [1, 1, 1, 1]}
"""How many of the parts of a gradient each replica has."""


def parts(step: int) -> list[dict[str, np.ndarray]]:
    """A global gradient in parts that add up to it: row 0 in every part that has any, rows repeated inside a part.

    In step 1 the last part has no slices at all, in step 2 only the first has some; in step 1 that leaves a
    replica of four without slices, in step 2 one of two.
    """
    generator = np.random.default_rng(step)
    sizes = [[5, 3, 6, 4], [5, 7, 3, 0], [9, 0, 0, 0]][step]
    found = []
    for size in sizes:
        rows = np.concatenate([[0, 0], generator.integers(0, 8, size)])[:size]
        found.append(
            {
                "rows": rows.astype(np.int32),
                "values": generator.normal(size=(size, WIDTH)),
                "matrix": generator.normal(size=(3, 2)),
                "bias": generator.normal(size=(2,)),
                "scalar": generator.normal(size=()),
            }
        )
    return found


def shares(step: int, replicas: int) -> list[dict[str, np.ndarray]]:
    """What each replica has of the gradient of a step."""
    whole, own, first = parts(step), [], 0
    for count in SHARES[replicas]:
        mine = whole[first : first + count]
        together = {name: np.concatenate([part[name] for part in mine]) for name in ("rows", "values")}
        own.append(together | {name: sum(part[name] for part in mine) for name in ("matrix", "bias", "scalar")})
        first += count
    return own


def run(strategy: tf.distribute.Strategy, table: type, rest: type, clip_norm: float | None) -> dict[str, np.ndarray]:
    """The weights after all steps.

    Raises if a replica has others, if anything is as long as the table, or if replicas merge their slices repeatedly.
    """
    generator = np.random.default_rng(9)
    start = {"matrix": generator.normal(size=(3, 2)), "bias": generator.normal(size=(2,)), "scalar": np.array(0.5)}
    start = {"table": generator.normal(size=(ROWS, WIDTH)), **start}
    with strategy.scope():
        variables = {name: tf.Variable(value, name=name) for name, value in start.items()}
        groups = [
            (table(WarmupCosine(0.125, 2, 5, 0.1)), lambda variable: variable.shape.rank and variable.shape[0] == ROWS),
            (rest(WarmupCosine(0.125, 2, 5, 0.1), weight_decay=0.25), lambda variable: True),
        ]
        optimizer = CompositeOptimizer(groups, clip_norm)
        optimizer.build(list(variables.values()))

    def apply(rows, values, matrix, bias, scalar):
        slices = tf.IndexedSlices(values, rows, tf.constant([ROWS, WIDTH]))
        optimizer.apply_gradients(zip([slices, matrix, bias, scalar], variables.values(), strict=True))

    def arguments(step):
        return _spread(strategy, [list(share.values()) for share in shares(step, strategy.num_replicas_in_sync)])

    @tf.function(reduce_retracing=True)
    def step(*own):
        strategy.run(apply, args=own)

    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*IndexedSlices.*")
        for number in range(STEPS):
            step(*arguments(number))
        graph = step.get_concrete_function(*arguments(0))
        found = results_as_long_as(graph, ROWS)
        assert not found, found
    # Each replica looks for its own duplicates; those of all replicas together are found once, not on each of them.
    searches = [operation for operation in graph.graph.get_operations() if operation.type == "Unique"]
    replicas = strategy.num_replicas_in_sync
    assert len(searches) == replicas + (replicas > 1), searches
    for variable in variables.values():
        copies = [copy.numpy() for copy in strategy.experimental_local_results(variable)]
        assert len(copies) == strategy.num_replicas_in_sync
        assert all(np.array_equal(copy, copies[0]) for copy in copies), variable.name
    assert int(optimizer.iterations.numpy()) == STEPS
    return {name: variable.numpy()[:9] if name == "table" else variable.numpy() for name, variable in variables.items()}


def run_embedding(strategy: tf.distribute.Strategy) -> dict[str, np.ndarray]:
    """Trains a hash embedding on bags that are spread over the replicas; all tokens are on the first in step 1.

    Raises if anything on the way from the tables to their updates is as long as a table.
    """
    buckets, tokens, replicas = 12_347, 23_456, strategy.num_replicas_in_sync
    with strategy.scope():
        layer = HashEmbedding(tokens, HashEmbeddingConfig(buckets=buckets, dimension=4))
        optimizer = CompositeOptimizer([(RowWiseAdagrad(0.125), lambda variable: True)], clip_norm=0.5)
        optimizer.build(layer.trainable_variables)

    def apply(token_ids, lengths, target):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum((layer(token_ids, lengths) - target) ** 2)
        gradients = tape.gradient(loss, layer.trainable_variables)
        optimizer.apply_gradients(zip(gradients, layer.trainable_variables, strict=True))

    @tf.function(reduce_retracing=True)
    def step(*own):
        strategy.run(apply, args=own)

    generator = np.random.default_rng(4)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*IndexedSlices.*")
        for lengths in ([3, 0, 4, 1, 2, 2, 0, 5], [6, 9, 0, 0, 0, 0, 0, 0]):
            bags = np.split(generator.integers(0, 9, sum(lengths)).astype(np.int32), np.cumsum(lengths)[:-1])
            target = generator.normal(size=(len(lengths), 4)).astype(np.float32)
            own = []
            for part in np.array_split(np.arange(len(lengths)), replicas):
                ids = np.concatenate([bags[bag] for bag in part])
                own.append([ids, np.array(lengths, np.int32)[part], target[part]])
            arguments = _spread(strategy, own)
            step(*arguments)
        found = results_as_long_as(step.get_concrete_function(*arguments), buckets)
        found += results_as_long_as(step.get_concrete_function(*arguments), tokens)
        assert not found, found
    used = layer.buckets_of(tf.range(9))[0].numpy()
    return {"table": layer.table.numpy()[used], "importance": layer.importance.numpy()[:9]}


def _spread(strategy: tf.distribute.Strategy, own: list[list[np.ndarray]]) -> list:
    """Arguments for `strategy.run`, from those of each replica."""
    if len(own) == 1:
        return [tf.constant(value) for value in own[0]]
    return [
        strategy.experimental_distribute_values_from_function(
            lambda context, place=place: tf.constant(own[context.replica_id_in_sync_group][place])
        )
        for place in range(len(own[0]))
    ]


def main(count: int, out: str) -> None:
    devices = [tf.config.LogicalDeviceConfiguration()] * count
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
    names = [f"CPU:{place}" for place in range(count)]
    strategy = tf.distribute.MirroredStrategy(names) if count > 1 else tf.distribute.get_strategy()
    np.savez(out, **everything(strategy))


def everything(strategy: tf.distribute.Strategy) -> dict[str, np.ndarray]:
    """The weights that every case ends with."""
    found = {}
    for case, (table, rest, clip_norm) in CASES.items():
        found |= {f"{case} {name}": value for name, value in run(strategy, table, rest, clip_norm).items()}
    return found | {f"embedding {name}": value for name, value in run_embedding(strategy).items()}


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
