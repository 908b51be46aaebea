import json

import pytest

from tfsage.data.prepared import FORMAT, PreparedData
from tfsage.errors import TfsageError


def test_a_folder_that_was_not_prepared(tmp_path):
    with pytest.raises(TfsageError, match="not a prepared folder .* `tfsage prepare`"):
        PreparedData(tmp_path)
    with pytest.raises(TfsageError, match="not a prepared folder"):
        PreparedData(tmp_path / "nowhere")


def test_another_format(tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps({"format": FORMAT + 1}))
    with pytest.raises(TfsageError, match=f"prepared in format {FORMAT + 1}, this version reads format {FORMAT}"):
        PreparedData(tmp_path)


def test_a_damaged_manifest(tmp_path):
    (tmp_path / "manifest.json").write_text('{"format": 1, "produ')
    with pytest.raises(TfsageError, match="manifest.json: damaged"):
        PreparedData(tmp_path)


def test_queries_that_the_tables_did_not_have(tmp_path):
    product = {"count": 1, "id_type": "string", "text_fields": [], "embedding_columns": {}}
    manifest = {"format": FORMAT, "entities": {"product": product}, "queries": {"pin": {}}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(TfsageError, match=r"no queries of type 'query' \(there are: pin\)"):
        PreparedData(tmp_path).queries("query")
    with pytest.raises(TfsageError, match=r"no entities of type 'pin' \(there are: product\)"):
        PreparedData(tmp_path).entity("pin")
