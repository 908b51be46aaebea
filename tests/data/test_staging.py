import errno
import fcntl
import threading

import pytest

from tfsage.data import staging
from tfsage.data.staging import make_once, staged_folder
from tfsage.errors import TfsageError

MARKER = "manifest.json"


def finish(out, text):
    with staged_folder(out, MARKER) as folder:
        (folder / MARKER).write_text(text)


def test_the_folder_appears_when_it_is_complete(tmp_path):
    out = tmp_path / "new" / "out"
    with staged_folder(out, MARKER) as folder:
        (folder / MARKER).write_text("1")
        assert not out.exists()
    assert (out / MARKER).read_text() == "1"
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_an_earlier_folder_is_replaced_whole(tmp_path):
    finish(tmp_path / "out", "1")
    (tmp_path / "out" / "old").touch()
    finish(tmp_path / "out", "2")
    assert (tmp_path / "out" / MARKER).read_text() == "2" and not (tmp_path / "out" / "old").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, TfsageError])
def test_a_failure_leaves_the_earlier_folder(tmp_path, error):
    finish(tmp_path / "out", "1")
    with pytest.raises(error), staged_folder(tmp_path / "out", MARKER) as folder:
        (folder / MARKER).write_text("2")
        raise error
    assert (tmp_path / "out" / MARKER).read_text() == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failed_swap_puts_the_earlier_folder_back(tmp_path, monkeypatch):
    finish(tmp_path / "out", "1")
    replace, calls = staging.os.replace, []

    def fail_once(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(staging.os, "replace", fail_once)
    with pytest.raises(TfsageError, match="cannot be written: No space left"):
        finish(tmp_path / "out", "2")
    assert (tmp_path / "out" / MARKER).read_text() == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_full_disk_is_told_plainly(tmp_path):
    with (
        pytest.raises(TfsageError, match="out: cannot be written: No space left"),
        staged_folder(tmp_path / "out", MARKER),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_what_tfsage_did_not_write_is_not_replaced(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").touch()
    with pytest.raises(TfsageError, match="not written by this command"):
        finish(tmp_path / "thesis", "1")
    (tmp_path / "file").touch()
    with pytest.raises(TfsageError, match="is a file"):
        finish(tmp_path / "file", "1")
    (tmp_path / "empty").mkdir()
    finish(tmp_path / "empty", "1")


def test_what_is_there_is_not_made_again(tmp_path):
    out, made = tmp_path / "kept" / "out", []
    for text in ("1", "2"):
        make_once(out, MARKER, lambda text=text: made.append(text) or finish(out, text))
    assert made == ["1"] and (out / MARKER).read_text() == "1"


def test_one_process_makes_it_while_another_waits(tmp_path, monkeypatch):
    out, waiting, made = tmp_path / "kept" / "out", threading.Event(), []
    monkeypatch.setattr(staging.console, "print", lambda text: waiting.set())
    out.parent.mkdir()
    with (out.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        thread = threading.Thread(target=make_once, args=(out, MARKER, lambda: made.append("again")))
        thread.start()
        assert waiting.wait(60) and thread.is_alive()
        finish(out, "by the first")
    thread.join(60)
    assert made == [] and (out / MARKER).read_text() == "by the first"


def test_what_a_killed_process_left_is_cleared_away(tmp_path):
    leftover = tmp_path / "kept" / ".out.partial-1234567"
    leftover.mkdir(parents=True)
    (leftover / "half").write_text("half")
    out = tmp_path / "kept" / "out"
    make_once(out, MARKER, lambda: finish(out, "1"))
    assert sorted(path.name for path in out.parent.iterdir()) == [".lock", "out"]
