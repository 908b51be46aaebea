"""Fashion products: one picture and a few words each; similar products share a title.

Reads products.tsv (product_id, title, master_category, sub_category, article_type, base_colour, usage, image_md5,
split) and image_embeddings.parquet (product_id, image_embedding). Every product's picture is also a pin. On Closeup,
the pin of one product leads to each other product with the same title (the same words, in any case, with any
punctuation) when 2 to 10 products share it; that is a stand-in for clicks. Products whose picture is byte-identical to
the pin's are neither relevant nor candidates.

Each such title is also a query, which on Search leads to all products that have it, in as large a group as it may be;
its id is that of the first of them. All products of a title are in one part of the split.
"""

import re
from collections import defaultdict
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfsage.data.importers.files import engagements, read_parquet, read_tsv, write_exclusions
from tfsage.errors import TfsageError

_LARGEST_GROUP = 10
_WORD = re.compile(r"\w+")
_TEXT = ("title", "master_category", "sub_category", "article_type", "base_colour", "usage", "image_md5", "split")


def import_fashion_products(source: Path, folder: Path) -> None:
    """Writes products, pins, queries, engagements and exclusions, with the dataset's own split."""
    products = read_tsv(source / "products.tsv", {"product_id": pa.int64(), **dict.fromkeys(_TEXT, pa.string())})
    ids = products["product_id"].to_numpy()
    vectors = _embeddings(source / "image_embeddings.parquet", ids)
    columns = {name: products[name].to_pylist() for name in _TEXT}
    types = zip(columns["master_category"], columns["sub_category"], columns["article_type"], strict=True)
    table = {
        "product_id": ids,
        "title": columns["title"],
        "description": columns["usage"],
        "product_types": [list(breadcrumbs) for breadcrumbs in types],
        "colors": [[colour] for colour in columns["base_colour"]],
        "image_embeddings": pa.ListArray.from_arrays(pa.array(np.arange(len(ids) + 1), pa.int32()), vectors),
    }
    pq.write_table(pa.table(table), folder / "products.parquet")
    pq.write_table(pa.table({"pin_id": ids, "embedding": vectors}), folder / "pins.parquet")

    titles = [" ".join(_WORD.findall(title.casefold())) for title in columns["title"]]
    same_image = _pairs_within(columns["image_md5"])
    groups = list(zip(titles, columns["split"], strict=True))
    same_title = _pairs_within(groups, largest=_LARGEST_GROUP)
    pin, candidate = np.array(sorted(same_title - same_image)).T
    closeup = _clicks(products, "closeup", "pin", pin, candidate)
    first_of: dict[tuple[str, str], int] = {}
    first = np.array([first_of.setdefault(group, row) for row, group in enumerate(groups)])
    search = _clicks(products, "search", "query", first, np.arange(len(ids)))
    pq.write_table(pa.concat_tables([closeup, search]), folder / "engagements.parquet")
    texts = pa.table({"query_id": products["product_id"], "text": products["title"]})
    pq.write_table(texts.take(np.unique(first)), folder / "queries.parquet")
    query, candidate = np.array(sorted(same_image)).T
    write_exclusions(folder, "pin", ids[query], ids[candidate])


def _clicks(products: pa.Table, surface: str, query_type: str, query: np.ndarray, candidate: np.ndarray) -> pa.Table:
    """Engagements of the rows `query` with the rows `candidate`, in the part of the split that the queries are in."""
    ids, clicks = products["product_id"], ["click"] * len(query)
    return engagements(surface, query_type, ids.take(query), ids.take(candidate), clicks, products["split"].take(query))


def _embeddings(path: Path, ids: np.ndarray) -> pa.FixedSizeListArray:
    """One vector for each product, float32, in the order of `ids`."""
    table = read_parquet(path, ["product_id", "image_embedding"])
    order = np.argsort(table["product_id"].to_numpy())
    known = table["product_id"].to_numpy()[order]
    place = np.minimum(np.searchsorted(known, ids), len(known) - 1)
    if not np.array_equal(known[place], ids):
        raise TfsageError(f"{path}: {int((known[place] != ids).sum()):,} products have no embedding here")
    column = table["image_embedding"].combine_chunks()
    vectors = column.flatten().to_numpy(zero_copy_only=False).reshape(len(known), -1)[order[place]]
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.astype(np.float32).ravel()), vectors.shape[1])


def _pairs_within(values: list, largest: int | None = None) -> set[tuple[int, int]]:
    """Every ordered pair of rows, a row with itself included, that have the same value.

    With `largest`, values that more rows have are passed over.
    """
    members = defaultdict(list)
    for row, value in enumerate(values):
        members[value].append(row)
    groups = (rows for rows in members.values() if largest is None or len(rows) <= largest)
    return {pair for rows in groups for pair in product(rows, rows)}
