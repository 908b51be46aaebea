"""A bundle whose parts do not belong together is never answered from."""

import json
import os
import shutil

import pyarrow.parquet as pq
import pytest

from tests.export import fakes
from tfsage.bundle import MANIFEST, Bundle, point_current
from tfsage.errors import TfsageError


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return fakes.write_bundle(tmp_path_factory.mktemp("made") / "bundle")


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Of another space, and with another number of products."""
    return fakes.write_bundle(tmp_path_factory.mktemp("other") / "bundle", count=50, seed=2)


@pytest.fixture
def bundle(made, tmp_path):
    return Bundle.open(shutil.copytree(made.folder, tmp_path / "bundle"))


def edit(bundle, **fields):
    path = bundle.folder / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
    return Bundle.open(bundle.folder)


def test_a_whole_bundle_verifies_and_says_what_it_is(bundle):
    bundle.verify()
    manifest = bundle.manifest
    assert (manifest.products, manifest.dimension, manifest.metric) == (60, fakes.DIMENSION, "cosine")
    assert manifest.index.recall >= manifest.index.target
    assert bundle.query_tower.name == "1" and (bundle.query_tower / "saved_model.pb").exists()


def test_the_index_of_another_space_is_refused(bundle, other):
    shutil.rmtree(bundle.index)
    shutil.copytree(other.index, bundle.index)
    with pytest.raises(TfsageError, match="its space is '000000000002', the manifest's is '000000000001'"):
        bundle.load_index()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dimension": 16}, "its dimension is 8, the manifest's is 16"),
        ({"products": 61}, "its number of rows is 60, the manifest's is 61"),
        ({"space_id": "0" * 12}, "its space is '000000000001', the manifest's is '000000000000'"),
    ],
)
def test_a_manifest_that_disagrees_with_the_index_is_refused(bundle, fields, message):
    with pytest.raises(TfsageError, match=message):
        edit(bundle, **fields).load_index()


def test_a_recall_edited_into_the_manifest_is_refused(bundle):
    index = bundle.manifest.index.model_dump() | {"recall": 0.999}
    with pytest.raises(TfsageError, match="its recall is .*the manifest's is 0.999"):
        edit(bundle, index=index).load_index()


def test_embeddings_of_another_space_are_refused(bundle, other):
    shutil.copyfile(other.parts()[0], bundle.parts()[0])
    resealed = bundle.update(changed=("embeddings",))
    with pytest.raises(TfsageError, match="its space is '000000000002', the manifest's is '000000000001'"):
        resealed.verify()


def test_missing_rows_of_embeddings_are_refused(bundle):
    part = bundle.parts()[0]
    pq.write_table(pq.read_table(part).slice(1), part)
    with pytest.raises(TfsageError, match="its number of rows is 59, the manifest's is 60"):
        bundle.update(changed=("embeddings",)).verify()


def test_a_file_that_the_manifest_does_not_know_is_refused(bundle):
    (bundle.query_tower / "assets.extra").mkdir(exist_ok=True)
    (bundle.query_tower / "assets.extra" / "more").write_text("")
    with pytest.raises(TfsageError, match="files that are not in the manifest.*assets.extra/more"):
        bundle.verify()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not json", "not a manifest of this version"),
        ("{}", "not a manifest of this version of tfsage: space_id: Field required"),
        ('{"format": 2}', "not a manifest of this version"),
    ],
)
def test_a_bad_manifest_is_refused(bundle, content, message):
    (bundle.folder / MANIFEST).write_text(content)
    with pytest.raises(TfsageError, match=message):
        Bundle.open(bundle.folder)


def test_an_unknown_manifest_key_is_refused(bundle):
    with pytest.raises(TfsageError, match="surprise: Extra inputs are not permitted"):
        edit(bundle, surprise=1)


def test_where_nothing_is(tmp_path):
    with pytest.raises(TfsageError, match="not a bundle"):
        Bundle.open(tmp_path)
    with pytest.raises(TfsageError, match="no bundle is published here"):
        Bundle.current(tmp_path)
    (tmp_path / "CURRENT").symlink_to("gone")
    with pytest.raises(TfsageError, match="no bundle is published here"):
        Bundle.current(tmp_path)


def test_an_opened_bundle_does_not_follow_current(made, other, tmp_path):
    """A reader that opened CURRENT keeps to the bundle it has read the manifest of."""
    for bundle in (made, other):
        shutil.copytree(bundle.folder, tmp_path / bundle.manifest.space_id)
    point_current(tmp_path, made.manifest.space_id)
    opened = Bundle.current(tmp_path)
    point_current(tmp_path, other.manifest.space_id)
    assert opened.load_index().count == 60
    assert Bundle.current(tmp_path).load_index().count == 50


def test_current_is_never_absent(tmp_path, monkeypatch):
    """A kill just before the last step: readers must still find the old bundle."""
    point_current(tmp_path, "old")

    def killed(source, target):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(os, "replace", killed)
        point_current(tmp_path, "new")
    assert os.readlink(tmp_path / "CURRENT") == "old"
    point_current(tmp_path, "new")
    assert os.readlink(tmp_path / "CURRENT") == "new"
