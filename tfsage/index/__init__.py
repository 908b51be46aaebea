"""Nearest-neighbour indexes over the embeddings of a catalog: ScaNN, and exact search behind the same interface."""

from tfsage.index.base import Effort, Hits, Index
from tfsage.index.brute_force import BruteForceIndex
from tfsage.index.build import build_index
from tfsage.index.scann_index import ScannIndex
from tfsage.index.storage import IndexReport, load_index

__all__ = ["BruteForceIndex", "Effort", "Hits", "Index", "IndexReport", "ScannIndex", "build_index", "load_index"]
