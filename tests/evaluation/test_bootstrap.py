import numpy as np
import pytest
from scipy import stats

from tfsage.evaluation import bootstrap
from tfsage.evaluation.bootstrap import interval, resampled_sums, wilson


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


def test_wilson():
    assert wilson(0.3, 1000) == pytest.approx((0.2724, 0.3291), abs=5e-5)
    for hits, count in ((0, 7), (3, 7), (7, 7)):
        expected = stats.binomtest(hits, count).proportion_ci(method="wilson")
        assert wilson(hits / count, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_independent_queries_have_the_interval_of_wilson():
    """300 hits of 1,000 queries with a pair each: both ways must agree."""
    hits = (np.arange(1000) < 300).astype(float)[:, None]
    assert interval(resampled_sums(hits, 4000, seed=1)[:, 0] / 1000) == pytest.approx((0.2724, 0.3291), abs=3e-3)


def test_a_made_up_sample_with_the_design_effect_of_real_queries():
    """Pairs of a query that agree in part: the naive standard error is too small by the square root of the effect."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 12, 500)
    easy = rng.beta(0.6, 0.6, 500)
    hits = np.array([rng.binomial(size, share) for size, share in zip(sizes, easy, strict=True)], float)
    clustered = resampled_sums(np.stack([hits, sizes], axis=1), 4000, seed=1)
    share = hits.sum() / sizes.sum()
    naive = np.sqrt(share * (1 - share) / sizes.sum())
    residual = hits - share * sizes
    exact = np.sqrt((residual**2).sum()) / sizes.sum()
    spread = (clustered[:, 0] / clustered[:, 1]).std()
    assert spread == pytest.approx(exact, rel=0.05)
    assert (spread / naive) ** 2 > 2.5
