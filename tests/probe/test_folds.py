import numpy as np
import pytest

from tfsage.errors import TfsageError
from tfsage.probe.folds import assign_folds, frequent_labels


def test_every_fold_has_the_mixture_of_the_whole():
    labels = np.repeat([0, 1, 2], [500, 50, 10])
    folds = assign_folds(labels, np.arange(560), 5, seed=1)
    for label, rows in ((0, 100), (1, 10), (2, 2)):
        assert (np.bincount(folds[labels == label], minlength=5) == rows).all()


def test_groups_are_never_split_and_labels_still_spread():
    rng = np.random.default_rng(1)
    groups = rng.integers(0, 120, 600)
    labels = rng.integers(0, 3, 120)[groups]
    folds = assign_folds(labels, groups, 4, seed=1)
    assert all(len(set(folds[groups == group])) == 1 for group in np.unique(groups))
    shares = [np.bincount(labels[folds == fold], minlength=3) / (folds == fold).sum() for fold in range(4)]
    assert np.abs(shares - np.bincount(labels) / 600).max() < 0.05


def test_a_label_counts_by_its_groups():
    """Ten rows of one group can be in one fold only."""
    labels = np.array(["a"] * 10 + ["b"] * 10 + ["c"] * 10)
    groups = np.concatenate([np.zeros(10), np.arange(1, 11), np.arange(11, 21)])
    kept = frequent_labels(labels, groups, 3)
    assert set(labels[kept]) == {"b", "c"} and kept.sum() == 20
    with pytest.raises(TfsageError, match="2 of 3 occur|1 of 3 occur|0 of 3 occur"):
        frequent_labels(labels, np.zeros(30), 3)
