"""Tables in, prepared folder out: validated rows, split and capped pairs, vocabularies, stores and a report."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import ibis
import numpy as np
from ibis import _
from rich.progress import Progress

from tfsage.config import Config
from tfsage.console import console, progress
from tfsage.data.bad_rows import NOT_UTF8, BadRows
from tfsage.data.catalog import EntityWriter, stored_text_fields, write_product_queries
from tfsage.data.engine import connect
from tfsage.data.enrichment.past import relation
from tfsage.data.expected_vectors import expected_vectors, more_texts
from tfsage.data.leakage import LeakageAudit, describe_leaks
from tfsage.data.pairs import PairBuilder, with_rows
from tfsage.data.prepared import FORMAT
from tfsage.data.quarantine import write_quarantine
from tfsage.data.report import describe_pairs, write_json
from tfsage.data.schema import SPLITS, TABLE_OF_TYPE
from tfsage.data.split import Split, settle_split
from tfsage.data.staging import staged_folder
from tfsage.data.tables import Source, find_tables
from tfsage.data.tokens import TokenSteps
from tfsage.data.validation import ContentCheck, check_relations
from tfsage.errors import TfsageError
from tfsage.text.vocabulary import KINDS, Vocabulary


def prepare(
    tables: str | Path, config: Config, out: str | Path, on_bad_rows: Literal["fail", "quarantine"] = "fail"
) -> None:
    """Prepares tables for training.

    Validates everything first. Then deduplicates the pairs, splits and caps them, builds the vocabularies from the
    catalog and the training queries, and writes memory-mapped stores. Catalog-sized data stream through in batches;
    relations between rows are Ibis expressions, run by DuckDB, which spills to disk.

    Args:
        tables: folder of Parquet tables; their schema is in `tfsage.data.schema`.
        config: its `text` and `prepare` sections, and the columns that its towers read.
        out: the prepared folder; it appears when it is complete, and replaces an earlier one.
        on_bad_rows: `fail` stops when a row cannot be used; `quarantine` writes such rows to OUT/quarantine with the
            reason, and goes on without them.

    Raises:
        TfsageError: the tables cannot be used; the message names every problem with table, column, row count and
            examples. What was in `out` before is left as it was.
    """
    expected = expected_vectors(config)
    sources = find_tables(tables, expected, more_texts(config))
    with (
        staged_folder(out, "manifest.json") as folder,
        tempfile.TemporaryDirectory(dir=folder) as scratch,
        progress() as bar,
    ):
        _Preparation(sources, config, folder, Path(scratch), bar).run(on_bad_rows)


class _Preparation:
    """One run of `prepare`, its steps in order; `folder` is complete when `run` returns."""

    def __init__(self, sources: dict[str, Source], config: Config, folder: Path, scratch: Path, bar: Progress):
        self._sources, self._config, self._folder, self._scratch, self._bar = sources, config, folder, scratch, bar
        self._connection = connect(scratch)
        self._bad = BadRows(self._connection, scratch / "bad")
        self._dimensions: dict[str, dict[str, int]] = {}
        self._writers: dict[str, EntityWriter] = {}
        self._report: dict = {"tables": {name: {"rows": source.row_count} for name, source in sources.items()}}

    def run(self, on_bad_rows: str) -> None:
        self._check_contents()
        rule = settle_split(self._engagements(), self._config.prepare.split).by
        check_relations(self._sources, self._bad, self._connection, by_time=rule == "time")
        self._handle_bad_rows(on_bad_rows)
        entities = self._write_entities()
        split = settle_split(self._engagements(), self._config.prepare.split)
        self._write_pairs(entities, split)
        self._audit(entities, split)
        self._write_exclusions(entities)
        self._write_relevance(entities)
        vocabulary = self._write_tokens()
        described = {"split": {"by": split.by, **{name: str(when) for name, when in split.boundaries.items()}}}
        self._report |= described
        write_json(self._folder / "report.json", self._report)
        write_json(self._folder / "manifest.json", {**self._manifest(vocabulary), **described})

    def _check_contents(self) -> None:
        lengths: dict[str, dict[str, int]] = {name: {} for name in self._sources}
        for table, columns, length, *_who in expected_vectors(self._config):
            if table in self._sources:
                known = self._sources[table].columns
                lengths[table] |= {column: length for column in columns if column in known}
        for name, source in self._sources.items():
            check = ContentCheck(source, self._bad, lengths[name])
            advance = self._track(f"Checking {name}", source.row_count)
            for batch in source.batches():
                check.check(batch)
                advance(batch.rows.num_rows)
            check.finish(self._scratch)
            self._dimensions[name] = check.dimensions

    def _handle_bad_rows(self, on_bad_rows: str) -> None:
        problems = self._bad.problems()
        if problems and on_bad_rows == "fail":
            raise TfsageError(
                f"The tables hold rows that cannot be used:\n{self._bad.describe()}\n"
                "Nothing was written. Mend the rows, or set them aside with --on-bad-rows quarantine."
            )
        self._report["problems"] = problems
        for name, source in self._sources.items():
            aside = write_quarantine(source, self._bad, self._folder / "quarantine" / f"{name}.parquet")
            self._report["tables"][name]["quarantined"] = aside
            if aside == source.row_count:
                raise TfsageError(f"{name}: no row can be used:\n{self._bad.describe()}\nNothing was written.")
        if problems:
            console.print(f"Rows set aside in quarantine/:\n{self._bad.describe()}", markup=False, soft_wrap=True)

    def _write_entities(self) -> ibis.Table:
        """The stores and tables of products, pins and queries; returns type, id, row and key of each."""
        for entity_type, name in TABLE_OF_TYPE.items():
            if name not in self._sources:
                continue
            source = self._sources[name]
            writer = EntityWriter(source, entity_type, self._dimensions[name], self._folder)
            writer.write(self._bad, self._scratch, self._track(f"Writing {name}", source.row_count))
            self._writers[entity_type] = writer
            self._report["tables"][name] |= {"missing": writer.missing_rates(), "zero_vectors": writer.zero_vectors}
        return self._connection.read_parquet(str(self._scratch / "ids_*.parquet"))

    def _write_pairs(self, entities: ibis.Table, split: Split) -> None:
        steps: dict = {}
        builder = PairBuilder(self._connection, self._scratch, steps)
        builder.build(self._engagements(), entities, split, self._config.prepare, self._folder)
        self._report |= {"steps": steps, "pairs": describe_pairs(self._connection, self._folder)}
        if not any(row["split"] == "train" for row in self._report["pairs"]):
            raise TfsageError(
                f"The split by {split.by} leaves no training pairs ({steps}); change prepare.split in the config"
            )
        if any(row["query_type"] == "product" for row in self._report["pairs"]):
            write_product_queries(self._folder, self._dimensions["products"])

    def _audit(self, entities: ibis.Table, split: Split) -> None:
        """Whether enriched columns know what evaluation asks; it is reported, and said aloud."""
        rows = self._connection.read_parquet(self._scratch / "rows.parquet")
        audit = LeakageAudit(self._connection, self._folder, rows)
        found = {}
        for kind in (kind for kind in self._writers if kind != "query"):
            table = TABLE_OF_TYPE[kind]
            fields = stored_text_fields(self._sources[table])
            if "engaged_queries" in fields and "queries" in self._sources:
                found[f"{table}.engaged_queries"] = audit.engaged_queries(kind)
            if "board_titles" in fields and (saves := self._saves(kind, entities, split)) is not None:
                found[f"{table}.board_titles"] = audit.board_titles(kind, saves)
            if "captions" in fields and "queries" in self._sources:
                found[f"{table}.captions"] = audit.captions(kind)
        self._report["leakage"] = found
        if lines := describe_leaks(found):
            said = "\n".join(f"  {line}" for line in lines)
            console.print(f"Features know what evaluation asks:\n{said}", markup=False, soft_wrap=True)

    def _saves(self, kind: str, entities: ibis.Table, split: Split) -> ibis.Table | None:
        """entity, title and known of every save to a board; None where boards do not say enough."""
        boards = self._sources.get("boards")
        if boards is None or "title" not in boards.columns or "title" in self._bad.columns_with("boards", NOT_UTF8):
            return None
        if split.by == "time" and "timestamp" not in boards.columns:
            return None
        saves = self._bad.good("boards", relation(boards, self._connection, "title"))
        if "entity_type" in boards.columns:
            saves = saves.filter(_.entity_type == kind)
        mine = entities.filter(_.type == kind).select(entity_id=_.id, entity=_.row)
        known = _.timestamp <= ibis.literal(split.boundaries["train_end"]) if split.by == "time" else ibis.literal(True)
        return saves.inner_join(mine, "entity_id").select("entity", "title", known=known)

    def _write_exclusions(self, entities: ibis.Table) -> None:
        if "exclusions" in self._sources:
            good = self._good("exclusions")
            rows = with_rows(good, entities).select("query_type", "query", "entity_type", "entity").distinct()
            ordered = rows.order_by(["query_type", "query", "entity_type", "entity"])
            self._connection.to_parquet(ordered, self._folder / "exclusions.parquet")

    def _write_relevance(self, entities: ibis.Table) -> None:
        """Who was judged more than once gets the mean grade."""
        if "relevance" in self._sources:
            judged = ["query_type", "query", "entity_type", "entity"]
            rows = with_rows(self._good("relevance"), entities).mutate(grade=_.grade.cast("float64"))
            ordered = rows.group_by(judged).agg(grade=_.grade.mean()).order_by(judged)
            self._connection.to_parquet(ordered, self._folder / "relevance.parquet")

    def _write_tokens(self) -> Vocabulary:
        kinds = [kind for kind in self._writers if kind != "query"]
        fields = {kind: stored_text_fields(self._sources[TABLE_OF_TYPE[kind]]) for kind in kinds}
        steps = TokenSteps(self._folder, fields, self._config.text)
        count = sum(self._writers[kind].count for kind in kinds if fields[kind])
        asked = {part: self._text_queries(part) for part in SPLITS}
        vocabulary = steps.build_vocabulary(asked["train"], self._track("Counting tokens", count))
        steps.write_tokens(self._track("Tokenizing products and pins", count))
        self._report["vocabulary"] = {
            "sizes": dict(zip(KINDS, vocabulary.kind_sizes, strict=True)),
            "known_tokens": steps.known_shares(asked),
        }
        return vocabulary

    def _text_queries(self, part: str) -> np.ndarray:
        """Rows of the text queries that a part holds, as queries or as what was engaged with."""
        pairs = self._connection.read_parquet(self._folder / f"pairs_{part}.parquet")
        asked = pairs.filter(_.query_type == "query").select("query")
        found = pairs.filter(_.entity_type == "query").select(query="entity")
        rows = ibis.union(asked, found, distinct=True).order_by("query")
        return rows.to_pyarrow()["query"].to_numpy()

    def _manifest(self, vocabulary: Vocabulary) -> dict:
        queries = {kind: writer.describe_queries() for kind, writer in self._writers.items() if kind != "product"}
        product_queries = self._folder / "stores" / "product" / "embeddings.npy"
        if any(row["query_type"] == "product" for row in self._report["pairs"]):
            images = self._dimensions["products"].get("image_embeddings") if product_queries.exists() else None
            queries["product"] = {"count": self._writers["product"].count, "texts": "titles", "dimension": images}
        return {
            "format": FORMAT,
            "entities": {kind: writer.describe() for kind, writer in self._writers.items()},
            "queries": queries,
            "pairs": {part: sum(r["pairs"] for r in self._report["pairs"] if r["split"] == part) for part in SPLITS},
            "vocabulary": {"fingerprint": vocabulary.fingerprint, "size": vocabulary.size},
        }

    def _engagements(self) -> ibis.Table:
        return self._good("engagements")

    def _good(self, name: str) -> ibis.Table:
        return self._bad.good(name, self._sources[name].expression(self._connection))

    def _track(self, title: str, total: int) -> Callable[[int], None]:
        task = self._bar.add_task(title, total=total, note="")
        return lambda rows: self._bar.advance(task, rows)
