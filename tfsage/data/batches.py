"""Multi-task training batches (ItemSage §3.5 and fig. 4)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property

import numpy as np
import tensorflow as tf

from tfsage.config import Config, TaskConfig
from tfsage.data.features import Features, candidate_features
from tfsage.data.hard_negatives import MinedNegatives
from tfsage.data.known_positives import KnownPositives
from tfsage.data.permutation import mix64, uniform
from tfsage.data.prepared import PreparedData
from tfsage.data.readers import Reader, Rows, Shuffle, StoreReader, Stream
from tfsage.data.records import RecordReader, choose_reader
from tfsage.data.schema import ENTITY_TYPES
from tfsage.data.shares import Shares
from tfsage.data.sources import PairRows, pair_source, query_space
from tfsage.data.training_pairs import known_pairs


class TrainingBatches:
    """The training batch of any step, as a pure function of the data, the config and the step.

    A batch holds T_k pairs of each task k, Σ T_k = |B|, and for each pool |N| entities drawn uniformly from the whole
    catalog (|N| = |B| by default). Tasks with the same candidate tower and entity type share one pool of candidates.
    A task with `pairs_of` has the pairs of another one: these are drawn, and their queries embedded, once, and do not
    count in |B| again. Every epoch of a task visits its pairs once, in an order of its own. Because nothing depends on
    what was read before, training resumes at a step without reading up to it, and a batch that caused trouble can be
    looked at again.

    Args:
        data: a prepared folder.
        config: its `tasks`, `towers` and `training` sections are used.

    A batch divides into parts, one for each replica: each has an equal stretch of every task's rows and of the random
    negatives. The parts together are the batch, however many there are, since random choices depend on the step, the
    task and the place of a row in the whole batch.

    A batch, or a part of one, is a nested dictionary:
        queries: query tower → raw inputs of its rows (strings [n] or float32 [n, dimension]).
        candidates: pool → features of its P positives, then of its N random, then of its H hard negatives; the raw
            inputs where these are queries.
        pairs: pool → query_row int32 [P] (row in the concatenation of all query towers in order of name),
            query_id int64 [P], candidate_id int64 [P], weight float32 [P], task int32 [P] (position in `tasks`),
            negative_id int64 [N], known int64 [m, 2]: (row, candidate id) where a candidate of the whole batch is
            another positive of the row's query in the training log, or the very entity that asks, hard_row int32 [H]
            and hard_id int64 [H].
        row_keys: `queries` → query tower and `candidates` → pool → int64 [n], a random key for each row, for choices
            made later.

    Attributes:
        tasks: the tasks that have pairs.
        left_out: names of the optional tasks that have none.
        total_steps: steps of all phases.
        towers: pool → its candidate tower.
        entity_types: pool → of its candidates.
        catalog_sizes: pool → how many entities its catalog has.
        known: all positives of every query in the training log, for each pool.
        hard_negatives: mined ones of some steps, or None; set between epochs.
        product_features: where features are read from, `store` or `records`. Records are made when the first batch is
            asked for, if they are not there.
    """

    def __init__(self, data: PreparedData, config: Config):
        sources = [(task, pair_source(data, task)) for task in config.tasks]
        self.tasks: list[TaskConfig] = [task for task, source in sources if source]
        self.left_out: list[str] = [task.name for task, source in sources if not source]
        self._sources = [source for _, source in sources if source]
        self._data = data
        self._seed = config.training.seed
        self.hard_negatives: MinedNegatives | None = None
        self._negatives = _negatives_per_step(config)
        self._query_towers = sorted({task.query_tower for task in self.tasks})
        places = {task.name: place for place, task in enumerate(self.tasks)}
        # Where the pairs of each task are drawn: itself, or the task whose pairs it shares.
        self._drawn_by = [places[task.pairs_of or task.name] for task in self.tasks]
        self.towers = {task.pool: task.candidate_tower for task in self.tasks}
        self.entity_types = {task.pool: task.entity_type for task in self.tasks}
        self._pools = sorted(self.towers)
        self._features = _features_of(data, config, self.tasks)
        self.catalog_sizes = {pool: gather.count for pool, gather in self._features.items()}
        self.product_features = choose_reader(config.training.product_features, self._features.values())
        logs = {pool: [t for t in self.tasks if (t.pool, t.source) == (pool, "engagements")] for pool in self._pools}
        first_id = {kind: query_space(kind) for kind in ENTITY_TYPES}
        self.known = {pool: KnownPositives(*known_pairs(data, log, first_id)) for pool, log in logs.items()}
        self._raw_names = {t.query_tower: _raw_name(config.towers[t.query_tower].kind) for t in self.tasks}
        self._shares = Shares(self.tasks, self._drawn_by, config.training)
        self.total_steps = self._shares.total_steps

    def __call__(self, step: int, part: int = 0, parts: int = 1) -> dict:
        """The batch of one step, or one of its equal parts, as NumPy arrays."""
        counts, taken = self._shares(step)
        drawn = [self._draw(place, counts, taken) for place in range(len(self.tasks))]
        slots = {place: np.arange(*_share(int(count), part, parts)) for place, count in enumerate(counts)}
        rows = {place: self._take(place, own, drawn[place].row[own], step) for place, own in slots.items()}
        queries, first_row, query_keys = self._queries(rows, slots, step)
        candidates, pairs, candidate_keys = {}, {}, {}
        for pool in self._pools:
            members = self._members(pool)
            everything = np.concatenate([self._sources[place].candidates(drawn[place].row) for place in members])
            negatives = self._catalog[pool].next(step * self._negatives, self._negatives)
            own_negatives = np.arange(*_share(self._negatives, part, parts))
            starts = np.cumsum(counts[members]) - counts[members]
            own_rows = np.concatenate([start + slots[place] for start, place in zip(starts, members, strict=True)])
            hard_row, hard_id = self._hard(pool, step, own_rows)

            columns = np.concatenate([own_rows, len(everything) + own_negatives])
            keys = self._row_keys(step, self._pools.index(pool), columns)
            # A hard negative's key depends on its pair, not on how many come before it in this part.
            keys = np.concatenate([keys, mix64(keys[hard_row] ^ hard_id).astype(np.int64)])
            task = np.repeat(np.array(members, np.int32), [len(slots[place]) for place in members])
            hide = {f"hide_{group}": self._hidden(members, task, group, keys) for group in ("images", "text")}
            positive = np.concatenate([rows[place].candidate for place in members])
            negative = negatives.row[own_negatives]
            query_id = np.concatenate([rows[place].query_id for place in members])
            read = [*(drawn[place].at(slots[place]) for place in members), negatives.at(own_negatives)]
            candidates[pool] = self._reader.features(pool, read, np.concatenate([positive, negative, hard_id]), **hide)
            candidate_keys[pool] = keys
            pairs[pool] = {
                "query_row": np.concatenate([first_row[p] + np.arange(len(slots[p]), dtype=np.int32) for p in members]),
                "query_id": query_id,
                "candidate_id": positive,
                "weight": np.concatenate([rows[place].weight for place in members]),
                "task": task,
                "negative_id": negative,
                "known": self._known(pool, query_id, positive, np.concatenate([everything, negatives.row])),
                "hard_row": hard_row,
                "hard_id": hard_id,
            }
        row_keys = {"queries": query_keys, "candidates": candidate_keys}
        return {"queries": queries, "candidates": candidates, "pairs": pairs, "row_keys": row_keys}

    def dataset(
        self,
        first_step: int = 0,
        featurize: Callable[[dict], dict] | None = None,
        parts: Sequence[int] = (0,),
        of: int = 1,
    ) -> tf.data.Dataset:
        """The batches from `first_step` to the end, step by step.

        Args:
            first_step: where to begin; nothing before it is read.
            featurize: runs in the graph, beside the training step.
            parts: which parts of each batch to give, one element each, in this order.
            of: how many parts there are.
        """

        def batches() -> Iterator[dict]:
            for step in range(first_step, self.total_steps):
                for part in parts:
                    yield self(step, part, of)

        dataset = tf.data.Dataset.from_generator(batches, output_signature=self.signature())
        if featurize is not None:
            dataset = dataset.map(featurize, num_parallel_calls=2, deterministic=True)
        return dataset.prefetch(2 * len(parts))

    def absent_columns(self) -> dict[str, list[str]]:
        """The columns that the tower of a pool reads and the table of its candidates does not have, by pool."""
        return {pool: gather.absent for pool, gather in self._features.items() if gather.absent}

    def positives(self, pool: str, step: int) -> list[tuple[int, np.ndarray]]:
        """Where the positives of a pool come from at a step: how many each task gives, and the candidates of all its
        pairs, int64 [pairs]."""
        counts, _ = self._shares(step)
        members = zip(self.tasks, self._sources, counts.tolist(), strict=True)
        own = [(source, count) for task, source, count in members if task.pool == pool and count]
        return [(count, source.candidates(np.arange(source.size))) for source, count in own]

    def pair_count(self, pool: str, step: int) -> int:
        """How many pairs of a step are about candidates of a pool."""
        counts, _ = self._shares(step)
        return int(sum(counts[place] for place in self._members(pool)))

    def pair_rows(self, pool: str, step: int) -> list[tuple[str, PairRows]]:
        """All pairs of a pool at a step, in the order of the whole batch, without the features of their candidates.

        Returns:
            (query tower, pairs) of one task after the other.
        """
        counts, taken = self._shares(step)
        rows = []
        for place in self._members(pool):
            drawn = self._draw(place, counts, taken)
            pairs = self._take(place, np.arange(counts[place]), drawn.row, step)
            rows.append((self.tasks[place].query_tower, pairs))
        return rows

    def signature(self) -> dict:
        """The tf.TensorSpec of every part of a batch."""

        def spec(value: np.ndarray) -> tf.TensorSpec:
            dtype = tf.string if value.dtype == object else value.dtype
            return tf.TensorSpec([None, *value.shape[1:]], dtype)

        # One of so many parts has no row, so that nothing is read.
        return tf.nest.map_structure(spec, self(0, 0, 1 << 40))

    @cached_property
    def _reader(self) -> Reader:
        if self.product_features == "records":
            return RecordReader(self._data, self._features)
        return StoreReader(self._features)

    @cached_property
    def _pairs(self) -> list[Stream]:
        members = enumerate(zip(self.tasks, self._sources, strict=True))
        return [self._reader.pairs(task, source, self._stream(place)) for place, (task, source) in members]

    @cached_property
    def _catalog(self) -> dict[str, Stream]:
        if not self._negatives:
            return {pool: Shuffle(1, 0) for pool in self._pools}
        return {pool: self._reader.catalog(pool, self._stream(-1)) for pool in self._pools}

    def _draw(self, place: int, counts: np.ndarray, taken: np.ndarray) -> Rows:
        """The pairs of a task in the whole batch."""
        drawn_by = self._drawn_by[place]
        drawn = self._pairs[drawn_by].next(int(taken[place]), int(counts[place]))
        # Shared pairs are known by the stream of another pool, which does not lead to the features of this one.
        return drawn if drawn_by == place else drawn._replace(stream=None)

    def _take(self, place: int, slots: np.ndarray, index: np.ndarray, step: int) -> PairRows:
        keys = mix64(np.uint64(self._stream(step, self._drawn_by[place])) ^ slots.astype(np.uint64))
        rows = self._sources[place].take(index, keys)
        return rows._replace(weight=rows.weight * np.float32(self.tasks[place].weight))

    def _known(self, pool: str, query_id: np.ndarray, positive: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        """(row, candidate id) of what is no negative of a row: other known positives, and the very entity that asks."""
        known = self.known[pool].find(query_id, positive, candidates)
        own = query_id - query_space(self.entity_types[pool])  # its row of the catalog, where it is of that type
        itself = (own != positive) & np.isin(own, candidates)
        return np.concatenate([known, np.stack([np.flatnonzero(itself), own[itself]], axis=1)])

    def _hard(self, pool: str, step: int, row_place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.hard_negatives is None:
            return np.zeros(0, np.int32), np.zeros(0, np.int64)
        return self.hard_negatives.of_rows(pool, step, row_place)

    def _queries(self, rows: dict[int, PairRows], slots: dict[int, np.ndarray], step: int) -> tuple[dict, dict, dict]:
        queries, first_row, keys, total = {}, {}, {}, 0
        for tower in self._query_towers:
            name, parts, own = self._raw_names[tower], [], []
            for place in self._order():
                drawn_by = self._drawn_by[place]
                if self.tasks[place].query_tower == tower and drawn_by not in first_row:
                    parts.append(rows[place].raw[name])
                    own.append(self._row_keys(step, -2 - drawn_by, slots[place]))
                    if len(slots[place]):
                        first_row[drawn_by] = np.int32(total)
                        total += len(slots[place])
            queries[tower], keys[tower] = {name: np.concatenate(parts)}, np.concatenate(own)
        first_row = {place: first_row.get(drawn_by, np.int32(0)) for place, drawn_by in enumerate(self._drawn_by)}
        return queries, first_row, keys

    def _row_keys(self, step: int, stream: int, place: np.ndarray) -> np.ndarray:
        return mix64(np.uint64(self._stream(step, stream, 1)) ^ place.astype(np.uint64)).astype(np.int64)

    def _order(self) -> list[int]:
        return sorted(range(len(self.tasks)), key=lambda place: (self.tasks[place].query_tower, place))

    def _members(self, pool: str) -> list[int]:
        return [place for place in self._order() if self.tasks[place].pool == pool]

    def _hidden(self, members: list[int], task: np.ndarray, group: str, keys: np.ndarray) -> np.ndarray:
        """Which candidates lose a group of features: bool, one for each key.

        Negatives lose it at the lowest rate of the tasks: without any of theirs missing, what is missing would tell
        positives from negatives.
        """
        rates = np.array([t.hide_rate * (group in t.hide) for t in self.tasks])
        rate = np.full(len(keys), rates[members].min())
        rate[: len(task)] = rates[task]
        return uniform(keys.astype(np.uint64) + np.uint64(group == "text")) < rate

    def _stream(self, *numbers: int) -> int:
        value = np.uint64(self._seed)
        for number in numbers:
            value = mix64(value ^ np.uint64(number & 0xFFFFFFFFFFFFFFFF))
        return int(value)


def settle_reader(data: PreparedData, config: Config) -> Config:
    """The config with `training.product_features` settled, where it leaves that to the size of the data."""
    chosen = choose_reader(config.training.product_features, _features_of(data, config, config.tasks).values())
    return config.model_copy(update={"training": config.training.model_copy(update={"product_features": chosen})})


def _features_of(data: PreparedData, config: Config, tasks: Iterable[TaskConfig]) -> dict[str, Features]:
    """The gatherer of every pool."""
    return {t.pool: candidate_features(data, config.towers[t.candidate_tower], t.entity_type) for t in tasks}


def _share(count: int, part: int, parts: int) -> tuple[int, int]:
    """Where one of several equal stretches of [0, count) begins and ends."""
    return count * part // parts, count * (part + 1) // parts


def _negatives_per_step(config: Config) -> int:
    if config.loss.negatives == "in_batch":
        return 0
    chosen = config.training.random_negatives
    return config.training.batch_size if chosen is None else chosen


def _raw_name(kind: str) -> str:
    return "embedding" if kind == "frozen" else "query"
