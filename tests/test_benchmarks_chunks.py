import pytest

from benchmarks.chunks import memory_ratio


def test_memory_ratio_by_hand():
    """100 MB, and 20 MB of features and 10 MB of embeddings more, may become 130; it becomes 143."""
    whole = {"peak": 100.0, "features": 5.0, "embeddings": 1.0, "variables": 50.0}
    in_chunks = {"peak": 143.0, "features": 25.0, "embeddings": 11.0, "variables": 50.0}
    assert memory_ratio(whole, in_chunks) == pytest.approx(1.1)
    assert memory_ratio(whole, whole) == 1.0
