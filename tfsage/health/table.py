"""Findings as tables on the console."""

from collections.abc import Sequence

from rich.table import Table

from tfsage.health.findings import Finding

_SIGNS = {"healthy": "[green]✓ healthy[/]", "alarm": "[bold red]✗ alarm[/]", "not measured": "– not measured"}


def findings_table(findings: Sequence[Finding], title: str) -> Table:
    """One row per finding: what was measured, what it was before, its threshold and the verdict."""
    table = Table(title=title)
    table.add_column("check", overflow="fold")
    compared = any(finding.before is not None for finding in findings)
    for column in ("measured", *(["before"] if compared else []), "threshold"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for finding in findings:
        name = f"{finding.title}\n  [dim]{finding.note}[/]" if finding.note else finding.title
        bound = f"{'≤' if finding.at_most else '≥'} {finding.limit:.4g}"
        before = [_number(finding.before)] if compared else []
        table.add_row(name, _number(finding.value), *before, bound, _SIGNS[finding.verdict])
    return table


def remedies_table(findings: Sequence[Finding]) -> Table:
    """What to do about every alarm."""
    table = Table("alarm", "what to do", title="remedies")
    for finding in (finding for finding in findings if finding.verdict == "alarm"):
        table.add_row(finding.title, finding.remedy)
    return table


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
