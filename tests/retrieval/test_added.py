"""Products that came after the bundle are answered like all others: as brute force over both finds them."""

import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from export.embed_catalog import embed_products
from tests.export import fakes
from tests.retrieval.conftest import NEW, PNG, TITLES, VECTORS, unit, write_added
from tests.retrieval.test_app import ask, ids, query_vector
from tests.retrieval.test_swap import wait_for
from tests.serving.models import DIMENSION
from tfsage.bundle import Bundle, point_current
from tfsage.errors import TfsageError
from tfsage.retrieval import swap
from tfsage.retrieval.added import watch_added
from tfsage.retrieval.catalog import Catalog
from tfsage.retrieval.loaded import Settings
from tfsage.retrieval.service import RetrievalService
from tfsage.retrieval.withdrawn import watch_withdrawn
from tfsage.serving.registry import load_registry
from tfsage.serving.server import ModelServer, base_paths


def union(world, titles=NEW) -> dict[str, np.ndarray]:
    """id -> vector, of all products as they should be answered."""
    return {f"p{row}": vector for row, vector in enumerate(world.vectors)} | {name: VECTORS[name] for name in titles}


def best(vectors: dict[str, np.ndarray], query: np.ndarray, k: int, leave_out=()) -> list[str]:
    left = sorted((name for name in vectors if name not in leave_out), key=lambda name: -float(vectors[name] @ query))
    return left[:k]


def color(name: str) -> str | None:
    """As the products tables say."""
    if name == "n2" or name in ("p20", "p29"):
        return None
    return NEW[name].split()[0] if name in NEW else TITLES[int(name[1:])].split()[0]


@pytest.mark.parametrize("query", ["walnut desk", "oak lamp", "nothing known"])
@pytest.mark.parametrize("k", [1, 10, 100])
def test_search_is_brute_force_over_both(world, added, query, k):
    answer = ask(world, "/search", query=query, k=k)
    vector = query_vector(world, query)
    assert ids(answer) == best(union(world), vector, k)
    for place, hit in enumerate(answer["hits"], start=1):
        name = hit["product_id"]
        expected = float(union(world)[name] @ vector)
        assert hit["score"] == hit["sources"]["dense"]["score"] == pytest.approx(expected, abs=1e-6)
        assert (hit["sources"]["dense"]["rank"], hit["added"]) == (place, name in NEW)
        assert hit["title"] == (NEW[name] if name in NEW else TITLES[int(name[1:])])


def test_an_updated_product_is_answered_once_and_as_it_is_now(world, added):
    """Its own stale vector finds it where the new one stands, not where the index has it."""
    stale = world.vectors[4]
    hits = ask(world, "/similar", embedding=stale.tolist(), k=100)["hits"]
    (hit,) = (hit for hit in hits if hit["product_id"] == "p4")
    assert (hit["title"], hit["added"]) == ("walnut sink", True)
    assert hit["score"] == pytest.approx(float(VECTORS["p4"] @ stale), abs=1e-6)
    assert len(hits) == len(TITLES) + 3


def test_the_order_of_the_file_does_not_matter(world, added):
    """Not even where several have the very same vector."""
    space, vectors = world.bundle.manifest.space_id, [VECTORS["n1"]] * 3 + [VECTORS["p4"], VECTORS["n1"]]
    bodies = [{"query": "oak lamp", "k": 40, "hybrid": hybrid} for hybrid in (False, True)]
    write_added(added, space, vectors=vectors)
    before = [ask(world, "/search", **body)["hits"] for body in bodies]
    for order in ([3, 0, 4, 2, 1], [4, 3, 2, 1, 0]):
        write_added(added, space, vectors=vectors, order=order)
        assert [ask(world, "/search", **body)["hits"] for body in bodies] == before


