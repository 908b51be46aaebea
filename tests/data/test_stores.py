import numpy as np
import pyarrow as pa
import pytest

from tfsage.data.stores import ArrayWriter, RaggedStore, RaggedWriter, StringStore, StringWriter


def write_ragged(folder, rows, element_shape=(), dtype=np.float32, batch=3):
    with RaggedWriter(folder, dtype, element_shape) as writer:
        for start in range(0, len(rows), batch):
            part = rows[start : start + batch]
            empty = np.zeros((0, *element_shape), dtype)
            writer.append(np.concatenate([empty, *part]), np.array([len(row) for row in part]))
    return RaggedStore(folder)


@pytest.mark.parametrize("element_shape", [(), (4,)])
def test_gather_equals_a_loop_over_rows(tmp_path, element_shape):
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=(length, *element_shape)).astype(np.float32) for length in [0, 3, 1, 0, 0, 5, 2, 0]]
    store = write_ragged(tmp_path, rows, element_shape)
    for wanted in ([5, 0, 1, 5], [7], [], [3, 4], list(range(8))):
        values, lengths = store.gather(np.array(wanted, np.int64))
        expected = np.concatenate([np.zeros((0, *element_shape)), *[rows[row] for row in wanted]])
        np.testing.assert_array_equal(values, expected)
        np.testing.assert_array_equal(lengths, [len(rows[row]) for row in wanted])
        assert lengths.dtype == np.int32


def test_a_store_without_any_element_can_be_read(tmp_path):
    store = write_ragged(tmp_path, [np.zeros(0, np.float32)] * 4)
    values, lengths = store.gather(np.array([2, 0]))
    assert len(store) == 4 and values.shape == (0,) and lengths.tolist() == [0, 0]


def test_values_are_mapped_not_loaded(tmp_path):
    store = write_ragged(tmp_path, [np.ones(5, np.float32)])
    assert isinstance(store.values, np.memmap) and isinstance(store.offsets, np.memmap)


def test_lengths_that_do_not_cover_the_values_are_refused(tmp_path):
    with RaggedWriter(tmp_path, np.int32) as writer, pytest.raises(ValueError, match="sum to 3, but there are 4"):
        writer.append(np.zeros(4, np.int32), np.array([1, 2]))


def test_rows_of_another_shape_are_refused(tmp_path):
    with ArrayWriter(tmp_path / "a.npy", np.float32, (3,)) as writer, pytest.raises(ValueError, match="shape"):
        writer.append(np.zeros((2, 4)))


def test_array_writer_is_read_by_numpy(tmp_path):
    with ArrayWriter(tmp_path / "a.npy", np.float32, (2,)) as writer:
        for value in range(1000):
            writer.append(np.full((1, 2), value))
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), np.repeat(np.arange(1000.0)[:, None], 2, axis=1))


def test_strings_come_back_in_any_order(tmp_path):
    texts = ["walnut desk", "", "écru 布 🛋", "a"]
    with StringWriter(tmp_path) as writer:
        writer.append(texts[:2])
        writer.append(pa.array(["dropped", *texts[2:]]).slice(1))
    store = StringStore(tmp_path)
    assert len(store) == 4
    assert store.gather(np.array([3, 2, 2, 1, 0])) == ["a", texts[2], texts[2], "", "walnut desk"]
    assert store[2] == texts[2]
    assert store.gather(np.array([], np.int64)) == []


def test_a_null_string_is_empty(tmp_path):
    with StringWriter(tmp_path) as writer:
        writer.append(["x", None])
    assert StringStore(tmp_path).gather(np.arange(2)) == ["x", ""]
