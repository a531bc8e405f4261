"""A linear model that says how medical a text reads, in every language, over the utf-8 of a column.

*Features.* Tokens are those of `text.terms`: words, or single letters in scripts without spaces. A word gives itself,
its beginnings of 3 to 7 letters (1 to 4 in Hangul and Ethiopic, where a sign is a syllable), which stands in for
taking endings off, and the pair with the token before it. A letter of an unspaced script gives itself and the pair
and triple it ends. Each is hashed to one of 2^20 weights, int8 with one scale. No normal form is made: a text in
parts loses the features of the letters concerned.

*Score.* With n features of weights w: z = sum(w) / n * sqrt(min(n, 64)). A mean, so that a book is no surer than a
page, yet surer than a word. The share of text in medical terms (its root, which tells few from none) and the number
of different terms, up to 2 because a long text has a few of everything, are weighed in by a logistic curve: `score`.
One term alone may be a word that medicine shares (an operation of the police, a patient driver, the cell of a prison):
its share counts a fifth. Where there is no term list a curve over z alone is used.

*Training* is logistic regression by AdaGrad (Duchi et al. 2011) with L2, one example at a time in a fixed order: the
same input gives the same bytes.
"""

import json
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
import pyarrow as pa
from numba import njit

from medcorpus.core.errors import Fatal, Missing
from medcorpus.text.buffers import buffers
from medcorpus.text.compiled import INNER
from medcorpus.text.nfc import decode
from medcorpus.text.terms import classes

BITS = 20
VERSION = 2
"""Of features and evidence; a model made for other ones is refused."""

_PRIME, _SEED = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xCBF29CE484222325)
_BEGINNING, _STEP = np.uint64(0x632BE59BD9B4E019), np.uint64(0xD6E8FEB86659FD93)
_SHIFT = np.uint64(64 - BITS)
_POINT, _KIND = 0x1FFFFF, 21
_BLANK, _WORD, _CHAR, _MARK, _SKIP = range(5)
_FROM, _TO = 3, 7  # letters of a beginning
_FULL = 64  # features from which a text is as sure as it can be
_PER_BYTE = 3  # features a byte can give, at most
_ALONE = 0.2  # of its density: a single term
_MOST_DENSITY, _MOST_TERMS = 0.25, 2


class DomainModel(NamedTuple):
    """A model made ready; arrays are read-only."""

    weights: np.ndarray  # int8 (2**BITS)
    scale: float  # of one step of a weight
    intercept: float
    with_terms: tuple[float, float, float, float]  # of the columns of `evidence`
    without: tuple[float, float]  # of z, intercept
    digest: str

    def score(self, z: np.ndarray, density: np.ndarray, distinct: np.ndarray, listed: np.ndarray) -> np.ndarray:
        """How medical, 0 to 1 (float32[n]); `listed` says for which rows there was a term list."""
        columns = evidence(z, density, distinct)
        both = sum(column * weight for column, weight in zip(columns, self.with_terms, strict=True))
        alone = self.without[0] * z + self.without[1]
        return (1 / (1 + np.exp(-np.where(listed, both, alone)))).astype(np.float32)


def evidence(z: np.ndarray, density: np.ndarray, distinct: np.ndarray) -> list[np.ndarray]:
    """What the curve of `score` weighs: columns of n."""
    share = np.minimum(density * np.where(distinct > 1, 1, _ALONE), _MOST_DENSITY)
    return [z, np.sqrt(share), np.log1p(np.minimum(distinct, _MOST_TERMS)), np.ones(len(z))]


def shipped_model() -> Path:
    """Path of the model that comes with medcorpus (its card lies beside it)."""
    return Path(__file__).resolve().parents[1] / "models" / "medcorpus-domain-3.npz"


def save(path: Path, weights: np.ndarray, curve: dict[str, Any]) -> None:
    """Write weights (float32[2**BITS]) as int8, and `curve` (intercept, with_terms, without) as JSON beside them."""
    scale = float(np.abs(weights).max()) / 127 or 1.0
    head = {"version": VERSION, "bits": BITS, "scale": scale} | curve
    with path.open("wb") as stream:  # savez with a stream adds no suffix; its dates are constant
        np.savez_compressed(
            stream,
            weights=np.rint(weights / scale).astype(np.int8),
            head=np.frombuffer(json.dumps(head, sort_keys=True).encode(), np.uint8),
        )


