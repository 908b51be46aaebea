"""Home: from what a person engaged with to a few queries, as PinnerSage does it and ItemSage uses it (§3.1).

Activity is clustered by Ward's method, each cluster is represented by its medoid, weighs what its members weigh by
their age, and a few clusters are sampled by that weight, so that a large interest does not crowd out a small one
(Pal et al., PinnerSage, KDD 2020, §4).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

THRESHOLD = 0.7
"""Clusters are merged while that raises the sum of squared distances to the centres by at most this much; two single
unit vectors by 1 - cosine."""

DECAY = 0.01
"""Per day: an engagement of 69 days ago weighs half as much as one of today (the paper's rate)."""


class Cluster(NamedTuple):
    """Part of an activity.

    members: int64 [n], places in the activity, rising.
    medoid: the member with the least sum of squared distances to the others; the first of those that tie.
    importance: Σ exp(-decay · age in days) over the members.
    """

    members: np.ndarray
    medoid: int
    importance: float


def find_clusters(
    vectors: np.ndarray, ages: np.ndarray, threshold: float = THRESHOLD, decay: float = DECAY
) -> list[Cluster]:
    """Ward's clusters of an activity, the most important first.

    Args:
        vectors: floating [n, dimension], n >= 1. Time and memory grow with n².
        ages: floating [n], days, not negative.
        threshold: largest rise of the sum of squares at which two clusters are still merged.
        decay: per day.
    """
    if len(vectors) == 1:
        labels = np.ones(1, np.int64)
    else:
        # SciPy's height is the square root of twice the rise of the sum of squares.
        labels = fcluster(linkage(vectors, "ward"), np.sqrt(2 * threshold), criterion="distance")
    clusters = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        importance = float(np.exp(-decay * ages[members]).sum())
        clusters.append(Cluster(members, _medoid(vectors, members), importance))
    return sorted(clusters, key=lambda cluster: (-cluster.importance, cluster.medoid))


def sample_clusters(clusters: Sequence[Cluster], count: int, seed: int) -> list[Cluster]:
    """Up to `count` distinct clusters, drawn in proportion to their importance; the most important first.

    The same seed draws the same clusters.
    """
    if len(clusters) <= count:
        return list(clusters)
    importance = np.array([cluster.importance for cluster in clusters])
    if not importance.sum() > 0:
        # Ages so high that every weight has vanished.
        importance = np.ones(len(clusters))
    # Efraimidis and Spirakis (2006): the largest log(u) / w are a weighted sample without replacement.
    draws = np.log(np.random.default_rng(seed).uniform(np.finfo(float).tiny, 1.0, len(clusters)))
    with np.errstate(divide="ignore"):
        chosen = np.argsort(-(draws / importance), kind="stable")[:count]
    return [clusters[place] for place in sorted(chosen)]


class Merged(NamedTuple):
    """A product taken from one of several rankings: its row, its score there, which ranking, and its place there."""

    row: int
    score: float
    ranking: int
    rank: int


def interleave(rankings: Sequence[tuple[np.ndarray, np.ndarray]], k: int) -> list[Merged]:
    """Merges rankings in turns: each gives its best product that none has given yet, until there are `k`.

    Scores of different clusters are not compared: a tight cluster would push the others out.

    Args:
        rankings: rows and scores of each, best first.
        k: products wanted.
    """
    taken, merged, places = set(), [], [0] * len(rankings)
    while len(merged) < k and any(place < len(rows) for place, (rows, _) in zip(places, rankings, strict=True)):
        for number, (rows, scores) in enumerate(rankings):
            while places[number] < len(rows) and int(rows[places[number]]) in taken:
                places[number] += 1
            if places[number] < len(rows) and len(merged) < k:
                row = int(rows[places[number]])
                merged.append(Merged(row, float(scores[places[number]]), number, places[number] + 1))
                taken.add(row)
    return merged


def _medoid(vectors: np.ndarray, members: np.ndarray) -> int:
    # Σ_j |x_i - x_j|² is n |x_i - centre|² plus the same for every i; rounded, so that equal distances tie.
    own = np.asarray(vectors[members], np.float64)
    distances = ((own - own.mean(axis=0)) ** 2).sum(axis=1)
    return int(members[np.argmin(np.round(distances, 9))])
