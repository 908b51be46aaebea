"""Bars and differences with their intervals as inline SVG: one row each, its name above it, so that long names fit."""

from collections.abc import Sequence
from typing import NamedTuple

from tfsage.evaluation.report.axes import (
    WIDTH,
    Figure,
    mark,
    nice_ticks,
    rule,
    scale,
    series_class,
    svg,
    text,
    tick_labels,
)

_ROW, _AXIS, _INSET = 32, 18, 5
_BETTER, _WORSE, _UNDECIDED = 2, 4, 7


class Bar(NamedTuple):
    """One row: its name, the value with its interval, and what else is marked on it: (place of the series, value)."""

    name: str
    place: int
    value: float
    low: float
    high: float
    others: Sequence[tuple[int, float]] = ()


def bar_figure(bars: Sequence[Bar], caption: str, legend: Sequence[tuple[int, str]] = ()) -> Figure:
    """Bars from zero, each with its interval.

    Args:
        bars: at least one; values are not negative.
        caption: what the bars measure.
        legend: (place, name) of the series when rows mark several; every row then has the same ones.
    """
    across, parts = _frame(0.0, max(value for bar in bars for value in _values(bar)) or 1.0, len(bars))
    for row, bar in enumerate(bars):
        y = row * _ROW
        parts += _names(bar.name, f"{bar.value:.3f}", y)
        left, css = across(0), series_class(bar.place)
        box = f'x="{left:.1f}" y="{y + 17}" width="{across(bar.value) - left:.1f}" height="9"'
        parts.append(f'<rect class="bar {css}" {box}/>')
        parts.append(rule(across(bar.low), y + 21.5, across(bar.high), y + 21.5, "interval"))
        parts += [mark(place, across(value), y + 21.5) for place, value in bar.others]
    main = [name for place, name in legend if place == bars[0].place]
    columns = ["", *(main or ["value"]), "interval", *(name for place, name in legend if place != bars[0].place)]
    rows = [
        [bar.name, f"{bar.value:.3f}", f"[{bar.low:.3f}, {bar.high:.3f}]", *(f"{value:.3f}" for _, value in bar.others)]
        for bar in bars
    ]
    return Figure(caption, svg(len(bars) * _ROW + _AXIS, caption, parts), list(legend), columns, rows)


def difference_figure(bars: Sequence[Bar], caption: str, signs: Sequence[str] | None = None) -> Figure:
    """Differences about zero, with a sign for each: ▲ better, ▼ worse, ○ undecided.

    Args:
        bars: at least one.
        caption: what differs.
        signs: where more than the interval decides; else see `verdict`.
    """
    signs = signs or [verdict(bar.low, bar.high) for bar in bars]
    across, parts = _frame(min(0.0, *(bar.low for bar in bars)), max(0.0, *(bar.high for bar in bars)), len(bars))
    for row, (bar, sign) in enumerate(zip(bars, signs, strict=True)):
        y = row * _ROW
        parts.append(rule(across(0), y + 15, across(0), y + 28, "zero"))
        parts += _names(bar.name, f"{sign} {bar.value:+.3f}", y)
        parts.append(rule(across(bar.low), y + 21.5, across(bar.high), y + 21.5, "interval"))
        shape = {"▲": _BETTER, "▼": _WORSE, "○": _UNDECIDED}[sign]
        parts.append(mark(shape, across(bar.value), y + 21.5, 4.2).replace(series_class(shape), "ink"))
    rows = [
        [bar.name, f"{bar.value:+.3f}", f"[{bar.low:+.3f}, {bar.high:+.3f}]", sign]
        for bar, sign in zip(bars, signs, strict=True)
    ]
    columns = ["", "difference", "interval", "verdict"]
    return Figure(caption, svg(len(bars) * _ROW + _AXIS, caption, parts), [], columns, rows)


def verdict(low: float, high: float) -> str:
    """▲ better, ▼ worse, ○ undecided: the interval holds zero."""
    if low > 0:
        return "▲"
    return "▼" if high < 0 else "○"


def _values(bar: Bar) -> list[float]:
    return [bar.high, *(value for _, value in bar.others)]


def _frame(low: float, high: float, rows: int):
    ticks = nice_ticks(low, high)
    across = scale((ticks[0], ticks[-1]), _INSET, WIDTH - _INSET)
    parts = []
    for tick, label in zip(ticks, tick_labels(ticks), strict=True):
        # Under the bars only: through the words it would make them hard to read.
        parts += [rule(across(tick), row * _ROW + 16, across(tick), row * _ROW + 27) for row in range(rows)]
        anchor = "start" if tick == ticks[0] else "end" if tick == ticks[-1] else "middle"
        shift = {"start": -_INSET, "end": _INSET, "middle": 0}[anchor]
        parts.append(text(across(tick) + shift, rows * _ROW + 13, anchor, label))
    return across, parts


def _names(name: str, value: str, y: float) -> list[str]:
    return [text(0, y + 11, "start", name, "row"), text(WIDTH, y + 11, "end", value, "row")]
