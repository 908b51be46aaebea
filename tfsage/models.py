"""Towers × tasks → one tfrs.Model."""

from collections.abc import Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs
import tf_keras

from tfsage.config import Config, TaskConfig
from tfsage.data.batches import TrainingBatches
from tfsage.data.prepared import PreparedData
from tfsage.data.tower_samples import frozen_sample, training_query_texts
from tfsage.errors import TfsageError
from tfsage.losses import RowLosses, check_loss
from tfsage.text.hash_embedding import HashEmbedding
from tfsage.text.vocabulary import Vocabulary
from tfsage.text.wordpiece import training_wordpiece
from tfsage.towers.base import Tower
from tfsage.towers.factory import build_towers
from tfsage.training import replicas
from tfsage.training.dropout import seed_dropout
from tfsage.training.feature_dropout import drop_entries, drop_tokens
from tfsage.training.optimizers import build_optimizer
from tfsage.training.pool import CandidatePool
from tfsage.training.step import gradients_of
from tfsage.training.throughput import CLOCKS, timed


class EmbeddingModel(tfrs.Model):
    """Towers × tasks: queries and entities of any type in one space, for every surface and engagement at once.

    A task leads from a query tower to a candidate tower over its pairs. Tasks that share a candidate tower and an
    entity type share one pool of candidates and one frequency estimator; candidates of different pools never share a
    softmax. `ItemSage`, `SearchSage` and `OmniSearchSage` are three ways to fill it, and each says which.

    Args:
        config: towers, tasks, loss and training sections are used.
        data: a prepared folder; its training pairs and its catalogs are read, batch by batch.

    Attributes:
        towers: by their names in the config.
        batches: the training batches.
        pools: loss and frequencies of each pool of candidates.

    Raises:
        TfsageError: a task has no pairs, the loss options are inconsistent, or the config is not one of this model.
    """

    def __init__(self, config: Config, data: PreparedData):
        check_loss(config.loss, config.training.random_negatives)
        super().__init__(name="embedding_model")
        # All replicas say the same of a step; Keras would add it up.
        self.distribute_reduction_method = "first"
        self.config = config
        self.batches = TrainingBatches(data, config)
        vocabulary = Vocabulary.load(data.vocabulary_folder)
        with _precision(config.training.precision):
            fields = {field for kind in data.entity_types for field in data.entity(kind).text_fields}
            wordpiece = _wordpiece(config, data, self.batches.tasks)
            self.towers: dict[str, Tower] = build_towers(config, vocabulary, wordpiece, tuple(fields))
            self._build_towers()
        sizes = self.batches.catalog_sizes
        self.pools = {pool: CandidatePool(config.loss, sizes[pool], pool) for pool in sorted(sizes)}
        self._means = {name: tf_keras.metrics.Mean(name) for name in ("loss", "negatives", "uncertainty")}
        self._task_losses = [tf_keras.metrics.Mean(task.name) for task in self.batches.tasks]
        self._dropout_generators = [part for tower in self.towers.values() for part in tower.dropout_generators]
        self._blank = {name: self._standardize(name, data) for name in self.towers}

    @property
    def table_variables(self) -> list[tf.Variable]:
        """The hash tables: rows are touched sparsely, so they have an optimizer of their own."""
        layers = [part for part in self.submodules if isinstance(part, HashEmbedding)]
        return list({id(v): v for layer in layers for v in layer.trainable_variables}.values())

    def compile(self, optimizer=None, **kwargs):
        """Compiles with the optimizer that the config describes, or with one of yours."""
        super().compile(optimizer or build_optimizer(self.config, self), **kwargs)

    def dataset(self, first_step: int = 0):
        """The featurized batches from `first_step` to the end of training, for `fit`.

        Under a strategy with several replicas each gets its own part of every batch.
        """
        strategy = self.distribute_strategy
        if strategy.num_replicas_in_sync == 1:
            return self.batches.dataset(first_step, self.featurize)

        def parts(context: tf.distribute.InputContext) -> tf.data.Dataset:
            replicas = context.num_replicas_in_sync
            own = np.array_split(np.arange(replicas), context.num_input_pipelines)[context.input_pipeline_id]
            return self.batches.dataset(first_step, self.featurize, own.tolist(), replicas)

        return strategy.distribute_datasets_from_function(parts)

    def featurize(self, batch: dict) -> dict:
        """Turns the raw queries of a batch into features, in the graph; `dataset` runs it beside the training step.

        Queries that are candidates are raw as well.
        """
        queries = {name: self.towers[name].featurize(raw) for name, raw in batch["queries"].items()}
        candidates = {pool: self._candidate_features(pool, part) for pool, part in batch["candidates"].items()}
        training = self.config.training
        for side, part in (("queries", queries), ("candidates", candidates)):
            for name, features in part.items():
                keys, blank = batch["row_keys"][side][name], self._blank[self._tower_name(side, name)]
                features = drop_tokens(features, training.token_dropout, keys)
                part[name] = drop_entries(features, training.embedding_dropout, keys, blank)
        return {"queries": queries, "candidates": candidates, "pairs": batch["pairs"]}

    def compute_loss(self, batch: dict, training: bool = False) -> tf.Tensor:
        """The weighted mean loss over the rows of a featurized batch, a float32 scalar.

        On a replica, its share of it: the shares of all replicas add up to the loss of the whole batch.
        """
        embed, features = self._embed(batch, training)
        return self._loss_of({name: embed[name](part) for name, part in features.items()}, batch, training)[0]

    def train_step(self, batch: dict) -> dict:
        """One update.

        Returns:
            the means of the epoch so far (loss, loss per task, negatives per pair after masking, uncertainty
            1 − P̂(positive)), the temperatures, `CLOCKS`, and `finite`, 1.0 where the loss and every gradient were.
        """
        seed_dropout(self._dropout_generators, self.config.training.seed, self.optimizer.iterations)
        embed, features = self._embed(batch, training=True)
        variables = self.trainable_variables
        features, ready = timed(features)

        def timed_loss(vectors: dict) -> tuple[tf.Tensor, tuple]:
            loss, losses = self._loss_of(vectors, batch, training=True)
            loss, forward = timed(loss)
            return loss, (losses, forward)

        loss, (losses, forward), gradients = gradients_of(
            embed,
            features,
            timed_loss,
            variables,
            self.config.training.chunk_size,
            self._dropout_generators,
            # Then the gradient of an embedding is that of one pair, not of the mean over all of them.
            scale=self.config.training.batch_size if self.config.training.precision == "mixed_float16" else 1.0,
        )
        gradients, backward = timed(gradients)
        finite = tf.math.is_finite(loss) & tf.math.is_finite(tf.linalg.global_norm(gradients))
        unsound = replicas.total(1.0 - tf.cast(finite, tf.float32))
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        for pool, pairs in batch["pairs"].items():
            self._record(losses[pool], pairs)
        logs = {metric.name: metric.result() for metric in self.metrics}
        times = dict(zip(CLOCKS, (ready, forward, backward), strict=True))
        return {**logs, **self.temperatures(), "finite": tf.cast(unsound == 0.0, tf.float32), **times}

    def temperatures(self) -> dict[str, tf.Tensor]:
        """The temperature of each pool of candidates."""
        return {f"temperature_{name}": pool.temperature for name, pool in self.pools.items()}

    @property
    def metrics(self):
        return [*self._means.values(), *self._task_losses]

    def _embed(self, batch: dict, training: bool) -> tuple[dict, dict]:
        """What embeds each part of a batch, and its features."""
        embed, features = {}, {}
        for side in ("queries", "candidates"):
            for name, part in batch[side].items():
                embed[side, name] = partial(self.towers[self._tower_name(side, name)], training=training)
                features[side, name] = part
        return embed, features

    def _loss_of(self, vectors: dict, batch: dict, training: bool) -> tuple[tf.Tensor, dict[str, RowLosses]]:
        queries = tf.concat([vectors["queries", name] for name in sorted(batch["queries"])], 0)
        weight = replicas.total(tf.add_n([tf.reduce_sum(pairs["weight"]) for pairs in batch["pairs"].values()]))
        losses = {
            pool: self.pools[pool].losses(pairs, queries, vectors["candidates", pool], self._hard_weight(), training)
            for pool, pairs in batch["pairs"].items()
        }
        return tf.math.divide_no_nan(tf.add_n([part.total for part in losses.values()]), weight), losses

    def _tower_name(self, side: str, name: str) -> str:
        """The tower of a part of a batch: queries go by their tower, candidates by their pool."""
        return name if side == "queries" else self.batches.towers[name]

    def _candidate_features(self, pool: str, part: dict) -> dict:
        if self.batches.entity_types[pool] == "query":
            return self.towers[self.batches.towers[pool]].featurize(part)
        return part

    def _hard_weight(self) -> tf.Tensor | float:
        section = self.config.loss.hard_negatives
        if section is None:
            return 0.0
        done = tf.cast(self.optimizer.iterations - section.start + 1, tf.float32) / section.ramp
        return section.weight * tf.clip_by_value(done, 0.0, 1.0)

    def _record(self, losses: RowLosses, pairs: dict) -> None:
        for name, values in (
            ("loss", losses.rows),
            ("negatives", losses.negatives),
            ("uncertainty", losses.uncertainty),
        ):
            self._means[name].update_state(values, pairs["weight"])
        for place, metric in enumerate(self._task_losses):
            metric.update_state(losses.rows, tf.where(pairs["task"] == place, pairs["weight"], 0.0))

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
        layer.adapt(frozen_sample(data, self.batches.tasks, name, self.config.towers[name]))
        return layer.mean.numpy()


