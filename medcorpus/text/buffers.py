"""What every kernel reads: the bytes and offsets of an Arrow string column, in place.

A hot path never makes one Python object per document. Arrow keeps the utf-8 of a column in one buffer and
where each row begins in another; kernels walk those. All three arrays are read-only, always: numba compiles
anew for an array that differs in that flag, and Arrow buffers come in both sorts.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_OFFSETS = {pa.string(): np.int32, pa.large_string(): np.int64}
_INT32_MAX = 2**31 - 1


def buffers(array: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(data, offsets, valid) of a string or large_string column of n rows.

    Row i is `data[offsets[i]:offsets[i + 1]]`; `data` (uint8) is the buffer itself, so `offsets` (int64, n + 1)
    need not begin at 0. `valid` (bool, n) is false for nulls, which are empty. Text is copied only when a
    column has several chunks, or a null that hides text. Raises TypeError for other types.
    """
    array = contiguous(array)
    if array.type not in _OFFSETS:
        raise TypeError(f"string or large_string expected, not {array.type}")
    rows = len(array)
    if array.null_count:
        valid = array.is_valid().to_numpy(zero_copy_only=False)
        data, offsets = _raw(array)
        if (np.diff(offsets)[~valid] != 0).any():
            data, offsets = _raw(pc.fill_null(array, ""))
    else:
        valid = np.ones(rows, np.bool_)
        data, offsets = _raw(array)
    for part in (data, offsets, valid):
        part.flags.writeable = False
    return data, offsets, valid


def contiguous(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One array out of a chunked one: the chunk itself when there is one, large_string beyond 2 GiB."""
    if not isinstance(array, pa.ChunkedArray):
        return array
    if array.num_chunks == 1:
        return array.chunk(0)
    if array.type == pa.string() and array.nbytes > _INT32_MAX:
        array = array.cast(pa.large_string())
    return array.combine_chunks()


def strings(data: np.ndarray, offsets: np.ndarray) -> pa.Array:
    """A string column without nulls over `data` (uint8) and `offsets` (int64, n + 1), large beyond 2 GiB."""
    kind = pa.string() if offsets[-1] <= _INT32_MAX else pa.large_string()
    starts = pa.py_buffer(offsets.astype(_OFFSETS[kind]))
    return pa.Array.from_buffers(kind, len(offsets) - 1, [None, starts, pa.py_buffer(data)])


def _raw(array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    _, starts, data = array.buffers()
    width = _OFFSETS[array.type]
    if starts is None or starts.size == 0:  # Arrow lets an empty column leave its offsets out
        return np.frombuffer(b"", np.uint8), np.zeros(1, np.int64)
    begin = array.offset * np.dtype(width).itemsize
    offsets = np.frombuffer(starts, width, len(array) + 1, begin).astype(np.int64, copy=False).view()
    return np.frombuffer(data if data is not None else b"", np.uint8), offsets
