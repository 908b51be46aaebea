"""The report as Markdown, for the model card: all that the page shows, with tables in the place of its charts."""

from collections.abc import Mapping

from tfsage.evaluation.examples import RETURNED
from tfsage.evaluation.report import curves, tables
from tfsage.evaluation.report.contents import alarms
from tfsage.evaluation.report.tables import Table


def report_markdown(report: Mapping) -> list[str]:
    """Lines of Markdown.

    Args:
        report: what `gather_report` returns; what it does not hold is left out.
    """
    metrics, serving, index = report["metrics"], report["serving"], report["index"]
    said = [f"- **Alarm, {each['task']}:** {_escaped(each['alarm'])}" for each in alarms(metrics)]
    lines = said or ["No alarm: the space has not collapsed."]
    found = [
        *tables.headline_tables(metrics),
        tables.difference_table(metrics),
        tables.graded_table(metrics),
        curves.recall_curve_table(metrics),
        curves.distractor_curve_table(metrics),
        *tables.strata_tables(metrics),
        tables.ties_table(metrics),
        tables.hubness_table(metrics),
        tables.serving_table(serving),
        tables.index_table(index),
        curves.history_table(report["history"]),
        tables.missing_table(metrics),
        *tables.data_tables(report["data"]),
    ]
    for table in found:
        if table is not None and table.rows:
            lines += ["", *table_markdown(table)]
    for task, examples in report["examples"].items():
        lines += ["", f"### Examples: {_escaped(task)}", "", *map(_example, examples)]
    confidence = f"{100 * metrics['confidence']:g} %"
    drawn = f"{confidence} intervals by bootstrap over queries ({metrics['bootstrap']:,} draws)"
    among = f"{metrics['distractors']:,} distractors of {metrics['products']:,} products"
    return [*lines, "", f"{drawn}; {metrics['split']} pairs; {among}."]


def table_markdown(table: Table) -> list[str]:
    """A heading and the rows of a table; cells keep their intervals."""
    rows = ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in table.rows]
    columns = "| " + " | ".join(_escaped(column) for column in table.columns) + " |"
    return [f"### {_escaped(table.caption)}", "", columns, "|" + "---|" * len(table.columns), *rows]


def _example(example: Mapping) -> str:
    returned = "; ".join(_words(each) for each in example["returned"])
    engaged = "; ".join(_escaped(title or "(no title)") for title in example["relevant"][:3])
    found = f"recall@{RETURNED} {example['recall']:.2f}"
    return f"- **{_escaped(str(example['query']))}** ({found}): {returned}. Engaged: {engaged}"


def _words(returned: Mapping) -> str:
    return _escaped(returned["title"] or "(no title)") + (" ✓" if returned["relevant"] else "")


def _cell(cell: tables.Cell) -> str:
    return _escaped(f"{cell.text} {cell.small}".strip())


def _escaped(words: str) -> str:
    return words.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
