"""BatchingParameters: defaults, and what contradicts itself."""

import pytest

from tfsage.errors import TfsageError
from tfsage.serving.batching_options import BatchingOptions


def read(tmp_path, text: str) -> BatchingOptions:
    file = tmp_path / "batching.txt"
    file.write_text(text)
    return BatchingOptions.read(file)


def test_what_is_unset_has_tensorflow_servings_defaults(tmp_path):
    options = read(tmp_path, "")
    assert (options.max_batch_size, options.batch_timeout_micros, options.max_enqueued_batches) == (1000, 0, 10)
    assert options.num_batch_threads >= 1
    assert (options.allowed_batch_sizes, options.pad_variable_length_inputs) == ((), False)
    assert options.execution_size == 1000


def test_what_is_set_is_read(tmp_path):
    options = read(
        tmp_path,
        """
        max_batch_size { value: 8 } batch_timeout_micros { value: 500 } num_batch_threads { value: 3 }
        max_enqueued_batches { value: 2 } thread_pool_name { value: "pool" } allowed_batch_sizes: 2
        allowed_batch_sizes: 8 pad_variable_length_inputs: true enable_large_batch_splitting { value: true }
        max_execution_batch_size { value: 4 }
        """,
    )
    assert options == (8, 500, 2, 3, "pool", (2, 8), True, True, 4)
    assert options.execution_size == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_batch_size { value: 0 }", "max_batch_size must be positive; was 0"),
        ("num_batch_threads { value: -1 }", "num_batch_threads must be positive; was -1"),
        ("max_enqueued_batches { value: 0 }", "max_enqueued_batches must be positive; was 0"),
        ("batch_timeout_micros { value: -1 }", "batch_timeout_micros must be non-negative; was -1"),
        (
            "max_batch_size { value: 4 } allowed_batch_sizes: 2",
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 2; expected 4",
        ),
        (
            "max_batch_size { value: 4 } allowed_batch_sizes: 4 allowed_batch_sizes: 4",
            "allowed_batch_sizes entries must be monotonically increasing",
        ),
        (
            "max_batch_size { value: 4 } enable_large_batch_splitting { value: true } "
            "max_execution_batch_size { value: 5 }",
            "max_execution_batch_size 5 exceeds max_batch_size 4",
        ),
        ("max_batch_size: 4", "Error parsing text-format tensorflow.serving.BatchingParameters: 1:17"),
    ],
)
def test_contradictions_are_named_with_their_file(tmp_path, text, message):
    with pytest.raises(TfsageError, match=f"^{tmp_path / 'batching.txt'}: {message}"):
        read(tmp_path, text)


def test_a_file_that_is_missing_or_not_text(tmp_path):
    with pytest.raises(TfsageError, match="cannot be read"):
        BatchingOptions.read(tmp_path / "missing.txt")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(TfsageError, match="cannot be read"):
        BatchingOptions.read(tmp_path / "binary")
