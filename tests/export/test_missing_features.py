import pyarrow as pa

from export.missing_features import count_missing


def test_null_empty_and_absent_features_are_counted():
    vectors = pa.array([[[1.0]], [], None], pa.list_(pa.list_(pa.float32())))
    columns = {"title": ["desk", "", None], "brand": [["a", "b"], [], [""]], "pictures": vectors}
    batch = pa.record_batch(columns)
    assert count_missing(batch, ("title", "brand", "size"), "pictures") == {
        "title": 2,
        "brand": 2,
        "size": 3,
        "pictures": 2,
    }
    assert count_missing(batch, (), "photos") == {"photos": 3}
    assert count_missing(batch, (), None) == {}
