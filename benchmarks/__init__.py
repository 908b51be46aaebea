"""Measurements side by side with what one would otherwise use; each is `python -m benchmarks.NAME [--smoke]`."""

# TensorFlow must find the Keras version that tfsage chooses, so tfsage comes first whatever a benchmark imports.
import tfsage as tfsage
