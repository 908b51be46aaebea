"""Taobao purchases and carts: two kinds of engagement on the same items, ids only.

Reads buy_train.tsv, buy_test.tsv (one held-out purchase of each user) and cart.tsv (uid, sid each). An item is a
product whose title is the word "item<sid>"; a query is a bag of purchases, written as such words. So that no query
gives its answer away, each training pair has a query of its own: the user's other purchases. One user in ten lends a
purchase to dev; it is then in no training query. Purchases are checkouts, carts are add_to_cart. What a query holds is
excluded from its candidates.
"""

from collections import defaultdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tfsage.data.importers.files import read_tsv, write_engagements, write_exclusions

_DEV_EVERY = 10
_PAIR = {"uid": pa.int64(), "sid": pa.int64()}


def import_taobao_ehcf(source: Path, folder: Path) -> None:
    """Writes products, queries, engagements on Home and exclusions."""
    bought, carted, held_out = (_items_of_users(source / f"{name}.tsv") for name in ("buy_train", "cart", "buy_test"))
    items = sorted({item for users in (bought, carted, held_out) for bag in users.values() for item in bag})
    ids = [str(item) for item in items]
    pq.write_table(
        pa.table({"product_id": ids, "title": [f"item{item}" for item in items]}), folder / "products.parquet"
    )

    queries = _Queries()
    for user, bag in bought.items():
        lent = bag[-1] if user % _DEV_EVERY == 0 and len(bag) > 2 else None
        past = [item for item in bag if item != lent]
        for item in past:
            queries.ask(f"{user}-{item}", [other for other in past if other != item], item, "checkout", "train")
        if lent is not None:
            queries.ask(f"{user}-{lent}", past, lent, "checkout", "dev")
        for item in carted.get(user, []):
            if item != lent:
                others = [other for other in past if other != item]
                queries.ask(f"{user}-{item}", others, item, "add_to_cart", "train")
        for item in held_out.get(user, []):
            queries.ask(str(user), bag, item, "checkout", "test")
    queries.write(folder)


class _Queries:
    def __init__(self):
        self._bags: dict[str, list[int]] = {}
        self._engagements: list[tuple[str, str, str, str]] = []

    def ask(self, query: str, bag: list[int], item: int, action: str, split: str) -> None:
        if bag:
            self._bags[query] = bag
            self._engagements.append((query, str(item), action, split))

    def write(self, folder: Path) -> None:
        texts = [" ".join(f"item{item}" for item in bag) for bag in self._bags.values()]
        pq.write_table(pa.table({"query_id": list(self._bags), "text": texts}), folder / "queries.parquet")
        query, item, action, split = (list(column) for column in zip(*self._engagements, strict=True))
        write_engagements(folder, "home", "query", query, item, action, split)
        held = [(name, str(item)) for name, bag in self._bags.items() for item in bag]
        write_exclusions(folder, "query", [name for name, _ in held], [item for _, item in held])


def _items_of_users(path: Path) -> dict[int, list[int]]:
    """The items of each user, each once, in the order of the file."""
    pairs = read_tsv(path, _PAIR)
    found: dict[int, dict[int, None]] = defaultdict(dict)
    for user, item in zip(pairs["uid"].to_pylist(), pairs["sid"].to_pylist(), strict=True):
        found[user][item] = None
    return {user: list(items) for user, items in found.items()}
