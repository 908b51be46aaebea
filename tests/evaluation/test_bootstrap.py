import numpy as np
import pytest

from tfsage.evaluation import bootstrap
from tfsage.evaluation.bootstrap import interval, resampled_sums


def test_the_spread_of_a_mean_is_the_standard_error():
    values = np.random.default_rng(0).standard_normal((400, 1))
    means = resampled_sums(values, 4000, seed=1) / 400
    assert means.std() == pytest.approx(values.std() / np.sqrt(400), rel=0.05)
    assert means.mean() == pytest.approx(values.mean(), abs=4 * means.std() / np.sqrt(4000))


def test_the_interval_covers_at_its_level():
    """Many samples of a known mean: about 95 % of the intervals must hold it."""
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(300):
        sample = (rng.random((250, 1)) < 0.3).astype(float)
        low, high = interval(resampled_sums(sample, 400, seed)[:, 0] / 250)
        covered += low <= 0.3 <= high
    assert 0.91 <= covered / 300 <= 0.98


def test_pairs_of_a_query_are_not_independent():
    """Clusters of 8 equal pairs: the design effect is 8, the standard error √8 times that of independent pairs."""
    hits = (np.random.default_rng(0).random(300) < 0.5).astype(float)
    clustered = resampled_sums(np.stack([8 * hits, np.full(300, 8.0)], axis=1), 4000, seed=1)
    independent = resampled_sums(np.repeat(hits, 8)[:, None], 4000, seed=1)
    spread = (clustered[:, 0] / clustered[:, 1]).std()
    assert spread / (independent / 2400).std() == pytest.approx(np.sqrt(8), rel=0.06)


def test_columns_share_each_draw():
    """Two systems that differ by a constant differ by it in every draw, however much queries differ."""
    hard = np.random.default_rng(0).random(200) * 100
    sums = resampled_sums(np.stack([hard + 1, hard], axis=1), 1000, seed=1)
    np.testing.assert_allclose(sums[:, 0] - sums[:, 1], 200)


def test_every_draw_has_as_many_queries(monkeypatch):
    monkeypatch.setattr(bootstrap, "_CELLS", 70)
    sums = resampled_sums(np.ones((10, 1)), 1003, seed=1)
    assert sums.shape == (1003, 1)
    assert (sums == 10).all()


def test_the_seed_decides():
    values = np.random.default_rng(0).random((50, 1))
    np.testing.assert_array_equal(resampled_sums(values, 100, 3), resampled_sums(values, 100, 3))
    assert (resampled_sums(values, 100, 3) != resampled_sums(values, 100, 4)).any()
