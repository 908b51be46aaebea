"""Findings: what was measured, beside its threshold, with a verdict and a remedy."""

import math
from typing import Literal, NamedTuple

Verdict = Literal["healthy", "alarm", "not measured"]


class Finding(NamedTuple):
    """One check.

    check: its name, which stays the same for whoever watches it. title: for people. value: what was measured, None if
    nothing could be. before: the same of the earlier bundle. limit: the threshold; at_most: whether values above it
    (and not below it) are alarms. note: what else to know. remedy: what to do on an alarm.
    """

    check: str
    title: str
    value: float | None
    limit: float
    remedy: str
    at_most: bool = True
    before: float | None = None
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """An alarm when the value is beyond the limit; NaN is."""
        if self.value is None:
            return "not measured"
        held = self.value <= self.limit if self.at_most else self.value >= self.limit
        return "healthy" if held else "alarm"

    def as_json(self) -> dict:
        """Plain values for `--json`; NaN, which JSON lacks, is null."""
        value = None if self.value is None or math.isnan(self.value) else self.value
        return {**self._asdict(), "value": value, "verdict": self.verdict}
