import numpy as np
import pytest

from tfsage.config import TaskConfig, TrainingConfig
from tfsage.data.shares import Shares


def shares(phases, batch_size=10, share=(2.0, 1.0, 1.0), pairs_of=(None, None, "a")):
    tasks = [
        TaskConfig(name=name, share=own, pairs_of=other, surface="search", actions={"click": 1}, query_tower="text")
        for name, own, other in zip("abc", share, pairs_of, strict=True)
    ]
    drawn_by = ["abc".index(other or name) for name, other in zip("abc", pairs_of, strict=True)]
    return Shares(tasks, drawn_by, TrainingConfig(batch_size=batch_size, phases=phases))


def at(found, step):
    return [part.tolist() for part in found(step)]


def test_shared_pairs_are_as_many_as_those_of_the_task_they_are_drawn_for():
    found = shares([{"steps": 4}])
    # 10 pairs at 2 : 1 are 6.67 and 3.33: the largest remainder is rounded up, and c counts in no batch size.
    assert at(found, 0) == [[7, 3, 7], [0, 0, 0]]
    assert at(found, 3) == [[7, 3, 7], [21, 9, 21]]


def test_what_was_drawn_goes_on_from_phase_to_phase_whichever_of_the_sharing_tasks_is_trained():
    phases = [{"steps": 2, "tasks": ["c"]}, {"steps": 3, "tasks": ["a", "b"]}, {"steps": 1}]
    found = shares(phases)
    assert found.total_steps == 6
    assert at(found, 1) == [[0, 0, 10], [10, 0, 10]]
    assert at(found, 3) == [[7, 3, 0], [27, 3, 27]]
    counts, taken = at(found, 5)
    assert counts == [7, 3, 7] and taken[0] == taken[2] == 41, "a and c are always at the same pair"
    with pytest.raises(IndexError, match="ends after 6 steps"):
        found(6)


def test_every_batch_is_full():
    rng = np.random.default_rng(0)
    for _ in range(20):
        found = shares([{"steps": 1}], int(rng.integers(1, 50)), rng.uniform(0.1, 5, 3).tolist(), (None,) * 3)
        counts, _taken = found(0)
        assert counts.sum() == found._batch_size
