"""Publishing: a verified bundle under its final name, and CURRENT pointing at it, or nothing changed at all."""

import contextlib
import errno
import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

from export.canaries import verify_canaries
from export.model_card import write_model_card
from tfsage.bundle import CURRENT, MANIFEST, Bundle, point_current
from tfsage.errors import TfsageError
from tfsage.evaluation.report import index_facts, load_report, render_report, serving_of
from tfsage.files import sync, sync_tree, write_text

_DOCUMENTS = ("MODEL_CARD.md", "report.html")


def publish(bundle: Bundle, root: Path, run_folder: Path) -> Bundle:
    """Copies a bundle aside below `root`, verifies the copy, renames it, and makes it the current one.

    A bundle whose very content is published already is only made current. One that has a published space but other
    content gets the next free name of that space (<space_id>-2, -3, ...).

    Args:
        bundle: complete.
        root: the folder of bundles; made when it is missing.
        run_folder: gives metrics.json, serving.json and report.json, where evaluation has written them.

    Raises:
        TfsageError: the bundle is incomplete or damaged, its canaries differ in a fresh process, its index recalls
            less than its target, or the copy cannot be written (a full disk); CURRENT stays as it was.
    """
    _check_recall(bundle)
    bundle.verify()
    verify_canaries(bundle)
    root.mkdir(parents=True, exist_ok=True)
    with _only_one(root):
        name = _name_for(bundle, root)
        if not (root / name).exists():
            aside = root / f".{bundle.manifest.space_id}.partial"
            try:
                _copy(bundle, aside, run_folder)
                aside.rename(root / name)
                sync(root)
            except OSError as error:
                raise _not_written(error, aside, root) from None
            finally:
                shutil.rmtree(aside, ignore_errors=True)
        point_current(root, name)
    return Bundle.current(root)


def _check_recall(bundle: Bundle) -> None:
    index = bundle.manifest.index
    if index is not None and index.recall < index.target:
        raise TfsageError(
            f"{bundle.folder}: refused: recall@{index.k} of the index is {index.recall:.3f}, below its target "
            f"{index.target:.3f}; set export.recall_target to what is good enough and run python -m export.index again"
        )


def _name_for(bundle: Bundle, root: Path) -> str:
    """The folder that already holds this content, or else the next free one of the space."""
    name, number = bundle.manifest.space_id, 1
    while (root / name).exists():
        if _content(Bundle.open(root / name)) == _content(bundle):
            return name
        number += 1
        name = f"{bundle.manifest.space_id}-{number}"
    return name


def _content(bundle: Bundle) -> dict[str, str]:
    return {name: digest for name, digest in bundle.manifest.files.items() if name not in _DOCUMENTS}


def _copy(bundle: Bundle, aside: Path, run_folder: Path) -> None:
    shutil.rmtree(aside, ignore_errors=True)
    for name in [*bundle.manifest.files, MANIFEST]:
        target = aside / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bundle.folder / name, target)
    copy = Bundle(aside, bundle.manifest)
    write_model_card(copy, run_folder)
    if report := load_report(run_folder):
        # The evaluation may be older than the bundle: the page is written anew, with what is known of this one.
        of_bundle = {"index": index_facts(copy), "serving": serving_of(run_folder, copy)}
        write_text(aside / "report.html", render_report({**report, **of_bundle}))
    copy = copy.update(changed=_DOCUMENTS)
    sync_tree(aside)
    copy.verify()


@contextlib.contextmanager
def _only_one(root: Path) -> Iterator[None]:
    """Two publishers at once would write into the same folder aside."""
    with (root / ".publish.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TfsageError(f"{root}: another process is publishing here; try again when it is done") from None
        yield


def _not_written(error: OSError, aside: Path, root: Path) -> TfsageError:
    current = root / CURRENT
    stays = f"{current} still points to {current.readlink()}" if current.is_symlink() else "nothing is published"
    remedy = "free some space and publish again" if error.errno == errno.ENOSPC else "mend that and publish again"
    return TfsageError(f"{aside}: the bundle cannot be written: {error.strerror}; {remedy}; {stays}")