@pytest.mark.parametrize("hybrid", [False, True])
def test_filters_and_exclusions(world, added, hybrid):
    vector = query_vector(world, "walnut desk")
    everything = union(world)
    for filters, good in (
        ({"colors": ["Walnut"]}, {name for name in everything if color(name) == "walnut"}),
        ({"colors": ["brass", "red"]}, {name for name in everything if color(name) in ("brass", "red")}),
        ({"price": {"min": 90}}, {"n0", "p4"}),
        ({"product_types": ["lamp"], "price": {"max": 5}}, {"p2", "n1"}),
    ):
        body = {"query": "walnut desk", "k": 100, "filters": filters, "hybrid": hybrid}
        answer = ask(world, "/search", **body)
        assert set(ids(answer)) == good
        assert hybrid or ids(answer) == best({name: everything[name] for name in good}, vector, 100)
        without = ask(world, "/search", **body, exclude=["n0", "p4", "p0", "nobody"])
        assert set(ids(without)) == good - {"n0", "p4", "p0"}
    assert "there is colors" in ask(world, "/search", 400, query="a", filters={"shape": ["round"]})["error"]


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("k", [1, 4, 7])
def test_pages_are_the_whole_ranking_without_repeats(world, added, k, hybrid):
    body = {"query": "oak lamp", "hybrid": hybrid}
    whole, paged, cursor = ids(ask(world, "/search", **body, k=100)), [], None
    while len(paged) < len(whole):
        page = ask(world, "/search", **body, k=k, **({"cursor": cursor} if cursor else {}))
        paged, cursor = paged + ids(page), page["cursor"]
    assert paged == whole
    assert len(set(whole)) == len(TITLES) + 3


def test_pages_do_not_repeat_what_the_file_meanwhile_brings_or_takes(world, added):
    """New ones change places in the file, an updated one becomes the bundle's again, and one of the bundle updated."""
    vector = VECTORS["n1"] + VECTORS["n2"] + VECTORS["p4"]
    body = {"embedding": vector.tolist(), "k": 8}
    first = ask(world, "/similar", **body)
    shown = set(ids(first))
    of_the_bundle = next(name for name in ids(first) if name not in NEW)
    assert {"n1", "n2", "p4"} <= shown
    later = {"a new one": "first by its id", "n2": NEW["n2"], of_the_bundle: "an update"}
    vectors = [VECTORS["n0"], VECTORS["n2"], VECTORS["n1"]]
    write_added(added, world.bundle.manifest.space_id, later, vectors)
    second = ask(world, "/similar", **body | {"k": 100}, cursor=first["cursor"])
    now = {f"p{row}": own for row, own in enumerate(world.vectors)} | dict(zip(later, vectors, strict=True))
    assert ids(second) == best(now, vector, 100, leave_out=shown)
    assert second["hits"][0]["sources"]["dense"]["rank"] == 9
    # What comes back to the file was shown all the same.
    second = ask(world, "/similar", **body, cursor=first["cursor"])
    write_added(added, world.bundle.manifest.space_id)
    third = ask(world, "/similar", **body | {"k": 100}, cursor=second["cursor"])
    assert ids(third) == best(union(world), vector, 100, leave_out=shown | set(ids(second)))


def test_the_cursor_of_the_last_page_is_one_that_can_be_sent(world, added):
    """1,000 products that the bundle does not hold, whose ids are as long as ids may be."""
    many = {f"{number:0>500}": "" for number in range(1100)}
    write_added(added, world.bundle.manifest.space_id, many, unit(1100))
    seen, cursor = [], None
    for _ in range(10):
        page = ask(world, "/search", query="oak lamp", k=100, **({"cursor": cursor} if cursor else {}))
        seen, cursor = seen + ids(page), page["cursor"]
    assert cursor is None
    assert len(set(seen)) == 1000


def test_withdrawn_wins_over_added(world, added, monkeypatch, tmp_path):
    (tmp_path / "gone.txt").write_text("n1\np4\np7\n")
    with world.service.borrow() as loaded:
        monkeypatch.setattr(loaded, "withdrawn", watch_withdrawn(tmp_path / "gone.txt"))
    vector = query_vector(world, "brass lamp")
    for hybrid in (False, True):
        answer = ask(world, "/search", query="brass lamp", k=100, hybrid=hybrid)
        assert set(ids(answer)) == union(world).keys() - {"n1", "p4", "p7"}
    assert ids(ask(world, "/search", query="brass lamp", k=7)) == best(union(world), vector, 7, {"n1", "p4", "p7"})
    (tmp_path / "gone.txt").write_text("")
    assert "n1" in ids(ask(world, "/search", query="brass lamp", k=100))


def test_similar_and_home_know_them(world, added):
    for name in ("n2", "p20"):
        answer = ask(world, "/similar", product_id=name, k=100)
        assert ids(answer) == best(union(world), VECTORS[name], 100, {name})
    opposite = (-VECTORS["n1"]).tolist()
    activity = [{"product_id": "n1", "timestamp": 1e9}, {"embedding": opposite, "timestamp": 1e9 - 1e7}]
    answer = ask(world, "/home", activity=activity, now=1e9, k=8)
    assert (answer["unknown"], len(answer["clusters"])) == ([], 2)
    assert ids(answer)[::2] == best(union(world), VECTORS["n1"], 4, {"n1"})
    assert ids(answer)[1::2] == best(union(world), -VECTORS["n1"], 4, {"n1"})


def test_hybrid_search_finds_them_by_their_words(world, added):
    """A word that no product of the bundle has, and a title that the bundle still has otherwise."""
    brass = ask(world, "/search", query="brass", k=100, hybrid=True)["hits"]
    assert {hit["product_id"] for hit in brass if "lexical" in hit["sources"]} == {"n1"}
    sinks = ask(world, "/search", query="sink", k=100, hybrid=True)["hits"]
    # p4 was a sink before as well; p20 (blue rug) is a gold sofa now, in no table, but with a title.
    rugs, sofas = (
        {hit["product_id"] for hit in ask(world, "/search", query=word, k=100, hybrid=True)["hits"]
         if "lexical" in hit["sources"]}
        for word in ("rug", "gold")
    )  # fmt: skip
    assert "p4" in {hit["product_id"] for hit in sinks if "lexical" in hit["sources"]}
    assert "p20" not in rugs
    assert sofas == {"p20"}


def test_cards_have_pictures_attributes_and_reasons(world, added):
    hits = {hit["product_id"]: hit for hit in ask(world, "/search", query="lamp", k=100, explain=True)["hits"]}
    pictures = {name for name, hit in hits.items() if hit["image"]}
    assert pictures == {"n1", "p4", "p0", "p1"}
    for name in ("n1", "p4"):
        assert world.http.get(hits[name]["image"]).content == PNG
    assert world.http.get("/products/n2/image").status_code == 404
    with world.service.borrow() as loaded:
        (expected,) = loaded.explainer.nearest(VECTORS["p4"][None])
    assert [reason["query"] for reason in hits["p4"]["why"]] == [query for query, _ in expected]
    described = world.http.get("/bundles").json()
    assert [(described[name]["products"], described[name]["added"]) for name in ("current", "compare")] == [
        (33, 5),
        (30, 0),
    ]
    assert "tfsage_added_products 5.0" in world.http.get("/metrics").text


def test_a_replaced_file_is_answered_from_by_the_next_request(world, added):
    space = world.bundle.manifest.space_id
    vector = query_vector(world, "oak lamp")
    for names in (["n1"], ["p4", "n2"], [], list(NEW)):
        write_added(
            added, space, {name: NEW[name] for name in names}, np.stack([*map(VECTORS.get, names), *unit(1)])[:-1]
        )
        answer = ask(world, "/search", query="oak lamp", k=100)
        assert ids(answer) == best(union(world, names), vector, 100)
        assert {hit["product_id"] for hit in answer["hits"] if hit["added"]} == set(names)
    assert "no product 'n1'" not in str(ask(world, "/similar", product_id="n1"))
    write_added(added, space, {}, np.zeros((0, DIMENSION)))
    assert "no product 'n1'" in ask(world, "/similar", 404, product_id="n1")["error"]


def spoiled(path: Path, space: str) -> dict[str, tuple]:
    """What is wrong -> how it comes about, and what is said of it."""
    long, one = {"n1": ""}, VECTORS["n1"]
    nan = np.where(np.arange(DIMENSION) == 3, np.nan, one)

    def table(**columns):
        right = {"product_id": ["n1"], "title": ["a"], "embedding": [one.tolist()], "space_id": [space]}
        pq.write_table(pa.table({name: value for name, value in (right | columns).items() if value is not None}), path)

    return {
        "gone": (path.unlink, "cannot be read as Parquet"),
        "not Parquet": (lambda: path.write_bytes(b"PAR1"), "cannot be read as Parquet"),
        "cut": (lambda: path.write_bytes(path.read_bytes()[:-40]), "cannot be read as Parquet"),
        "space": (lambda: write_added(path, "0" * 12, long, [one]), "products of space 000000000000, the bundle"),
        "no space": (lambda: table(space_id=[None]), "products of space None"),
        "two spaces": (
            lambda: table(product_id=["a", "b"], title=["", ""], embedding=[one.tolist()] * 2, space_id=[space, "x"]),
            f"products of space {space}, x",
        ),
        "column": (lambda: table(space_id=None), "has no column space_id; it has product_id, title, embedding"),
        "NaN": (lambda: write_added(path, space, long, [nan]), "row 0 holds NaN or infinite values"),
        "length": (lambda: write_added(path, space, long, [1.1 * one]), "row 0 has length 1.1, not 1"),
        "dimension": (lambda: write_added(path, space, long, [[1.0]]), f"expected {DIMENSION} numbers in each"),
        "ragged": (
            lambda: table(product_id=["a", "b"], title=["", ""], embedding=[[1.0], [1.0, 0.0]], space_id=[space] * 2),
            f"expected {DIMENSION} numbers in each",
        ),
        "no vector": (lambda: table(embedding=pa.array([None], pa.list_(pa.float32()))), f"expected {DIMENSION}"),
        "text": (lambda: table(embedding=["words"]), f"expected {DIMENSION} numbers in each, got string"),
        "title": (lambda: table(title=[["a"]]), "title: expected text, got list"),
        "not UTF-8": (
            lambda: table(title=pa.array([b"\xff"]).view(pa.string())),
            "cannot be read as Parquet (Column 1: ",
        ),
        "repeated": (
            lambda: table(product_id=["a"] * 2, title=["", ""], embedding=[one.tolist()] * 2, space_id=[space] * 2),
            "product_id is null or repeats (for example 'a')",
        ),
        "no id": (lambda: table(product_id=pa.array([None], pa.string())), "null or repeats (for example None)"),
        "ids": (lambda: table(product_id=[["a"]]), "product_id: list"),
    }


WRONG = list(spoiled(Path(), ""))


@pytest.mark.parametrize("wrong", WRONG)
def test_a_file_that_goes_bad_changes_nothing_and_is_reported_once(world, added, wrong, capsys):
    before = ask(world, "/search", query="oak lamp", k=100)["hits"]
    spoil, message = spoiled(added, world.bundle.manifest.space_id)[wrong]
    spoil()
    for _ in range(3):
        assert ask(world, "/search", query="oak lamp", k=100)["hits"] == before
    said = capsys.readouterr().err
    assert said.count("added products stay as they are") == said.count("\n") == 1
    assert str(added) in said and message in said
    write_added(added, world.bundle.manifest.space_id, {"n1": "mended"}, [VECTORS["n1"]])
    answer = ask(world, "/search", query="oak lamp", k=100)
    assert [hit["title"] for hit in answer["hits"] if hit["added"]] == ["mended"]


@pytest.mark.parametrize("wrong", WRONG)
def test_a_service_does_not_start_on_a_bad_file(world, added, wrong):
    spoil, message = spoiled(added, world.bundle.manifest.space_id)[wrong]
    spoil()
    with world.service.borrow() as loaded, pytest.raises(TfsageError, match="^[^\n]*$") as refused:
        watch_added(added, loaded.bundle, loaded.catalog)
    assert str(refused.value).startswith(f"{added}: ") and message in str(refused.value)


def test_what_export_catalog_makes_of_some_products_is_what_is_read(tmp_path):
    """The day's routine: the published bundle's product tower embeds a table with one product changed and one new."""
    bundle = fakes.write_bundle(tmp_path / "published" / "bundle", count=20)
    published = pq.read_table(bundle.parts())
    whole = pq.read_table(tmp_path / "published" / "products-1-20.parquet")
    changed = whole.slice(6, 2).set_column(0, "product_id", pa.array(["p7", "new"]))
    pq.write_table(changed, tmp_path / "new.parquet")
    embed_products(bundle, tmp_path / "new.parquet", tmp_path / "added.parquet", batch_size=16)
    catalog = Catalog(published.select(["product_id", "title"]))
    added = watch_added(tmp_path / "added.parquet", bundle, catalog).value()
    assert list(added.catalog) == ["new", "p7"]
    # Row 6 of the catalog became p7, and row 7 the new product: tower and rows are the same, and so are the vectors.
    stored = np.stack(published["embedding"].to_pylist()).astype(np.float32)
    np.testing.assert_allclose(added.vectors, stored[[7, 6]], atol=1e-6)
    assert added.catalog.describe(1)[1] == whole["title"][6].as_py()


