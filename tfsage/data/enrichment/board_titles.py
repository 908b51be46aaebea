"""The titles of the boards that an entity was saved to, the most telling first (OmniSearchSage §3.2.2)."""

import ibis
from ibis import _

_DIGITS = 9
"""Scores are rounded to that many places, so that equal ones are equal in every engine."""


def top_board_titles(boards: ibis.Table, limit: int) -> ibis.Table:
    """The best titles of every entity, no two of them alike but for case and spaces.

    The paper ranks titles by a score, ascending, that is made of a title's frequency and the prevalence of its words,
    then by words and by characters, descending; it does not print the score. Here it is

        score(title, entity) = mean over the title's words w of log(1 + n(w)) - log(1 + f(title, entity)),

    where n(w) counts the boards whose title holds w, and f the boards of that title that the entity was saved to.
    Titles of rare words come first, and titles that several people chose for the same thing: "walnut writing desks"
    before "home".

    Args:
        boards: board_id, title and entity_id, all strings; one row for each thing on each board.
        limit: titles of an entity.

    Returns:
        entity_id, text (the title as it is written most early in the alphabet) and place, from 0.
    """
    spaced = boards.title.re_replace(r"\s+", " ").strip()
    saves = boards.select("board_id", "entity_id", title=spaced, key=spaced.lower()).filter(_.key != "").distinct()
    named = saves.select("board_id", "key").distinct()
    words = named.select("board_id", "key", word=_.key.split(" ").unnest()).distinct()
    prevalence = words.group_by("word").agg(boards=_.board_id.nunique())
    titles = words.select("key", "word").distinct().inner_join(prevalence, "word").group_by("key")
    commonness = titles.agg(common=(_.boards + 1).cast("float64").ln().mean())
    found = saves.group_by("entity_id", "key").agg(times=_.board_id.nunique(), text=_.title.min())
    found = found.inner_join(commonness, "key")
    scored = found.mutate(
        score=(_.common - (_.times + 1).cast("float64").ln()).round(_DIGITS),
        word_count=_.key.split(" ").length(),
        characters=_.key.length(),
    )
    order = [_.score.asc(), _.word_count.desc(), _.characters.desc(), _.key.asc()]
    ranked = scored.mutate(place=ibis.row_number().over(group_by="entity_id", order_by=order))
    return ranked.filter(_.place < limit).select("entity_id", "text", "place")
