"""Files that change under a running service: who reads them, who waits, and what is tried again."""

import threading

import pytest

from tfsage.errors import TfsageError
from tfsage.retrieval.watched import Watched


@pytest.fixture
def file(tmp_path):
    (tmp_path / "file").write_text("old")
    return tmp_path / "file"


def watch(file, **options) -> Watched[str]:
    return Watched([file], file.read_text, "words", **{"patient": True} | options)


@pytest.mark.parametrize("patient", [True, False])
def test_while_one_reads_the_others_wait_or_go_on(file, monkeypatch, patient):
    watched, reading, go_on = watch(file, patient=patient), threading.Event(), threading.Event()
    reads, said = [], []

    def slowly():
        reads.append(1)
        reading.set()
        assert go_on.wait(20)
        return "new"

    monkeypatch.setattr(watched, "_read", slowly)
    file.write_text("changed")
    first = threading.Thread(target=lambda: said.append(watched.value()))
    first.start()
    assert reading.wait(20)
    second = threading.Thread(target=lambda: said.append(watched.value()))
    second.start()
    second.join(0.2)
    assert said == ([] if patient else ["old"])
    go_on.set()
    for thread in (first, second):
        thread.join(20)
    assert sorted(said) == (["new", "new"] if patient else ["new", "old"])
    # The one that waited did not read it once more.
    assert len(reads) == 1


def test_what_could_not_be_read_is_tried_again_though_nothing_has_changed(file, monkeypatch, capsys):
    watched, fails = watch(file), iter([True, True, False])

    def sometimes():
        if next(fails):
            raise OSError("the disk is busy")
        return "new"

    monkeypatch.setattr(watched, "_read", sometimes)
    file.write_text("changed")
    assert [watched.value() for _ in range(3)] == ["old"] * 3
    monkeypatch.setattr(watched, "_retry_at", 0.0)
    assert watched.value() == "old"
    monkeypatch.setattr(watched, "_retry_at", 0.0)
    assert [watched.value() for _ in range(3)] == ["new"] * 3
    assert capsys.readouterr().err == "words stay as they are: the disk is busy\n"


def test_a_change_while_it_is_read_is_not_missed(file, monkeypatch):
    watched = watch(file)

    def overtaken():
        text = file.read_text()
        monkeypatch.setattr(watched, "_read", file.read_text)
        file.write_text("newest")
        return text

    monkeypatch.setattr(watched, "_read", overtaken)
    file.write_text("newer")
    assert [watched.value(), watched.value()] == ["newer", "newest"]


def test_a_lenient_one_says_nothing_until_it_can(file, capsys):
    def strict() -> str:
        if (text := file.read_text()) == "old":
            raise TfsageError("too old")
        return text

    with pytest.raises(TfsageError, match="too old"):
        Watched([file], strict, "words", patient=True)
    watched = Watched([file], strict, "words", patient=True, lenient=True)
    assert [watched.value() for _ in range(2)] == [None, None]
    assert capsys.readouterr().err == "without words: too old\n"
    file.write_text("new")
    assert watched.value() == "new"
