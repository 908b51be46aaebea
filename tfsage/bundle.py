"""The bundle: one embedding space, whole. This module is the one home of its layout and of its manifest.

    bundles/<space_id>/
      manifest.json            everything below, described, with the SHA-256 of every file
      query_tower/1/           SavedModel (absent when the space has no learned query tower)
      product_tower/1/         SavedModel
      embeddings/part-*.parquet
      index/
      MODEL_CARD.md  report.html
    bundles/CURRENT            a link to the published bundle, replaced atomically

A catalog published anew in a space that is already published gets the folder <space_id>-2, then -3, and so on, so that
a published folder never changes under its readers.
"""

import os
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from tfsage.errors import TfsageError
from tfsage.files import checksums, list_files, sync, verify_checksums, write_text
from tfsage.index import Index, IndexReport, load_index
from tfsage.index.storage import read_report

MANIFEST = "manifest.json"
CURRENT = "CURRENT"

MISSING = "missing_features"
"""Key in the metadata of a part of the embeddings: how many of its products lack each feature, as JSON."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Canaries(Section):
    """Queries and the vectors that the query tower gave them when it was exported."""

    queries: list[str]
    vectors: list[list[float]]


class ProductCanaries(Section):
    """Raw inputs of the product tower, as lists by input name, and the vectors it gave them."""

    inputs: dict[str, list[Any]]
    vectors: list[list[float]]


class IndexSummary(Section):
    """What of the index's own report the manifest repeats. tuned_on: what the queries are of which half tuned it and
    gave the curve, and the others its recall."""

    kind: str
    k: PositiveInt
    recall: float
    target: float
    effort: dict[str, int | None]
    curve: list[dict[str, Any]]
    tuned_on: str

    @classmethod
    def of(cls, report: IndexReport, tuned_on: str) -> "IndexSummary":
        return cls(
            kind=report.spec.kind,
            k=report.k,
            recall=report.recall,
            target=report.recall_target,
            effort=report.effort.model_dump(),
            curve=[point.model_dump() for point in report.curve],
            tuned_on=tuned_on,
        )


class Manifest(Section):
    """manifest.json. `products` and `index` are None until the catalog is embedded and indexed."""

    format: Literal[1] = 1
    space_id: str = Field(pattern=r"^[0-9a-f]{12}$")
    dimension: PositiveInt
    metric: Literal["cosine"] = "cosine"
    tokenizer_fingerprint: str
    hash_fingerprint: str
    versions: dict[str, str]
    text_fields: tuple[str, ...]
    image_column: str | None
    query_tower: bool
    canaries: Canaries
    product_canaries: ProductCanaries
    products: PositiveInt | None = None
    index: IndexSummary | None = None
    files: dict[str, str] = {}


class Bundle:
    """A bundle folder, published or being made (then in RUN/bundle).

    Attributes:
        folder: the folder itself; links are resolved, so that a later change of CURRENT does not move it.
        manifest: what manifest.json said when the bundle was opened.
    """

    def __init__(self, folder: Path, manifest: Manifest):
        self.folder, self.manifest = folder.resolve(), manifest

    @classmethod
    def open(cls, path: str | Path) -> "Bundle":
        """Opens a bundle by its folder; only the manifest is read.

        Raises:
            TfsageError: there is no manifest, or it is not valid.
        """
        path = Path(path)
        try:
            return cls(path, Manifest.model_validate_json((path / MANIFEST).read_bytes()))
        except (FileNotFoundError, NotADirectoryError):
            raise TfsageError(f"{path}: not a bundle (no {MANIFEST}); python -m export.towers makes one") from None
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(map(str, problem["loc"])) or "the file"
            raise TfsageError(
                f"{path / MANIFEST}: not a manifest of this version of tfsage: {where}: {problem['msg']}; export anew"
            ) from None

    @classmethod
    def current(cls, root: str | Path) -> "Bundle":
        """Opens the published bundle below `root`.

        Raises:
            TfsageError: nothing is published there.
        """
        link = Path(root) / CURRENT
        if not link.exists():
            raise TfsageError(f"{root}: no bundle is published here (no {CURRENT}); python -m export.publish does it")
        return cls.open(link.resolve())

    @property
    def query_tower(self) -> Path | None:
        """The SavedModel of the query tower, or None."""
        return self.folder / "query_tower" / "1" if self.manifest.query_tower else None

    @property
    def product_tower(self) -> Path:
        """The SavedModel of the product tower."""
        return self.folder / "product_tower" / "1"

    @property
    def embeddings(self) -> Path:
        """The folder of the embeddings' Parquet parts."""
        return self.folder / "embeddings"

    @property
    def index(self) -> Path:
        """The folder of the index."""
        return self.folder / "index"

    def parts(self) -> list[Path]:
        """The Parquet parts of the embeddings, in the order of the catalog."""
        return sorted(self.embeddings.glob("part-*.parquet"))

    def load_index(self) -> Index:
        """Opens the index, its checksums verified; its `id_map` has the columns product_id and title.

        Raises:
            TfsageError: the index is damaged, or is not the one that the manifest describes.
        """
        self._check_index()
        return load_index(self.index)

    def update(self, changed: tuple[str, ...] = (), **fields) -> "Bundle":
        """The bundle with changed manifest fields, written; checksums below the `changed` names are taken anew."""
        kept = {name: digest for name, digest in self.manifest.files.items() if name.split("/")[0] not in changed}
        kept |= checksums(self.folder, [name for name in list_files(self.folder) if name.split("/")[0] in changed])
        manifest = self.manifest.model_copy(update={**fields, "files": dict(sorted(kept.items()))})
        write_text(self.folder / MANIFEST, manifest.model_dump_json(indent=1) + "\n")
        return Bundle(self.folder, manifest)

    def verify(self) -> None:
        """Checks that the bundle is complete, unchanged, and that its parts belong together.

        Raises:
            TfsageError: a step of the export is missing; a file is missing, changed or foreign; the manifest, the
                embeddings and the index differ in space, dimension or row count.
        """
        manifest = self.manifest
        if manifest.products is None or manifest.index is None:
            step = "export.catalog" if manifest.products is None else "export.index"
            raise TfsageError(f"{self.folder}: the bundle is not complete; run python -m {step} first")
        if foreign := set(list_files(self.folder)) - {*manifest.files, MANIFEST}:
            raise TfsageError(f"{self.folder}: files that are not in the manifest: {sorted(foreign)}; remove them")
        verify_checksums(self.folder, manifest.files, "export the bundle anew")
        self.check_embeddings()
        self._check_index()

    def check_embeddings(self) -> None:
        """Checks that the embeddings are of the manifest's space, dimension and number of rows, by their footers.

        Raises:
            TfsageError: they are not.
        """
        rows = 0
        for part in self.parts():
            with pq.ParquetFile(part) as file:
                rows += file.metadata.num_rows
                space = (file.schema_arrow.metadata or {}).get(b"space_id", b"").decode()
                vector = file.schema_arrow.field("embedding").type
            self._agree(part, "space", space, self.manifest.space_id)
            dimension = vector.list_size if pa.types.is_fixed_size_list(vector) else None
            self._agree(part, "dimension", dimension, self.manifest.dimension)
        self._agree(self.embeddings, "number of rows", rows, self.manifest.products)

    def _check_index(self) -> None:
        report = read_report(self.index)
        self._agree(self.index, "space", report.space_id, self.manifest.space_id)
        self._agree(self.index, "dimension", report.dimension, self.manifest.dimension)
        self._agree(self.index, "number of rows", report.count, self.manifest.products)
        if self.manifest.index is not None:
            self._agree(self.index, "recall", report.recall, self.manifest.index.recall)

    def _agree(self, path: Path, what: str, found, wanted) -> None:
        if found != wanted:
            raise TfsageError(
                f"{path}: its {what} is {found!r}, the manifest's is {wanted!r}: they are not of one bundle; "
                f"run the exports from export.catalog on anew"
            )


