"""The result of a probe as a table on the console."""

from rich.table import Table

from tfsage.probe.measure import METRICS


def probe_table(result: dict) -> Table:
    """One row per system, each metric with its interval; the best of each in bold."""
    left_out = result["left_out"]
    title = f"{result['label']}: {result['labels']} labels of {result['rows']:,} rows in {result['folds']} folds"
    if left_out["labels"]:
        title += f"; {left_out['labels']} rare labels ({left_out['rows']:,} rows) left out"
    table = Table(title=title)
    table.add_column("system")
    for metric in METRICS:
        table.add_column(metric.replace("top_k", f"top-{result['k']}").replace("_", " "), justify="right")
    systems = result["systems"]
    best = {metric: max(own[metric]["value"] for own in systems.values()) for metric in METRICS}
    for name, own in systems.items():
        cells = [f"{own[m]['value']:.3f} \\[{own[m]['low']:.3f}, {own[m]['high']:.3f}]" for m in METRICS]
        bold = [own[metric]["value"] == best[metric] for metric in METRICS]
        table.add_row(name, *[f"[bold]{cell}[/bold]" if top else cell for cell, top in zip(cells, bold, strict=True)])
    return table
