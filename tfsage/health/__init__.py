"""Embedding health: what is wrong with the vectors of a bundle, and what changed since an earlier one.

`bundle_space` is in a module of its own, since it needs TensorFlow to run the towers; the rest is numpy.
"""

from tfsage.health.diagnose import diagnose
from tfsage.health.findings import Finding
from tfsage.health.space import Block, Canaries, Space

__all__ = ["Block", "Canaries", "Finding", "Space", "diagnose"]
