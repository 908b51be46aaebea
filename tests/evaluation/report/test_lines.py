import re
import xml.etree.ElementTree as ElementTree

import pytest

from tfsage.evaluation.report.lines import Line, line_figure


def points(line) -> list[tuple[float, float]]:
    return [tuple(map(float, point.split(","))) for point in line.get("points").split()]


def test_a_chart_is_well_formed_and_draws_what_it_is_given():
    lines = [Line("A & B", 0, [1, 10, 100], [0, 0.5, 1]), Line("flat", 3, [1, 100], [0.5, 0.5])]
    figure = line_figure(lines, "recall@k", "k", log_x=True)
    first, second = map(points, ElementTree.fromstring(figure.svg).iter("polyline"))
    assert first[1][0] - first[0][0] == pytest.approx(first[2][0] - first[1][0], abs=0.11), "tenfold steps are equal"
    assert first[0][1] > first[1][1] > first[2][1], "more is higher"
    assert [y for _, y in second] == [first[1][1]] * 2
    assert figure.legend == [(0, "A & B"), (3, "flat")]


def test_the_numbers_have_a_row_for_every_x_of_any_line():
    lines = [Line("a", 0, [1, 10], [0.25, 0.5], [0.2, 0.4], [0.3, 0.6]), Line("b", 1, [10, 1000], [0.7, float("nan")])]
    figure = line_figure(lines, "t", "k")
    assert figure.columns == ["k", "a", "b"]
    assert figure.rows == [["1", "0.25 [0.2, 0.3]", "–"], ["10", "0.5 [0.4, 0.6]", "0.7"], ["1,000", "–", "–"]]


def test_one_point_is_a_mark_and_gaps_are_skipped():
    nan = float("nan")
    svg = line_figure([Line("a", 0, [1, 2, 3], [nan, 4, nan]), Line("b", 1, [1, 2, 3], [1, nan, 3])], "t", "x").svg
    assert svg.count("<circle") == 1
    assert len(re.search('points="(.*?)"', svg).group(1).split()) == 2
    assert "nan" not in svg


def test_intervals_are_whiskers_inside_the_axis():
    line = Line("a", 0, [0, 1], [0.5, 0.6], [0.1, 0.5], [0.9, 0.95])
    svg = ElementTree.fromstring(line_figure([line], "t", "decile", x_names=["1", "2"]).svg)
    whiskers = [each for each in svg.iter("line") if "whisker" in each.get("class")]
    rules = [float(each.get("y1")) for each in svg.iter("line") if each.get("class") == "rule"]
    assert len(whiskers) == 2
    for whisker in whiskers:
        assert min(rules) <= float(whisker.get("y2")) < float(whisker.get("y1")) <= max(rules)


def test_labels_below_do_not_touch():
    xs = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 1001]
    svg = ElementTree.fromstring(line_figure([Line("a", 0, xs, xs)], "t", "k", log_x=True).svg)
    labels = [each for each in svg.iter("text") if each.get("text-anchor") == "middle" and each.text != "k"]
    places = sorted(float(each.get("x")) for each in labels)
    assert min(b - a for a, b in zip(places, places[1:], strict=False)) >= 26.9
    assert "1.001k" in {each.text for each in labels}, "the last one is always there"
