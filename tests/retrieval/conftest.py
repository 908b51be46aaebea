"""A small catalog behind a running retrieval service."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.serving.models import DIMENSION, write_bundle
from tfsage.bundle import Bundle, embeddings_schema
from tfsage.retrieval import loaded
from tfsage.retrieval.added import watch_added
from tfsage.retrieval.loaded import Settings
from tfsage.retrieval.server import RetrievalServer
from tfsage.retrieval.service import RetrievalService
from tfsage.serving.registry import load_registry
from tfsage.serving.server import ModelServer, base_paths

COLORS, THINGS = ("walnut", "oak", "red", "blue", "steel"), ("desk", "chair", "lamp", "rug", "sink", "sofa")
TITLES = tuple(f"{color} {thing}" for color in COLORS for thing in THINGS)
QUERIES = ["walnut desk", "red sofa", "steel sink", "blue rug"]
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360f8cf"
    "c0f01f0005000101a5f645400000000049454e44ae426082"
)


NEW = {"n1": "brass lamp", "n0": "walnut stool", "n2": "oak lamp", "p4": "walnut sink", "p20": "gold sofa"}
"""Products that the bundle does not hold, and two that it does, with other titles than there."""


def unit(count: int, seed: int = 5) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


VECTORS = dict(zip(NEW, unit(len(NEW)), strict=True))


def write_added(path: Path, space: str, titles=NEW, vectors=None, order=None) -> None:
    """What `python -m export.catalog` writes, written aside and renamed."""
    vectors = np.stack([VECTORS[name] for name in titles]) if vectors is None else np.asarray(vectors, np.float32)
    columns = {
        "product_id": list(titles),
        "title": list(titles.values()),
        "embedding": list(vectors),
        "space_id": [space] * len(titles),
    }
    schema = embeddings_schema(pa.string(), vectors.shape[1]).with_metadata({"space_id": space})
    table = pa.table(columns, schema=schema)
    aside = path.with_name("aside")
    pq.write_table(table if order is None else table.take(order), aside)
    os.replace(aside, path)


class World(NamedTuple):
    """The bundle, its vectors, and a client of the service over it."""

    root: Path
    bundle: Bundle
    vectors: np.ndarray
    service: RetrievalService
    http: httpx.Client


@pytest.fixture(scope="session")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("retrieval") / "bundles"
    write_bundle(folder, seed=2, titles=TITLES)
    write_bundle(folder, seed=1, titles=TITLES)
    return folder


@pytest.fixture(scope="session")
def settings(root, tmp_path_factory) -> Settings:
    """Attributes for all products but the last, pictures for two, and one pin in the place of each product."""
    folder = tmp_path_factory.mktemp("tables")
    ids = [f"p{row}" for row in range(len(TITLES))]
    words = [title.split() for title in TITLES]
    table = {
        "product_id": ids,
        "title": list(TITLES),
        "colors": [[color] for color, _ in words],
        "product_types": [thing for _, thing in words],
        "price": np.arange(len(ids), dtype=float),
    }
    pq.write_table(
        pa.table(table).slice(0, len(ids) - 1).take(np.arange(len(ids) - 1)[::-1]), folder / "products.parquet"
    )
    pq.write_table(pa.table({"product_id": ["p0", "p1"], "image": [PNG, b"no picture"]}), folder / "images.parquet")
    vectors = np.load(Bundle.current(root).index / "vectors.npy")
    embedding = pa.FixedSizeListArray.from_arrays(pa.array(3 * vectors.ravel()), DIMENSION)
    pins = pa.table({"pin_id": np.arange(len(ids)), "embedding": embedding})
    pq.write_table(pins, folder / "pins.parquet")
    return Settings(
        products=folder / "products.parquet",
        images=folder / "images.parquet",
        pins=folder / "pins.parquet",
        hybrid=True,
        data=folder,
    )


@pytest.fixture(scope="session")
def world(root, settings) -> Iterator[World]:
    """The service over the bundle, with training queries and another bundle to compare with."""
    bundle = Bundle.current(root)
    other = next(path for path in root.iterdir() if path.is_dir() and path.resolve() != bundle.folder)
    with (
        pytest.MonkeyPatch.context() as patch,
        ModelServer(load_registry(base_paths(bundle))) as one,
        ModelServer(load_registry(base_paths(Bundle.open(other)))) as two,
    ):
        patch.setattr(loaded, "PreparedData", lambda folder: None if folder is None else _Data(folder))
        patch.setattr(loaded, "training_queries", lambda data: QUERIES)
        addresses = (two.grpc_address, one.grpc_address)
        given = Settings(**{**vars(settings), "addresses": addresses})
        with RetrievalService(root, given, compare=other) as service, RetrievalServer(service) as server:
            with service.borrow() as current:
                current.explainer.wait(10)
            with httpx.Client(base_url=server.url, timeout=20) as http:
                yield World(root, bundle, np.load(bundle.index / "vectors.npy"), service, http)


@pytest.fixture
def added(world, settings, monkeypatch, tmp_path):
    """A file of added products that the running service follows, with pictures and attributes of some of them."""
    path, table, images = (tmp_path / f"{name}.parquet" for name in ("added", "products", "images"))
    write_added(path, world.bundle.manifest.space_id)
    known = pq.read_table(settings.products)
    new = {
        "product_id": ["n0", "n1", "p4"],
        "title": [NEW[name] for name in ("n0", "n1", "p4")],
        "colors": [["walnut"], ["brass"], ["walnut"]],
        "product_types": ["stool", "lamp", "sink"],
        "price": [100.0, 5.0, 104.0],
    }
    others = known.filter(pa.array([name not in ("p4", "p20") for name in known["product_id"].to_pylist()]))
    pq.write_table(pa.concat_tables([others, pa.table(new)]), table)
    pq.write_table(pa.table({"product_id": ["n1", "p4"], "image": [PNG, PNG]}), images)
    with world.service.borrow() as loaded:
        watched = watch_added(path, loaded.bundle, loaded.catalog, table, images, loaded.bm25)
        monkeypatch.setattr(loaded, "added", watched)
    return path


class _Data(NamedTuple):
    folder: Path
