import errno

import pytest

from tfsage.data import staging
from tfsage.data.staging import staged_folder
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
