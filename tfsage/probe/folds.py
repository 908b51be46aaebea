"""Which row is tested in which fold."""

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from tfsage.errors import TfsageError


def assign_folds(labels: np.ndarray, groups: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Deals rows into folds of much the same mixture of labels; rows of a group stay together.

    Args:
        labels: int [n].
        groups: int [n]; where every row is a group of its own, the mixture is as equal as it can be.
        folds: at least 2.
        seed: of the shuffling.

    Returns:
        int64 [n], the fold that a row is tested in.
    """
    if len(np.unique(groups)) == len(groups):
        splits = StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels, labels)
    else:
        splits = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(labels, labels, groups)
    of_row = np.empty(len(labels), np.int64)
    for fold, (_, test) in enumerate(splits):
        of_row[test] = fold
    return of_row


def frequent_labels(labels: np.ndarray, groups: np.ndarray, least: int) -> np.ndarray:
    """Marks the rows whose label occurs in at least `least` groups, bool [n]: rarer ones cannot be in every fold.

    Raises:
        TfsageError: fewer than two labels are that frequent.
    """
    names, label = np.unique(labels, return_inverse=True)
    pairs = np.unique(np.stack([label, np.unique(groups, return_inverse=True)[1]]), axis=1)
    spread = np.bincount(pairs[0], minlength=len(names))
    if (spread >= least).sum() < 2:
        raise TfsageError(
            f"labels: {(spread >= least).sum()} of {len(names)} occur in at least {least} rows (or groups) that may be "
            f"told apart; a probe needs two such labels: give more rows, or fewer folds"
        )
    return spread[label] >= least
