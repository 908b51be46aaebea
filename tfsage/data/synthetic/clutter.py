"""What real catalogs have and the plain synthetic shop has not: listings that nobody buys, images of something else."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfsage.data.staging import staged_folder
from tfsage.data.synthetic.shop import write_shop
from tfsage.parquet import open_parquet

DEALERS = ("bargaindock.example", "overstocklane.example", "clearancehub.example")
"""Merchants of the copied listings."""

_BATCH = 2048
_MOST_IMAGES = 20
_WATERMARK, _SCENE = 0.5, 1.0
"""How much of an image is what all of its kind have in common; images have length 1."""
_COPY_NOISE = 0.3


def write_cluttered_shop(
    out: str | Path,
    products: int,
    copied: float = 0.8,
    strays: float = 4.0,
    pictureless: float = 0.1,
    seed: int = 1,
    **sizes: int,
) -> None:
    """Writes a synthetic shop whose catalog is less tidy, for comparisons that a tidy one cannot decide.

    - Some listings are copied by dealers: the same texts and, with a watermark, the same images, under another
      merchant. Nobody ever engages with a copy, so that only random negatives can teach to avoid it (ItemSage §3.4:
      "unengaged products in the catalog will never appear as negative labels").
    - Some listings came without a photograph: the shop shows its one placeholder. Only texts tell what they are.
    - Among a product's images, at any place, are stray ones that show some other product, in a scene: a product has
      up to 20 images (ItemSage §3.2), and not all of them tell what it is.
    - A pin's embedding is also its only image, so that a tower over images reads pins as well as products.
    - Boards of products and boards of pins that have one title are one board, as far as there are both.

    The truth knows nothing of the copies. The same arguments give the same bytes.

    Args:
        out: the folder.
        products: number of products that are no copies.
        copied: share of them that has a copy.
        strays: mean number of stray images of a product.
        pictureless: share of the products that have the placeholder as their only image, and so do their copies.
        seed: decides everything.
        sizes: the other sizes of `write_shop`.

    Raises:
        TfsageError: a size that no shop can have, or `out` holds something else.
    """
    with staged_folder(out, "products.parquet") as folder, TemporaryDirectory(dir=folder) as scratch:
        plain = Path(scratch) / "plain"
        write_shop(plain, products, seed, **sizes)
        _clutter(plain / "products.parquet", folder / "products.parquet", copied, strays, pictureless, seed)
        _share_boards(plain / "boards.parquet")
        _let_pins_have_images(plain / "pins.parquet", folder / "pins.parquet")
        for name in ("products", "pins"):
            (plain / f"{name}.parquet").unlink()
        for path in plain.iterdir():
            path.rename(folder / path.name)


def _clutter(source: Path, target: Path, copied: float, strays: float, pictureless: float, seed: int) -> None:
    file = open_parquet(source)
    dimension = file.schema_arrow.field("image_embeddings").type.value_type.list_size
    watermark, scene, placeholder = _unit(np.random.default_rng([seed, 3]).standard_normal((3, dimension)))
    with pq.ParquetWriter(target, file.schema_arrow, compression="zstd") as writer:
        for number, batch in enumerate(file.iter_batches(_BATCH)):
            rng = np.random.default_rng([seed, 4, number])
            rows, images, lengths, origin = _with_copies(batch, copied, watermark, rng)
            images, lengths = _with_strays(images, lengths, strays, scene, rng)
            bare = (rng.random(len(batch)) < pictureless)[origin]
            images, lengths = _without_pictures(images, lengths, bare, placeholder)
            vectors = pa.FixedSizeListArray.from_arrays(pa.array(images.ravel(), pa.float32()), dimension)
            offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
            place = rows.schema.get_field_index("image_embeddings")
            column = pa.ListArray.from_arrays(offsets, vectors).cast(rows.schema.field(place).type)
            writer.write_table(rows.set_column(place, rows.schema.field(place), column))


def _with_copies(
    batch: pa.RecordBatch, copied: float, watermark: np.ndarray, rng: np.random.Generator
) -> tuple[pa.Table, np.ndarray, np.ndarray, np.ndarray]:
    """The rows and their copies; all images, float [total, dim]; how many each row has; what it is, or is a copy of."""
    table = pa.Table.from_batches([batch])
    images, lengths = _images(batch["image_embeddings"])
    chosen = np.flatnonzero(rng.random(len(table)) < copied)
    copies = table.take(chosen)
    dealers = pa.array(rng.choice(DEALERS, len(chosen)), pa.string())
    for name, column in (
        ("product_id", pc.binary_join_element_wise("copy-", copies["product_id"], "")),
        ("merchant_domain", dealers),
    ):
        place = copies.schema.get_field_index(name)
        copies = copies.set_column(place, copies.schema.field(place), column)
    starts = np.cumsum(lengths) - lengths
    taken = _unit(np.concatenate([images[:0], *(images[starts[row] : starts[row] + lengths[row]] for row in chosen)]))
    noise = rng.standard_normal(taken.shape) * (_COPY_NOISE / np.sqrt(taken.shape[1]))
    images = np.concatenate([images, _unit(taken + _WATERMARK * watermark + noise)])
    origin = np.concatenate([np.arange(len(table)), chosen])
    return pa.concat_tables([table, copies]), images, lengths[origin], origin


def _with_strays(
    images: np.ndarray, lengths: np.ndarray, strays: float, scene: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The images with stray ones among those of each row, in an order that tells nothing."""
    extra = np.minimum(rng.geometric(1 / (1 + strays), len(lengths)) - 1, _MOST_IMAGES - lengths)
    others = images[rng.integers(len(images), size=extra.sum())]
    both = np.concatenate([images, _unit(others + _SCENE * scene)])
    row = np.concatenate([np.repeat(np.arange(len(lengths)), lengths), np.repeat(np.arange(len(lengths)), extra)])
    return both[np.lexsort([rng.random(len(both)), row])], lengths + extra


