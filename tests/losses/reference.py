"""Every form of the loss in plain numpy, row by row and column by column; and a batch to try it on."""

from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from tfsage.config import LossConfig
from tfsage.losses.candidates import IN_BATCH, RANDOM, Candidates, HardNegatives, QueryRows


@dataclass
class Batch:
    """Rows, candidates and hard negatives as numpy arrays; the rows may be a part of a larger batch."""

    queries: np.ndarray
    query_id: np.ndarray
    positive: np.ndarray
    weight: np.ndarray
    conditional: np.ndarray
    known: np.ndarray
    embedding: np.ndarray
    id: np.ndarray
    candidate_query_id: np.ndarray
    source: np.ndarray
    log_q: np.ndarray
    hard_row: np.ndarray
    hard_embedding: np.ndarray

    def rows(self, dtype=tf.float64) -> QueryRows:
        return QueryRows(
            tf.cast(self.queries, dtype),
            tf.constant(self.query_id, tf.int64),
            tf.constant(self.positive, tf.int32),
            tf.constant(self.weight, tf.float64),
            tf.constant(self.conditional, tf.float64),
            tf.constant(self.known.reshape(-1, 2), tf.int64),
        )

    def candidates(self, dtype=tf.float64) -> Candidates:
        return Candidates(
            tf.cast(self.embedding, dtype),
            tf.constant(self.id, tf.int64),
            tf.constant(self.candidate_query_id, tf.int64),
            tf.constant(self.source, tf.int32),
            tf.constant(self.log_q, tf.float64),
            tf.ones(len(self.id), tf.float64),
        )

    def hard(self, dtype=tf.float64) -> HardNegatives:
        return HardNegatives(tf.constant(self.hard_row, tf.int32), tf.cast(self.hard_embedding, dtype))

    def part(self, rows) -> "Batch":
        """The same batch with only those rows; the candidates stay."""
        rows = np.asarray(rows, int)
        place = {row: index for index, row in enumerate(rows)}
        known = [(place[r], i) for r, i in self.known if r in place]
        own = np.isin(self.hard_row, rows)
        return replace(
            self,
            queries=self.queries[rows],
            query_id=self.query_id[rows],
            positive=self.positive[rows],
            weight=self.weight[rows],
            conditional=self.conditional[rows],
            known=np.array(known, int).reshape(-1, 2),
            hard_row=np.array([place[r] for r in self.hard_row[own]], int),
            hard_embedding=self.hard_embedding[own],
        )

    def reordered(self, order) -> "Batch":
        """The same batch with its columns in another order, in-batch ones still first."""
        order = np.asarray(order)
        inverse = np.argsort(order)
        fields = ("embedding", "id", "candidate_query_id", "source", "log_q")
        moved = {name: getattr(self, name)[order] for name in fields}
        return replace(self, positive=inverse[self.positive], **moved)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def batch(seed=0, dimension=6) -> Batch:
    """Rows out of order; entities that occur several times, in both sources; queries with several positives."""
    random = np.random.default_rng(seed)
    ids = np.array([11, 12, 11, 13, 14, 12, 15, 16] + [21, 12, 22, 21, 11, 15, 23])
    positive = np.array([5, 0, 3, 1, 4])
    candidate_query = np.array([1, 2, 3, 2, 4, 1, 1, 5] + [-1] * 7)
    source = np.array([IN_BATCH] * 8 + [RANDOM] * 7)
    frequency = dict(zip(np.unique(ids), random.dirichlet(np.ones(len(np.unique(ids))) * 2), strict=True))
    p = np.array([frequency[i] for i in ids])
    return Batch(
        queries=unit(random.normal(size=(5, dimension))),
        query_id=candidate_query[positive],
        positive=positive,
        weight=np.array([1.0, 0.5, 0.0, 2.0, 1.5]),
        conditional=np.log([1.0, 0.5, 0.3, 1.0, 0.25]),
        # Row 0: an entity of both sources and one that is nowhere; row 3: its own positive, which is no other one.
        known=np.array([(0, 15), (0, 99), (1, 22), (3, 12), (3, 21), (3, 21)]),
        embedding=unit(random.normal(size=(15, dimension))),
        id=ids,
        candidate_query_id=candidate_query,
        source=source,
        log_q=np.log(np.where(source == IN_BATCH, p, 0.05)),
        hard_row=np.array([0, 3, 0, 1, 0]),
        hard_embedding=unit(random.normal(size=(5, dimension))),
    )


