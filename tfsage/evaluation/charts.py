"""Line charts as inline SVG: colours come from the page's style sheet, so that they follow light and dark."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup, escape

_WIDTH, _HEIGHT = 360, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 16, 10, 34


class Line(NamedTuple):
    """One line: its name in the legend, the class that colours it, and its points."""

    name: str
    css: str
    x: Sequence[float]
    y: Sequence[float]


def line_chart(lines: Sequence[Line], title: str, x_label: str, log_x: bool = False, from_zero: bool = False) -> Markup:
    """A chart with a legend below it; drawn for the width of a phone, and scaled up elsewhere.

    Args:
        lines: at least one; points that are not finite are left out, of each at least one is.
        title: says what is on the y axis; read out by screen readers.
        x_label: below the x axis.
        log_x: a logarithmic x axis; every x is then above zero.
        from_zero: the y axis begins at zero whatever the values.
    """
    finite = [Line(line.name, line.css, *_finite(line.x, line.y)) for line in lines]
    xs, ys = np.concatenate([line.x for line in finite]), np.concatenate([line.y for line in finite])
    x_ticks = sorted(set(xs)) if log_x else nice_ticks(xs.min(), xs.max())
    y_ticks = nice_ticks(min(0.0, ys.min()) if from_zero else ys.min(), ys.max())
    across = _scale(
        (np.log(x_ticks[0]), np.log(x_ticks[-1])) if log_x else (x_ticks[0], x_ticks[-1]), _LEFT, _WIDTH - _RIGHT
    )
    up = _scale((y_ticks[0], y_ticks[-1]), _HEIGHT - _BOTTOM, _TOP)
    place = (lambda x: across(math.log(x))) if log_x else across
    parts = [
        *[_horizontal(up(y), label) for y, label in zip(y_ticks, tick_labels(y_ticks), strict=True)],
        *[_below(place(x), label) for x, label in zip(x_ticks, tick_labels(x_ticks), strict=True)],
        _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 3, "middle", escape(x_label)),
        *[_path(line, place, up) for line in finite],
    ]
    legend = "".join(f'<span class="key {escape(line.css)}">{escape(line.name)}</span>' for line in finite)
    return Markup(
        f"<figure><figcaption>{escape(title)}</figcaption>"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
        f'<div class="legend">{legend}</div></figure>'
    )


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """About `count` round numbers, evenly spaced, that enclose low .. high."""
    if high <= low:
        low, high = low - 0.5 * (abs(low) or 1), high + 0.5 * (abs(high) or 1)
    rough = (high - low) / count
    magnitude = 10 ** math.floor(math.log10(rough))
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(place * step, 12) for place in range(first, last + 1)]


def tick_labels(ticks: Sequence[float]) -> list[str]:
    """Short labels that tell the ticks apart: 1200 → 1.2k."""
    labels = []
    for digits in range(3, 9):
        labels = [_short(tick, digits) for tick in ticks]
        if len(set(labels)) == len(labels):
            break
    return labels


def _short(value: float, digits: int) -> str:
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if abs(value) >= size:
            return f"{value / size:.{digits}g}{unit}"
    return f"{value:.{digits}g}"


def _finite(x: Sequence[float], y: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    keep = np.isfinite(x) & np.isfinite(y)
    return x[keep], y[keep]


def _scale(domain: tuple[float, float], start: float, end: float):
    low, high = domain
    width = (high - low) or 1.0
    return lambda value: start + (value - low) / width * (end - start)


def _horizontal(y: float, label: str) -> str:
    line = f'<line class="rule" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
    return line + _text(_LEFT - 5, y + 3.5, "end", label)


def _below(x: float, label: str) -> str:
    return _text(x, _HEIGHT - _BOTTOM + 14, "middle", label)


def _text(x: float, y: float, anchor: str, text: str) -> str:
    return f'<text class="tick" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


def _path(line: Line, place, up) -> str:
    points = [(place(x), up(y)) for x, y in zip(line.x, line.y, strict=True)]
    if len(points) == 1:
        ((x, y),) = points
        return f'<circle class="dot {escape(line.css)}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="line {escape(line.css)}" points="{path}"/>'
