"""What ScaNN was really told to build."""

import pytest

from tests.index.clusters import clustered
from tfsage.index import build_index


@pytest.fixture
def built(tmp_path):
    build_index(clustered(400), tmp_path / "index", 0.9, {"query": clustered(20, seed=3)}, kind="scann_tree")
    return tmp_path / "index" / "searcher"


def test_the_tree_is_spherical_and_reorders_in_bfloat16(built):
    """Without `spherical` a tree over unit vectors needs twice the leaves; recall alone would not tell."""
    from scann import scann_ops_pybind

    config = scann_ops_pybind.load_searcher(str(built)).config()
    assert "partitioning_type: SPHERICAL" in config
    assert 'distance_measure: "DotProductDistance"' in config
    assert "bfloat16 {\n    enabled: true" in config
    assert (built / "bfloat16_dataset.npy").exists()


def test_no_document_ids_are_pickled_and_paths_are_relative(built):
    assert not list(built.glob("*.pkl"))
    assert str(built) not in (built / "scann_assets.pbtxt").read_text()
