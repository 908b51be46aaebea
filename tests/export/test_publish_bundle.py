"""Publishing changes CURRENT only when a whole, verified bundle is in place."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from export import publish_bundle
from export.embed_catalog import embed_catalog
from export.model_card import write_model_card
from export.publish_bundle import publish
from export.tune_index import tune_index
from tests.conftest import ROOT
from tests.evaluation.report.worlds import make_report, make_serving
from tests.export import fakes
from tfsage.bundle import MANIFEST, Bundle, rollback
from tfsage.errors import TfsageError
from tfsage.index import load_index


@pytest.fixture(autouse=True)
def trusted_canaries(request, monkeypatch):
    """A fresh process takes seconds: it is left out but where canaries are what the test is about."""
    if "canaries" not in request.node.name:
        monkeypatch.setattr(publish_bundle, "verify_canaries", lambda bundle: None)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def made_second(tmp_path_factory):
    return fakes.write_bundle(tmp_path_factory.mktemp("second") / "bundle", seed=2)


@pytest.fixture
def second(made_second, tmp_path):
    """A bundle of another space."""
    return Bundle.open(shutil.copytree(made_second.folder, tmp_path / "second"))


@pytest.fixture
def root(bundle, run, tmp_path, monkeypatch):
    """A root with the first bundle published."""
    root = tmp_path / "bundles"
    with monkeypatch.context() as patched:
        patched.setattr(publish_bundle, "verify_canaries", lambda bundle: None)
        publish(bundle, root, run)
    return root


def state(root):
    """Everything a reader of the root could see."""
    files = {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    return {name: data for name, data in files.items() if not name.name.startswith(".")}, os.readlink(root / "CURRENT")


def test_a_published_bundle_is_complete_and_current(root, bundle):
    current = Bundle.current(root)
    assert current.folder == root.resolve() / bundle.manifest.space_id
    current.verify()
    assert current.load_index().count == 60
    assert current.load_index().id_map["product_id"][59].as_py() == "p59"
    card = (current.folder / "MODEL_CARD.md").read_text()
    assert bundle.manifest.space_id in card and "Not evaluated" in card
    assert sorted(path.name for path in root.iterdir()) == [".publish.lock", "000000000001", "CURRENT"]


def test_the_card_and_the_report_come_from_the_run_and_know_the_index(bundle, run, tmp_path):
    report = make_report(index=None, serving=None)
    (run / "report.json").write_text(json.dumps(report))
    serving = {**make_serving(), "bundle": bundle.manifest.space_id}
    (run / "serving.json").write_text(json.dumps(serving))
    published = publish(bundle, tmp_path / "bundles", run)
    card = (published.folder / "MODEL_CARD.md").read_text()
    assert "| search_click | 0.620 [0.600, 0.640] |" in card
    assert "| search_click | index (scann_tree) | 0.583" in card
    page = (published.folder / "report.html").read_text()
    assert "two tower" in page and f"Index ({bundle.manifest.index.kind})" in page
    published.verify()


def test_the_loss_of_serving_another_bundle_is_not_this_one_s(bundle, run):
    (run / "report.json").write_text(json.dumps(make_report()))
    (run / "serving.json").write_text(json.dumps({**make_serving(), "bundle": "ffffffffffff"}))
    write_model_card(bundle, run)
    card = (bundle.folder / "MODEL_CARD.md").read_text()
    assert "search_click" in card and "Loss of serving" not in card


def test_another_space_becomes_current_and_can_be_rolled_back(root, second, run):
    publish(second, root, run)
    assert Bundle.current(root).manifest.space_id == "000000000002"
    assert rollback(root, "000000000001").manifest.space_id == "000000000001"
    assert Bundle.current(root).manifest.space_id == "000000000001"


def test_the_same_bundle_again_changes_nothing(root, bundle, run):
    before = state(root)
    publish(bundle, root, run)
    assert state(root) == before


def test_a_new_catalog_in_the_same_space_leaves_the_old_bundle_as_it_is(root, bundle, run, tmp_path):
    before, _ = state(root)
    products = fakes.write_products(tmp_path / "newer.parquet", count=50)
    newer = tune_index(embed_catalog(bundle, products, batch_size=16), None, 0.95)
    published = publish(newer, root, run)
    assert published.folder.name == "000000000001-2"
    assert Bundle.current(root).manifest.products == 50
    after, _ = state(root)
    assert before.items() <= after.items()


@pytest.mark.parametrize("files_before_full", [0, 3, 11])
def test_a_full_disk_leaves_the_old_bundle_current(root, second, run, monkeypatch, files_before_full):
    before, copied, copyfile = state(root), [], shutil.copyfile

    def full(source, target):
        if len(copied) == files_before_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        copied.append(target)
        return copyfile(source, target)

    monkeypatch.setattr(publish_bundle.shutil, "copyfile", full)
    with pytest.raises(TfsageError, match=r"No space left on device; free some space.*still points to 000000000001"):
        publish(second, root, run)
    assert state(root) == before
    assert sorted(path.name for path in root.iterdir()) == [".publish.lock", "000000000001", "CURRENT"]


def test_a_full_disk_at_the_first_publication(bundle, run, tmp_path, monkeypatch):
    def full(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(publish_bundle, "sync_tree", full)
    with pytest.raises(TfsageError, match="nothing is published"):
        publish(bundle, tmp_path / "bundles", run)
    with pytest.raises(TfsageError, match="no bundle is published here"):
        Bundle.current(tmp_path / "bundles")


_KILLED = """
import os, shutil, signal, sys
from pathlib import Path
import tfsage
from export import publish_bundle
from export.embed_catalog import embed_catalog
from tfsage.bundle import Bundle
publish_bundle.verify_canaries = lambda bundle: None
copyfile = shutil.copyfile
def killing(source, target):
    copyfile(source, target)
    if Path(target).name == "index.json":
        os.kill(os.getpid(), signal.SIGKILL)
