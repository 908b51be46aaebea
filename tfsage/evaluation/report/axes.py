"""What the charts share: scales, round ticks, and marks that can be told apart without colour."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup, escape

WIDTH = 340
"""Of every chart, in its own units: about the pixels of a phone."""

SERIES = 8
"""Colours and marks, after which they begin again."""

_DASHES = ("", "6 3", "2 3", "8 3 2 3", "4 2")


class Figure(NamedTuple):
    """A chart with what a reader needs who cannot see it.

    caption: what is drawn. svg: the drawing. legend: (place of the series, its name), empty where rows are labelled.
    columns, rows: the table of its numbers; the first column names the row.
    """

    caption: str
    svg: Markup
    legend: list[tuple[int, str]]
    columns: list[str]
    rows: list[list[str]]


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


def scale(domain: tuple[float, float], start: float, end: float) -> Callable[[float], float]:
    """The linear map of `domain` to start .. end."""
    low, high = domain
    width = (high - low) or 1.0
    return lambda value: start + (value - low) / width * (end - start)


def svg(height: float, caption: str, parts: Sequence[str]) -> Markup:
    """The drawing as an image that a screen reader names."""
    label = escape(f"Chart: {caption}. Its numbers are in the table that follows.")
    return Markup(f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{label}">{"".join(parts)}</svg>')


def text(x: float, y: float, anchor: str, words: str, css: str = "tick") -> str:
    """Words in a chart; escaped here."""
    return f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def rule(x1: float, y1: float, x2: float, y2: float, css: str = "rule") -> str:
    """A straight line."""
    return f'<line class="{css}" x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}"/>'


def series_class(place: int) -> str:
    """The class that colours a series."""
    return f"series-{place % SERIES}"


def dashes(place: int) -> str:
    """The attribute that breaks up the line of a series."""
    pattern = _DASHES[place % len(_DASHES)]
    return f' stroke-dasharray="{pattern}"' if pattern else ""


def mark(place: int, x: float, y: float, size: float = 3.2) -> str:
    """The mark of a series at a point: circle, square, triangle, diamond, triangle down, cross, plus, ring."""
    css, s = series_class(place), size
    match place % SERIES:
        case 0 | 7 as kind:
            return (
                f'<circle class="{"mark" if kind == 0 else "mark hollow"} {css}" cx="{x:.1f}" cy="{y:.1f}" r="{s:g}"/>'
            )
        case 1:
            path = f"M{x - s:.1f} {y - s:.1f}h{2 * s:g}v{2 * s:g}h{-2 * s:g}z"
        case 2:
            path = f"M{x:.1f} {y - 1.3 * s:.1f}l{1.2 * s:g} {2.2 * s:g}h{-2.4 * s:g}z"
        case 3:
            d = 1.4 * s
            path = f"M{x:.1f} {y - d:.1f}l{d:g} {d:g}l{-d:g} {d:g}l{-d:g} {-d:g}z"
        case 4:
            path = f"M{x:.1f} {y + 1.3 * s:.1f}l{1.2 * s:g} {-2.2 * s:g}h{-2.4 * s:g}z"
        case 5:
            path = f"M{x - s:.1f} {y - s:.1f}l{2 * s:g} {2 * s:g}m0 {-2 * s:g}l{-2 * s:g} {2 * s:g}"
        case _:
            path = f"M{x - s:.1f} {y:.1f}h{2 * s:g}m{-s:g} {-s:g}v{2 * s:g}"
    return f'<path class="mark {css}" d="{path}"/>'


def legend_key(place: int) -> Markup:
    """The sample of a series beside its name in the legend."""
    line = f'<path class="line {series_class(place)}" d="M0 6h28"{dashes(place)}/>'
    return Markup(f'<svg class="key" viewBox="0 0 28 12" aria-hidden="true">{line}{mark(place, 14, 6)}</svg>')


def finite(*columns: Sequence[float]) -> list[np.ndarray]:
    """The columns as float64, without the rows in which any is not finite."""
    arrays = [np.asarray(column, np.float64) for column in columns]
    keep = np.logical_and.reduce([np.isfinite(array) for array in arrays])
    return [array[keep] for array in arrays]


def _short(value: float, digits: int) -> str:
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if abs(value) >= size:
            return f"{value / size:.{digits}g}{unit}"
    return f"{value:.{digits}g}"
