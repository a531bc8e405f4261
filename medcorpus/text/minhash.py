"""MinHash and its bands (Broder 1997; Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, chapter 3).

Of each of `bands * rows` permutations of the 32-bit shingles, x -> a x + b mod 2^32 with odd a, a document keeps
the smallest value it takes. Two documents agree in one of them with a probability near their Jaccard
similarity s, in a whole band of `rows` with s^rows, and in at least one of `bands` bands with

    P(s) = 1 - (1 - s^rows)^bands

More bands: looser, more candidates. More rows: stricter. Candidates are verified, so P decides only what is found.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from medcorpus.text.compiled import INNER
from medcorpus.text.tokens import mix

MOST_VALUES = 112
_FEW = 64  # shingles; below, vectors of shingles are mostly rest
_FOUND_ABOVE, _FOUND_AT = 0.995, 0.9


@dataclass(frozen=True)
class Bands:
    """How a signature is cut."""

    bands: int
    rows: int

    def found(self, similarity: float) -> float:
        """Probability that a pair of that Jaccard similarity becomes a candidate: the S-curve."""
        return 1 - (1 - similarity**self.rows) ** self.bands


def bands_for(threshold: float) -> Bands:
    """The strictest cut of at most MOST_VALUES values that still finds what it must.

    That is 99.5% of pairs at threshold + 0.1 (1.0 at most) and 90% of those right at the threshold: 22 x 5 for
    0.7, 14 x 8 for 0.8. Raises ValueError when none does. With 85%, 18 x 6 for 0.7, one pair in twenty at 0.73 is
    missed: words of Marathi or N'Ko that other tools cut at every mark look like 0.87 to them.
    """
    for rows in range(MOST_VALUES, 0, -1):
        cut = Bands(MOST_VALUES // rows, rows)
        if cut.found(min(threshold + 0.1, 1.0)) >= _FOUND_ABOVE and cut.found(threshold) >= _FOUND_AT:
            return cut
    raise ValueError(f"no bands of {MOST_VALUES} values find pairs at {threshold}")


def permutations(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(a, b) of each permutation, uint32, from splitmix64."""
    state = np.uint64(seed)
    drawn = np.empty(2 * count, np.uint64)
    with np.errstate(over="ignore"):
        for which in range(2 * count):
            state += np.uint64(0x9E3779B97F4A7C15)
            drawn[which] = mix.py_func(state)
    drawn >>= np.uint64(32)
    return drawn[:count].astype(np.uint32) | np.uint32(1), drawn[count:].astype(np.uint32)


def signatures(values: np.ndarray, offsets: np.ndarray, count: int, seed: int = 1) -> np.ndarray:
    """uint32[n, count]: the smallest value of each permutation over `values[offsets[i]:offsets[i + 1]]`.

    A document without shingles has the largest value throughout.
    """
    return _signatures(values, offsets, *permutations(count, seed))


def band_keys(values: np.ndarray, offsets: np.ndarray, cut: Bands, seed: int = 1) -> np.ndarray:
    """uint64[bands, n]: a hash of each document's values in each band."""
    return _band_keys(values, offsets, *permutations(cut.bands * cut.rows, seed), cut.bands)


@njit(cache=True, nogil=True)
def _signatures(values, offsets, a, b):
    out = np.empty((len(offsets) - 1, len(a)), np.uint32)
    for row in range(len(out)):
        _smallest(values[offsets[row] : offsets[row + 1]], a, b, out[row])
    return out


@njit(cache=True, nogil=True)
def _band_keys(values, offsets, a, b, bands):
    rows = len(a) // bands
    out = np.empty((bands, len(offsets) - 1), np.uint64)
    signature = np.empty(len(a), np.uint32)
    for row in range(len(offsets) - 1):
        _smallest(values[offsets[row] : offsets[row + 1]], a, b, signature)
        at = 0
        for band in range(bands):
            key = np.uint64(band)
            for _ in range(rows):
                key = mix(key ^ np.uint64(signature[at]))
                at += 1
            out[band, row] = key
    return out


@njit(**INNER)
def _smallest(values, a, b, out):
    """Four permutations at a time over all shingles, or all over one: the compiler makes vectors of the inner loop."""
    count, most = len(values), np.uint32(0xFFFFFFFF)
    if count < _FEW:
        for which in range(len(out)):
            out[which] = most
        for at in range(count):
            value = values[at]
            for which in range(len(a)):
                out[which] = min(out[which], np.uint32(a[which] * value + b[which]))
        return
    for which in range(0, len(a) - 3, 4):
        a0, a1, a2, a3 = a[which], a[which + 1], a[which + 2], a[which + 3]
        b0, b1, b2, b3 = b[which], b[which + 1], b[which + 2], b[which + 3]
        m0 = m1 = m2 = m3 = most
        for at in range(count):
            value = values[at]
            m0 = min(m0, np.uint32(a0 * value + b0))
            m1 = min(m1, np.uint32(a1 * value + b1))
            m2 = min(m2, np.uint32(a2 * value + b2))
            m3 = min(m3, np.uint32(a3 * value + b3))
        out[which], out[which + 1], out[which + 2], out[which + 3] = m0, m1, m2, m3
    for which in range(len(a) & ~3, len(a)):
        smallest = most
        for at in range(count):
            smallest = min(smallest, np.uint32(a[which] * values[at] + b[which]))
        out[which] = smallest