shutil.copyfile = killing
publish_bundle.publish(Bundle.open(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
"""


def test_a_kill_while_copying_leaves_the_old_bundle_current(root, second, run):
    before = state(root)
    words = [sys.executable, "-c", _KILLED, str(second.folder), str(root), str(run)]
    assert subprocess.run(words, cwd=ROOT, capture_output=True).returncode == -signal.SIGKILL
    assert (root / ".000000000002.partial").exists()
    after = state(root)
    assert after[1] == before[1] and not (root / "000000000002").exists()
    Bundle.current(root).verify()
    assert publish(second, root, run).manifest.space_id == "000000000002"
    assert not (root / ".000000000002.partial").exists()


def test_a_low_recall_is_refused(root, second, run):
    before = state(root)
    index = second.manifest.index.model_copy(update={"recall": 0.94})
    with pytest.raises(TfsageError, match=r"recall@10 of the index is 0.940, below its target 0.950"):
        publish(second.update(index=index), root, run)
    assert state(root) == before


def test_wrong_canaries_are_refused(root, second, run):
    before = state(root)
    canaries = second.manifest.canaries
    moved = [[-value for value in vector] for vector in canaries.vectors]
    with pytest.raises(TfsageError, match="canaries' vectors differ"):
        publish(second.update(canaries=canaries.model_copy(update={"vectors": moved})), root, run)
    assert state(root) == before


@pytest.mark.parametrize(
    "name",
    ["query_tower/1/saved_model.pb", "embeddings/part-00000.parquet", "index/id_map.arrow", "index/index.json"],
)
def test_a_damaged_file_is_refused(root, second, run, name):
    before = state(root)
    path = second.folder / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(TfsageError, match="changed or damaged|not an index"):
        publish(second, root, run)
    assert state(root) == before


def test_an_incomplete_bundle_is_refused(towers, run, tmp_path):
    with pytest.raises(TfsageError, match="not complete; run python -m export.catalog first"):
        publish(towers, tmp_path / "bundles", run)


def test_rolling_back_to_nothing_or_to_a_damaged_bundle_is_refused(root, second, run):
    publish(second, root, run)
    with pytest.raises(TfsageError, match=r"no published bundle 'abc'; there are \['000000000001', '000000000002'\]"):
        rollback(root, "abc")
    (root / "000000000001" / "index" / "id_map.arrow").unlink()
    with pytest.raises(TfsageError, match="id_map.arrow: the file is missing"):
        rollback(root, "000000000001")
    assert Bundle.current(root).manifest.space_id == "000000000002"


def test_two_publishers_do_not_meet(root, second, run):
    with publish_bundle._only_one(root), pytest.raises(TfsageError, match="another process is publishing here"):
        publish(second, root, run)


def test_the_published_index_is_found_by_its_folder_alone(root):
    assert load_index(root / "CURRENT" / "index").count == 60
    assert (root / "CURRENT" / MANIFEST).exists()
