from tests.losses.pools import P, R, S, pool
from tfsage.losses.candidates import IN_BATCH, RANDOM


def test_the_columns_of_a_source():
    _, candidates = pool(S, P, random=R, random_ids=[50, 51])
    assert candidates.id[candidates.columns(IN_BATCH)].numpy().tolist() == [0, 1, 2]
    assert candidates.id[candidates.columns(RANDOM)].numpy().tolist() == [50, 51]
    assert candidates.id[candidates.columns(None)].numpy().tolist() == [0, 1, 2, 50, 51]


def test_without_random_negatives():
    _, candidates = pool(S, P)
    assert candidates.id[candidates.columns(IN_BATCH)].shape == (3,)
    assert candidates.id[candidates.columns(RANDOM)].shape == (0,)
