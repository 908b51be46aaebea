"""Findings as a table on the console."""

from collections.abc import Sequence

from rich.table import Table

from tfsage.health.findings import Finding

_SIGNS = {"healthy": "[green]✓ healthy[/]", "alarm": "[bold red]✗ alarm[/]", "not measured": "– not measured"}


def findings_table(findings: Sequence[Finding], title: str) -> Table:
    """One row per finding: what was measured, what it was before, its threshold, the verdict, and on alarm a remedy."""
    table = Table(title=title)
    table.add_column("check", overflow="fold")
    compared = any(finding.before is not None for finding in findings)
    for column in ("measured", *(["before"] if compared else []), "threshold"):
        table.add_column(column, justify="right")
    table.add_column("verdict", no_wrap=True)
    table.add_column("what to do, or to know", overflow="fold")
    for finding in findings:
        bound = f"{'≤' if finding.at_most else '≥'} {finding.limit:.4g}"
        before = [_number(finding.before)] if compared else []
        words = [finding.note] if finding.note else []
        words += [finding.remedy] if finding.verdict == "alarm" else []
        cells = [finding.title, _number(finding.value), *before, bound, _SIGNS[finding.verdict], "; ".join(words)]
        table.add_row(*cells)
    return table


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