class ItemSage(EmbeddingModel):
    """Product embeddings for every surface and engagement at once (ItemSage, KDD'22): all candidates are products.

    Queries may be frozen embeddings, as in the paper, or come from towers that are trained along.

        data = PreparedData("data")
        model = ItemSage(load_config("configs/itemsage.yaml"), data)
        model.compile()
        model.fit(model.dataset(), steps_per_epoch=100, epochs=10)
        vectors = model.towers["product"](features)
    """

    def __init__(self, config: Config, data: PreparedData):
        if others := [task.name for task in config.tasks if task.entity_type != "product"]:
            raise _not_of(
                "ItemSage", f"embeds products, but the tasks {others} have other candidates", "OmniSearchSage"
            )
        super().__init__(config, data)


class SearchSage(EmbeddingModel):
    """Query embeddings in the space of frozen pin and product embeddings (SearchSage, 2021).

    One query tower is trained; its candidates are frozen embeddings, behind compatibility encoders alone
    (`configs/searchsage.yaml`).
    """

    def __init__(self, config: Config, data: PreparedData):
        if len({task.query_tower for task in config.tasks}) > 1:
            raise _not_of("SearchSage", "has one query tower, but the tasks name several", "OmniSearchSage")
        kinds = {task.candidate_tower: config.towers[task.candidate_tower].kind for task in config.tasks}
        if learned := sorted(name for name, kind in kinds.items() if kind != "compatibility"):
            raise _not_of("SearchSage", f"has compatibility encoders alone, but {learned} are none", "OmniSearchSage")
        super().__init__(config, data)


