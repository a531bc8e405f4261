"""Documents become spans, spans become rows of `window` tokens."""

from bisect import bisect_left, insort

import numpy as np

OPEN_ROWS = 256
"""Rows that may still take a span. More pack tighter; fewer keep the order of documents better."""


def spans(lengths: np.ndarray, window: int, overlap: int, cut: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spans of documents: (document, start, length).

    A document of at most `window` tokens is one span. A longer one is cut where `cut` is true, into windows that begin
    `window - overlap` apart (as MMedC: 2,048 and 512), and has no span where it is false.
    """
    stride = window - overlap
    beyond = np.maximum(lengths - window, 0)
    counts = np.where(beyond == 0, 1, np.where(cut, 1 + -(-beyond // stride), 0)) * (lengths > 0)
    document = np.repeat(np.arange(len(lengths)), counts)
    number = np.arange(len(document)) - np.repeat(np.cumsum(counts) - counts, counts)
    start = number * stride
    return document, start, np.minimum(lengths[document] - start, window)


def pack(lengths: np.ndarray, window: int, open_rows: int = OPEN_ROWS) -> np.ndarray:
    """The row of each span, best fit: the fullest of the `open_rows` newest rows that has room, else a new one.

    Rows are numbered as they open, so no span comes more than `open_rows` rows too early. One Python step a span.
    """
    rows = np.zeros(len(lengths), np.int64)
    room: list[tuple[int, int]] = []  # (tokens free, row), sorted
    free_in: dict[int, int] = {}
    opened = 0
    for index, length in enumerate(lengths.tolist()):
        at = bisect_left(room, (length, -1))
        if at < len(room):
            free, row = room.pop(at)
        else:
            free, row = window, opened
            opened += 1
            old = row - open_rows
            if old in free_in:
                room.pop(bisect_left(room, (free_in.pop(old), old)))
        rows[index] = row
        if free > length:
            free_in[row] = free - length
            insort(room, (free - length, row))
        else:
            free_in.pop(row, None)
    return rows
