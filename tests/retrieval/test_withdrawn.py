"""Products that were withdrawn are never answered, from the moment the file says so, on every surface."""

import pyarrow as pa
import pytest

from tfsage.errors import TfsageError
from tfsage.retrieval.catalog import Catalog
from tfsage.retrieval.products import Products, Published
from tfsage.retrieval.withdrawn import watch_withdrawn


@pytest.fixture
def listed(tmp_path):
    return tmp_path / "withdrawn.txt"


def left(withdrawn: tuple[str, ...], ids=("a", "b", "c", "d")) -> list[bool] | None:
    catalog = Catalog(pa.table({"product_id": list(ids), "title": ["t"] * len(ids)}))
    products = Products(Published(catalog, None, None, None), None, withdrawn)
    return None if products.left is None else products.left.tolist()


def test_the_file_is_read_again_when_it_has_changed(listed):
    listed.write_text("b\n\n unknown \r\nd\r\n")
    withdrawn = watch_withdrawn(listed)
    assert left(withdrawn.value()) == [True, False, True, False]
    listed.write_text("a")
    assert left(withdrawn.value()) == [False, True, True, True]
    aside = listed.with_name("aside")
    aside.write_text("c")
    aside.rename(listed)
    assert left(withdrawn.value()) == [True, True, False, True]
    assert withdrawn.value() is withdrawn.value()
    listed.write_text("")
    assert left(withdrawn.value()) is None


def test_numbers_are_ids_too(listed):
    listed.write_text("20\nx\n")
    assert left(watch_withdrawn(listed).value(), [10, 20, 30]) == [True, False, True]


def test_a_file_that_cannot_be_read_any_more_brings_nothing_back(listed, capsys):
    listed.write_text("b\n")
    withdrawn = watch_withdrawn(listed)
    for spoil in (listed.unlink, lambda: listed.write_bytes(b"a\n\xff\n")):
        spoil()
        assert [withdrawn.value() for _ in range(2)] == [("b",)] * 2
        # What is wrong is said once.
        assert capsys.readouterr().err.count("withdrawn products stay as they are") == 1
    listed.write_text("a\nb\n")
    assert withdrawn.value() == ("a", "b")


def test_a_bad_file_is_one_clear_error(listed):
    for spoil in (lambda: None, lambda: listed.write_bytes(b"\xff")):
        spoil()
        with pytest.raises(TfsageError, match=f"^{listed}: cannot be read as product ids, one a line, in UTF-8"):
            watch_withdrawn(listed)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/search", {"query": "walnut desk"}),
        ("/search", {"query": "walnut desk", "hybrid": True}),
        ("/search", {"query": "walnut desk", "filters": {"colors": ["walnut"]}}),
        ("/similar", {"product_id": "p0"}),
        ("/home", {"activity": [{"product_id": "p0", "timestamp": 1e9}]}),
    ],
    ids=["search", "hybrid", "filtered", "similar", "home"],
)
def test_no_surface_answers_them(world, monkeypatch, listed, path, body):
    def ask() -> list[str]:
        answer = world.http.post(path, json={"k": 4, **body}).raise_for_status().json()
        return [hit["product_id"] for hit in answer["hits"]]

    before = ask()
    listed.write_text("\n".join(before[:3]))
    with world.service.borrow() as loaded:
        monkeypatch.setattr(loaded, "withdrawn", watch_withdrawn(listed))
    after = ask()
    assert not set(after) & set(before[:3])
    # The next ones take their places, as many as were asked for; six products are made of walnut.
    assert len(after) == (3 if "filters" in body else 4) and after[0] == before[3]
    listed.write_text("")
    assert ask() == before
