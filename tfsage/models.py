"""Towers × tasks → one tfrs.Model."""

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs
import tf_keras

from tfsage.config import Config
from tfsage.data.batches import TrainingBatches
from tfsage.data.prepared import PreparedData
from tfsage.errors import TfsageError
from tfsage.losses import IN_BATCH, RANDOM, Candidates, SampledSoftmaxTask, build_frequency, check_loss
from tfsage.text.bags import bag_of_position
from tfsage.text.hash_embedding import HashEmbedding
from tfsage.text.vocabulary import Vocabulary
from tfsage.text.wordpiece import training_wordpiece
from tfsage.towers.base import Tower
from tfsage.towers.factory import build_towers
from tfsage.training.optimizers import build_optimizer

_SAMPLE = 100_000
"""Frozen embeddings that the statistics of a standardizing tower are taken from."""


class ItemSage(tfrs.Model):
    """Product embeddings for every surface and engagement at once (ItemSage, KDD'22).

    Queries may be frozen embeddings, as in the paper, or come from towers that are trained along. Tasks that share a
    candidate tower share one pool of candidates and one frequency estimator.

        data = PreparedData("data")
        model = ItemSage(load_config("configs/itemsage.yaml"), data)
        model.compile()
        model.fit(model.batches.dataset(featurize=model.featurize), steps_per_epoch=100, epochs=10)
        vectors = model.towers["product"](features)

    Args:
        config: towers, tasks, loss and training sections are used.
        data: a prepared folder; its training pairs and its catalog are read, batch by batch.

    Raises:
        TfsageError: a task has no pairs, or the loss options are inconsistent.
    """

    def __init__(self, config: Config, data: PreparedData):
        check_loss(config.loss, config.training.random_negatives)
        super().__init__(name="itemsage")
        self.config = config
        self.batches = TrainingBatches(data, config)
        vocabulary = Vocabulary.load(data.vocabulary_folder)
        self.towers: dict[str, Tower] = build_towers(config, vocabulary, _wordpiece(config, data), data.text_fields)
        self._retrieval = {}
        self._frequency = {}
        for pool in sorted({task.candidate_tower for task in self.batches.tasks}):
            self._retrieval[pool] = SampledSoftmaxTask(config.loss)
            self._frequency[pool] = build_frequency(config.loss.frequency, data.product_count)
        self._random_log_q = -tf.math.log(tf.cast(data.product_count, tf.float32))
        self._loss = tf_keras.metrics.Mean("loss")
        self._task_losses = [tf_keras.metrics.Mean(task.name) for task in self.batches.tasks]
        self._build_towers()
        self._blank = {name: self._standardize(name, data) for name in self.towers}

    @property
    def table_variables(self) -> list[tf.Variable]:
        """The hash tables: rows are touched sparsely, so they have an optimizer of their own."""
        layers = [part for part in self.submodules if isinstance(part, HashEmbedding)]
        return list({id(v): v for layer in layers for v in layer.trainable_variables}.values())

    def compile(self, optimizer=None, **kwargs):
        """Compiles with the optimizer that the config describes, or with one of yours."""
        super().compile(optimizer or build_optimizer(self.config, self), **kwargs)

    def featurize(self, batch: dict) -> dict:
        """Turns the raw queries of a batch into features, in the graph; `dataset` runs it beside the training step."""
        queries = {name: self.towers[name].featurize(raw) for name, raw in batch["queries"].items()}
        candidates = dict(batch["candidates"])
        training = self.config.training
        for part, seed in ((queries, batch["seed"] + 1), (candidates, batch["seed"])):
            for name, features in part.items():
                features = drop_tokens(features, training.token_dropout, seed)
                part[name] = drop_entries(features, training.embedding_dropout, seed, self._blank[name])
        return {**batch, "queries": queries, "candidates": candidates}

    def compute_loss(self, batch: dict, training: bool = False) -> tf.Tensor:
        """The weighted mean loss over the rows of a featurized batch, a float32 scalar."""
        total, weight = self._sums(batch, training)
        return total / weight

    def train_step(self, batch: dict) -> dict:
        """One update; also says whether the loss and every gradient were finite (`finite`, 1.0 or 0.0)."""
        with tf.GradientTape() as tape:
            total, weight = self._sums(batch, training=True)
            loss = total / weight
        variables = self.trainable_variables
        gradients = tape.gradient(loss, variables)
        finite = tf.math.is_finite(loss) & tf.math.is_finite(tf.linalg.global_norm(gradients))
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        self._loss.update_state(loss, weight)
        logs = {metric.name: metric.result() for metric in [self._loss, *self._task_losses]}
        return {**logs, **self.temperatures(), "finite": tf.cast(finite, tf.float32)}

    def temperatures(self) -> dict[str, tf.Tensor]:
        """The temperature of each pool of candidates."""
        return {f"temperature_{pool}": task.temperature() for pool, task in self._retrieval.items()}

    @property
    def metrics(self):
        return [self._loss, *self._task_losses]

    def _sums(self, batch: dict, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        names = sorted(batch["queries"])
        queries = tf.concat([self.towers[name](batch["queries"][name], training=training) for name in names], 0)
        total = weight = tf.constant(0.0)
        for pool, pairs in batch["pairs"].items():
            embeddings = self.towers[pool](batch["candidates"][pool], training=training)
            candidates = self._candidates(pool, pairs, embeddings, training)
            own = tf.gather(queries, pairs["query_row"])
            known = _mask(pairs["known_positives"], tf.size(pairs["query_id"]), tf.size(candidates.id))
            rows = self._retrieval[pool].row_losses(own, pairs["query_id"], candidates, known)
            self._record(rows, pairs)
            total += tf.reduce_sum(rows * pairs["weight"])
            weight += tf.reduce_sum(pairs["weight"])
        return total, weight

    def _candidates(self, pool: str, pairs: dict, embeddings: tf.Tensor, training: bool) -> Candidates:
        positive, negative = pairs["candidate_id"], pairs["negative_id"]
        frequency = self._frequency[pool]
        if training:
            frequency.update(positive)
        positives, negatives = tf.size(positive), tf.size(negative)
        return Candidates(
            embedding=embeddings,
            id=tf.concat([positive, negative], 0),
            query_id=tf.concat([pairs["query_id"], tf.fill([negatives], tf.constant(-1, tf.int64))], 0),
            source=tf.concat([tf.fill([positives], IN_BATCH), tf.fill([negatives], RANDOM)], 0),
            log_q=tf.concat([frequency.log_q(positive), tf.fill([negatives], self._random_log_q)], 0),
            weight=tf.concat([pairs["weight"], tf.ones([negatives])], 0),
        )

    def _record(self, rows: tf.Tensor, pairs: dict) -> None:
        for place, metric in enumerate(self._task_losses):
            weights = tf.where(pairs["task"] == place, pairs["weight"], 0.0)
            metric.update_state(rows, weights)

    def _build_towers(self) -> None:
        """Creates every variable, so that the optimizer and a checkpoint see all of them from the start."""
        for name, tower in self.towers.items():
            blank = {
                key: tf.zeros([1, *(size or 0 for size in spec.shape[1:])], spec.dtype)
                for key, spec in tower.raw_signature.items()
            }
            if tower(tower.featurize(blank)).shape[1] != self.config.towers[name].dimension:
                raise TfsageError(f"tower {name}: its output does not have the configured dimension")

    def _standardize(self, name: str, data: PreparedData) -> np.ndarray:
        """Adapts a tower to its frozen embeddings, if it asks for it; returns the embedding that says nothing."""
        layer = getattr(self.towers[name], "standardize", None)
        if layer is None:
            return np.zeros(1, np.float32)
        section = self.config.towers[name]
        if section.kind == "frozen":
            own = [task for task in self.batches.tasks if task.query_tower == name]
            kinds = sorted({task.query_type for task in own if task.source == "engagements"})
            samples = [data.queries(kind).embeddings[:_SAMPLE] for kind in kinds]
            sample = np.concatenate(samples or [data.images().values[:_SAMPLE]])
        else:
            sample = data.images(section.images.column).values[:_SAMPLE]
        layer.adapt(sample)
        return layer.mean.numpy()


def _mask(places: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """bool [rows, columns], true at `places`, int64 [m, 2]."""
    shape = tf.cast(tf.stack([rows, columns]), tf.int64)
    return tf.scatter_nd(places, tf.ones_like(places[:, 0]), shape) > 0


def drop_tokens(features: dict, rate: float, seed: tf.Tensor) -> dict:
    """Leaves each token out with probability `rate`, decided by `seed` (int64 [2]) alone."""
    if not rate or "token_lengths" not in features:
        return features
    ids, lengths = features["token_ids"], features["token_lengths"]
    keep = tf.random.stateless_uniform(tf.shape(ids), seed) >= rate
    bags = tf.reshape(lengths, [-1])
    owner = bag_of_position(bags, tf.size(ids))
    kept = tf.math.unsorted_segment_sum(tf.cast(keep, tf.int32), owner, tf.size(bags))
    return {**features, "token_ids": tf.boolean_mask(ids, keep), "token_lengths": tf.reshape(kept, tf.shape(lengths))}


def drop_entries(features: dict, rate: float, seed: tf.Tensor, blank: np.ndarray) -> dict:
    """Replaces entries of images and query embeddings by those of `blank` with probability `rate`, by `seed` alone."""
    if not rate:
        return features
    kept = dict(features)
    for name in {"images", "embedding"} & features.keys():
        keep = tf.random.stateless_uniform(tf.shape(features[name]), seed + 2) >= rate
        kept[name] = tf.where(keep, features[name], blank)
    return kept


def _wordpiece(config: Config, data: PreparedData):
    """The WordPiece vocabulary of the training queries, when a tower that is trained from scratch needs one."""
    for name, tower in config.towers.items():
        if tower.kind == "distilbert" and tower.weights == "scratch":
            tasks = [t for t in config.tasks if t.query_tower == name and t.source == "engagements"]
            rows = {t.query_type: data.pairs("train", t.surface, t.query_type, t.actions).query for t in tasks}
            texts = [text for kind, own in rows.items() for text in data.queries(kind).texts.gather(np.unique(own))]
            return training_wordpiece(texts, tower.vocabulary_size, data.folder)
    return None
