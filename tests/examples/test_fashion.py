"""What the fashion example asks, and of which systems."""

from types import SimpleNamespace

import numpy as np
import pytest

from examples.fashion import BOTH, IMAGE, TEXT, closeup_systems, titles_of_pictures
from tfsage.config import Config
from tfsage.evaluation.judgements import Judgements


def test_pictures_are_asked_for_their_own_title():
    rng = np.random.default_rng(0)

    def unit(rows: int) -> np.ndarray:
        vectors = rng.normal(size=(rows, 4)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    titles, pictures = unit(40), unit(200)
    owned = rng.permutation(200)[:90]  # the other pictures are of titles of another part of the split
    title = np.concatenate([np.arange(40), rng.integers(0, 40, 50)])
    judgements = Judgements(title, owned, np.ones(90), len(pictures), np.arange(len(pictures)))
    frozen = SimpleNamespace(vectors=lambda task: (titles, pictures), judgements=lambda task: judgements)

    scores = pictures[owned] @ titles.T
    rank = (scores > np.take_along_axis(scores, title[:, None], 1)).sum(1)
    found = titles_of_pictures(frozen)["query_recall@10"]
    assert found.numerator.sum() / found.denominator.sum() == pytest.approx((rank < 10).mean())
    assert len(found.numerator) == 90


def test_ablations_read_one_modality_and_are_shown_no_held_out_picture():
    systems = {name: Config.model_validate(config) for _, name, config in closeup_systems()}
    towers = {name: config.towers["product"] for name, config in systems.items()}
    assert towers[IMAGE].images is not None and not towers[IMAGE].text_fields
    assert towers[TEXT].images is None and towers[TEXT].text_fields == towers[BOTH].text_fields
    strict = [task for name in (BOTH, IMAGE, TEXT) for task in systems[name].tasks]
    assert not any(task.held_out_images for task in strict)
    assert any(task.held_out_images for config in systems.values() for task in config.tasks)
    # What is left of a product when its only modality is hidden would be the same for all.
    assert not any(task.hide for name in (IMAGE, TEXT) for task in systems[name].tasks)
