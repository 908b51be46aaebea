"""Who engages with what: similarity in the latent space, times a popularity that knows nothing of it."""

import numpy as np

from tfsage.data.synthetic.concepts import ABSENT, Concepts
from tfsage.data.synthetic.words import CATEGORIES

ACTION_SHARES = {"click": 0.56, "save": 0.33, "long_click": 0.078, "add_to_cart": 0.0185, "checkout": 0.0135}
"""Shares of the actions; add-to-cart and checkout together are about 30 times rarer than clicks and saves."""

_SEASON = 21.0
_SHOPPING = ("add_to_cart", "checkout")
_CONSIDERED = 256
_SHARPNESS, _SHOPPING_SHARPNESS = 22.0, 28.0


def zipf_popularity(count: int, rng: np.random.Generator) -> np.ndarray:
    """Popularity by Zipf's law, dealt out at random: float64 [count], sums to 1."""
    popularity = 1.0 / np.arange(1, count + 1) ** 0.8
    return rng.permutation(popularity / popularity.sum())


class Shoppers:
    """Draws the products, pins or related queries that people engage with.

    P(entity | query) is proportional to popularity(entity) * exp(sharpness * similarity(query, entity)) over the
    entities that the person considers: a sample, by popularity, of the category asked for (of all when the query names
    none, or nothing is of that category). Shopping actions are more selective than clicks.

    Args:
        concepts: the latent space.
        entities: int [n] by attribute.
        popularity: float64 [n].
    """

    def __init__(self, concepts: Concepts, entities: dict[str, np.ndarray], popularity: np.ndarray):
        self._concepts, self._entities = concepts, entities
        self.entity_count = len(popularity)
        category = entities["category"].astype(np.int64)
        self._by_category = np.argsort(category, kind="stable")
        self._mass = np.concatenate([[0.0], np.cumsum(popularity[self._by_category])])
        self._bounds = np.searchsorted(category[self._by_category], np.arange(len(CATEGORIES) + 1))

    def choose(
        self,
        asked: dict[str, np.ndarray],
        query: np.ndarray,
        shopping: np.ndarray,
        rng: np.random.Generator,
        itself: np.ndarray | None = None,
    ) -> np.ndarray:
        """One entity for each event.

        Args:
            asked: int [q] by attribute, the queries.
            query: int64 [n], for each event a row of `asked`.
            shopping: bool [n], whether the action is a shopping action.
            rng: draws whom people consider and choose.
            itself: int64 [q], the entity that each query is; it is chosen only when nothing else is considered.

        Returns:
            int64 [n], rows of the entities.
        """
        considered = self._consider(asked["category"], rng)
        candidates = {name: column[considered] for name, column in self._entities.items()}
        similarity = self._concepts.similarity(asked, candidates)
        if itself is not None:
            similarity[considered == itself[:, None]] = -1.0
        uniform = rng.random(len(query))
        chosen = np.empty(len(query), np.int64)
        for sharpness, these in ((_SHARPNESS, ~shopping), (_SHOPPING_SHARPNESS, shopping)):
            place = _draw_by_row(similarity * sharpness, query[these], uniform[these])
            chosen[these] = considered[query[these], place]
        return chosen

    def _consider(self, category: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        first, end = self._bounds[category], self._bounds[category + 1]
        anything = (category == ABSENT) | (first == end)
        first, end = np.where(anything, 0, first), np.where(anything, len(self._by_category), end)
        low, high = self._mass[first], self._mass[end]
        mass = low[:, None] + rng.random((len(category), _CONSIDERED)) * (high - low)[:, None]
        found = np.searchsorted(self._mass, mass, side="right") - 1
        return self._by_category[np.clip(found, first[:, None], end[:, None] - 1)]


def _draw_by_row(logits: np.ndarray, row: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """For each draw, a column of its row from the softmax of that row, by inverting the cumulative distribution."""
    odds = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    cumulative = np.cumsum(odds / odds.sum(axis=1, keepdims=True), axis=1)
    # Row r's distribution occupies (r, r + 1], so that one search over all rows finds every draw's column.
    flat = (cumulative + np.arange(len(cumulative))[:, None]).ravel()
    place = np.searchsorted(flat, row + uniform) - row * logits.shape[1]
    return np.clip(place, 0, logits.shape[1] - 1)


class Interest:
    """When and how often each query is asked.

    Frequencies are log-normal. Two queries in five are asked all the time, the others only for some weeks, so that
    at any time many queries are new.

    Args:
        queries: number of queries.
        events: how often they are asked altogether.
        rng: draws frequencies and seasons.
        days: how long the log is.
    """

    def __init__(self, queries: int, events: int, rng: np.random.Generator, days: int):
        self.days = days
        frequency = rng.lognormal(sigma=0.7, size=queries)
        self._times = rng.multinomial(events, frequency / frequency.sum())
        first = rng.uniform(-_SEASON, days, queries)
        lasting = rng.random(queries) < 0.4
        self._first = np.where(lasting, 0.0, np.maximum(first, 0.0))
        self._end = np.where(lasting, days, np.minimum(first + _SEASON, days))

    def events(self, rows: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Every event of some queries: its place in `rows`, rising, and its day; int64 [n] each."""
        place = np.repeat(np.arange(len(rows)), self._times[rows])
        first, end = self._first[rows][place], self._end[rows][place]
        return place, (first + rng.random(len(place)) * (end - first)).astype(np.int64)


def draw_events(
    shoppers: Shoppers,
    asked: dict[str, np.ndarray],
    rows: np.ndarray,
    interest: Interest,
    rng: np.random.Generator,
    action_shares: dict[str, float],
    among_themselves: bool = False,
) -> dict[str, np.ndarray]:
    """All engagements of some queries.

    Args:
        shoppers: choose what is engaged with.
        asked: int [q] by attribute, the queries.
        rows: int64 [q], their rows.
        interest: how often and when each row is asked.
        rng: draws actions, days and choices.
        action_shares: the share of each action.
        among_themselves: whether `shoppers` choose from the queries, the rows of `interest`; then not the query itself.

    Returns:
        int64 [n] each: query and entity (rows), action (index into `action_shares`), day and count; each combination
        of the first four once.
    """
    place, day = interest.events(rows, rng)
    shares = np.array(list(action_shares.values()))
    action = rng.choice(len(shares), len(place), p=shares / shares.sum())
    shopping = np.isin(action, [number for number, name in enumerate(action_shares) if name in _SHOPPING])
    entity = shoppers.choose(asked, place, shopping, rng, rows if among_themselves else None)
    sizes = (len(rows), shoppers.entity_count, len(shares), interest.days)
    distinct, count = np.unique(np.ravel_multi_index((place, entity, action, day), sizes), return_counts=True)
    place, entity, action, day = np.unravel_index(distinct, sizes)
    return {"query": rows[place], "entity": entity, "action": action, "day": day, "count": count}
