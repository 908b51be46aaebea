"""Who engages with what: similarity in the latent space, times a popularity that knows nothing of it."""

import numpy as np

from tfsage.data.synthetic.concepts import ABSENT, Concepts
from tfsage.data.synthetic.words import CATEGORIES

ACTION_SHARES = {"click": 0.56, "save": 0.33, "long_click": 0.078, "add_to_cart": 0.0185, "checkout": 0.0135}
"""Shares of the actions; add-to-cart and checkout together are about 30 times rarer than clicks and saves."""

DAYS = 90
_SEASON = 21.0
_SHOPPING = ("add_to_cart", "checkout")
_CONSIDERED = 256
_SHARPNESS, _SHOPPING_SHARPNESS = 22.0, 28.0


def zipf_popularity(count: int, rng: np.random.Generator) -> np.ndarray:
    """Popularity by Zipf's law, dealt out at random: float64 [count], sums to 1."""
    popularity = 1.0 / np.arange(1, count + 1) ** 0.8
    return rng.permutation(popularity / popularity.sum())


class Shoppers:
    """Draws the products that people engage with.

    P(product | query) is proportional to popularity(product) * exp(sharpness * similarity(query, product)) over the
    products that the person considers: a sample, by popularity, of the category asked for (of the whole shop when
    the query names none). Shopping actions are more selective than clicks.

    Args:
        concepts: the latent space.
        products: int [n] by attribute.
        popularity: float64 [n].
    """

    def __init__(self, concepts: Concepts, products: dict[str, np.ndarray], popularity: np.ndarray):
        self._concepts, self._products = concepts, products
        self.product_count = len(popularity)
        category = products["category"].astype(np.int64)
        self._by_category = np.argsort(category, kind="stable")
        self._mass = np.concatenate([[0.0], np.cumsum(popularity[self._by_category])])
        self._bounds = np.searchsorted(category[self._by_category], np.arange(len(CATEGORIES) + 1))

    def choose(
        self, asked: dict[str, np.ndarray], query: np.ndarray, shopping: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """One product for each event.

        Args:
            asked: int [q] by attribute, the queries.
            query: int64 [n], for each event a row of `asked`.
            shopping: bool [n], whether the action is a shopping action.
            rng: draws whom people consider and choose.

        Returns:
            int64 [n], rows of the products.
        """
        considered = self._consider(asked["category"], rng)
        candidates = {name: column[considered] for name, column in self._products.items()}
        similarity = self._concepts.similarity(asked, candidates)
        uniform = rng.random(len(query))
        chosen = np.empty(len(query), np.int64)
        for sharpness, these in ((_SHARPNESS, ~shopping), (_SHOPPING_SHARPNESS, shopping)):
            place = _draw_by_row(similarity * sharpness, query[these], uniform[these])
            chosen[these] = considered[query[these], place]
        return chosen

    def _consider(self, category: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        first, end = self._bounds[category], self._bounds[category + 1]
        anything = category == ABSENT
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
    """

    def __init__(self, queries: int, events: int, rng: np.random.Generator):
        frequency = rng.lognormal(sigma=0.7, size=queries)
        self._times = rng.multinomial(events, frequency / frequency.sum())
        first = rng.uniform(-_SEASON, DAYS, queries)
        lasting = rng.random(queries) < 0.4
        self._first = np.where(lasting, 0.0, np.maximum(first, 0.0))
        self._end = np.where(lasting, DAYS, np.minimum(first + _SEASON, DAYS))

    def events(self, rows: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Every event of some queries: its place in `rows`, rising, and its day; int64 [n] each."""
        place = np.repeat(np.arange(len(rows)), self._times[rows])
        first, end = self._first[rows][place], self._end[rows][place]
        return place, (first + rng.random(len(place)) * (end - first)).astype(np.int64)


def draw_events(
    shoppers: Shoppers, asked: dict[str, np.ndarray], rows: np.ndarray, interest: Interest, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """All engagements of some queries.

    Args:
        shoppers: choose the products.
        asked: int [q] by attribute, the queries.
        rows: int64 [q], their rows.
        interest: how often and when each row is asked.
        rng: draws actions, days and products.

    Returns:
        int64 [n] each: query and product (rows), action (index into `ACTION_SHARES`), day and count; each combination
        of the first four once.
    """
    place, day = interest.events(rows, rng)
    shares = np.array(list(ACTION_SHARES.values()))
    action = rng.choice(len(shares), len(place), p=shares / shares.sum())
    shopping = np.isin(action, [list(ACTION_SHARES).index(name) for name in _SHOPPING])
    product = shoppers.choose(asked, place, shopping, rng)
    sizes = (len(rows), shoppers.product_count, len(shares), DAYS)
    distinct, count = np.unique(np.ravel_multi_index((place, product, action, day), sizes), return_counts=True)
    place, product, action, day = np.unravel_index(distinct, sizes)
    return {"query": rows[place], "product": product, "action": action, "day": day, "count": count}
