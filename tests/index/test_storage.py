"""An index that was tampered with is never opened."""

import pickle

import numpy as np
import pytest

from tests.index.clusters import clustered
from tfsage.errors import TfsageError
from tfsage.index import build_index, load_index
from tfsage.index.storage import REPORT


@pytest.fixture
def folder(tmp_path):
    build_index(clustered(300), tmp_path / "index", 0.9, {"query": clustered(20, seed=3)}, kind="scann_tree")
    return tmp_path / "index"


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != REPORT)


def test_one_flipped_bit_in_any_file_is_refused(folder):
    """ScaNN itself loads codes and leaves with flipped bits silently."""
    for path in files(folder):
        whole = path.read_bytes()
        damaged = bytearray(whole)
        damaged[len(damaged) // 2] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(TfsageError, match=f"{path.name}: the file was changed or damaged"):
            load_index(folder)
        path.write_bytes(whole)
    assert load_index(folder).count == 300


def test_a_missing_file_is_refused_and_nothing_is_written(folder):
    """Without its asset list ScaNN would write a new one into the folder."""
    (folder / "searcher" / "scann_assets.pbtxt").unlink()
    before = files(folder)
    with pytest.raises(TfsageError, match="scann_assets.pbtxt: the file is missing"):
        load_index(folder)
    assert files(folder) == before


def test_a_pickle_is_refused_before_it_is_loaded(folder, tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    (folder / "searcher" / "scann_docids.pkl").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(TfsageError, match="loading a pickle can run any code"):
        load_index(folder)
    assert not (tmp_path / "sprung").exists()


def test_a_foreign_file_is_refused(folder):
    np.save(folder / "searcher" / "int8_dataset.npy", np.zeros(3))
    with pytest.raises(TfsageError, match="do not belong to the index.*int8_dataset.npy"):
        load_index(folder)


def test_not_an_index(folder, tmp_path):
    with pytest.raises(TfsageError, match="not an index .no index.json"):
        load_index(tmp_path)
    (folder / REPORT).write_text('{"format": 2}')
    with pytest.raises(TfsageError, match="not an index of this version of tfsage"):
        load_index(folder)