def test_what_is_wrong_with_another_space_says_how_to_mend_it(world, added):
    write_added(added, "0" * 12, {"n1": ""}, [VECTORS["n1"]])
    with world.service.borrow() as loaded, pytest.raises(TfsageError) as refused:
        watch_added(added, loaded.bundle, loaded.catalog)
    space = world.bundle.manifest.space_id
    assert str(refused.value) == (
        f"{added}: products of space 000000000000, the bundle {space} is of space {space}; embed them with its product "
        f"tower: python -m export.catalog --out"
    )


def test_a_products_table_that_is_replaced_is_read_for_them_too(world, added):
    """A new price counts, a broken table changes nothing, and one without the column lets nothing pass its filter."""
    table = added.with_name("products.parquet")
    known, body = pq.read_table(table), {"query": "lamp", "k": 100, "filters": {"price": {"min": 90}}}
    assert set(ids(ask(world, "/search", **body))) == {"n0", "p4"}
    prices = [95.0 if name in ("n1", "p4", "p7") else 5.0 for name in known["product_id"].to_pylist()]
    pq.write_table(known.set_column(known.column_names.index("price"), "price", pa.array(prices)), table)
    # What the bundle holds, such as p7, keeps the attributes that were read with it.
    assert set(ids(ask(world, "/search", **body))) == {"n1", "p4"}
    table.write_bytes(b"")
    assert set(ids(ask(world, "/search", **body))) == {"n1", "p4"}
    pq.write_table(known.drop_columns(["price"]), table)
    assert ids(ask(world, "/search", **body)) == []


def test_requests_do_not_wait_for_the_one_that_reads(world, added, monkeypatch):
    with world.service.borrow() as loaded:
        watched, reading, go_on = loaded.added, threading.Event(), threading.Event()
    read = watched._read

    def slowly():
        reading.set()
        assert go_on.wait(20)
        return read()

    monkeypatch.setattr(watched, "_read", slowly)
    write_added(added, world.bundle.manifest.space_id, {"n9": "later"}, unit(1))
    first = threading.Thread(target=watched.value)
    first.start()
    assert reading.wait(20)
    assert "n1" in ids(ask(world, "/search", query="oak lamp", k=100))
    go_on.set()
    first.join(20)
    assert "n9" in ids(ask(world, "/search", query="oak lamp", k=100))


def test_a_new_bundle_of_another_space_leaves_them_out_until_they_are_embedded_anew(
    root, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(swap.Follower.__init__, "__defaults__", (0.05,))
    names = [Bundle.current(root).folder.name]
    names += [path.name for path in root.iterdir() if path.is_dir() and path.resolve().name not in names]
    for name in names:
        (tmp_path / name).symlink_to(root / name)
    first, second = (Bundle.open(tmp_path / name) for name in names)
    point_current(tmp_path, names[0])
    added = tmp_path / "added.parquet"
    write_added(added, first.manifest.space_id)
    with (
        ModelServer(load_registry(base_paths(first))) as one,
        ModelServer(load_registry(base_paths(second))) as two,
        RetrievalService(
            tmp_path, Settings((one.grpc_address, two.grpc_address), added=added), compare=second.folder
        ) as service,
    ):

        def count(bundle: str = "current") -> int:
            with service.borrow(bundle) as loaded:
                return loaded.products().added_count

        assert (count(), count("compare")) == (5, 0)
        # Those of the next space may come before its bundle: until then nothing changes.
        write_added(added, second.manifest.space_id, {"n1": "early"}, [VECTORS["n1"]])
        assert count() == 5
        point_current(tmp_path, names[1])
        wait_for(lambda: service.follower.swaps == 1)
        assert count() == 1
        capsys.readouterr()
        # Now the bundle changes and the file does not.
        point_current(tmp_path, names[0])
        wait_for(lambda: service.follower.swaps == 2)
        assert [count() for _ in range(3)] == [0, 0, 0]
        with service.borrow() as loaded:
            assert loaded.products().find("n1") is None
            assert loaded.products().count == len(TITLES)
        said = capsys.readouterr().err
        assert said.count("without added products") == said.count("added products") == 1
        assert f"products of space {second.manifest.space_id}, the bundle {names[0]}" in said
        assert service.follower.refusal is None
        write_added(added, first.manifest.space_id)
        assert count() == 5