class OmniSearchSage(EmbeddingModel):
    """One query embedding for pins, products and queries (OmniSearchSage, 2024).

    One query tower × (the unified encoder of pins and products, compatibility encoders over their frozen embeddings,
    the query tower itself for related queries), in as many tasks as the config names (`configs/omnisearchsage.yaml`).
    """

    def __init__(self, config: Config, data: PreparedData):
        if len({task.query_tower for task in config.tasks}) > 1:
            raise _not_of("OmniSearchSage", "has one query tower, but the tasks name several", "ItemSage")
        super().__init__(config, data)


def _not_of(model: str, problem: str, other: str) -> TfsageError:
    return TfsageError(f"{model} {problem}; change the tasks, or use tfsage.{other}")


@contextmanager
def _precision(policy: str):
    """Layers made inside compute as the policy says; what is outside of the towers stays in float32."""
    before = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy(policy)
    try:
        yield
    finally:
        tf_keras.mixed_precision.set_global_policy(before)


def _wordpiece(config: Config, data: PreparedData, tasks: Sequence[TaskConfig]):
    """The WordPiece vocabulary of the training queries, when a tower that is trained from scratch needs one."""
    for name, tower in config.towers.items():
        if tower.kind == "distilbert" and tower.weights == "scratch":
            return training_wordpiece(training_query_texts(data, tasks, name), tower.vocabulary_size, data.folder)
    return None
