"""Rows and candidates whose logits are given, for tests of the losses."""

import numpy as np
import tensorflow as tf

from tfsage.losses.candidates import IN_BATCH, RANDOM, Candidates, QueryRows

S = np.array([[2.0, 1.0, 0.0], [0.5, 1.5, -0.5], [0.0, 1.0, 3.0]])
R = np.array([[0.2, -0.3], [1.0, 0.0], [-1.0, 0.5]])
P = np.array([0.5, 0.3, 0.2])
U = 0.25
"""The base batch of the numeric oracles: in-batch logits, random logits, frequencies, uniform probability."""


def pool(in_batch, p, random=None, u=U, ids=None, random_ids=None, query_ids=None, weight=None):
    """Rows and candidates with logits `in_batch` [B, P] beside `random` [B, N] at scale 1.

    With the rows of the identity matrix as queries, the embeddings are the columns of the logit matrix. Ids are
    distinct unless given; row i belongs to column i.
    """
    rows, positives = np.shape(in_batch)
    logits = np.asarray(in_batch) if random is None else np.concatenate([in_batch, random], axis=1)
    negatives = logits.shape[1] - positives
    ids = np.arange(positives) if ids is None else ids
    random_ids = 1000 + np.arange(negatives) if random_ids is None else random_ids
    query_ids = np.arange(positives) if query_ids is None else query_ids
    candidates = Candidates(
        embedding=tf.constant(logits.T, tf.float64),
        id=tf.constant(np.concatenate([ids, random_ids]), tf.int64),
        query_id=tf.constant(np.concatenate([query_ids, np.full(negatives, -1)]), tf.int64),
        source=tf.constant([IN_BATCH] * positives + [RANDOM] * negatives, tf.int32),
        log_q=tf.constant(np.log(np.concatenate([p, np.full(negatives, u)])), tf.float64),
        weight=tf.ones([logits.shape[1]], tf.float64),
    )
    queries = QueryRows(
        embedding=tf.eye(rows, dtype=tf.float64),
        query_id=tf.constant(query_ids[:rows], tf.int64),
        positive=tf.range(rows),
        weight=tf.ones([rows], tf.float64) if weight is None else tf.constant(weight, tf.float64),
        conditional_log_q=tf.zeros([rows], tf.float64),
    )
    return queries, candidates
