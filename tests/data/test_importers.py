"""Importers: on a few lines written by hand, and on the real datasets, whose counts are known."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfsage.data.importers import IMPORTERS, import_dataset
from tfsage.data.tables import find_tables
from tfsage.errors import TfsageError


def tsv(path, header: str, *rows: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([header, *rows]).replace(" | ", "\t") + "\n", encoding="utf-8")


def read(folder, name) -> list[dict]:
    return pq.read_table(folder / f"{name}.parquet").to_pylist()


@pytest.fixture
def home_depot(tmp_path):
    source = tmp_path / "home_depot"
    tsv(source / "products.tsv", "product_id | title", '7 | 3/4" pipe, "black"', "8 | desk")
    tsv(source / "queries.tsv", "query_id | query | split", "1 | pipe | train", "2 | desk | test")
    tsv(
        source / "qrels.tsv",
        "query_id | product_id | relevance | split",
        *("1 | 7 | 3.0 | train", "1 | 8 | 1.67 | train", "2 | 8 | 2.67 | test", "2 | 7 | 2.33 | test"),
        *("1 | 7 | 2.0 | train", "1 | 8 | 2.5 | train"),
    )
    return source


def test_home_depot_takes_relevance_as_a_proxy(home_depot, tmp_path):
    import_dataset("home_depot", home_depot, tmp_path / "out")
    assert read(tmp_path / "out", "products")[0] == {"product_id": 7, "title": '3/4" pipe, "black"'}
    assert read(tmp_path / "out", "queries") == [{"query_id": 1, "text": "pipe"}, {"query_id": 2, "text": "desk"}]
    engagements = read(tmp_path / "out", "engagements")
    assert [(row["query_id"], row["entity_id"], row["action"], row["split"]) for row in engagements] == [
        (1, 7, "checkout", "train"),
        (2, 8, "add_to_cart", "test"),
        (2, 7, "save", "test"),
        (1, 7, "click", "train"),
        (1, 8, "save", "train"),
    ]
    constant = ("surface", "query_type", "entity_type", "count")
    assert {tuple(row[name] for name in constant) for row in engagements} == {("search", "query", "product", 1)}
    relevance = read(tmp_path / "out", "relevance")
    assert {(row["query_type"], row["entity_type"]) for row in relevance} == {("query", "product")}
    assert [(row["query_id"], row["entity_id"], row["grade"]) for row in relevance] == [
        *((1, 7, 2.0), (1, 8, 0.67), (2, 8, 1.67), (2, 7, 1.33)),
        *((1, 7, 1.0), (1, 8, 1.5)),
    ]


def test_fashion_pins_lead_to_other_products_of_the_same_title(tmp_path):
    source = tmp_path / "fashion"
    header = (
        "product_id | title | master_category | sub_category | article_type | base_colour | usage | image_md5 | split"
    )
    rest = "Apparel | Topwear | Shirts | Blue | Casual"
    many = [f"{row} | Plain Tee | {rest} | m{row} | train" for row in range(100, 111)]
    tsv(
        source / "products.tsv",
        header,
        *(f"1 | Blue Shirt | {rest} | x | train", f"2 | blue shirt! | {rest} | y | train"),
        *(f"3 | Blue  Shirt | {rest} | x | train", f"4 | Red Shirt | {rest} | y | train", *many),
    )
    ids = [4, 3, 2, 1, *range(100, 111)]
    vectors = np.arange(len(ids) * 2, dtype=np.float16).reshape(-1, 2)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 2)
    pq.write_table(pa.table({"product_id": ids, "image_embedding": column}), source / "image_embeddings.parquet")

    import_dataset("fashion_products", source, tmp_path / "out")
    product, pin = read(tmp_path / "out", "products")[0], read(tmp_path / "out", "pins")[0]
    assert product == {
        "product_id": 1,
        "title": "Blue Shirt",
        "description": "Casual",
        "product_types": ["Apparel", "Topwear", "Shirts"],
        "colors": ["Blue"],
        "image_embeddings": [[6.0, 7.0]],
    }
    assert pin == {"pin_id": 1, "embedding": [6.0, 7.0]}
    # 1 and 3 share a picture, so neither answers the other; eleven products share "Plain Tee", which is too many.
    engaged = {"pin": set(), "query": set()}
    for row in read(tmp_path / "out", "engagements"):
        assert row["surface"] == {"pin": "closeup", "query": "search"}[row["query_type"]]
        engaged[row["query_type"]].add((row["query_id"], row["entity_id"], row["split"]))
    assert engaged["pin"] == {(1, 2, "train"), (2, 1, "train"), (2, 3, "train"), (3, 2, "train")}
    # As a query a title leads to all of its products; it goes by the first of them.
    titled = [
        *((1, row, "train") for row in (1, 2, 3)),
        (4, 4, "train"),
        *((100, row, "train") for row in range(100, 111)),
    ]
    assert engaged["query"] == set(titled)
    texts = {row["query_id"]: row["text"] for row in read(tmp_path / "out", "queries")}
    assert texts == {1: "Blue Shirt", 4: "Red Shirt", 100: "Plain Tee"}
    excluded = {(row["query_id"], row["entity_id"]) for row in read(tmp_path / "out", "exclusions")}
    assert {pair for pair in excluded if pair[0] < 100} == {
        (1, 1),
        (1, 3),
        (3, 1),
        (3, 3),
        (2, 2),
        (2, 4),
        (4, 2),
        (4, 4),
    }


def test_taobao_queries_do_not_hold_their_answer(tmp_path):
    source = tmp_path / "taobao"
    tsv(source / "buy_train.tsv", "uid | sid", "1 | 5", "1 | 6", "10 | 5", "10 | 6", "10 | 7", "2 | 8")
    tsv(source / "buy_test.tsv", "uid | sid", "1 | 7", "10 | 8", "2 | 5")
    tsv(source / "cart.tsv", "uid | sid", "1 | 9", "1 | 5", "10 | 7", "10 | 9")
    import_dataset("taobao_ehcf", source, tmp_path / "out")
    texts = {row["query_id"]: row["text"] for row in read(tmp_path / "out", "queries")}
    engaged = {
        (texts[row["query_id"]], row["entity_id"], row["action"], row["split"])
        for row in read(tmp_path / "out", "engagements")
    }
    assert engaged == {
        ("item6", "5", "checkout", "train"),
        ("item5", "6", "checkout", "train"),
        ("item6", "5", "add_to_cart", "train"),
        ("item5 item6", "9", "add_to_cart", "train"),
        ("item5 item6", "7", "checkout", "test"),
        # User 10 lends the last purchase, 7, to dev: no training query holds it, and its cart is not trained on.
        ("item6", "5", "checkout", "train"),
        ("item5", "6", "checkout", "train"),
        ("item5 item6", "7", "checkout", "dev"),
        ("item5 item6", "9", "add_to_cart", "train"),
        ("item5 item6 item7", "8", "checkout", "test"),
        ("item8", "5", "checkout", "test"),
    }
    for row in read(tmp_path / "out", "exclusions"):
        assert f"item{row['entity_id']}" in texts[row["query_id"]].split()
    assert {row["title"] for row in read(tmp_path / "out", "products")} == {f"item{sid}" for sid in range(5, 10)}


def test_problems_are_told_plainly(home_depot, tmp_path):
    with pytest.raises(TfsageError, match="no dataset named 'amazon'; there are home_depot, fashion_products, taobao"):
        import_dataset("amazon", home_depot, tmp_path / "out")
    (home_depot / "qrels.tsv").write_text("query_id\tproduct_id\tscore\n1\t7\thigh\n")
    with pytest.raises(TfsageError, match="qrels.tsv: not the dataset's file"):
        import_dataset("home_depot", home_depot, tmp_path / "out")
    (home_depot / "qrels.tsv").unlink()
    with pytest.raises(TfsageError, match="qrels.tsv: no such file; --source should be the folder"):
        import_dataset("home_depot", home_depot, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def imported(shared_data, tmp_path_factory):
    """Each real dataset as tables, or nothing when the datasets are not beside the repository."""
    if shared_data is None:
        print("left out: the real datasets are not beside the repository")
        yield None
        return
    folder = tmp_path_factory.mktemp("imported")
    for name in IMPORTERS:
        import_dataset(name, shared_data / name, folder / name)
    yield folder
    shutil.rmtree(folder)


def test_real_datasets_are_tables(imported):
    if imported is None:
        return
    for name in IMPORTERS:
        assert {"products", "engagements"} <= set(find_tables(imported / name, []))


def test_real_home_depot_has_its_known_counts(imported):
    if imported is None:
        return
    folder = imported / "home_depot"
    assert pq.read_metadata(folder / "products.parquet").num_rows == 54_667
    assert pq.read_metadata(folder / "queries.parquet").num_rows == 10_616
    positive = [row for row in read(folder, "engagements") if row["action"] in ("add_to_cart", "checkout")]
    assert len({row["query_id"] for row in positive if row["split"] == "test"}) == 991


def test_real_fashion_has_its_known_counts_and_floor(imported):
    if imported is None:
        return
    folder = imported / "fashion_products"
    assert pq.read_metadata(folder / "products.parquet").num_rows == 39_756
    tests = [row for row in read(folder, "engagements") if row["split"] == "test"]
    assert len({row["query_id"] for row in tests if row["surface"] == "search"}) == 3_037
    test = [row for row in tests if row["surface"] == "closeup"]
    assert len({row["query_id"] for row in test}) == 1_495
    pins = pq.read_table(folder / "pins.parquet")
    ids, vectors = pins["pin_id"].to_numpy(), pins["embedding"].combine_chunks().flatten().to_numpy().reshape(-1, 256)
    row_of = {name: row for row, name in enumerate(ids.tolist())}
    relevant, excluded = {}, {}
    for found, table in ((relevant, test), (excluded, read(folder, "exclusions"))):
        for row in table:
            found.setdefault(row_of[row["query_id"]], []).append(row_of[row["entity_id"]])
    recall = []
    for block in np.array_split(np.array(list(relevant)), 20):
        scores = vectors[block] @ vectors.T
        for query, row in zip(block.tolist(), scores, strict=True):
            row[excluded[query]] = -np.inf
            recall.append(np.isin(relevant[query], np.argpartition(-row, 10)[:10]).mean())
    # The frozen embedding against itself, as measured by others on the same protocol.
    assert np.mean(recall) == pytest.approx(0.240, abs=0.005)


def test_real_taobao_has_its_known_counts(imported):
    if imported is None:
        return
    folder = imported / "taobao_ehcf"
    assert pq.read_metadata(folder / "products.parquet").num_rows == 39_493
    test = [row for row in read(folder, "engagements") if row["split"] == "test"]
    assert len({row["query_id"] for row in test}) == len(test) == 48_749
