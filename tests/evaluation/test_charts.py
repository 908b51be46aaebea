import re
import xml.etree.ElementTree as ElementTree

import pytest

from tfsage.evaluation.charts import Line, line_chart, nice_ticks, tick_labels


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


def test_a_chart_is_well_formed_and_draws_what_it_is_given():
    lines = [Line("A & B", "sys-model", [1, 10, 100], [0, 0.5, 1]), Line("flat", "sys-bm25", [1, 100], [0.5, 0.5])]
    chart = ElementTree.fromstring(line_chart(lines, "recall@k", "k", log_x=True))
    first, second = (line.get("points").split() for line in chart.iter("polyline"))
    xs, ys = zip(*[map(float, point.split(",")) for point in first], strict=True)
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.11), "tenfold steps are equal on a logarithmic axis"
    assert ys[0] > ys[1] > ys[2], "more is higher"
    assert [point.split(",")[1] for point in second] == [f"{ys[1]:.1f}"] * 2
    assert [key.text for key in chart.iter("span")] == ["A & B", "flat"]


def test_one_point_is_a_dot_and_gaps_are_skipped():
    nan = float("nan")
    chart = line_chart([Line("a", "x", [1, 2, 3], [nan, 4, nan]), Line("b", "y", [1, 2, 3], [1, nan, 3])], "t", "x")
    assert chart.count("<circle") == 1
    assert len(re.search('points="(.*?)"', chart).group(1).split()) == 2
    assert "nan" not in chart
