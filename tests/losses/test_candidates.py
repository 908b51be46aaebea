import numpy as np

from tests.losses.pools import P, R, S, pool
from tfsage.losses.candidates import IN_BATCH, RANDOM


def test_the_candidates_of_a_source_in_every_field():
    _, candidates = pool(S, P, random=R, random_ids=[50, 51])
    positives, negatives = candidates.of(IN_BATCH), candidates.of(RANDOM)
    assert positives.id.numpy().tolist() == [0, 1, 2]
    assert negatives.id.numpy().tolist() == [50, 51]
    for field, ours, theirs in zip(candidates, positives, negatives, strict=True):
        np.testing.assert_array_equal(np.concatenate([ours, theirs]), field)
        assert len(ours) == 3
    assert candidates.of(None) is candidates


def test_without_random_negatives():
    _, candidates = pool(S, P)
    assert (len(candidates.of(IN_BATCH).id), len(candidates.of(RANDOM).id)) == (3, 0)
