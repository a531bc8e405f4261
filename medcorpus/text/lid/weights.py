"""A fastText model as `lid.kernel` reads it: rows as small whole numbers, and tables to find them by."""

from typing import NamedTuple

import numpy as np

from medcorpus.text.lid.fasttext_file import FastTextFile, NotSupported
from medcorpus.text.lid.line import SCRIPTS
from medcorpus.text.lid.model import allowed

MAXN = 5
"""Longest n-gram that the kernel can hash."""

_END_OF_LINE = b"</s>"
_FNV_SEED, _FNV_PRIME = 2166136261, 16777619
_AT_A_TIME = 1 << 16  # rows: a model of gigabytes is not held twice


class Weights(NamedTuple):
    """All arrays are read-only."""

    normalised: bool  # whether texts pass `normal.normalise` first
    minn: int
    maxn: int
    bucket: int
    shift: int  # so that 2**shift // bucket, which follows, takes at most 33 bits
    reciprocal: int
    index: np.ndarray  # uint64: bits of 64 buckets, rows before them, bits of the next 64, ...
    rows: np.ndarray  # int16, (n, dim): of words, then of n-grams
    scale: float
    output: np.ndarray  # float32, (dim, labels), or (dim, inner nodes) with a tree
    gate: np.ndarray  # bool (SCRIPTS, labels): which labels may be said of a text in that script; none: it is unknown
    known: np.ndarray  # bool (SCRIPTS): whether any label may be
    tree: np.ndarray  # int32 (nodes, 2) of children; none for a plain softmax
    order: np.ndarray  # int32: leaf of the tree -> label
    end_of_line: int  # row, -1: none
    slots: np.ndarray  # int32 by hash: number of a word, -1: free; empty when the model knows no words
    starts: np.ndarray  # int64: where in `spelt` (uint8) each word begins
    spelt: np.ndarray


def weights(model: FastTextFile, labels: tuple[str, ...], normalised: bool) -> Weights:
    """`model` made ready, its labels in the order of `labels`. Raises NotSupported when the kernel cannot run it."""
    minn = max(model.minn, 1)
    if not minn <= model.maxn <= MAXN:
        raise NotSupported(f"n-grams of other than 1 to {MAXN} characters")
    scale = max((float(np.abs(part).max()) for part in _parts(model.rows)), default=0)
    if not (np.isfinite(scale) and np.isfinite(model.output).all()):
        raise NotSupported("weights that are no numbers")
    shift = 31 + model.bucket.bit_length()
    words = -(-model.bucket // 64)
    bits = np.zeros(words * 64, np.uint8)
    bits[model.buckets] = 1
    index = np.zeros(2 * words + 2, np.uint64)
    index[: 2 * words : 2] = np.packbits(bits, bitorder="little").view(np.uint64)
    index[3::2] = np.cumsum(bits.reshape(words, 64).sum(1, dtype=np.int64))
    index[1::2] += np.uint64(len(model.words))
    scale = max(scale, 1e-9) / 32767
    order = [model.labels.index(label) for label in labels]
    tree = np.zeros((0, 2), np.int32) if model.tree is None else model.tree
    allowing = gate(labels) if normalised else np.ones((1, len(labels)), np.bool_)
    made = Weights(
        normalised,
        minn,
        model.maxn,
        model.bucket,
        shift,
        2**shift // model.bucket,
        index,
        _aligned(model.rows, scale),
        scale,
        np.ascontiguousarray((model.output[order] if model.tree is None else model.output).T),
        allowing,
        allowing.any(axis=1),
        tree,
        np.argsort(order).astype(np.int32),
        model.words.index(_END_OF_LINE) if _END_OF_LINE in model.words else -1,
        *_vocabulary(model.words),
    )
    for part in made:
        if isinstance(part, np.ndarray):
            part.flags.writeable = False
    return made


def gate(labels: tuple[str, ...]) -> np.ndarray:
    """`model.allowed` as a table: bool for each of SCRIPTS and each label."""
    return np.array([[label in may for label in labels] for may in (allowed(script, labels) for script in SCRIPTS)])


def _parts(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[start : start + _AT_A_TIME] for start in range(0, len(rows), _AT_A_TIME)]


def _aligned(rows: np.ndarray, scale: float) -> np.ndarray:
    """`rows` in steps of `scale`, from a cache line on: 32 numbers of 16 bits then touch one line, not two."""
    space = np.empty(2 * rows.size + 64, np.uint8)
    begin = -space.ctypes.data % 64
    copy = space[begin : begin + 2 * rows.size].view(np.int16).reshape(rows.shape)
    for whole, part in zip(_parts(copy), _parts(rows), strict=True):
        whole[:] = np.rint(part / np.float32(scale))
    return copy


def _vocabulary(words: tuple[bytes, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Words found by fastText's hash of them (FNV-1a over signed bytes): open addressing, half full at most."""
    if not words:
        return np.zeros(0, np.int32), np.zeros(1, np.int64), np.zeros(0, np.uint8)
    slots = np.full(1 << (2 * len(words)).bit_length(), -1, np.int32)
    mask = len(slots) - 1
    for number, word in enumerate(words):
        state = _FNV_SEED
        for byte in word:
            state = (state ^ (byte | 0xFFFFFF00 if byte & 0x80 else byte)) * _FNV_PRIME & 0xFFFFFFFF
        slot = state & mask
        while slots[slot] >= 0:
            slot = slot + 1 & mask
        slots[slot] = number
    starts = np.cumsum([0, *map(len, words)], dtype=np.int64)
    return slots, starts, np.frombuffer(b"".join(words), np.uint8).copy()
