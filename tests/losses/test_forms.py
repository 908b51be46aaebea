"""Every valid combination of options against plain numpy: values, and gradients against differences of the values."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from tests.losses.forms import valid_forms
from tests.losses.reference import batch, losses
from tfsage.losses.retrieval import SampledSoftmaxTask

FORMS = valid_forms({"temperature": 0.25, "learn_temperature": False})
HARD_WEIGHT = 0.5


def test_the_validator_lets_every_kind_of_form_through():
    kinds = {name.split(" ")[0] for name in FORMS}
    assert len(kinds) == 25
    for option in ("sum", "in_batch", "random", "mixed", "mixture", "keep", "mask", "dedup", "none", "conditional"):
        assert any(option in kind.split("-") for kind in kinds)


@pytest.mark.parametrize("name", FORMS)
def test_values_and_gradients(name):
    loss, data, task = FORMS[name], batch(), SampledSoftmaxTask(FORMS[name])
    rows, candidates, hard = data.rows(), data.candidates(), data.hard()
    inputs = [rows.embedding, candidates.embedding, hard.embedding]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        result = task.total(rows, candidates, hard, HARD_WEIGHT)
    expected = losses(data, loss, HARD_WEIGHT)
    for field, value in result._asdict().items():
        np.testing.assert_allclose(value, expected[field], rtol=0, atol=1e-9, err_msg=field)

    gradients = [np.asarray(tf.convert_to_tensor(part)) for part in tape.gradient(result.total, inputs)]
    fields, random, step = ("queries", "embedding", "hard_embedding"), np.random.default_rng(1), 1e-6
    for _ in range(3):
        directions = {field: random.normal(size=getattr(data, field).shape) for field in fields}
        ends = []
        for sign in (1, -1):
            moved = {field: getattr(data, field) + sign * step * directions[field] for field in fields}
            ends.append(losses(replace(data, **moved), loss, HARD_WEIGHT)["total"])
        slope = sum((gradient * directions[field]).sum() for gradient, field in zip(gradients, fields, strict=True))
        np.testing.assert_allclose(slope, (ends[0] - ends[1]) / (2 * step), rtol=1e-6, atol=1e-6)
