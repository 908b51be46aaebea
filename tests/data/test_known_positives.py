import numpy as np

from tfsage.data.known_positives import KnownPositives


def test_every_other_known_positive_is_found_among_the_candidates():
    rng = np.random.default_rng(1)
    pairs = {(query, product) for query, product in rng.integers(0, [30, 50], (400, 2)).tolist()}
    known = KnownPositives(*np.array(sorted(pairs)).T)
    rows = rng.integers(0, 40, 25)
    positive, candidates = rng.integers(0, 50, 25), rng.integers(0, 60, 80)
    expected = [
        [row, candidate]
        for row in range(25)
        for candidate in sorted(set(candidates.tolist()))
        if (rows[row], candidate) in pairs and candidate != positive[row]
    ]
    assert sorted(known.find(rows, positive, candidates).tolist()) == expected
    assert len(expected) > 50


def test_nothing_known_and_nothing_asked():
    empty = np.zeros(0, np.int64)
    some = np.arange(3)
    assert KnownPositives(empty, empty).find(some, some, some).shape == (0, 2)
    assert KnownPositives(some, some).find(empty, empty, some).shape == (0, 2)