def load(path: Path) -> DomainModel:
    """The model in `path`. Raises Missing when it is not there, Fatal with the reason when it is none of ours."""
    if not path.is_file():
        raise Missing(f"domain model {path} is not there; leave `model` out to use the shipped one")
    data = path.read_bytes()
    try:
        with np.load(path, allow_pickle=False) as file:
            weights, head = file["weights"], json.loads(file["head"].tobytes())
    except (ValueError, OSError, KeyError, EOFError, BadZipFile) as error:
        raise Fatal(f"{path.name} is not a domain model, or cut short ({error}); make one with `fit domain`") from None
    if (head.get("version"), head.get("bits")) != (VERSION, BITS):
        raise Fatal(f"{path.name} was made for version {head.get('version')} of the features, this is {VERSION}")
    if weights.dtype != np.int8 or weights.shape != (1 << BITS,):
        raise Fatal(f"{path.name}: its weights are not {1 << BITS:,} small numbers")
    weights.flags.writeable = False
    digest = blake2b(data, digest_size=16).hexdigest()
    return DomainModel(
        weights, head["scale"], head["intercept"], tuple(head["with_terms"]), tuple(head["without"]), digest
    )


def logits(array: pa.Array | pa.ChunkedArray, model: DomainModel) -> np.ndarray:
    """z of each row, float64[n]; 0 for a text without features, such as a null."""
    data, offsets, _ = buffers(array)
    return _logits(data, offsets, classes(), model.weights, model.scale, model.intercept)


def train(
    array: pa.Array, medical: np.ndarray, weight: np.ndarray, *, seed: int, epochs: int, lr: float, l2: float
) -> tuple[np.ndarray, float]:
    """Weights (float32[2**BITS]) and intercept from texts, whether each is medical, and what each counts."""
    data, offsets, _ = buffers(array)
    order = np.random.RandomState(seed).permutation(len(array))
    return _train(
        data, offsets, medical.astype(np.float64), weight.astype(np.float64), order, classes(), epochs, lr, l2
    )


@njit(**INNER)
def _features(data, at, end, table, out):
    """Slots of the features of data[at:end] into `out`; how many."""
    count = 0
    before, earlier = np.uint64(0), np.uint64(0)
    while at < end:
        point, width = decode(data, at)
        entry = np.int64(table[point])
        kind = entry >> _KIND & 7
        if kind != _WORD and kind != _CHAR:
            at += width
            continue
        word = kind == _WORD
        syllables = 0x1200 <= point < 0x1380 or 0xAC00 <= point < 0xD7A4
        first, last = (1, 4) if syllables else (_FROM, _TO)
        state, size = _SEED, 0
        while True:
            at += width
            if kind != _SKIP:
                state = (state ^ np.uint64(entry & _POINT)) * _PRIME
                size += 1
                if word and first <= size <= last:
                    out[count] = (state ^ _BEGINNING) * _PRIME >> _SHIFT
                    count += 1
            if at >= end:
                break
            point, width = decode(data, at)
            entry = np.int64(table[point])
            kind = entry >> _KIND & 7
            if kind == _BLANK or kind == _CHAR or (kind == _WORD and not word):  # noqa: SIM109
                break
        out[count] = state >> _SHIFT
        count += 1
        if before != 0:
            pair = before * _STEP + state
            out[count] = pair * _PRIME >> _SHIFT
            count += 1
            if not word and earlier != 0:
                out[count] = ((earlier * _STEP + before) * _STEP + state) * _PRIME >> _SHIFT
                count += 1
        earlier = np.uint64(0) if word else before
        before = state
    return count


@njit(cache=True, nogil=True)
def _logits(data, offsets, table, weights, scale, intercept):
    out = np.zeros(len(offsets) - 1)
    slots = np.empty(0, np.uint64)
    for row in range(len(out)):
        begin, end = offsets[row], offsets[row + 1]
        if _PER_BYTE * (end - begin) > len(slots):
            slots = np.empty(2 * _PER_BYTE * (end - begin), np.uint64)
        count = _features(data, begin, end, table, slots)
        total = np.int64(0)
        for which in range(count):
            total += np.int64(weights[slots[which]])
        if count:
            out[row] = total * scale / count * np.sqrt(min(count, _FULL)) + intercept
    return out


@njit(cache=True, nogil=True)
def _train(data, offsets, wanted, counts, order, table, epochs, lr, l2):
    weights = np.zeros(1 << BITS, np.float32)
    squares = np.full(1 << BITS, 0.01, np.float32)
    intercept, square = 0.0, 0.01
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    slots = np.empty(_PER_BYTE * longest + 1, np.uint64)
    for _ in range(epochs):
        for row in order:
            count = _features(data, offsets[row], offsets[row + 1], table, slots)
            if count == 0:
                continue
            size = np.sqrt(min(count, _FULL)) / count
            z = 0.0
            for which in range(count):
                z += weights[slots[which]]
            off = (1 / (1 + np.exp(-(z * size + intercept))) - wanted[row]) * counts[row]
            square += off * off
            intercept -= lr * off / np.sqrt(square)
            for which in range(count):
                slot = slots[which]
                slope = np.float32(off * size + l2 * weights[slot])
                squares[slot] += slope * slope
                weights[slot] -= np.float32(lr) * slope / np.sqrt(squares[slot])
    return weights, intercept
