"""Memory-mapped stores of variable-length rows; nothing the size of the catalog is ever loaded."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa


class ArrayWriter:
    """Appends rows to a .npy file whose number of rows is known only at the end.

    Args:
        path: the file; it can be read after `close`.
        dtype: type of the elements, stored little-endian.
        row_shape: shape of one row, without the first axis.
    """

    def __init__(self, path: Path, dtype, row_shape: tuple[int, ...] = ()):
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._row_shape = tuple(row_shape)
        self._file = path.open("wb")
        self.rows = 0
        self._write_header()

    def append(self, rows: np.ndarray) -> None:
        """Appends `rows` [n, *row_shape]."""
        rows = np.ascontiguousarray(rows, self._dtype)
        if rows.shape[1:] != self._row_shape:
            raise ValueError(f"rows have shape {rows.shape[1:]}, the file holds {self._row_shape}")
        rows.tofile(self._file)
        self.rows += len(rows)

    def close(self) -> None:
        self._file.seek(0)
        self._write_header()
        self._file.close()

    def _write_header(self) -> None:
        # NumPy pads the header so that the first axis can grow without moving the data.
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": (self.rows, *self._row_shape)}
        np.lib.format.write_array_header_1_0(self._file, header)

    def __enter__(self) -> "ArrayWriter":
        return self

    def __exit__(self, *_) -> None:
        self.close()


class RaggedStore:
    """Rows of variable length over one flat array: row i is values[offsets[i] : offsets[i + 1]].

    Attributes:
        values: memory-mapped [total, *element_shape].
        offsets: memory-mapped int64 [rows + 1], rising from 0 to total.
    """

    def __init__(self, folder: Path):
        self.values = np.load(folder / "values.npy", mmap_mode="r")
        self.offsets = np.load(folder / "offsets.npy", mmap_mode="r")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def gather(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The elements of some rows, one row after the other.

        Args:
            rows: int64 [n], in any order, repeats allowed.

        Returns:
            values [total, *element_shape] in memory, and lengths int32 [n].
        """
        rows = np.asarray(rows, np.int64)
        starts = np.asarray(self.offsets[rows])
        lengths = np.asarray(self.offsets[rows + 1]) - starts
        ends = np.cumsum(lengths)
        total = int(ends[-1]) if len(ends) else 0
        place = np.arange(total) + np.repeat(starts - (ends - lengths), lengths)
        return np.asarray(self.values[place]), lengths.astype(np.int32)


class RaggedWriter:
    """Writes a `RaggedStore` batch by batch.

    Args:
        folder: made if it is not there.
        dtype: type of the elements.
        element_shape: shape of one element, for example (256,) where a row is a list of vectors.
    """

    def __init__(self, folder: Path, dtype, element_shape: tuple[int, ...] = ()):
        folder.mkdir(parents=True, exist_ok=True)
        self._values = ArrayWriter(folder / "values.npy", dtype, element_shape)
        self._offsets = ArrayWriter(folder / "offsets.npy", np.int64)
        self._offsets.append(np.zeros(1))

    def append(self, values: np.ndarray, lengths: np.ndarray) -> None:
        """Appends rows: `lengths` int [n] says how many of `values` [sum(lengths), *element_shape] each row takes."""
        ends = self._values.rows + np.cumsum(lengths, dtype=np.int64)
        self._values.append(values)
        if len(ends) and ends[-1] != self._values.rows:
            raise ValueError(f"the lengths sum to {int(np.sum(lengths))}, but there are {len(values)} values")
        self._offsets.append(ends)

    def close(self) -> None:
        self._values.close()
        self._offsets.close()

    def __enter__(self) -> "RaggedWriter":
        return self

    def __exit__(self, *_) -> None:
        self.close()


class StringStore:
    """Strings as UTF-8 bytes in a `RaggedStore`."""

    def __init__(self, folder: Path):
        self._bytes = RaggedStore(folder)

    def __len__(self) -> int:
        return len(self._bytes)

    def __getitem__(self, row: int) -> str:
        return self.gather(np.array([row]))[0]

    def gather(self, rows: np.ndarray) -> list[str]:
        """The strings at `rows`, int64 [n]."""
        values, lengths = self._bytes.gather(rows)
        offsets = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(values)]
        return pa.Array.from_buffers(pa.large_string(), len(lengths), buffers).to_pylist()


class StringWriter:
    """Writes a `StringStore` batch by batch; a null becomes the empty string."""

    def __init__(self, folder: Path):
        self._bytes = RaggedWriter(folder, np.uint8)

    def append(self, strings: Iterable[str | None] | pa.Array) -> None:
        array = strings if isinstance(strings, pa.Array) else pa.array(strings, pa.large_string())
        # Taking a fresh copy makes the offsets start at 0 whatever slice the array was.
        array = pa.concat_arrays([array.cast(pa.large_string()).fill_null("")])
        _, offsets, data = array.buffers()
        ends = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
        values = np.frombuffer(data, np.uint8)[ends[0] : ends[-1]] if data is not None else np.zeros(0, np.uint8)
        self._bytes.append(values, np.diff(ends))

    def close(self) -> None:
        self._bytes.close()

    def __enter__(self) -> "StringWriter":
        return self

    def __exit__(self, *_) -> None:
        self.close()
