"""A run's towers into a bundle: SavedModels, warm-up records, canaries, and the manifest that names their space."""

import importlib.metadata
import shutil
from pathlib import Path

import tfsage
from export import space
from export.canaries import product_canaries, product_rows, query_canaries, query_texts, verify_canaries
from export.raw_features import raw_features
from export.saved_model import save_product_tower, save_query_tower
from export.warmup import product_requests, query_requests
from tfsage.bundle import MANIFEST, Bundle, Canaries, Manifest
from tfsage.data.prepared import PreparedData
from tfsage.errors import TfsageError
from tfsage.serving.ops_allowlist import check_servable_ops
from tfsage.serving.warmup import write_warmup_requests
from tfsage.towers.base import Tower
from tfsage.training.run import Run

_PACKAGES = ("tensorflow", "tf-keras", "tensorflow-text", "tensorflow-recommenders", "keras-nlp", "numpy")
_TOWERS = ("query_tower", "product_tower")


def save_towers(run: Run, folder: Path) -> Bundle:
    """Writes query_tower/1, product_tower/1 and a manifest that knows no catalog yet.

    They are written aside, embedded with once more in a fresh process, checked against the operations that stock
    TensorFlow Serving has, and only then put in place. Embeddings of an earlier export stay where they are:
    `export.catalog` keeps those that belong to the same space.

    Args:
        run: a trained run.
        folder: the bundle.

    Raises:
        TfsageError: the run has no checkpoint; `export.query_tower` does not read text; a SavedModel in a fresh
            process computes other vectors, or needs an operation that stock TensorFlow Serving lacks.
    """
    aside = folder.with_name(f".{folder.name}.towers.partial")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        made = _write(run, aside)
        verify_canaries(made)
        _put_in_place(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return Bundle(folder, made.manifest)


def _put_in_place(aside: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    # Without a manifest a folder is no bundle: a kill from here on leaves none that mixes two spaces.
    (folder / MANIFEST).unlink(missing_ok=True)
    for name in _TOWERS:
        shutil.rmtree(folder / name, ignore_errors=True)
        if (aside / name).exists():
            (aside / name).rename(folder / name)
    (aside / MANIFEST).rename(folder / MANIFEST)


def _write(run: Run, folder: Path) -> Bundle:
    config, data, towers = run.config, run.data, run.load_towers()
    settings = config.towers[config.export.product_tower]
    images = getattr(settings, "images", None)
    image_column = None if images is None else images.column

    product = towers[config.export.product_tower]
    inputs = raw_features(product_rows(data), product.raw_signature, image_column)
    path = folder / "product_tower" / "1"
    save_product_tower(product, path)
    write_warmup_requests(path, product_requests(inputs))
    _check_ops(path)

    canaries = Canaries(queries=[], vectors=[])
    if config.export.query_tower is not None:
        canaries = _write_query_tower(config.export.query_tower, towers, data, folder / "query_tower" / "1")

    tokenizer = space.tokenizer_fingerprint(data, {name: towers[name] for name in space.exported_names(config)})
    hashing = space.hash_fingerprint(config)
    manifest = Manifest(
        space_id=space.space_id(config, towers, tokenizer, hashing),
        dimension=settings.dimension,
        tokenizer_fingerprint=tokenizer,
        hash_fingerprint=hashing,
        versions={"tfsage": tfsage.__version__, **{name: importlib.metadata.version(name) for name in _PACKAGES}},
        text_fields=getattr(settings, "text_fields", ()),
        image_column=image_column,
        query_tower=config.export.query_tower is not None,
        canaries=canaries,
        product_canaries=product_canaries(product, inputs),
    )
    return Bundle(folder, manifest).update(changed=_TOWERS)


def _write_query_tower(name: str, towers: dict[str, Tower], data: PreparedData, path: Path) -> Canaries:
    tower = towers[name]
    if list(tower.raw_signature) != ["query"]:
        raise TfsageError(
            f"export.query_tower: tower {name!r} reads {sorted(tower.raw_signature)}, not query text; "
            f"name a tower of kind ngram or distilbert, or null to export the product tower alone"
        )
    texts = query_texts(data)
    save_query_tower(tower, path)
    write_warmup_requests(path, query_requests(texts))
    _check_ops(path)
    return query_canaries(tower, texts)


def _check_ops(path: Path) -> None:
    if foreign := check_servable_ops(path):
        raise TfsageError(f"{path}: stock TensorFlow Serving 2.20 cannot run these operations: {', '.join(foreign)}")