def embeddings_schema(id_type: pa.DataType, dimension: int) -> pa.Schema:
    """Columns of embeddings/part-*.parquet: product_id, title, embedding (unit), space_id."""
    fields = [
        pa.field("product_id", id_type, nullable=False),
        pa.field("title", pa.string()),
        pa.field("embedding", pa.list_(pa.float32(), dimension), nullable=False),
        pa.field("space_id", pa.string(), nullable=False),
    ]
    return pa.schema(fields)


def point_current(root: Path, name: str) -> None:
    """Makes CURRENT a link to the folder `name` below `root`, in one atomic step."""
    aside = root / f".{CURRENT}.partial"
    aside.unlink(missing_ok=True)
    aside.symlink_to(name, target_is_directory=True)
    os.replace(aside, root / CURRENT)
    sync(root)


def rollback(root: str | Path, name: str) -> Bundle:
    """Makes a bundle that was published earlier the current one again.

    Args:
        root: the folder of bundles.
        name: its folder, which is its space id (with -2, -3, ... for a later catalog in the same space).

    Raises:
        TfsageError: there is no such bundle, or it is damaged; CURRENT stays as it was.
    """
    root = Path(root)
    published = sorted(path.parent.name for path in root.glob(f"[!.]*/{MANIFEST}") if not path.parent.is_symlink())
    if name not in published:
        raise TfsageError(f"{root}: no published bundle {name!r}; there are {published}")
    bundle = Bundle.open(root / name)
    bundle.verify()
    point_current(root, name)
    return bundle
