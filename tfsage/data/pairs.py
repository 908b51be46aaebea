"""From good engagement rows to the pairs of each part: deduplicated, never in two parts, capped."""

from pathlib import Path

import ibis
from ibis import _

from tfsage.config import PrepareConfig
from tfsage.data.schema import SPLITS
from tfsage.data.split import Split, part_of

PAIR = ["surface", "query_type", "query", "entity_type", "entity", "action"]
_QUERY_AND_ENTITY = ["query_type", "query", "entity_type", "entity"]


class PairBuilder:
    """Builds the pairs, one step after the other; each step is an expression, kept as Parquet in `scratch`.

    Args:
        connection: the Ibis backend.
        scratch: a folder for the steps.
        report: filled with the rows that go into and come out of each step.
    """

    def __init__(self, connection: ibis.BaseBackend, scratch: Path, report: dict):
        self._connection, self._scratch, self._report = connection, scratch, report

    def build(
        self, engagements: ibis.Table, entities: ibis.Table, split: Split, config: PrepareConfig, out: Path
    ) -> dict[str, int]:
        """Writes pairs_train.parquet, pairs_dev.parquet and pairs_test.parquet.

        Args:
            engagements: good rows of the table.
            entities: type, id, row and key of every good product, pin and query.
            split: the settled rule.
            config: caps, shares and the seed.
            out: the folder.

        Returns:
            rows by part.
        """
        found = self._step("rows", _with_rows(engagements, entities, split, config))
        self._report["engagements"] = _count(found)
        rows = found.filter((_.query_type != _.entity_type) | (_.query != _.entity))
        self._report["dropped_with_itself"] = self._report["engagements"] - _count(rows)
        self._report["dropped_in_gap"] = _count(rows.filter(_.part == "gap"))
        pairs = self._step("pairs", _deduplicate(rows.filter(_.part != "gap")))
        self._report["pairs_after_deduplication"] = _count(pairs)
        alone = self._step("alone", _keep_earliest_part(pairs))
        self._report["dropped_seen_in_an_earlier_part"] = _count(pairs) - _count(alone)
        kept = alone
        for role, other in (("query", "entity"), ("entity", "query")):
            capped = self._step(f"capped_{role}", _cap(kept, role, other, config))
            self._report[f"dropped_by_cap_per_{role}"] = _count(kept) - _count(capped)
            kept = capped
        counts = {}
        for part in SPLITS:
            chosen = kept.filter(_.part == part).select(*PAIR, "count", "timestamp").order_by(PAIR)
            self._connection.to_parquet(chosen, out / f"pairs_{part}.parquet")
            counts[part] = _count(self._connection.read_parquet(out / f"pairs_{part}.parquet"))
        return counts

    def _step(self, name: str, expression: ibis.Table) -> ibis.Table:
        path = self._scratch / f"{name}.parquet"
        self._connection.to_parquet(expression, path)
        return self._connection.read_parquet(path)


def with_rows(table: ibis.Table, entities: ibis.Table) -> ibis.Table:
    """Adds the row of the query and of the entity, and the key of the query; rows with unknown ids vanish."""
    queries = entities.select(query_type=_.type, query_id=_.id, query=_.row, query_key=_.key)
    others = entities.select(entity_type=_.type, entity_id=_.id, entity=_.row)
    return table.inner_join(queries, ["query_type", "query_id"]).inner_join(others, ["entity_type", "entity_id"])


def _with_rows(engagements: ibis.Table, entities: ibis.Table, split: Split, config: PrepareConfig) -> ibis.Table:
    if "count" not in engagements.columns:
        engagements = engagements.mutate(count=ibis.literal(1))
    if "timestamp" not in engagements.columns:
        engagements = engagements.mutate(timestamp=ibis.null("timestamp"))
    rows = with_rows(engagements, entities)
    return rows.select(
        *PAIR,
        count=_["count"].cast("float64"),
        timestamp=_.timestamp.cast("timestamp"),
        part=part_of(rows, split, config.split, config.seed),
    )


def _deduplicate(rows: ibis.Table) -> ibis.Table:
    """One row for each pair and action in each part: counts summed, the latest timestamp."""
    return rows.group_by(*PAIR, "part").agg(count=_["count"].sum(), timestamp=_.timestamp.max())


def _keep_earliest_part(pairs: ibis.Table) -> ibis.Table:
    """Leaves a query and an entity in one part only, whatever the action: a pair that was trained on tests nothing."""
    placed = pairs.mutate(place=ibis.cases(*[(pairs.part == part, place) for place, part in enumerate(SPLITS)]))
    earliest = placed.place.min().over(group_by=_QUERY_AND_ENTITY)
    return placed.mutate(earliest=earliest).filter(_.place == _.earliest).drop("place", "earliest")


def _cap(pairs: ibis.Table, role: str, other: str, config: PrepareConfig) -> ibis.Table:
    """At most so many training pairs for each pin and each product of a surface and action, chosen by a seeded hash.

    Caps keep the popular from ruling the training (OmniSearchSage §3.5); dev and test are left as they are.
    """
    kind = pairs[f"{role}_type"]
    cap = ibis.cases((kind == "pin", config.cap_per_pin), (kind == "product", config.cap_per_product))
    named = [pairs[f"{other}_type"], pairs[other].cast("string"), pairs[role].cast("string")]
    draw = ibis.literal(":").join([ibis.literal(str(config.seed)), *named]).hexdigest("md5")
    group = ["part", "surface", "action", "query_type", "entity_type", role]
    place = ibis.row_number().over(group_by=group, order_by=["draw", other])
    ranked = pairs.mutate(cap=cap, draw=draw).mutate(place=place)
    return ranked.filter((_.part != "train") | _.cap.isnull() | (_.place < _.cap)).drop("cap", "draw", "place")


def _count(table: ibis.Table) -> int:
    return int(table.count().to_pyarrow().as_py())
