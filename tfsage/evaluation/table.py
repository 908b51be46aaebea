"""The headline numbers as tables on the console."""

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


def serving_table(task: str, steps: list[dict], k: int) -> Table:
    """One row per step of serving: its recall@k, and what it lost of the step before.

    Args:
        task: name of the task.
        steps: what `serving_steps` returns.
        k: cut-off.
    """
    table = Table(title=f"{task}: the loss of serving")
    for column in ("step", f"recall@{k}", "lost", "95 % interval", f"exact top {k} kept"):
        table.add_column(column, justify="left" if column == "step" else "right")
    for step in steps:
        lost = step.get(f"lost@{k}")
        told = [f"{lost['difference']:+.4f}", f"{lost['low']:+.4f} – {lost['high']:+.4f}"] if lost else ["", ""]
        table.add_row(step["step"], f"{step[f'recall@{k}']['value']:.4f}", *told, f"{step[f'overlap@{k}']:.1%}")
    return table
