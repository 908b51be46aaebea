"""The tables of an evaluation, as rows of cells: the page and the model card show the same ones."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tfsage.evaluation.measure import FUSION, MODEL
from tfsage.evaluation.report.bars import verdict
from tfsage.evaluation.report.systems import first_recall, headline_metrics, system_name, systems_of, values_of

_HUBNESS = ((MODEL, "this model"), ("engaged_products", "engaged products"), ("popularity", "popularity"))


class Cell(NamedTuple):
    """What a cell says, what stands small beside it, and whether it is what the table is about."""

    text: str
    small: str = ""
    own: bool = False


class Table(NamedTuple):
    """caption, and the rows below the columns. The first `names` cells of a row are words that name it."""

    caption: str
    columns: list[str]
    rows: list[list[Cell]]
    names: int = 1


def headline_tables(metrics: Mapping) -> list[Table]:
    """One table per headline metric: tasks below one another, systems side by side."""
    systems = systems_of(metrics)
    tables = []
    for metric in headline_metrics(metrics):
        rows = [
            [Cell(name), *(_measured(values_of(task).get(system, {}), metric, system == MODEL) for system in systems)]
            for name, task in metrics["tasks"].items()
        ]
        tables.append(Table(metric, ["task", *map(system_name, systems)], rows))
    return tables


def difference_table(metrics: Mapping) -> Table:
    """Model and fusion minus every other system, paired, for every headline metric."""
    shown, rows = headline_metrics(metrics), []
    for name, task in metrics["tasks"].items():
        for system, other, differences in comparisons(task):
            cells = [_difference(differences.get(metric)) for metric in shown]
            rows.append([Cell(name), Cell(f"{system_name(system)} − {system_name(other)}"), *cells])
    return Table("Differences, paired over the same queries", ["task", "difference", *shown], rows, 2)


def comparisons(task: Mapping) -> list[tuple[str, str, Mapping]]:
    """Every paired difference of the model and of the fusion: (system, other, metric → difference)."""
    values = values_of(task)
    return [
        (system, other, differences)
        for system in (MODEL, FUSION)
        for other, differences in values.get(system, {}).get("differences", {}).items()
    ]


def strata_tables(metrics: Mapping) -> list[Table]:
    """One table per task: the groups of every stratum, with the first recall of every system."""
    metric, tables = first_recall(metrics), []
    for name, task in metrics["tasks"].items():
        strata = task.get("strata") or {}
        systems = [
            system
            for system in systems_of(metrics)
            if any(system in group for groups in strata.values() for group in groups)
        ]
        rows = []
        for stratum, groups in strata.items():
            for group in groups:
                cells = [_measured(group.get(system, {}), metric, system == MODEL) for system in systems]
                counts = [Cell(f"{group['pairs']:,}"), Cell(_share(group.get("share")))]
                rows.append([Cell(stratum_name(stratum)), Cell(group["group"]), *counts, *cells])
        if rows:
            columns = ["stratum", "group", "pairs", "share", *map(system_name, systems)]
            tables.append(Table(f"{name}: {metric} by stratum", columns, rows, 2))
    return tables


def stratum_name(stratum: str) -> str:
    """popularity_decile → popularity decile."""
    return stratum.replace("_", " ")


def hubness_table(metrics: Mapping) -> Table:
    """How unevenly products are returned, beside the two references."""
    columns = ["task", "lists of", "largest share", "in > 10 %", "in > 1 %", "skewness", "Gini", "coverage"]
    rows = []
    for name, task in metrics["tasks"].items():
        for key, label in ((key, label) for key, label in _HUBNESS if key in task.get("hubness", {})):
            hub = task["hubness"][key]
            numbers = [f"{hub['above_10_percent']:,}", f"{hub['above_1_percent']:,}", f"{hub['skewness']:.2f}"]
            numbers += [f"{hub['gini']:.3f}", _share(hub["coverage"]), f"{hub['expected_frequency']:,.1f}"]
            rows.append(
                [
                    Cell(name),
                    Cell(label, own=key == MODEL),
                    Cell(_share(hub["max_share"])),
                    *map(Cell, numbers),
                ]
            )
    return Table("Hubness", [*columns, "expected frequency"], rows, 2)


def graded_table(metrics: Mapping) -> Table | None:
    """nDCG of every system, where human grades were given."""
    systems, rows = systems_of(metrics), []
    for name, task in metrics["tasks"].items():
        graded = task.get("graded") or {}
        names = dict.fromkeys(metric for values in graded.values() for metric in values)
        for metric in names:
            cells = [_measured(graded.get(system, {}), metric, system == MODEL) for system in systems]
            rows.append([Cell(name), Cell(metric), *cells])
    return Table("Graded relevance", ["task", "metric", *map(system_name, systems)], rows, 2) if rows else None


def ties_table(metrics: Mapping) -> Table | None:
    """The median rank and the first recall when every tie is lost and when every tie is won."""
    metric, rows = first_recall(metrics), []
    for name, task in metrics["tasks"].items():
        for system, ranks in (task.get("ranks") or {}).items():
            medians = [f"{ranks[f'median_{which}']:,.6g}" for which in ("minimum", "expected", "maximum")]
            recalls = [_fixed(ranks.get(f"{metric}_{which}")) for which in ("maximum", "minimum")]
            cells = [*medians, _share(ranks["tied"]), *recalls]
            rows.append([Cell(name), Cell(system_name(system), own=system == MODEL), *map(Cell, cells)])
    columns = ["task", "system", "median rank, ties won", "in expectation", "ties lost", "pairs with a tie"]
    return Table("Ranks under ties", [*columns, f"{metric}, ties lost", "ties won"], rows, 2) if rows else None


def serving_table(serving: Mapping | None) -> Table | None:
    """What every step from exact search to filtered answers costs."""
    rows = []
    for name, steps in (serving or {}).get("tasks", {}).items():
        k = serving["k"][0]
        for step in steps:
            lost = step.get(f"lost@{k}")
            overlap = step.get(f"overlap@{k}")
            cells = [_measured(step, f"recall@{k}", False), _difference(lost, mark=False)]
            rows.append([Cell(name), Cell(step["step"]), *cells, Cell(_share(overlap))])
    columns = ["task", "step", "recall", "lost by this step", "exact top kept"]
    return Table(f"Loss of serving, at k = {serving['k'][0]}", columns, rows, 2) if rows else None


def index_table(index: Mapping | None) -> Table | None:
    """Every setting of the index that was measured; the one in use is marked."""
    if not index:
        return None
    rows = []
    for point in index["curve"]:
        effort = point["effort"]
        used = effort == index["effort"]
        name = ", ".join(f"{value:,} {knob}" for knob, value in effort.items() if value) or "exact"
        cells = [f"{point['recall']:.4f}", f"{point['milliseconds']:.3g}", "✓" if used else ""]
        rows.append([Cell(name, own=used), *map(Cell, cells)])
    columns = ["effort", f"recall@{index['k']}", "milliseconds a query", "in use"]
    return Table(f"Index ({index['kind']}), measured with {index['tuned_on']}", columns, rows)


def missing_table(metrics: Mapping) -> Table | None:
    """Which columns that towers read are not in the tables, and how many entities are without the others."""
    rows = [
        [
            Cell(each["entity_type"]),
            Cell(each["feature"]),
            Cell(_share(each["missing"]), "no such column" if each["absent"] else "", own=each["absent"]),
            Cell(", ".join(each["towers"])),
        ]
        for each in metrics.get("missing_features", ())
    ]
    columns = ["entities", "feature", "missing", "read by tower"]
    return Table("Missing features, for which zeros stand", columns, rows, 2) if rows else None


def data_tables(report: Mapping) -> list[Table]:
    """Every list of records at the top of what preparation reported."""
    tables = []
    for name, records in report.items():
        if _is_records(records):
            columns = list(dict.fromkeys(key for record in records for key in record))
            rows = [[Cell(_plain(record.get(key, ""))) for key in columns] for record in records]
            words = [bool(records) and isinstance(records[0].get(key, ""), str) for key in columns]
            tables.append(Table(name, columns, rows, (*words, False).index(False)))
    return tables


def facts(report: Mapping, above: str = "") -> Iterator[tuple[str, str]]:
    """Every single fact of a nested report as (where, value)."""
    for key, value in report.items():
        where = f"{above} · {key}" if above else str(key)
        if isinstance(value, Mapping):
            yield from facts(value, where)
        elif isinstance(value, list):
            if not _is_records(value):
                yield where, ", ".join(str(each) for each in value) or "none"
        elif value is not None:
            yield where, _plain(value)


def _measured(values: Mapping, metric: str, own: bool) -> Cell:
    found = values.get(metric)
    return Cell(_fixed(found["value"]), _interval(found), own) if found else Cell("–")


def _difference(found: Mapping | None, mark: bool = True) -> Cell:
    if not found:
        return Cell("–")
    sign = f"{verdict(found['low'], found['high'])} " if mark else ""
    return Cell(f"{sign}{found['difference']:+.3f}", _interval(found))


def _interval(found: Mapping) -> str:
    return f"[{found['low']:.3f}, {found['high']:.3f}]"


def _fixed(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _is_records(value) -> bool:
    return isinstance(value, Sequence) and bool(value) and all(isinstance(record, Mapping) for record in value)


def _plain(value) -> str:
    if isinstance(value, float):
        return f"{value:,.6g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
