"""Gradients of a small table in every form, the optimizers of tables in plain numpy, and a look into graphs."""

import numpy as np
import tensorflow as tf

ROWS, WIDTH = 12, 3


def initial_table():
    return np.random.default_rng(9).normal(size=(ROWS, WIDTH))


def as_slices(rows, values, dtype="float64"):
    return tf.IndexedSlices(tf.constant(values, dtype), tf.constant(rows), tf.constant([ROWS, WIDTH]))


def gradients(form, steps=5, seed=0):
    """Yields a gradient of the table, what it is when dense, and which rows it touches.

    Args:
        form: "dense", "every row", "some rows", "repeated rows" (every row, some more than once), "no rows".
    """
    generator = np.random.default_rng(seed)
    for _ in range(steps):
        rows = {
            "dense": np.arange(ROWS),
            "every row": generator.permutation(ROWS),
            "some rows": generator.permutation(ROWS)[:4],
            "repeated rows": generator.permutation(np.concatenate([np.arange(ROWS), generator.integers(0, ROWS, 9)])),
            "some repeated rows": generator.integers(0, ROWS, 7),
            "no rows": np.zeros(0, np.int64),
        }[form]
        values = generator.normal(size=(len(rows), WIDTH))
        dense = np.zeros((ROWS, WIDTH))
        np.add.at(dense, rows, values)
        touched = np.isin(np.arange(ROWS), rows)
        yield (tf.constant(dense) if form == "dense" else as_slices(rows, values)), dense, touched


FORMS = ("dense", "every row", "some rows", "repeated rows", "some repeated rows", "no rows")


def row_wise_adagrad(table, gradients, rate, epsilon=1e-10):
    """The definition, row by row."""
    table, accumulated = table.copy(), np.zeros(len(table))
    for gradient in gradients:
        for row, values in enumerate(gradient):
            accumulated[row] += np.mean(values**2)
            table[row] -= rate * values / np.sqrt(accumulated[row] + epsilon)
    return table


def adam(weights, gradients, rate, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
    """Algorithm 1 of Kingma and Ba."""
    weights, m, v = weights.copy(), np.zeros_like(weights), np.zeros_like(weights)
    for step, gradient in enumerate(gradients, start=1):
        m = beta_1 * m + (1 - beta_1) * gradient
        v = beta_2 * v + (1 - beta_2) * gradient**2
        weights -= rate * (m / (1 - beta_1**step)) / (np.sqrt(v / (1 - beta_2**step)) + epsilon)
    return weights


def lazy_adam(table, gradients, touched, rate):
    """Adam for each row apart, fed with the gradients of the steps that touch the row."""
    rows = [
        adam(row, [gradient[place] for gradient, seen in zip(gradients, touched, strict=True) if seen[place]], rate)
        for place, row in enumerate(table)
    ]
    return np.array(rows)


def results_as_long_as(concrete_function, rows):
    """The operations of a graph, in functions and branches too, that make or read something of that many rows."""
    graph = concrete_function.graph.as_graph_def(add_shapes=True)
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    assert len(nodes) > 10
    found = []
    for node in nodes:
        for shape in node.attr["_output_shapes"].list.shape:
            if shape.dim and shape.dim[0].size == rows:
                found.append(f"{node.op} {node.name}")
    return found
