"""How requests are merged: TensorFlow Serving's BatchingParameters, checked."""

import os
from pathlib import Path
from typing import NamedTuple

from google.protobuf.message import Message

from tfsage.errors import TfsageError
from tfsage.serving.protos import BatchingParameters, read_textproto


class BatchingOptions(NamedTuple):
    """What `BatchingParameters` says; defaults are TensorFlow Serving's.

    Attributes:
        max_batch_size: rows of the largest request, and of a batch where large requests are not split.
        batch_timeout_micros: how long the oldest request waits for company while a thread is free.
        max_enqueued_batches: how many batches of one model and signature may wait; more are refused.
        num_batch_threads: how many batches run at once, of all models together.
        allowed_batch_sizes: sizes a batch is filled up to, ascending; empty means any.
        pad_variable_length_inputs: fill inner dimensions up to the largest of the batch.
        enable_large_batch_splitting: spread a large request over several batches.
        max_execution_batch_size: rows of a batch where large requests are split.
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = os.cpu_count() or 1
    thread_pool_name: str = "model_server_batch_threads"
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    enable_large_batch_splitting: bool = False
    max_execution_batch_size: int | None = None

    @property
    def execution_size(self) -> int:
        """The most rows that a batch is filled to."""
        if not self.enable_large_batch_splitting:
            return self.max_batch_size
        return self.max_execution_batch_size or self.max_batch_size

    @classmethod
    def read(cls, path: str | Path) -> "BatchingOptions":
        """Those of a `--batching_parameters_file`.

        Raises:
            TfsageError: the file cannot be read, or what it says contradicts itself.
        """
        try:
            return cls.of(read_textproto(path, BatchingParameters()))
        except ValueError as error:
            raise TfsageError(f"{path}: {error}; TensorFlow Serving would refuse it too") from None

    @classmethod
    def of(cls, parameters: Message) -> "BatchingOptions":
        """Those of a `BatchingParameters` message.

        Raises:
            ValueError: a number is out of range, or the allowed sizes do not end at the largest batch.
        """
        wrapped = (
            field
            for field in ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads")
            + ("thread_pool_name", "enable_large_batch_splitting", "max_execution_batch_size")
            if parameters.HasField(field)
        )
        options = cls(
            **{field: getattr(parameters, field).value for field in wrapped},
            allowed_batch_sizes=tuple(parameters.allowed_batch_sizes),
            pad_variable_length_inputs=parameters.pad_variable_length_inputs,
        )
        options._check()
        return options

    def _check(self) -> None:
        for name in ("max_batch_size", "max_enqueued_batches", "num_batch_threads", "execution_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be positive; was {getattr(self, name)}")
        if self.batch_timeout_micros < 0:
            raise ValueError(f"batch_timeout_micros must be non-negative; was {self.batch_timeout_micros}")
        if self.execution_size > self.max_batch_size:
            raise ValueError(
                f"max_execution_batch_size {self.max_execution_batch_size} exceeds max_batch_size {self.max_batch_size}"
            )
        sizes = self.allowed_batch_sizes
        if list(sizes) != sorted(set(sizes)) or any(size < 1 for size in sizes):
            raise ValueError("allowed_batch_sizes entries must be monotonically increasing")
        if sizes and sizes[-1] != self.max_batch_size:
            raise ValueError(
                f"Last entry in allowed_batch_sizes must match max_batch_size; last entry was {sizes[-1]}; "
                f"expected {self.max_batch_size}"
            )
