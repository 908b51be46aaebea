"""The doctor before real bundles: Parquet parts, SavedModels, and what the command prints."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tests.export import fakes
from tfsage.bundle import Bundle
from tfsage.cli import app
from tfsage.errors import TfsageError
from tfsage.health.bundle_space import bundle_space, missing_features

PRODUCTS = 60


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Bundle:
    return fakes.write_bundle(tmp_path_factory.mktemp("doctor") / "bundle", PRODUCTS)


@pytest.fixture
def bundle(made, tmp_path) -> Bundle:
    return Bundle.open(shutil.copytree(made.folder, tmp_path / "bundle"))


@pytest.fixture
def strict(tmp_path):
    """A config whose doctor suffers no duplicates; the tiny shop has a product twice."""
    file = tmp_path / "config.yaml"
    towers = {"product": {"kind": "itemsage"}, "text": {"kind": "ngram"}}
    task = {"name": "t", "source": "catalog_text", "query_tower": "text"}
    file.write_text(json.dumps({"towers": towers, "tasks": [task], "doctor": {"duplicates": 0.0}}))
    return file


def doctor(*words, expect: int = 0):
    result = CliRunner().invoke(app, ["doctor", *map(str, words)])
    assert result.exit_code == expect, result.output
    return result


def test_vectors_are_read_in_the_order_of_the_catalog(bundle):
    blocks = list(bundle_space(bundle).blocks())
    assert [product for block in blocks for product in block.ids] == [f"p{row}" for row in range(PRODUCTS)]
    table = pq.read_table(bundle.parts()[0])
    np.testing.assert_array_equal(np.concatenate([block.vectors for block in blocks]), table["embedding"].to_pylist())
    assert blocks[0].titles == table["title"].to_pylist()


def test_queries_are_embedded_as_the_canaries_say(bundle):
    space = bundle_space(bundle)
    texts = [*bundle.manifest.canaries.queries] * 20
    np.testing.assert_allclose(space.embed(texts), bundle.manifest.canaries.vectors * 20, atol=1e-6)


def test_missing_features_are_those_of_the_table(bundle):
    products = fakes.products_table(PRODUCTS)
    images = sum(not images for images in products["image_embeddings"].to_pylist())
    without = {"title": 0, "brand": products["brand"].null_count, "image_embeddings": images}
    assert missing_features(bundle) == {name: count / PRODUCTS for name, count in without.items()}
    assert 0 < images < PRODUCTS


def test_parts_of_an_older_version_do_not_say_what_is_missing(bundle):
    part = bundle.parts()[0]
    pq.write_table(pq.read_table(part).replace_schema_metadata({"space_id": bundle.manifest.space_id}), part)
    assert missing_features(bundle) == {}


def test_a_healthy_bundle_has_status_0(bundle):
    result = doctor(bundle.folder, "--against", bundle.folder)
    assert "healthy" in result.stdout and "alarm" not in result.stdout and "remedies" not in result.stdout


def test_an_alarm_has_status_1_and_a_remedy(bundle, strict):
    result = doctor(bundle.folder, "--config", strict, expect=1)
    assert "✗ alarm" in result.stdout and "remedies" in result.stdout


def test_json_says_which_alarm_it_is(bundle):
    canaries = bundle.manifest.canaries
    bundle.update(canaries=canaries.model_copy(update={"vectors": canaries.vectors[::-1]}))
    report = json.loads(doctor(bundle.folder, "--json", expect=1).stdout)
    assert (report["bundle"], report["against"], report["healthy"]) == (str(bundle.folder), None, False)
    assert [each["check"] for each in report["findings"] if each["verdict"] == "alarm"] == ["canaries.query tower"]


def test_what_cannot_be_examined_has_status_2(tmp_path, bundle):
    for words in (["nowhere"], [bundle.folder, "--against", "nowhere"], [bundle.folder, "--config", "nowhere"]):
        result = CliRunner().invoke(app, ["doctor", *map(str, words)])
        assert isinstance(result.exception, TfsageError) and result.exception.exit_status == 2
    assert CliRunner().invoke(app, ["doctor"]).exit_code == 2


def test_a_bundle_without_catalog_is_refused(bundle):
    with pytest.raises(TfsageError, match="run python -m export.catalog first"):
        bundle_space(bundle.update(products=None))
