"""The report's tables as Markdown, for the model card."""

from collections.abc import Mapping

from tfsage.evaluation.report import tables
from tfsage.evaluation.report.contents import alarms
from tfsage.evaluation.report.tables import Table


def quality_markdown(metrics: Mapping, serving: Mapping | None) -> list[str]:
    """Lines of Markdown: alarms, recall beside baselines, strata, hubness, the loss of serving, missing features.

    Args:
        metrics: what metrics.json says.
        serving: what serving.json says, or None.
    """
    said = [f"- **Alarm, {each['task']}:** {_escaped(each['alarm'])}" for each in alarms(metrics)]
    lines = said or ["No alarm: the space has not collapsed."]
    found = [*tables.headline_tables(metrics), tables.graded_table(metrics), *tables.strata_tables(metrics)]
    found += [tables.hubness_table(metrics), tables.serving_table(serving), tables.missing_table(metrics)]
    for table in found:
        if table is not None and table.rows:
            lines += ["", *table_markdown(table)]
    confidence = f"{100 * metrics['confidence']:g} %"
    drawn = f"{confidence} intervals by bootstrap over queries ({metrics['bootstrap']:,} draws)"
    among = f"{metrics['distractors']:,} distractors of {metrics['products']:,} products"
    return [*lines, "", f"{drawn}; {metrics['split']} pairs; {among}."]


def table_markdown(table: Table) -> list[str]:
    """A heading and the rows of a table; cells keep their intervals."""
    rows = ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in table.rows]
    columns = "| " + " | ".join(_escaped(column) for column in table.columns) + " |"
    return [f"### {_escaped(table.caption)}", "", columns, "|" + "---|" * len(table.columns), *rows]


def _cell(cell: tables.Cell) -> str:
    return _escaped(f"{cell.text} {cell.small}".strip())


def _escaped(words: str) -> str:
    return words.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
