"""How far the estimated log Q is from the exact one, seen in TensorBoard while training goes on."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tf_keras

from tfsage.losses.frequency import CountMinSketch, ExactFrequency, GapEstimator

_BANDS = 20


class TrackedIds(NamedTuple):
    """A fixed sample of the ids of a pool, from the most frequent to the rarest.

    Attributes:
        ids: int64 [m].
        probability: float64 [m], of each that one slot of a batch holds it.
        traffic: float64 [m], how much each stands for in a mean over the slots of batches; they add up to 1.
        catalog: float64 [m], how much each stands for in a mean over the ids that occur at all; they add up to 1.
    """

    ids: np.ndarray
    probability: np.ndarray
    traffic: np.ndarray
    catalog: np.ndarray


class Calibration(tf_keras.callbacks.Callback):
    """Compares estimated with exact log Q, on a tracked sample of ids of every pool, at the end of each epoch.

    It writes, for each pool, under `calibration/POOL/`:

    | name | what |
    |---|---|
    | `mean_error`, `mean_absolute_error` | of estimated minus exact log Q, over the slots of batches: for the loss |
    | `catalog_mean_error`, `catalog_mean_absolute_error` | the same over ids: mostly the rare ones |
    | `errors` | histogram of the errors of the sample |
    | `log_q` | picture: estimated against exact log Q, with the diagonal |

    A mean error above zero says that ids are taken for more frequent than they are (a sketch that is too narrow), a
    mean absolute error that stays large that counts are lost or come from other batches than those trained on (a
    decay too fast, a share of a task that changed). Early in a run the rare ids err, since few were met yet.

    Args:
        writer: of TensorBoard files.
        frequencies: pool → its estimator.
        probabilities: pool → float64 [catalog], the exact probability that a slot of a batch holds the id, see
            `slot_probabilities`; ids of probability zero are not tracked.
        slots: pool → positives in a batch. An estimator of inclusion rates is held against 1 − (1 − p)^slots.
        sample: how many ids are tracked in each pool, at most.
        seed: of the sample.
    """

    def __init__(
        self,
        writer: tf.summary.SummaryWriter,
        frequencies: Mapping[str, ExactFrequency | CountMinSketch | GapEstimator],
        probabilities: Mapping[str, np.ndarray],
        slots: Mapping[str, int],
        sample: int = 2000,
        seed: int = 0,
    ):
        super().__init__()
        self._writer, self._frequencies = writer, frequencies
        self._tracked = {pool: track(probabilities[pool], sample, seed) for pool in frequencies}
        self._exact = {
            pool: exact_log_q(self._tracked[pool].probability, slots[pool] if frequency.inclusion else None)
            for pool, frequency in frequencies.items()
        }

    def on_epoch_end(self, epoch, logs=None):
        step = int(self.model.optimizer.iterations.numpy())
        with self._writer.as_default(step):
            for pool, tracked in self._tracked.items():
                estimated = self._frequencies[pool].log_q(tf.constant(tracked.ids)).numpy()
                error = estimated - self._exact[pool]
                for name, value in summarize(error, tracked).items():
                    tf.summary.scalar(f"calibration/{pool}/{name}", value)
                tf.summary.histogram(f"calibration/{pool}/errors", error)
                tf.summary.image(f"calibration/{pool}/log_q", _scatter(self._exact[pool], estimated)[None])
        self._writer.flush()


def slot_probabilities(tasks: Iterable[tuple[float, np.ndarray]], size: int) -> np.ndarray:
    """The exact probability that one slot of a batch holds each id: Σ_k (T_k / Σ T) · (share of the pairs of task k).

    The weights of pairs play no part, since they do not change how often a pair is in a batch.

    Args:
        tasks: for each task k that trains the pool, its slots T_k in a batch and the ids of its pairs, int [pairs].
        size: ids are in [0, size).

    Returns:
        float64 [size], which adds up to 1.

    Three slots of four go to a task with the pairs 0, 0, 1, one to a task with the pair 2:

    >>> slot_probabilities([(3, np.array([0, 0, 1])), (1, np.array([2]))], 4).tolist()
    [0.5, 0.25, 0.25, 0.0]
    """
    tasks = list(tasks)
    total = sum(slots for slots, _ in tasks)
    return sum(slots / total * np.bincount(ids, minlength=size) / len(ids) for slots, ids in tasks)


def track(probability: np.ndarray, sample: int, seed: int = 0) -> TrackedIds:
    """Draws ids from the whole range of frequencies: as many as can be from each of 20 equal stretches of log p.

    A mean over the sample, weighted by `traffic` or `catalog`, estimates that over all ids without bias in `catalog`,
    and nearly so in `traffic`: each drawn id stands for its share of its stretch. Where all ids are drawn it is exact.

    Args:
        probability: float [n], of each id below n.
        sample: at most so many ids are drawn, at least 20.
        seed: of the draw.
    """
    generator = np.random.default_rng(seed)
    seen = np.flatnonzero(probability)
    log_p = np.log(probability[seen])
    band = np.digitize(log_p, np.linspace(log_p.min(), log_p.max(), _BANDS + 1)[1:-1])
    members = sorted((seen[band == b] for b in np.unique(band)), key=len)
    drawn, left = [], sample
    for place, ids in enumerate(members):
        # What a small stretch leaves of its share goes to the larger ones.
        own = generator.choice(ids, min(len(ids), left // (len(members) - place)), replace=False)
        left -= len(own)
        traffic = probability[own] / probability[own].sum() * probability[ids].sum() / probability[seen].sum()
        drawn.append((own, probability[own], traffic, np.full(len(own), len(ids) / len(own) / len(seen))))
    columns = [np.concatenate(column) for column in zip(*drawn, strict=True)]
    order = np.lexsort((columns[0], -columns[1]))
    return TrackedIds(*(column[order] for column in columns))


def exact_log_q(probability: np.ndarray, slots: int | None = None) -> np.ndarray:
    """log p, or with `slots` the log of the inclusion rate 1 − (1 − p)^slots; float64 [m]."""
    if slots is None:
        return np.log(probability)
    with np.errstate(divide="ignore"):  # of an id that fills every slot, whose rate is 1
        return np.log(-np.expm1(slots * np.log1p(-probability)))


def summarize(error: np.ndarray, tracked: TrackedIds) -> dict[str, float]:
    """Means of estimated minus exact log Q [m], over the slots of batches and over the ids of the catalog."""
    return {
        "mean_error": float(tracked.traffic @ error),
        "mean_absolute_error": float(tracked.traffic @ np.abs(error)),
        "catalog_mean_error": float(tracked.catalog @ error),
        "catalog_mean_absolute_error": float(tracked.catalog @ np.abs(error)),
    }


def _scatter(exact: np.ndarray, estimated: np.ndarray) -> np.ndarray:
    """A picture, uint8 [height, width, 4]."""
    # Loaded on first use, since it takes a second.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.axline((exact.max(), exact.max()), slope=1, color="0.6", linewidth=1)
    axes.scatter(exact, estimated, s=6, linewidths=0)
    axes.set(xlabel="exact log Q", ylabel="estimated log Q")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())
