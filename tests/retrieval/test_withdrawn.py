"""Products that were withdrawn are never answered, from the moment the file says so, on every surface."""

import pyarrow as pa
import pytest

from tfsage.errors import TfsageError
from tfsage.retrieval.catalog import Catalog
from tfsage.retrieval.withdrawn import Withdrawn


@pytest.fixture
def listed(tmp_path):
    return tmp_path / "withdrawn.txt"


def catalog(ids=("a", "b", "c", "d")) -> Catalog:
    return Catalog(pa.table({"product_id": list(ids), "title": ["t"] * len(ids)}))


def test_the_file_is_read_again_when_it_has_changed(listed):
    listed.write_text("b\n\n unknown \r\nd\r\n")
    withdrawn = Withdrawn(listed, catalog())
    assert withdrawn.left().tolist() == [True, False, True, False]
    listed.write_text("a")
    assert withdrawn.left().tolist() == [False, True, True, True]
    aside = listed.with_name("aside")
    aside.write_text("c")
    aside.rename(listed)
    assert withdrawn.left().tolist() == [True, True, False, True]
    listed.write_text("")
    assert withdrawn.left().all()


def test_numbers_are_ids_too(listed):
    listed.write_text("20\nx\n")
    assert Withdrawn(listed, catalog([10, 20, 30])).left().tolist() == [True, False, True]


def test_a_file_that_cannot_be_read_any_more_brings_nothing_back(listed, capsys):
    listed.write_text("b\n")
    withdrawn = Withdrawn(listed, catalog())
    for spoil in (listed.unlink, lambda: listed.write_bytes(b"a\n\xff\n")):
        spoil()
        assert [withdrawn.left().tolist() for _ in range(2)] == [[True, False, True, True]] * 2
    assert capsys.readouterr().err.count("withdrawn products stay as they are") == 1
    listed.write_text("a\nb\n")
    assert withdrawn.left().tolist() == [False, False, True, True]


def test_a_bad_file_is_one_clear_error(listed):
    for spoil in (lambda: None, lambda: listed.write_bytes(b"\xff")):
        spoil()
        with pytest.raises(TfsageError, match=f"^{listed}: cannot be read as product ids, one a line, in UTF-8"):
            Withdrawn(listed, catalog())


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
        monkeypatch.setattr(loaded, "withdrawn", Withdrawn(listed, loaded.catalog))
    after = ask()
    assert not set(after) & set(before[:3])
    # The next ones take their places, as many as were asked for; six products are made of walnut.
    assert len(after) == (3 if "filters" in body else 4) and after[0] == before[3]
    listed.write_text("")
    assert ask() == before
