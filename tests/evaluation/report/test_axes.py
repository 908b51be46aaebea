import pytest

from tfsage.evaluation.report.axes import SERIES, finite, legend_key, mark, nice_ticks, tick_labels


@pytest.mark.parametrize(("low", "high"), [(0, 1), (2.1, 12.3), (-0.4, 0.3), (0.011, 0.078), (0, 123456), (1e-6, 3e-6)])
def test_ticks_enclose_the_data_evenly(low, high):
    ticks = nice_ticks(low, high)
    assert ticks[0] <= low and high <= ticks[-1]
    assert 3 <= len(ticks) <= 7
    steps = {round((b - a) / (ticks[1] - ticks[0]), 6) for a, b in zip(ticks, ticks[1:], strict=False)}
    assert steps == {1.0}


def test_ticks_of_a_single_value():
    ticks = nice_ticks(3.0, 3.0)
    assert ticks[0] < 3.0 < ticks[-1]


def test_labels_are_short_and_tell_ticks_apart():
    assert tick_labels([0, 0.25, 10, 1500, 2e6]) == ["0", "0.25", "10", "1.5k", "2M"]
    assert tick_labels([0.07030, 0.07031, 0.07032]) == ["0.0703", "0.07031", "0.07032"]
    assert tick_labels([100_000, 100_500]) == ["100k", "100.5k"]


def test_marks_differ_in_shape_and_later_series_in_their_dashes():
    shapes = {mark(place, 10, 10).replace(f"series-{place}", "") for place in range(SERIES)}
    assert len(shapes) == SERIES
    assert legend_key(0) != legend_key(SERIES)


def test_rows_that_are_not_finite_are_left_out_of_all_columns():
    x, y = finite([1, 2, 3], [4, float("nan"), 6])
    assert x.tolist() == [1, 3] and y.tolist() == [4, 6]
