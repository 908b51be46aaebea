"""Multi-task training batches (ItemSage §3.5 and fig. 4)."""

from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from tfsage.config import Config, TaskConfig
from tfsage.data.features import ProductFeatures
from tfsage.data.known_positives import KnownPositives
from tfsage.data.permutation import mix64, permute
from tfsage.data.prepared import PreparedData
from tfsage.data.sources import PairRows, pair_source


class TrainingBatches:
    """The training batch of any step, as a pure function of the data, the config and the step.

    A batch holds T_k pairs of each task k, Σ T_k = |B|, and |N| products drawn uniformly from the whole catalog
    (|N| = |B| by default). Tasks with the same candidate tower share one pool of candidates. Every epoch of a task
    visits its pairs once, in an order of its own. Because nothing depends on what was read before, training resumes
    at a step without reading up to it, and a batch that caused trouble can be looked at again.

    Args:
        data: a prepared folder.
        config: its `tasks`, `towers` and `training` sections are used.

    A batch is a nested dictionary:
        queries: query tower → raw inputs of its rows (strings [n] or float32 [n, dimension]).
        candidates: candidate tower → features of its P positives, then of its N random negatives.
        pairs: candidate tower → query_row int32 [P] (row in the concatenation of all query towers in order of name),
            query_id int64 [P], candidate_id int64 [P], weight float32 [P], task int32 [P] (position in `tasks`),
            negative_id int64 [N], known_positives int64 [m, 2]: (row, column) where a candidate is another positive of
            the row's query in the training log.
        seed: int64 [2], for random choices made later in the pipeline.
    """

    def __init__(self, data: PreparedData, config: Config):
        sources = [(task, pair_source(data, task)) for task in config.tasks]
        self.tasks: list[TaskConfig] = [task for task, source in sources if source]
        self.left_out: list[str] = [task.name for task, source in sources if not source]
        self._sources = [source for _, source in sources if source]
        self._catalog_size = data.product_count
        self._seed = config.training.seed
        self._negatives = _negatives_per_step(config)
        self._query_towers = sorted({task.query_tower for task in self.tasks})
        self._pools = sorted({task.candidate_tower for task in self.tasks})
        self._features = {pool: product_features(data, config.towers[pool]) for pool in self._pools}
        self._known = {pool: self._known_positives(pool) for pool in self._pools}
        self._raw_names = {t.query_tower: _raw_name(config.towers[t.query_tower].kind) for t in self.tasks}
        self._phases = [(p.steps, self._pairs_per_task(p.tasks, config)) for p in config.training.phases]
        self.total_steps = sum(steps for steps, _ in self._phases)

    def __call__(self, step: int) -> dict:
        """The batch of one step, as NumPy arrays."""
        counts, taken = self._position(step)
        rows = {place: self._take(place, int(count), int(taken[place]), step) for place, count in enumerate(counts)}
        queries, first_row = self._queries(rows)
        candidates, pairs = {}, {}
        for pool in self._pools:
            members = [place for place in self._order() if self.tasks[place].candidate_tower == pool]
            negative = self._generator(step, -1).integers(self._catalog_size, size=self._negatives, dtype=np.int64)
            positive = np.concatenate([rows[place].product for place in members])
            query_id = np.concatenate([rows[place].query_id for place in members])
            hide = {f"hide_{group}": self._hidden(members, rows, group, step) for group in ("images", "text")}
            candidates[pool] = self._features[pool](np.concatenate([positive, negative]), **hide)
            pairs[pool] = {
                "query_row": np.concatenate([first_row[p] + np.arange(counts[p], dtype=np.int32) for p in members]),
                "query_id": query_id,
                "candidate_id": positive,
                "weight": np.concatenate([rows[place].weight for place in members]),
                "task": np.repeat(np.array(members, np.int32), counts[members]),
                "negative_id": negative,
                "known_positives": self._known[pool].find(query_id, positive, np.concatenate([positive, negative])),
            }
        seed = np.array([self._seed, step], np.int64)
        return {"queries": queries, "candidates": candidates, "pairs": pairs, "seed": seed}

    def dataset(self, first_step: int = 0, featurize: Callable[[dict], dict] | None = None) -> tf.data.Dataset:
        """The batches from `first_step` to the end; `featurize` (in the graph) runs beside the training step."""

        def batches() -> Iterator[dict]:
            for step in range(first_step, self.total_steps):
                yield self(step)

        dataset = tf.data.Dataset.from_generator(batches, output_signature=self.signature())
        if featurize is not None:
            dataset = dataset.map(featurize, num_parallel_calls=2, deterministic=True)
        return dataset.prefetch(2)

    def signature(self) -> dict:
        """The tf.TensorSpec of every part of a batch."""

        def spec(value: np.ndarray) -> tf.TensorSpec:
            dtype = tf.string if value.dtype == object else value.dtype
            return tf.TensorSpec([None, *value.shape[1:]], dtype)

        return tf.nest.map_structure(spec, self(0))

    def _known_positives(self, pool: str) -> KnownPositives:
        members = zip(self.tasks, self._sources, strict=True)
        known = [source.pairs() for task, source in members if task.candidate_tower == pool]
        return KnownPositives(*(np.concatenate(part) for part in zip(*known, strict=True)))

    def _pairs_per_task(self, names: tuple[str, ...], config: Config) -> np.ndarray:
        share = np.array([t.share if not names or t.name in names else 0.0 for t in self.tasks])
        exact = share / share.sum() * config.training.batch_size
        counts = np.floor(exact).astype(np.int64)
        largest = np.argsort(counts - exact, kind="stable")
        counts[largest[: config.training.batch_size - counts.sum()]] += 1
        return counts

    def _position(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        taken = np.zeros(len(self.tasks), np.int64)
        for steps, counts in self._phases:
            if step < steps:
                return counts, taken + step * counts
            step -= steps
            taken += steps * counts
        raise IndexError(f"training ends after {self.total_steps} steps")

    def _take(self, place: int, count: int, taken: int, step: int) -> PairRows:
        source = self._sources[place]
        epoch, index = np.divmod(np.arange(taken, taken + count), source.size)
        for number in np.unique(epoch):
            chosen = epoch == number
            index[chosen] = permute(index[chosen], source.size, self._stream(int(number), place))
        rows = source.take(index, self._generator(step, place))
        return rows._replace(weight=rows.weight * np.float32(self.tasks[place].weight))

    def _queries(self, rows: dict[int, PairRows]) -> tuple[dict, dict[int, np.int32]]:
        queries, first_row, total = {}, {}, 0
        for tower in self._query_towers:
            name, parts = self._raw_names[tower], []
            for place in self._order():
                if self.tasks[place].query_tower == tower:
                    first_row[place] = np.int32(total)
                    total += len(rows[place].product)
                    parts.append(rows[place].raw[name])
            queries[tower] = {name: np.concatenate(parts)}
        return queries, first_row

    def _order(self) -> list[int]:
        return sorted(range(len(self.tasks)), key=lambda place: (self.tasks[place].query_tower, place))

    def _hidden(self, members: list[int], rows: dict[int, PairRows], group: str, step: int) -> np.ndarray:
        """Which candidates lose a group of features: bool [P + N].

        Random negatives lose it at the lowest rate of the tasks: without any of theirs missing, what is missing would
        tell positives from negatives.
        """
        rates = [t.hide_rate * (group in t.hide) for t in self.tasks]
        rate = np.concatenate([np.full(len(rows[place].product), rates[place]) for place in members])
        rate = np.concatenate([rate, np.full(self._negatives, rate.min())])
        return self._generator(step, len(self.tasks) + (group == "text")).random(len(rate)) < rate

    def _stream(self, *numbers: int) -> int:
        value = np.uint64(self._seed)
        for number in numbers:
            value = mix64(value ^ np.uint64(number & 0xFFFFFFFFFFFFFFFF))
        return int(value)

    def _generator(self, step: int, stream: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(key=self._stream(step, stream)))


def product_features(data: PreparedData, tower) -> ProductFeatures:
    """The gatherer of exactly those features that a product tower, or its config section, asks for."""
    images = tower.images
    fields = getattr(tower, "text_fields", ())
    if images is None:
        return ProductFeatures(data, fields)
    return ProductFeatures(data, fields, images.column, images.slots, images.dimension)


def _negatives_per_step(config: Config) -> int:
    if config.loss.negatives == "in_batch":
        return 0
    chosen = config.training.random_negatives
    return config.training.batch_size if chosen is None else chosen


def _raw_name(kind: str) -> str:
    return "embedding" if kind == "frozen" else "query"
