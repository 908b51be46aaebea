"""The frozen arrays of one evaluation, as files: anyone can recompute every number from them with numpy alone.

products.parquet            product_id, one row per row of the catalog
products_TOWER.npy          float32 [products, d]
queries_TOWER_TYPE.npy      float32 [n, d]; queries_TOWER_TYPE.parquet has the id of each
distractors.npy             int64 [c], rows of the catalog; remaining.npy has the others
tasks.json                  which vectors each task compares, and the entity type of its candidates
TASK/pairs.parquet          query (row of the queries' file), product (row of the catalog), their ids, weight
TASK/excluded.parquet       query, product: never competitors
TASK/ranks.parquet          one row per pair: for each system how many competitors rank higher, and equal
TASK/strata.parquet         one row per pair: for each stratum the group that it is in, if any

Where the candidates of a task are pins or queries, "product" stands for one of those throughout, and the files of their
catalog begin with pin_ or query_: pin_products.parquet (pin_id), pin_products_TOWER.npy, pin_distractors.npy.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfsage.errors import TfsageError
from tfsage.evaluation.judgements import Judgements
from tfsage.evaluation.ranks import PairRanks, Ranks
from tfsage.evaluation.strata import Stratum
from tfsage.files import write_text

TASKS = "tasks.json"


class FrozenVectors:
    """The vectors of a run, split by split: RUN/vectors/SPLIT.

    Raises:
        TfsageError: the folder holds no finished evaluation.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        try:
            self._tasks = json.loads((self.folder / TASKS).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise TfsageError(f"{folder}: no frozen vectors here; `tfsage evaluate --run RUN` writes them") from None

    @property
    def tasks(self) -> list[str]:
        return list(self._tasks)

    def vectors(self, task: str) -> tuple[np.ndarray, np.ndarray]:
        """Queries float32 [Q, d] in the order of the judgements, and memory-mapped products float32 [products, d]."""
        rows = np.unique(self._pairs(task)["query"].to_numpy())
        queries = np.load(self.folder / self._tasks[task]["queries"], mmap_mode="r")
        return queries[rows], np.load(self.folder / self._tasks[task]["products"], mmap_mode="r")

    def judgements(self, task: str) -> Judgements:
        """The pairs of the task and their candidates."""
        pairs = self._pairs(task)
        rows, query = np.unique(pairs["query"].to_numpy(), return_inverse=True)
        excluded = pq.read_table(self.folder / task / "excluded.parquet")
        return Judgements(
            query=query,
            product=pairs["product"].to_numpy(),
            weight=pairs["weight"].to_numpy(),
            products=pq.read_metadata(self._catalog(task, "products.parquet")).num_rows,
            distractors=np.load(self._catalog(task, "distractors.npy")),
            excluded_query=np.searchsorted(rows, excluded["query"].to_numpy()),
            excluded_product=excluded["product"].to_numpy(),
            remaining=np.load(remaining) if (remaining := self._catalog(task, "remaining.npy")).exists() else None,
        )

    def product_ids(self, task: str) -> list[str]:
        """The id of every row of the catalog that the task's candidates are from."""
        return pq.read_table(self._catalog(task, "products.parquet"))[0].to_pylist()

    def pair_ids(self, task: str) -> pa.Table:
        """query_id and product_id of every pair, in the order of the judgements."""
        return self._pairs(task).select(["query_id", "product_id"])

    def ranks(self, task: str) -> dict[str, PairRanks]:
        """The ranks of every system, in the order of the judgements.

        Raises:
            TfsageError: an earlier version, which did not tell the nested samples apart, wrote them.
        """
        table = pq.read_table(self.folder / task / "ranks.parquet")
        if "model.nested_greater" not in table.column_names:
            raise TfsageError(f"{self.folder}: evaluated by an earlier version; run `tfsage evaluate` on the run again")
        systems = dict.fromkeys(name.rsplit(".", 1)[0] for name in table.column_names)
        return {
            system: PairRanks(*[_ranks(table, f"{system}.{among}") for among in PairRanks._fields])
            for system in systems
        }

    def strata(self, task: str) -> dict[str, Stratum]:
        """The strata by name, in the order of the judgements; none where an earlier version made the folder."""
        if not (self.folder / task / "strata.parquet").exists():
            return {}
        table = pq.read_table(self.folder / task / "strata.parquet").combine_chunks()
        columns = {name: table[name].chunk(0) for name in table.column_names}
        return {
            name: Stratum(
                column.indices.fill_null(-1).to_numpy().astype(np.int64), tuple(column.dictionary.to_pylist())
            )
            for name, column in columns.items()
        }

    def entity_type(self, task: str) -> str:
        """What the candidates of a task are: product, pin or query."""
        return self._tasks[task].get("entity_type", "product")

    def _catalog(self, task: str, name: str) -> Path:
        return self.folder / _of_type(self.entity_type(task), name)

    def _pairs(self, task: str) -> pa.Table:
        return pq.read_table(self.folder / task / "pairs.parquet")


def write_products(
    folder: Path,
    product_ids: list[str],
    distractors: np.ndarray,
    remaining: np.ndarray | None = None,
    entity_type: str = "product",
) -> None:
    """Writes products.parquet, distractors.npy and, unless they are in rising order, the remaining rows; or the same of
    another entity type."""
    ids = pa.table({f"{entity_type}_id": product_ids})
    pq.write_table(ids, folder / _of_type(entity_type, "products.parquet"))
    np.save(folder / _of_type(entity_type, "distractors.npy"), distractors)
    if remaining is not None:
        np.save(folder / _of_type(entity_type, "remaining.npy"), remaining)


def candidate_file(entity_type: str, tower: str) -> str:
    """The name of the file with the vectors that a tower makes of a whole catalog."""
    return _of_type(entity_type, f"products_{tower}.npy")


def _of_type(entity_type: str, name: str) -> str:
    return name if entity_type == "product" else f"{entity_type}_{name}"


def write_task(
    folder: Path,
    judgements: Judgements,
    query_place: np.ndarray,
    query_ids: list[str],
    product_ids: list[str],
) -> None:
    """Writes pairs.parquet and excluded.parquet of one task.

    Args:
        folder: of the task; made here.
        judgements: the pairs and their candidates.
        query_place: int64 [Q], ascending: the row of each query in the queries' file.
        query_ids, product_ids: of each pair.
    """
    folder.mkdir()
    pairs = {
        "query": query_place[judgements.query],
        "product": judgements.product,
        "query_id": query_ids,
        "product_id": product_ids,
        "weight": judgements.weight,
    }
    excluded = {"query": query_place[judgements.excluded_query], "product": judgements.excluded_product}
    pq.write_table(pa.table(pairs), folder / "pairs.parquet")
    pq.write_table(pa.table(excluded), folder / "excluded.parquet")


def write_ranks(folder: Path, ranks: dict[str, PairRanks]) -> None:
    """Writes ranks.parquet of one task."""
    columns = {}
    for system, each in ranks.items():
        for among, counted in each._asdict().items():
            columns[f"{system}.{among}_greater"] = _column(counted.greater)
            columns[f"{system}.{among}_equal"] = _column(counted.equal)
    pq.write_table(pa.table(columns), folder / "ranks.parquet")


def _column(counts: np.ndarray) -> pa.Array:
    """One row per pair: a number, or those of all nested samples."""
    if counts.ndim == 1:
        return pa.array(counts)
    return pa.FixedSizeListArray.from_arrays(pa.array(counts.T.ravel()), len(counts))


def _ranks(table: pa.Table, name: str) -> Ranks:
    return Ranks(*[_counts(table[f"{name}_{count}"].combine_chunks()) for count in ("greater", "equal")])


def _counts(column: pa.Array) -> np.ndarray:
    if not pa.types.is_fixed_size_list(column.type):
        return column.to_numpy()
    return column.flatten().to_numpy().reshape(len(column), -1).T


def write_strata(folder: Path, strata: Mapping[str, Stratum]) -> None:
    """Writes strata.parquet of one task."""
    columns = {}
    for name, stratum in strata.items():
        codes = pa.array(stratum.code, pa.int32(), mask=stratum.code < 0)
        columns[name] = pa.DictionaryArray.from_arrays(codes, pa.array(stratum.names, pa.string()))
    pq.write_table(pa.table(columns), folder / "strata.parquet")


def write_tasks(folder: Path, vectors_of: dict[str, dict[str, str]]) -> None:
    """Writes tasks.json: for each task the files of its `queries` and `products`, and the `entity_type` of these."""
    write_text(folder / TASKS, json.dumps(vectors_of, indent=2) + "\n")
