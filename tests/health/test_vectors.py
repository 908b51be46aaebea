import numpy as np
import pytest

from tests.health.worlds import healthy_vectors
from tfsage.health.vectors import VectorMeter


def measured(vectors: np.ndarray, block: int = 170, **options):
    meter = VectorMeter(vectors.shape[1], **options)
    for start in range(0, len(vectors), block):
        meter.add(vectors[start : start + block])
    return meter.statistics()


@pytest.mark.parametrize("block", [1, 7, 1500, 9999])
def test_statistics_are_numpy_s_whatever_the_blocks(block):
    vectors = np.random.default_rng(0).normal(3.0, 0.01, (1500, 6)).astype(np.float32)
    found = measured(vectors, block)
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    assert found.rows == 1500
    np.testing.assert_allclose(found.variances, vectors.astype(np.float64).var(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.norms, (lengths.min(), lengths.mean(), lengths.max()))
    assert found.deviation == pytest.approx(lengths.max() - 1)


def test_rows_without_direction_are_counted_and_left_out_of_the_lengths():
    vectors = healthy_vectors()
    vectors[3, 2], vectors[5, 0], vectors[700] = np.nan, np.inf, 0.0
    found = measured(vectors)
    assert (found.non_finite, found.zero) == (2 / 1500, 1 / 1500)
    assert found.deviation < 1e-6
    assert np.isfinite(found.variances).all()


def test_duplicates_are_rows_that_repeat_another_across_blocks_too():
    vectors = healthy_vectors()
    vectors[1000:1100] = vectors[:100]
    vectors[1200] = vectors[0]
    assert measured(vectors).duplicates == pytest.approx(101 / 1500)
    nudged = vectors.copy()
    nudged[1000:1100, 0] = np.nextafter(nudged[1000:1100, 0], 2)
    assert measured(nudged).duplicates == pytest.approx(1 / 1500), "one bit makes a difference"


def test_zero_vectors_are_no_duplicates():
    vectors = healthy_vectors()
    vectors[:50] = 0.0
    assert measured(vectors).duplicates == 0.0


def test_many_vectors_are_sampled_with_all_their_copies():
    vectors = np.random.default_rng(2).standard_normal((40_000, 4)).astype(np.float32)
    vectors[30_000:] = vectors[:10_000]
    meter = VectorMeter(4, kept_hashes=2_000)
    for start in range(0, 40_000, 1_000):
        meter.add(vectors[start : start + 1_000])
    assert len(meter._hashes) <= 2_000
    assert meter.statistics().duplicates == pytest.approx(0.25, abs=0.03)


def test_dead_dimensions_are_those_that_hardly_vary():
    vectors = healthy_vectors()
    assert measured(vectors).dead(1e-4) == 0
    vectors[:, 3], vectors[:, 7] = 0.25, 1e-7 * vectors[:, 7]
    assert measured(vectors).dead(1e-4) == 2
    assert measured(np.ones((10, 3), np.float32)).dead(1e-4) == 3
