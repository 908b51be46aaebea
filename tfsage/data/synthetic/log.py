"""The engagement log of the synthetic shop: who found what, on which surface, and what they did with it."""

import datetime as dt
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from tfsage.data.synthetic.columns import Batches, Streams, batches, ids, take
from tfsage.data.synthetic.concepts import Concepts
from tfsage.data.synthetic.engagements import ACTION_SHARES, Interest, Shoppers, draw_events, zipf_popularity

_SAVES = {"save": 0.75, "long_click": 0.25}
_PURCHASES = {"add_to_cart": 0.6, "checkout": 0.4}
_OFFSITE, _FOUND_PINS, _RELATED = 0.1, 0.6, 0.3
"""How often things happen beside one event on Search: purchases in other shops, pins saved, related queries clicked."""

LETTERS = {"product": "p", "pin": "pin", "query": "q"}


class _Part(NamedTuple):
    """One kind of engagement.

    Attributes:
        name: of its random numbers.
        surface, query_type, entity_type: as in the table.
        rows: int64 [q], the queries.
        shoppers: choose the entities.
        shelf: int64, the rows of the entities that they choose from.
        events: how many there are altogether.
        action_shares: the share of each action.
    """

    name: str
    surface: str
    query_type: str
    entity_type: str
    rows: np.ndarray
    shoppers: Shoppers
    shelf: np.ndarray
    events: int
    action_shares: dict[str, float]


def engagement_rows(
    concepts: Concepts,
    entities: dict[str, dict[str, np.ndarray]],
    languages: list[str],
    popularity: np.ndarray,
    streams: Streams,
    first: dt.datetime,
    days: int,
    events: int,
) -> Batches:
    """All engagements.

    Args:
        concepts: the latent space.
        entities: int [n] by attribute, for product, pin and query.
        languages: of the queries; English ones come first.
        popularity: float64 [products].
        streams: the random numbers.
        first: the first day.
        days: how many there are.
        events: with products, on Closeup and by English queries on Search; all others come on top.
    """
    for part in _parts(concepts, entities, languages, popularity, streams, events):
        queries = take(entities[part.query_type], part.rows)
        interest = Interest(len(part.rows), part.events, streams(f"{part.name}_interest"), days)
        for number, (rows, asked) in enumerate(batches(queries)):
            rng = streams(part.name, number)
            among_themselves = part.query_type == part.entity_type
            event = draw_events(part.shoppers, asked, rows, interest, rng, part.action_shares, among_themselves)
            query = part.rows[event["query"]]
            entity = part.shelf[event["entity"]]
            kept = (query != entity) | (not among_themselves)
            actions, count = np.array(list(part.action_shares)), int(kept.sum())
            yield {
                "surface": pa.array([part.surface] * count, pa.string()),
                "query_type": pa.array([part.query_type] * count, pa.string()),
                "query_id": ids(LETTERS[part.query_type], query[kept]),
                "entity_type": pa.array([part.entity_type] * count, pa.string()),
                "entity_id": ids(LETTERS[part.entity_type], entity[kept]),
                "action": pa.array(actions[event["action"][kept]]),
                "count": pa.array(event["count"][kept]),
                "timestamp": pa.array(np.datetime64(first, "us") + event["day"][kept].astype("timedelta64[D]")),
            }


def _parts(
    concepts: Concepts,
    entities: dict[str, dict[str, np.ndarray]],
    languages: list[str],
    popularity: np.ndarray,
    streams: Streams,
    events: int,
) -> Iterator[_Part]:
    queries, pins = entities["query"], entities["pin"]
    rows = {language: np.flatnonzero(np.array(languages) == language) for language in sorted(set(languages))}
    english, everyone = rows["en"], np.arange(len(languages))
    foreign = everyone[len(english) :]
    on_closeup = events // 2
    on_search = events - on_closeup
    # Every query is asked as often, in whatever language it is.
    of_all = on_search * len(everyone) // len(english)
    products = Shoppers(concepts, entities["product"], popularity)
    shelf = np.arange(len(popularity))
    pin_rows = np.arange(len(pins["category"]))
    yield _Part("closeup", "closeup", "pin", "product", pin_rows, products, shelf, on_closeup, ACTION_SHARES)
    yield _Part("search", "search", "query", "product", english, products, shelf, on_search, ACTION_SHARES)
    if len(foreign):
        more = of_all - on_search
        yield _Part("translated", "search", "query", "product", foreign, products, shelf, more, ACTION_SHARES)
    bought = int(_OFFSITE * of_all)
    yield _Part("offsite", "offsite", "query", "product", everyone, products, shelf, bought, _PURCHASES)
    collectors = Shoppers(concepts, pins, zipf_popularity(len(pin_rows), streams("pin_popularity")))
    found = int(_FOUND_PINS * of_all)
    yield _Part("found_pins", "search", "query", "pin", everyone, collectors, pin_rows, found, _SAVES)
    # People read one language.
    asked = zipf_popularity(len(everyone), streams("query_popularity"))
    for language, same in rows.items():
        readers = Shoppers(concepts, take(queries, same), asked[same])
        related = int(_RELATED * of_all * len(same) / len(everyone))
        yield _Part(f"related_{language}", "search", "query", "query", same, readers, same, related, {"click": 1.0})
