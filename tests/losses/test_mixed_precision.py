"""Embeddings in half precision under the matching policy: losses in float32, no NaN, in any form."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tests.losses.forms import valid_forms
from tests.losses.reference import batch, losses
from tfsage.losses.retrieval import SampledSoftmaxTask

# Logits of ±100 meet masks that would be −inf in half precision.
FORMS = valid_forms({"temperature": 0.01, "learn_temperature": False}) | {
    f"learned {name}": loss
    for name, loss in valid_forms({"temperature": 0.05, "temperature_floor": 0.05}, [""]).items()
}


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
@pytest.mark.parametrize("name", FORMS)
def test_half_precision_embeddings(name, dtype):
    data = batch()
    rows, candidates, hard = data.rows(dtype), data.candidates(dtype), data.hard(dtype)
    tf_keras.mixed_precision.set_global_policy(f"mixed_{dtype.name}")
    try:
        task = SampledSoftmaxTask(FORMS[name])
        inputs = [rows.embedding, candidates.embedding, hard.embedding, *task.trainable_variables]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            result = task.total(rows, candidates, hard, 0.5)
        gradients = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(result.total, inputs)]
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")
    rounded = {"queries": rows, "embedding": candidates, "hard_embedding": hard}
    rounded = {name: tf.cast(part.embedding, tf.float64).numpy() for name, part in rounded.items()}
    expected = losses(replace(data, **rounded), FORMS[name], 0.5)
    for field, value in result._asdict().items():
        assert value.dtype == tf.float32
        np.testing.assert_allclose(value, expected[field], rtol=1e-4, atol=1e-4, err_msg=field)
    for gradient, variable in zip(gradients, inputs, strict=True):
        assert gradient.dtype == variable.dtype
        assert np.isfinite(tf.cast(gradient, tf.float32)).all()
