"""The headline numbers as a table on the console."""

from rich.table import Table


def metrics_table(metrics: dict) -> Table:
    """One row per task: recall@k of the model with its interval, beside each baseline and the fusion.

    Args:
        metrics: what `evaluate_run` returns.
    """
    metric = f"recall@{metrics['k'][0]}"
    names = list(dict.fromkeys(name for task in metrics["tasks"].values() for name in task["baselines"]))
    fused = any("fusion" in task for task in metrics["tasks"].values())
    table = Table(title=f"{metric} on {metrics['split']}, {metrics['distractors']:,} distractors")
    table.add_column("task")
    for column in ["model", "95 % interval", *(["with BM25"] if fused else []), *names]:
        table.add_column(column, justify="right")
    for task, values in metrics["tasks"].items():
        own = values[metric]
        systems = [values.get("fusion")] * fused + [values["baselines"].get(name) for name in names]
        others = [f"{system[metric]['value']:.3f}" if system else "" for system in systems]
        table.add_row(task, f"{own['value']:.3f}", f"{own['low']:.3f} – {own['high']:.3f}", *others)
    return table
