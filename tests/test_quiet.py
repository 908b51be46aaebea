"""TensorFlow's own noise stays off both streams; its errors, and ours, do not."""

import subprocess
import sys

NOISY = """
import logging
import tfsage
from tfsage.quiet import quiet_keras_nlp
quiet_keras_nlp()
import keras_nlp
import tensorflow as tf
import tensorflow_recommenders
import tensorflow_text

graph = tf.Graph()
with graph.as_default(), tf.compat.v1.Session(graph=graph) as session:
    session.run(tf.constant(1.0) * 2)
doubled = tf.function(lambda x: 2 * x)
for number in range(10):
    doubled(number)
next(iter(tf.compat.v1.data.make_one_shot_iterator(tf.data.Dataset.range(3))))
logging.getLogger("tensorflow").error("an error")
"""


def test_only_errors_reach_the_screen():
    done = subprocess.run([sys.executable, "-c", NOISY], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr.split() == ["ERROR:tensorflow:an", "error"]
