import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import command
from tfsage.errors import TfsageError
from tfsage.probe import probe_files


@pytest.fixture
def files(tmp_path):
    """Embeddings in two parts, whose sign is the label; labels in another order, with strangers and nulls."""
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(200, 4)).astype(np.float32)
    folder = tmp_path / "embeddings"
    folder.mkdir()
    for part in range(2):
        own = slice(100 * part, 100 * part + 100)
        embedding = pa.FixedSizeListArray.from_arrays(pa.array(vectors[own].ravel()), 4)
        ids = pa.array(np.arange(200)[own])
        pq.write_table(pa.table({"product_id": ids, "embedding": embedding}), folder / f"part-{part}.parquet")
    order = rng.permutation(220)
    kind = [("yes" if vectors[row, 0] > 0 else "no") if row < 190 else None for row in order]
    texts = [f"it is {each}" for each in kind]
    labels = pa.table({"product_id": order, "kind": kind, "title": texts, "shelf": order // 2})
    pq.write_table(labels, tmp_path / "labels.parquet")
    return folder, tmp_path / "labels.parquet"


def test_the_command_joins_by_id_and_writes_what_it_shows(files, tmp_path):
    out = tmp_path / "probe.json"
    words = ["--label", "kind", "--text", "title", "--groups", "shelf", "--folds", 3, "--out", out]
    done = command(["tfsage.cli", "probe", "--embeddings", files[0], "--labels", files[1], *words])
    result = json.loads(out.read_text())
    assert (result["label"], result["rows"], result["groups"], result["folds"]) == ("kind", 190, 95, 3)
    for system in ("embedding linear", "fasttext"):
        value = result["systems"][system]["accuracy"]["value"]
        assert value > 0.9
        assert f"{value:.3f}" in done.stderr
    assert "kind: 2 labels of 190 rows in 3 folds" in done.stderr.replace("\n", " ")


def test_what_is_wrong_is_said(files, tmp_path):
    embeddings, labels = files
    out = tmp_path / "out.json"
    with pytest.raises(TfsageError, match="no column 'colour'; there are: product_id, kind, title, shelf"):
        probe_files(embeddings, labels, "colour", out)
    with pytest.raises(TfsageError, match="gone: no such Parquet file"):
        probe_files(tmp_path / "gone", labels, "kind", out)
    (tmp_path / "text.parquet").write_text("no Parquet")
    with pytest.raises(TfsageError, match="text.parquet: not Parquet"):
        probe_files(embeddings, tmp_path / "text.parquet", "kind", out)
    table = pq.read_table(labels)
    pq.write_table(pa.concat_tables([table, table]), tmp_path / "twice.parquet")
    with pytest.raises(TfsageError, match="twice.parquet: product_id is null or repeats"):
        probe_files(embeddings, tmp_path / "twice.parquet", "kind", out)
    pq.write_table(table.rename_columns(["query_id", "kind", "title", "shelf"]), tmp_path / "queries.parquet")
    with pytest.raises(TfsageError, match="share no id column"):
        probe_files(embeddings, tmp_path / "queries.parquet", "kind", out)
    ragged = pa.table({"product_id": [1, 2], "embedding": [[1.0], [1.0, 2.0]]})
    pq.write_table(ragged, tmp_path / "ragged.parquet")
    with pytest.raises(TfsageError, match="null or of different lengths"):
        probe_files(tmp_path / "ragged.parquet", labels, "kind", out)
    assert not out.exists()
