"""The queries that led to engagement with an entity, the most weighty first (OmniSearchSage §3.2.3)."""

import ibis
from ibis import _

_ENTITY = ["entity_type", "entity_id"]
_DIGITS = 6
"""Scores are rounded to that many places, so that equal ones are equal in whatever order they were summed."""


def query_scores(engagements: ibis.Table, queries: ibis.Table, weights: dict[str, float]) -> ibis.Table:
    """What each query text counts for each product and pin: the sum over its engagements of weight(action) * count.

    The paper sorts by "a function based on the count for each type of engagement"; this weighted sum is ours.

    Args:
        engagements: query_type, query_id, entity_type, entity_id, action and count.
        queries: query_id and text.
        weights: of one engagement, by action; other actions count nothing.

    Returns:
        entity_type, entity_id, text and score, each text of an entity once.
    """
    rows = engagements.filter(
        _.query_type == "query", _.entity_type != "query", _.action.isin(list(weights)), _["count"] > 0
    )
    weight = ibis.cases(*[(rows.action == action, float(weight)) for action, weight in weights.items()])
    weighed = rows.mutate(score=weight * rows["count"].cast("float64"))
    by_id = weighed.group_by(*_ENTITY, "query_id").agg(score=_.score.sum())
    texts = queries.select("query_id", text=_.text.strip()).filter(_.text != "")
    return sum_scores(by_id.inner_join(texts, "query_id").select(*_ENTITY, "text", "score"))


def sum_scores(scores: ibis.Table) -> ibis.Table:
    """One row for each text of an entity, its scores summed: how counts of several periods are merged."""
    return scores.group_by(*_ENTITY, "text").agg(score=_.score.sum().round(_DIGITS))


def top_queries(scores: ibis.Table, limit: int) -> ibis.Table:
    """The `limit` texts of every entity that score most, equal ones in the order of the alphabet; place is from 0."""
    order = [_.score.desc(), _.text.asc()]
    ranked = scores.mutate(place=ibis.row_number().over(group_by=_ENTITY, order_by=order))
    return ranked.filter(_.place < limit).select(*_ENTITY, "text", "score", "place")
