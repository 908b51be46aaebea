import xml.etree.ElementTree as ElementTree

import pytest

from tfsage.evaluation.report.bars import Bar, bar_figure, difference_figure, verdict


def test_bars_are_as_long_as_their_values_with_their_intervals():
    figure = bar_figure([Bar("a", 0, 0.5, 0.4, 0.6), Bar("b & c", 1, 0.25, 0.2, 0.3)], "recall")
    svg = ElementTree.fromstring(figure.svg)
    long, short = [float(bar.get("width")) for bar in svg.iter("rect")]
    assert long == pytest.approx(2 * short, abs=0.2)
    intervals = [each for each in svg.iter("line") if each.get("class") == "interval"]
    spans = [float(each.get("x2")) - float(each.get("x1")) for each in intervals]
    assert spans == pytest.approx([0.4 * long, 0.2 * long], abs=0.2)
    assert figure.rows == [["a", "0.500", "[0.400, 0.600]"], ["b & c", "0.250", "[0.200, 0.300]"]]


def test_other_systems_are_marked_and_numbered():
    bars = [Bar("cold", 0, 0.5, 0.4, 0.6, [(2, 0.9)]), Bar("warm", 0, 0.2, 0.1, 0.3, [(2, 0.1)])]
    figure = bar_figure(bars, "by stratum", [(0, "this model"), (2, "BM25")])
    assert figure.columns == ["", "this model", "interval", "BM25"]
    assert [row[-1] for row in figure.rows] == ["0.900", "0.100"]
    assert figure.svg.count('class="mark series-2"') == 2


def test_differences_lie_on_their_side_of_zero_with_a_shape_for_the_verdict():
    bars = [Bar("up", 0, 0.1, 0.05, 0.15), Bar("down", 0, -0.1, -0.15, -0.05), Bar("open", 0, 0.01, -0.05, 0.07)]
    figure = difference_figure(bars, "differences")
    svg = ElementTree.fromstring(figure.svg)
    zero = {float(each.get("x1")) for each in svg.iter("line") if each.get("class") == "zero"}.pop()
    sides = [(float(e.get("x1")), float(e.get("x2"))) for e in svg.iter("line") if e.get("class") == "interval"]
    assert zero < min(sides[0]) and max(sides[1]) < zero and sides[2][0] < zero < sides[2][1]
    assert [row[-1] for row in figure.rows] == ["▲", "▼", "○"]
    shapes = [each.get("d") for each in svg.iter("path")]
    assert len(shapes) == 2 and len(list(svg.iter("circle"))) == 1


@pytest.mark.parametrize(
    ("low", "high", "sign"), [(0.1, 0.2, "▲"), (-0.2, -0.1, "▼"), (0.0, 0.2, "○"), (-0.2, 0.0, "○")]
)
def test_an_interval_that_touches_zero_is_undecided(low, high, sign):
    assert verdict(low, high) == sign
