"""Boards: what people collect together, under titles that tell more or less about it."""

import datetime as dt

import numpy as np
import pyarrow as pa

from tfsage.data.synthetic.columns import Batches, Streams, ids
from tfsage.data.synthetic.concepts import ATTRIBUTES

_SAVED_TOGETHER, _PUT_ASIDE = 10, 3
"""How many things share a board, by theme or under a title that says nothing."""
_THEMES = {("style", "room"): 0.6, ("color", "category"): 0.5, ("material", "category"): 0.5, (): 0.6}
"""What a board is about, and the share of things that somebody saved to a board of that kind."""
_GENERIC = ("Home", "Ideas", "My Home", "For Later")


def board_rows(entities: dict[str, dict[str, np.ndarray]], streams: Streams, first: dt.datetime, days: int) -> Batches:
    """Boards of pins of one style for one room, then boards of products and pins by several themes.

    Args:
        entities: int [n] by attribute, for `pin` and `product`.
        streams: the random numbers.
        first: when people began.
        days: for how long they have saved things.
    """
    saved_days = streams("board_days")
    taken = 0
    for kind, letters, order, titles, size in _collections(entities, streams):
        boards = np.arange(len(order)) // size
        day = saved_days.integers(days, size=len(order))
        yield {
            "board_id": ids("b", taken + boards),
            "title": [titles[place * size] for place in boards.tolist()],
            "entity_id": ids(letters, order),
            "entity_type": [kind] * len(order),
            "timestamp": pa.array(np.datetime64(first, "us") + day.astype("timedelta64[D]")),
        }
        taken += boards[-1] + 1


def _collections(entities: dict[str, dict[str, np.ndarray]], streams: Streams):
    """Kind, letters of its ids, things (rows, like beside like), a title for each, and how many share a board."""
    pins = entities["pin"]
    rng = streams("boards")
    order = np.lexsort([rng.random(len(pins["category"])), pins["room"], pins["style"]])
    yield "pin", "pin", order, _titles(pins, order, ("style", "room")), _SAVED_TOGETHER
    for number, (kind, letters) in enumerate((("product", "p"), ("pin", "pin"))):
        values = entities[kind]
        rng = streams("more_boards", number)
        for theme, share in _THEMES.items():
            saved = np.flatnonzero(rng.random(len(values["category"])) < share)
            order = saved[np.lexsort([rng.random(len(saved)), *(values[name][saved] for name in theme)])]
            titles = _titles(values, order, theme) if theme else rng.choice(_GENERIC, len(order)).tolist()
            if len(order):
                yield kind, letters, order, titles, _SAVED_TOGETHER if theme else _PUT_ASIDE


def _titles(values: dict[str, np.ndarray], rows: np.ndarray, theme: tuple[str, ...]) -> list[str]:
    said = [[ATTRIBUTES[name].forms[value][0] for value in values[name][rows].tolist()] for name in theme]
    return [" ".join(words).title() for words in zip(*said, strict=True)]
