"""Divides engagements into train, dev and test."""

import datetime as dt
from typing import NamedTuple

import ibis

from tfsage.config import SplitConfig
from tfsage.errors import TfsageError


class Split(NamedTuple):
    """A rule, settled for the tables at hand.

    Attributes:
        by: time, query or given.
        boundaries: for a split by time: train holds what is at or before `train_end`, dev what is after `dev_start`
            up to `dev_end`, test what is after `dev_end`; what lies between `train_end` and `dev_start` is the gap.
    """

    by: str
    boundaries: dict[str, dt.datetime]


def settle_split(engagements: ibis.Table, config: SplitConfig) -> Split:
    """Chooses the rule and, for a split by time, its dates.

    The test window ends with the last engagement; the dev window lies before it, the gap before that. So whatever is
    computed from training engagements is at least `gap_days` older than what it is judged by.

    Raises:
        TfsageError: the tables lack what the rule needs.
    """
    first, last = _time_range(engagements)
    window, gap = dt.timedelta(days=config.window_days), dt.timedelta(days=config.gap_days)
    needed = 2 * window + gap
    by = config.by
    if by == "auto":
        long_enough = first is not None and last - first > 2 * needed
        by = "given" if "split" in engagements.columns else "time" if long_enough else "query"
    if by == "given" and "split" not in engagements.columns:
        raise TfsageError(
            "prepare.split.by is 'given', but engagements have no column 'split'; add it, or split by query"
        )
    if by != "time":
        return Split(by, {})
    if first is None:
        raise TfsageError("prepare.split.by is 'time', but engagements have no timestamps; add them, or split by query")
    if last - first <= needed:
        raise TfsageError(
            f"prepare.split.by is 'time', but engagements span {(last - first).days} days, and the gap and the two "
            f"windows take {needed.days}; shorten gap_days or window_days, or split by query"
        )
    dev_end = last - window
    dev_start = dev_end - window
    return Split(by, {"train_end": dev_start - gap, "dev_start": dev_start, "dev_end": dev_end, "last": last})


def part_of(rows: ibis.Table, split: Split, config: SplitConfig, seed: int) -> ibis.Value:
    """The part that each row belongs to: train, dev, test or gap; by its timestamp, split or query_key.

    By query, all rows with one `query_key` go to the same part: its hash decides.
    """
    if split.by == "given":
        return rows.split
    if split.by == "query":
        draw = (ibis.literal(f"{seed}:") + rows.query_key).hexdigest("md5").substr(0, 8)
        return ibis.cases(
            (draw < _threshold(config.test_share), "test"),
            (draw < _threshold(config.test_share + config.dev_share), "dev"),
            else_="train",
        )
    boundaries = {name: ibis.literal(when) for name, when in split.boundaries.items()}
    when = rows.timestamp.cast("timestamp")
    return ibis.cases(
        (when <= boundaries["train_end"], "train"),
        (when <= boundaries["dev_start"], "gap"),
        (when <= boundaries["dev_end"], "dev"),
        else_="test",
    )


def _time_range(engagements: ibis.Table) -> tuple[dt.datetime | None, dt.datetime | None]:
    if "timestamp" not in engagements.columns:
        return None, None
    when = engagements.timestamp.cast("timestamp")
    found = engagements.aggregate(first=when.min(), last=when.max()).to_pyarrow().to_pylist()[0]
    return found["first"], found["last"]


def _threshold(share: float) -> str:
    """Hexadecimal digits of a fixed length sort as the numbers they stand for; "g" is above all of them."""
    return f"{int(share * 2**32):08x}" if share < 1.0 else "g"
