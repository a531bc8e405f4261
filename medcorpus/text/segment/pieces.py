"""Stretches that follow each other without a gap."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Pieces:
    """Pieces of n rows: those of row i are `first[i]` to `first[i + 1]`, none for an empty text."""

    first: np.ndarray  # int64, n + 1
    starts: np.ndarray  # int64, one more than there are pieces: offsets into the utf-8 of the column
