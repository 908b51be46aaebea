"""Cross-validation of probes and baselines on the same folds."""

from collections.abc import Mapping, Sequence

import numpy as np

from tfsage.console import progress
from tfsage.errors import TfsageError
from tfsage.probe.classifiers import fasttext, fit_predict, linear, majority, mlp
from tfsage.probe.folds import assign_folds, frequent_labels
from tfsage.probe.measure import compare, label_sums

BASELINE, TEXT = "majority", "fasttext"


def cross_validate(
    embeddings: Mapping[str, np.ndarray],
    labels: Sequence[str],
    texts: Sequence[str] | None = None,
    groups: Sequence | None = None,
    folds: int = 5,
    k: int = 5,
    resamples: int = 1000,
    seed: int = 1,
) -> dict:
    """Classifies rows by their frozen embeddings, each with a linear map and with an MLP, beside baselines.

    Every row is predicted once, by classifiers that were trained, standardisation included, on the other folds. The
    metrics are of all these predictions together. Labels that fewer rows (or groups) have than there are folds are
    left out.

    Args:
        embeddings: name → float [n, dimension]; finite.
        labels: n labels.
        texts: n texts, for the FastText baseline; without them there is none.
        groups: n values; rows with the same one, such as copies of a product, are never in two folds, and are
            resampled together.
        folds: number of folds.
        k: of top-k accuracy.
        resamples: of the bootstrap.
        seed: of folds, classifiers and bootstrap.

    Returns:
        "rows", "labels", "left_out" (rows and labels), "folds", "groups", "k", and "systems": `compare`'s result for
        "majority", "NAME linear" and "NAME mlp" of each embedding, and "fasttext".

    Raises:
        TfsageError: sizes differ, an embedding is not finite, or fewer than two labels are frequent enough.
    """
    if folds < 2:
        raise TfsageError(f"folds: {folds} leave nothing to train on; give at least 2")
    labels = np.asarray(labels).astype(str)
    groups = np.arange(len(labels)) if groups is None else np.asarray(groups)
    _check(embeddings, len(labels), texts, groups)
    kept = frequent_labels(labels, groups, folds)
    names, label = np.unique(labels[kept], return_inverse=True)
    unit = np.unique(groups[kept], return_inverse=True)[1]
    fold_of_row = assign_folds(label, unit, folds, seed)
    rows = {name: np.asarray(matrix)[kept] for name, matrix in embeddings.items()}
    systems = {BASELINE: (majority, np.zeros((len(label), 1)))}
    systems |= {f"{name} {make.__name__}": (make, own) for name, own in rows.items() for make in (linear, mlp)}
    if texts is not None:
        systems[TEXT] = (fasttext, np.asarray(texts, object)[kept])
    sums = {}
    with progress() as bar:
        task = bar.add_task("Probing", total=len(systems) * folds, note="")
        for name, (make, own) in systems.items():
            probabilities = np.empty((len(label), len(names)))
            for fold in range(folds):
                bar.update(task, note=name)
                test = fold_of_row == fold
                classifier = make(int((~test).sum()), seed)
                probabilities[test] = fit_predict(classifier, own[~test], label[~test], own[test], len(names))
                bar.advance(task)
            sums[name] = label_sums(probabilities, label, unit, k)
    return {
        "rows": len(label),
        "labels": len(names),
        "left_out": {"rows": int((~kept).sum()), "labels": len(np.unique(labels)) - len(names)},
        "groups": int(unit.max() + 1),
        "folds": folds,
        "k": k,
        "systems": compare(sums, resamples, seed),
    }


def _check(embeddings: Mapping[str, np.ndarray], rows: int, texts: Sequence[str] | None, groups: np.ndarray) -> None:
    sizes = {name: len(matrix) for name, matrix in embeddings.items()} | {"groups": len(groups)}
    sizes |= {} if texts is None else {"texts": len(texts)}
    for name, size in sizes.items():
        if size != rows:
            raise TfsageError(f"{name}: {size:,} rows where there are {rows:,} labels; give one for each label")
    for name, matrix in embeddings.items():
        if (bad := ~np.isfinite(matrix).all(axis=1)).any():
            raise TfsageError(f"{name}: row {bad.argmax()} holds NaN or infinite values ({bad.sum():,} rows do)")
