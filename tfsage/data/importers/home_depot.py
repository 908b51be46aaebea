"""Home Depot search relevance: text queries and product titles, judged by people.

Reads products.tsv (product_id, title), queries.tsv (query_id, query, split) and qrels.tsv (query_id, product_id,
relevance, split). A judgement is a *proxy* for engagement, not engagement: relevance 3.0 stands for checkout, from 2.67
add_to_cart, from 2.33 save, from 2.0 click; below that there is none. The usual notion of a positive, relevance of at
least 2.67, is add_to_cart and checkout together. The relevance itself, 1 to 3, becomes the table `relevance`, as a
grade above that of no relevance: 0 to 2.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfsage.data.importers.files import read_tsv, write_engagements

_LOWEST_RELEVANCE = {"click": 2.0, "save": 2.33, "add_to_cart": 2.67, "checkout": 3.0}


def import_home_depot(source: Path, folder: Path) -> None:
    """Writes products, queries, engagements on Search with the dataset's own split, and the judgements as grades."""
    products = read_tsv(source / "products.tsv", {"product_id": pa.int64(), "title": pa.string()})
    queries = read_tsv(source / "queries.tsv", {"query_id": pa.int64(), "query": pa.string()})
    judged = {"query_id": pa.int64(), "product_id": pa.int64(), "relevance": pa.float64(), "split": pa.string()}
    judgements = read_tsv(source / "qrels.tsv", judged)
    pq.write_table(products, folder / "products.parquet")
    pq.write_table(queries.rename_columns(["query_id", "text"]), folder / "queries.parquet")
    kinds = {name: pa.array([kind] * len(judgements)) for name, kind in (("query", "query"), ("entity", "product"))}
    graded = {
        "query_type": kinds["query"],
        "query_id": judgements["query_id"],
        "entity_type": kinds["entity"],
        "entity_id": judgements["product_id"],
        "grade": pa.array(np.round(judgements["relevance"].to_numpy() - 1, 2)),
    }
    pq.write_table(pa.table(graded), folder / "relevance.parquet")
    level = np.searchsorted(list(_LOWEST_RELEVANCE.values()), judgements["relevance"].to_numpy(), side="right")
    engaged = judgements.filter(pa.array(level > 0))
    action = pa.array(np.array(list(_LOWEST_RELEVANCE))[level[level > 0] - 1])
    write_engagements(folder, "search", "query", engaged["query_id"], engaged["product_id"], action, engaged["split"])
