"""A number for each string, from its bytes and a seed: for an order that looks random, or to tell names apart."""

import numpy as np
import pyarrow as pa
from numba import njit

from medcorpus.text.buffers import buffers
from medcorpus.text.compiled import INLINE

_PRIME, _OFFSET = np.uint64(0x100000001B3), np.uint64(0xCBF29CE484222325)  # FNV-1a (Fowler, Noll, Vo)
_MIX1, _MIX2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)  # splitmix64 (Steele et al. 2014)


def hashes(array: pa.Array | pa.ChunkedArray, seed: int = 1) -> np.ndarray:
    """uint64[n] of a string column: FNV-1a over the bytes, then the finish of splitmix64. A null counts as ""."""
    data, offsets, _ = buffers(array)
    return _hashes(data, offsets, np.uint64(seed))


@njit(**INLINE)
def mixed(word):
    """`word` (uint64) with every bit spread over all others; one to one."""
    word = (word ^ word >> np.uint64(30)) * _MIX1
    word = (word ^ word >> np.uint64(27)) * _MIX2
    return word ^ word >> np.uint64(31)


@njit(cache=True, nogil=True)
def _hashes(data, offsets, seed):
    out = np.empty(len(offsets) - 1, np.uint64)
    start = mixed(seed) ^ _OFFSET
    for row in range(len(out)):
        state = start
        for at in range(offsets[row], offsets[row + 1]):
            state = (state ^ np.uint64(data[at])) * _PRIME
        out[row] = mixed(state)
    return out
