"""The report of an evaluation: the same numbers as a page (report.html), as JSON (report.json), and as Markdown."""

from tfsage.evaluation.report.contents import gather_report, index_facts, load_report, serving_of, write_report
from tfsage.evaluation.report.markdown import report_markdown
from tfsage.evaluation.report.page import render_report

__all__ = [
    "gather_report",
    "index_facts",
    "load_report",
    "render_report",
    "report_markdown",
    "serving_of",
    "write_report",
]
