import os
import shutil

import numpy as np
import pytest

from tfsage.config import TaskConfig
from tfsage.data import training_pairs as module
from tfsage.data.prepared import PreparedData
from tfsage.data.training_pairs import FOLDER, known_pairs, training_pairs

FIRST_ID = {"query": 0, "pin": 1000, "product": 2000}


@pytest.fixture
def data(prepared, tmp_path):
    shutil.copytree(prepared, tmp_path / "data", ignore=shutil.ignore_patterns(FOLDER))
    return PreparedData(tmp_path / "data")


def task(surface, query_type, **actions):
    described = {"surface": surface, "query_type": query_type, "actions": actions, "query_tower": "text"}
    return TaskConfig(name="task", **described)


SEARCH, CLOSEUP = task("search", "query", click=1.0, save=2.0), task("closeup", "pin", click=1.0)


def in_memory(data, task):
    return data.pairs("train", task.surface, task.query_type, task.actions)


@pytest.mark.parametrize("task", [SEARCH, CLOSEUP, task("home", "query", click=1.0)])
def test_pairs_are_those_of_the_prepared_data_and_mapped(data, task):
    found, wanted = training_pairs(data, task), in_memory(data, task)
    for name in found._fields:
        value, expected = getattr(found, name), getattr(wanted, "entity" if name == "candidate" else name)
        assert value.dtype == expected.dtype and np.array_equal(value, expected)
        assert isinstance(value.base, np.memmap) and type(value) is np.ndarray
    if task is SEARCH:
        assert len(np.unique(found.weight)) == 2


def test_known_pairs_are_those_of_all_tasks_once(data):
    click = task("search", "query", click=3.0)
    query, product = known_pairs(data, [SEARCH, click, CLOSEUP, SEARCH], FIRST_ID)
    wanted = {
        (int(row) + FIRST_ID[own.query_type], int(entity))
        for own in (SEARCH, click, CLOSEUP)
        for row, entity in zip(*in_memory(data, own)[:2], strict=True)
    }
    assert list(zip(query.tolist(), product.tolist(), strict=True)) == sorted(wanted)
    alone = known_pairs(data, [CLOSEUP], FIRST_ID)
    assert np.array_equal(alone[0], in_memory(data, CLOSEUP).query + 1000)
    assert [len(part) for part in known_pairs(data, [], FIRST_ID)] == [0, 0]


def test_they_are_written_once_and_anew_for_another_log(data, monkeypatch):
    training_pairs(data, SEARCH)
    folder = data.folder / FOLDER
    kept = {path.name: path.stat().st_ino for path in folder.iterdir()}
    monkeypatch.setattr(module, "connect", None)
    training_pairs(data, SEARCH)
    monkeypatch.undo()
    training_pairs(data, task("search", "query", click=1.0, save=3.0))
    shutil.copy(data.folder / "pairs_dev.parquet", data.folder / "pairs_train.parquet")
    found = training_pairs(data, SEARCH)
    assert np.array_equal(found.query, in_memory(data, SEARCH).query) and len(found.query)
    now = {path.name: path.stat().st_ino for path in folder.iterdir()}
    assert now.items() > kept.items() and len(now) == len(kept) + 2


def test_data_that_cannot_be_written_will_do(data, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    found = training_pairs(data, SEARCH)
    assert np.array_equal(found.candidate, in_memory(data, SEARCH).entity)
    assert not (data.folder / FOLDER).exists()
