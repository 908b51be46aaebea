"""Line charts as inline SVG: colours come from the page's style sheet, so that they follow light and dark."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tfsage.evaluation.report.axes import (
    WIDTH,
    Figure,
    dashes,
    finite,
    mark,
    nice_ticks,
    rule,
    scale,
    series_class,
    svg,
    text,
    tick_labels,
)

_HEIGHT = 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 12, 10, 34
_LABEL_WIDTH = 27
_MOST_MARKS = 30


class Line(NamedTuple):
    """One line: its name, its place among the series (which gives colour, mark and dashes), and its points.

    x, y: of equal length; points that are not finite are left out. low, high: intervals of y, or nothing.
    """

    name: str
    place: int
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


def line_figure(
    lines: Sequence[Line],
    caption: str,
    x_label: str,
    *,
    log_x: bool = False,
    from_zero: bool = False,
    x_names: Sequence[str] = (),
) -> Figure:
    """A chart of lines; drawn for the width of a phone, and scaled up elsewhere.

    Args:
        lines: at least one, with at least one finite point each.
        caption: says what is on the y axis.
        x_label: below the x axis.
        log_x: a logarithmic x axis, with a tick at every x; every x is then above zero.
        from_zero: the y axis begins at zero whatever the values.
        x_names: names of the places x = 0, 1, 2, ..., which then are the ticks.
    """
    points = {line.name: finite(line.x, line.y) for line in lines}
    xs = np.concatenate([x for x, _ in points.values()])
    ys = np.concatenate([y for _, y in points.values()] + [finite(side)[0] for o in lines for side in (o.low, o.high)])
    x_ticks = list(range(len(x_names))) if x_names else sorted(set(xs)) if log_x else nice_ticks(xs.min(), xs.max())
    y_ticks = nice_ticks(min(0.0, ys.min()) if from_zero else ys.min(), ys.max())
    domain = (np.log(x_ticks[0]), np.log(x_ticks[-1])) if log_x else (x_ticks[0], x_ticks[-1])
    across = scale(domain, _LEFT, WIDTH - _RIGHT)
    up = scale((y_ticks[0], y_ticks[-1]), _HEIGHT - _BOTTOM, _TOP)
    place = (lambda x: across(math.log(x))) if log_x else across
    parts = [
        *[_horizontal(up(y), label) for y, label in zip(y_ticks, tick_labels(y_ticks), strict=True)],
        *_below([place(x) for x in x_ticks], x_names or tick_labels(x_ticks)),
        text((_LEFT + WIDTH - _RIGHT) / 2, _HEIGHT - 3, "middle", x_label),
        *[_drawn(line, place, up) for line in lines],
    ]
    return Figure(
        caption,
        svg(_HEIGHT, caption, parts),
        [(line.place, line.name) for line in lines],
        [x_label, *(line.name for line in lines)],
        _numbers(lines, x_names),
    )


def _numbers(lines: Sequence[Line], x_names: Sequence[str]) -> list[list[str]]:
    """A row for every x of any line."""
    by_x = [{x: place for place, x in enumerate(line.x)} for line in lines]
    rows = []
    for x in sorted(set().union(*by_x)):
        cells = [_number(line, places.get(x)) for line, places in zip(lines, by_x, strict=True)]
        rows.append([x_names[int(x)] if x_names else f"{x:,g}", *cells])
    return rows


def _number(line: Line, place: int | None) -> str:
    if place is None or not math.isfinite(line.y[place]):
        return "–"
    value = f"{line.y[place]:.4g}"
    return f"{value} [{line.low[place]:.4g}, {line.high[place]:.4g}]" if len(line.low) else value


def _horizontal(y: float, label: str) -> str:
    return rule(_LEFT, y, WIDTH - _RIGHT, y) + text(_LEFT - 5, y + 3.5, "end", label)


def _below(places: Sequence[float], labels: Sequence[str]) -> list[str]:
    """The labels of the x axis; those that would touch the next are left out, never the last."""
    written, free = [], math.inf
    for x, label in reversed(list(zip(places, labels, strict=True))):
        if free - x >= _LABEL_WIDTH:
            written.append(text(x, _HEIGHT - _BOTTOM + 15, "middle", label))
            free = x
    return written


def _drawn(line: Line, place, up) -> str:
    x, y = finite(line.x, line.y)
    points = [(place(a), up(b)) for a, b in zip(x, y, strict=True)]
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
    css = series_class(line.place)
    drawn = [f'<polyline class="line {css}" points="{path}"{dashes(line.place)}/>'] if len(points) > 1 else []
    if len(line.low):
        where, low, high = finite(line.x, line.low, line.high)
        sides = zip(where, low, high, strict=True)
        drawn += [rule(place(a), up(b), place(a), up(c), f"whisker {css}") for a, b, c in sides]
    marked = points[:: max(1, len(points) // _MOST_MARKS)]
    return "".join([*drawn, *(mark(line.place, a, b) for a, b in marked)])