def _without_pictures(
    images: np.ndarray, lengths: np.ndarray, bare: np.ndarray, placeholder: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The images with one placeholder in the place of all those of the rows that are `bare`."""
    starts = np.cumsum(lengths) - lengths
    images = images.copy()
    images[starts[bare]] = placeholder
    kept = ~np.repeat(bare, lengths)
    kept[starts[bare]] = True
    return images[kept], np.where(bare, 1, lengths)


def _let_pins_have_images(source: Path, target: Path) -> None:
    file = open_parquet(source)
    schema = file.schema_arrow.append(pa.field("image_embeddings", pa.list_(file.schema_arrow.field("embedding").type)))
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for batch in file.iter_batches(_BATCH):
            images = pa.ListArray.from_arrays(pa.array(np.arange(len(batch) + 1), pa.int32()), batch["embedding"])
            writer.write_batch(pa.record_batch([*batch.columns, images], schema=schema))


def _share_boards(path: Path) -> None:
    """The k-th board of products and the k-th board of pins under a title get one id."""
    table = pq.read_table(path)
    boards = table.group_by(["title", "entity_type", "board_id"], use_threads=False).aggregate([])
    numbers: dict[tuple, int] = {}
    taken: dict[tuple, str] = {}
    shared = {}
    for row in boards.to_pylist():
        of = row["title"], row["entity_type"]
        numbers[of] = numbers.get(of, -1) + 1
        shared[row["board_id"]] = taken.setdefault((row["title"], numbers[of]), row["board_id"])
    column = pa.array([shared[board] for board in table["board_id"].to_pylist()], pa.string())
    pq.write_table(table.set_column(table.schema.get_field_index("board_id"), "board_id", column), path)


def _images(column: pa.ListArray) -> tuple[np.ndarray, np.ndarray]:
    lengths = column.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
    vectors = column.flatten()
    return vectors.flatten().to_numpy().reshape(len(vectors), -1), lengths


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
