"""report.html: report.json for people, in one file that asks for nothing from the network."""

from collections.abc import Mapping
from pathlib import Path

from tfsage.evaluation.examples import RETURNED
from tfsage.evaluation.report import figures, tables
from tfsage.evaluation.report.template import fill

_TEMPLATE = Path(__file__).with_name("page.html.j2")


def render_report(report: Mapping) -> str:
    """The HTML of the report.

    Args:
        report: what `gather_report` returns; what it does not hold is left out.
    """
    metrics, index = report["metrics"], report["index"]
    return fill(
        _TEMPLATE,
        report=report,
        metrics=metrics,
        headline=tables.headline_tables(metrics),
        differences=tables.difference_table(metrics),
        tasks={
            name: figures.task_figures(metrics, name) + figures.curve_figures(metrics, name)
            for name in metrics["tasks"]
        },
        strata={name: found for name in metrics["tasks"] if (found := figures.strata_figures(metrics, name))},
        strata_tables=tables.strata_tables(metrics),
        graded=tables.graded_table(metrics),
        ties=tables.ties_table(metrics),
        hubness=tables.hubness_table(metrics),
        serving=tables.serving_table(report["serving"]),
        index=tables.index_table(index),
        index_figure=figures.index_figure(index),
        index_facts=index,
        training=figures.training_figures(report["history"]),
        returned=RETURNED,
        missing=tables.missing_table(metrics),
        data_tables=tables.data_tables(report["data"]),
        facts=list(tables.facts(report["data"])),
    )
