from tests.data.tiny import tiny_config
from tfsage.data.expected_vectors import expected_vectors


def test_towers_with_images_and_tasks_with_frozen_queries_need_vectors():
    found = {(need.table, need.columns, need.dimension) for need in expected_vectors(tiny_config())}
    assert found == {("products", ("image_embeddings",), 4), ("pins", ("embedding", "image_embeddings"), 4)}
