import numpy as np

from tests.losses.pools import P, R, S, pool


def test_split_separates_the_sources_in_every_field():
    _, _, candidates = pool(S, P, random=R, random_ids=[50, 51])
    positives, negatives = candidates.split()
    assert positives.id.numpy().tolist() == [0, 1, 2]
    assert negatives.id.numpy().tolist() == [50, 51]
    for field, ours, theirs in zip(candidates, positives, negatives, strict=True):
        np.testing.assert_array_equal(np.concatenate([ours, theirs]), field)
        assert len(ours) == 3


def test_split_without_random_negatives():
    _, _, candidates = pool(S, P)
    positives, negatives = candidates.split()
    assert (len(positives.id), len(negatives.id)) == (3, 0)
