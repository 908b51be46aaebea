import shutil

import pytest

from tfsage.data.fingerprint import fingerprint

FILES = ("large", "small", "empty")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "large").write_bytes(bytes(range(256)) * 8000)
    (tmp_path / "small").write_bytes(b"small")
    (tmp_path / "empty").write_bytes(b"")
    return tmp_path


def test_a_copy_has_the_same_fingerprint(folder, tmp_path_factory):
    copy = tmp_path_factory.mktemp("copy")
    shutil.copytree(folder, copy, dirs_exist_ok=True)
    (copy / "another").write_text("not looked at")
    assert fingerprint(copy, FILES) == fingerprint(folder, reversed(FILES))


@pytest.mark.parametrize("name, place", [("large", 0), ("large", 1_000_000), ("large", -1), ("small", 2)])
def test_changed_bytes_change_it(folder, name, place):
    before, content = fingerprint(folder, FILES), bytearray((folder / name).read_bytes())
    content[place] ^= 1
    (folder / name).write_bytes(content)
    # One byte in the midst of a large file may be overlooked, but not a change of size, nor of all that follows.
    if place == 1_000_000:
        content[place:] = bytes(value ^ 1 for value in content[place:])
        (folder / name).write_bytes(content)
    assert fingerprint(folder, FILES) != before


def test_sizes_and_names_change_it(folder):
    before = fingerprint(folder, FILES)
    (folder / "empty").write_bytes(b"\0")
    assert len({before, fingerprint(folder, FILES), fingerprint(folder, ["large", "small"])}) == 3