def losses(data: Batch, loss: LossConfig, hard_weight: float = 0.0) -> dict:
    """{"total", "rows" [B], "negatives" [B], "uncertainty" [B]} of the loss, in float64."""
    sources = {"in_batch": [IN_BATCH], "random": [RANDOM], "sum": [IN_BATCH, RANDOM], "mixed": [None]}[loss.negatives]
    rows, negatives, uncertainty = np.zeros((3, len(data.queries)))
    for i in range(len(data.queries)):
        for source in sources:
            value, count, share = _softmax(data, loss, i, source)
            rows[i] += value
            negatives[i] += count
            uncertainty[i] += share / len(sources)
        rows[i] += hard_weight * _hard(data, loss, i)
        for dimensions, weight in loss.prefixes.items():
            short = replace(
                data,
                queries=unit(data.queries[:, :dimensions]),
                embedding=unit(data.embedding[:, :dimensions]),
                hard_embedding=unit(data.hard_embedding[:, :dimensions]),
            )
            rows[i] += weight * sum(_softmax(short, loss, i, source)[0] for source in sources)
            rows[i] += weight * hard_weight * _hard(short, loss, i)
    return {"total": data.weight @ rows, "rows": rows, "negatives": negatives, "uncertainty": uncertainty}


def _softmax(data: Batch, loss: LossConfig, i: int, source) -> tuple[float, float, float]:
    """Loss, number of negatives and 1 − P̂ of one row by one softmax."""
    columns = [j for j in range(len(data.id)) if source is None or data.source[j] == source]
    own_id = data.id[data.positive[i]]
    banned = set()
    if loss.mask_other_positives:
        in_batch = np.flatnonzero(data.source == IN_BATCH)
        banned |= {data.id[j] for j in in_batch if data.candidate_query_id[j] == data.query_id[i]}
        banned |= {entity for row, entity in data.known if row == i}
        banned -= {own_id}
    if loss.duplicates != "keep" or source == RANDOM:
        banned |= {own_id}
    valid = [j for j in columns if data.id[j] not in banned and j != data.positive[i]]
    # Copies of an entity share its vote where duplicates are left out.
    votes = {j: 1 / sum(data.id[k] == data.id[j] for k in columns) for j in columns}
    if loss.duplicates != "dedup":
        votes = dict.fromkeys(columns, 1.0)
    count = sum(votes[j] for j in valid)

    q = {j: np.exp(data.log_q[j]) for j in columns}
    own_q = np.exp(data.log_q[columns[0]] if source == RANDOM else data.log_q[data.positive[i]])
    slots = len(columns)
    given = loss.frequency.kind == "gap" and source == IN_BATCH
    others = slots if source == RANDOM else slots - 1

    def included(probability, slots):
        return probability if given else 1 - (1 - probability) ** slots

    if source is None and loss.proposal == "own":
        size = {kind: sum(data.source == kind) for kind in (IN_BATCH, RANDOM)}
        divisor = {j: q[j] ** loss.correction * size[data.source[j]] for j in columns}
        own = divisor[data.positive[i]]
    elif loss.positive_correction == "all" and loss.duplicates == "dedup":
        divisor = {j: included(q[j], slots) ** loss.correction for j in columns}
        own = included(own_q, slots) ** loss.correction
    elif loss.positive_correction == "all":
        divisor = {j: q[j] ** loss.correction for j in columns}
        own = own_q**loss.correction
    elif loss.positive_correction == "none" and loss.duplicates == "dedup":
        divisor, own = {j: included(q[j], others) for j in columns}, 1.0
    elif loss.positive_correction == "none":
        divisor, own = {j: count * q[j] / (1 - own_q) for j in columns}, 1.0
    elif loss.duplicates == "dedup":
        divisor, own = {j: included(q[j], slots) for j in columns}, np.exp(data.conditional[i])
    else:
        divisor, own = {j: slots * q[j] for j in columns}, np.exp(data.conditional[i])

    scores = data.embedding @ data.queries[i] / loss.temperature
    z = {j: scores[j] - np.log(divisor[j]) for j in valid}
    positive = scores[data.positive[i]] - np.log(own)
    used = list(valid)
    if loss.hardest is not None and len(used) > loss.hardest:
        smallest = sorted((z[j] + np.log(votes[j]) for j in used), reverse=True)[loss.hardest - 1]
        used = [j for j in used if z[j] + np.log(votes[j]) >= smallest]
        count = min(count, loss.hardest)
    summed = sum(votes[j] * np.exp(z[j] - positive) for j in used)
    value = np.log1p(summed)
    mean = (positive + sum(votes[j] * z[j] for j in valid)) / (1 + sum(votes[j] for j in valid))
    return value + loss.label_smoothing * (positive - mean), count, summed / (1 + summed)


def _hard(data: Batch, loss: LossConfig, i: int) -> float:
    own = data.hard_embedding[data.hard_row == i]
    positive = data.embedding[data.positive[i]]
    return np.log1p(np.exp((own - positive) @ data.queries[i] / loss.temperature).sum())
