"""The towers of a really trained run, exported by the command."""

import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from export import save_towers as save_towers_module
from export.raw_features import raw_features
from export.save_towers import save_towers
from export.saved_model import Signature
from tests.conftest import command
from tfsage.bundle import Bundle
from tfsage.embedding import embed_products, embed_queries
from tfsage.errors import TfsageError
from tfsage.training.run import Run


@pytest.fixture(scope="module")
def exported(trained_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "bundle"
    done = command(["export.towers", "--run", trained_run, "--bundle", folder])
    assert done.stdout == "" and "Assets written" not in done.stderr
    return Bundle.open(folder)


def test_exported_towers_are_the_trained_ones(exported, trained_run):
    """Raw strings and padded images through the SavedModel, against prepared features through the trained tower."""
    run = Run.open(trained_run)
    towers = run.load_towers()
    table = pq.read_table(run.data.folder / "products.parquet").slice(0, 20).combine_chunks().to_batches()[0]
    product = Signature(exported.product_tower)
    vectors = product(**raw_features(table, product.inputs, exported.manifest.image_column))
    np.testing.assert_allclose(vectors, embed_products(towers["product"], run.data, np.arange(20)), atol=1e-5)

    texts = run.data.queries("query").texts.gather(np.arange(10))
    vectors = Signature(exported.query_tower)(query=texts)
    np.testing.assert_allclose(vectors, embed_queries(towers["text"], run.data, "query", np.arange(10)), atol=1e-5)


def test_an_empty_query_and_an_empty_product_have_finite_unit_vectors(exported):
    for folder in (exported.query_tower, exported.product_tower):
        serve = Signature(folder)
        empty = {
            name: np.full([1] * spec.shape.rank, b"", object)
            if spec.dtype == tf.string
            else np.zeros((1, 0, spec.shape[-1]), np.float32)
            for name, spec in serve.inputs.items()
        }
        np.testing.assert_allclose(np.linalg.norm(serve(**empty)), 1.0, atol=1e-5)


def test_the_manifest_names_the_space(exported, trained_run):
    manifest = exported.manifest
    assert manifest.dimension == 256 and manifest.query_tower
    assert len(manifest.canaries.queries) == len(manifest.canaries.vectors) > 10
    assert manifest.image_column == "image_embeddings" and manifest.text_fields[0] == "title"
    assert manifest.products is None and manifest.index is None


def with_query_tower(name, trained_run, monkeypatch):
    """The run with another choice of query tower; a fresh process takes seconds, and the command was tested above."""
    monkeypatch.setattr(save_towers_module, "verify_canaries", lambda bundle: None)
    run = Run.open(trained_run)
    export = run.config.export.model_copy(update={"query_tower": name})
    monkeypatch.setattr(run, "config", run.config.model_copy(update={"export": export}))
    return run


def test_only_the_product_tower_when_the_config_says_so(exported, trained_run, monkeypatch, tmp_path):
    folder = shutil.copytree(exported.folder, tmp_path / "bundle")
    bundle = save_towers(with_query_tower(None, trained_run, monkeypatch), folder)
    assert bundle.query_tower is None and not (folder / "query_tower").exists()
    assert bundle.manifest.canaries.queries == []
    assert not [name for name in bundle.manifest.files if name.startswith("query_tower")]


def test_a_query_tower_that_reads_no_text_is_refused(trained_run, monkeypatch, tmp_path):
    run = with_query_tower("pin", trained_run, monkeypatch)
    with pytest.raises(TfsageError, match=r"tower 'pin' reads \['embedding'\], not query text"):
        save_towers(run, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []
