"""Counts of engaged queries by period, kept from run to run, so that a day's log is counted once (§3.2.3)."""

import datetime as dt
import json
import os
from collections.abc import Iterator
from pathlib import Path

import ibis

from tfsage.data.enrichment.engaged_queries import sum_scores, top_queries
from tfsage.errors import TfsageError
from tfsage.files import sync, write_text

PERIOD = dt.timedelta(days=30)
_WHEN = "%Y%m%dT%H%M%S%f"


class Partials:
    """A folder with one Parquet for each period: the best queries of every entity in it, and their scores.

    Merging truncated lists loses a query that is never among the best of a period, though it would be among the best
    of all of them together; so a period keeps more (`kept`) than the feature holds.

    Args:
        folder: made when it is not there.
        kept: queries of an entity and period.
        weights: of the actions; all periods are counted with the same.

    Raises:
        TfsageError: the folder was begun with other settings, or holds something else.
    """

    def __init__(self, folder: Path, kept: int, weights: dict[str, float]):
        self._folder, self._kept = folder, kept
        settings = {"kept_queries": kept, "action_weights": weights}
        about = folder / "state.json"
        if about.is_file():
            earlier = json.loads(about.read_text(encoding="utf-8"))
            if earlier != settings:
                raise TfsageError(
                    f"{folder}: was begun with {earlier}, now it is {settings}; "
                    "count with the same settings, or begin another state folder"
                )
        elif folder.is_dir() and any(folder.iterdir()):
            raise TfsageError(f"{folder}: not empty, and no state of this command; name another folder")
        else:
            folder.mkdir(parents=True, exist_ok=True)
            write_text(about, json.dumps(settings, indent=2) + "\n")

    def missing(self, first: dt.datetime, end: dt.datetime) -> Iterator[tuple[dt.datetime, dt.datetime]]:
        """The periods, of 30 days at most, from where counting stopped (or from `first`) up to `end`, excluded.

        Raises:
            TfsageError: the state already counts what lies after `end`.
        """
        counted = max((last for _, last, _ in self._periods()), default=first)
        if counted > end:
            raise TfsageError(
                f"{self._folder}: counts engagements up to {counted}, so its features know more than what lies before "
                f"{end}; name a later date, or another state folder"
            )
        # After a pause longer than the window, what lies before the window is not counted either.
        start = max(counted, first)
        while start < end:
            yield start, min(start + PERIOD, end)
            start += PERIOD

    def add(self, scores: ibis.Table, first: dt.datetime, end: dt.datetime) -> None:
        """Keeps the best of the scores of one period."""
        path = self._folder / f"{first.strftime(_WHEN)}-{end.strftime(_WHEN)}.parquet"
        aside = path.with_suffix(".partial")
        best = top_queries(scores, self._kept).drop("place")
        best.get_backend().to_parquet(best, aside)
        sync(aside)
        os.replace(aside, path)

    def merged(self, connection: ibis.BaseBackend, first: dt.datetime) -> ibis.Table:
        """The scores of all periods that end after `first`; periods that do not are deleted."""
        live = []
        for _, end, path in self._periods():
            if end <= first:
                path.unlink()
            else:
                live.append(str(path))
        return sum_scores(connection.read_parquet(live))

    def _periods(self) -> list[tuple[dt.datetime, dt.datetime, Path]]:
        files = sorted(self._folder.glob("*-*.parquet"))
        return [(*(dt.datetime.strptime(part, _WHEN) for part in file.stem.split("-")), file) for file in files]
