"""Lines of code and data that are told by their marks: `"comment": "",` is no Catalan, though `comment` may be.

A model hears words. A key, a selector or a tag often is one word of a language, and no training on such lines
leaves that language alone; the marks around it are never those of prose.
"""

import numpy as np
import pyarrow as pa
from numba import njit

from medcorpus.text.buffers import buffers

LONGEST = 1024
"""Bytes of the longest text that is looked at: in a long one the model has enough to hear that it is code."""

MARKS = b'"{}[]<>=;_$\\|@#~^*:'
FEWEST, PER_LETTER = 3, 0.3
"""Marks in all, and marks for each ASCII letter, that make it code.

Of 182,000 texts in Latin letters (SIB-200, TICO-19, UDHR, leaflets, exams) five have so many, all broken: quotes
doubled over and over. Of those lines of JSON that a model takes for a language, four in five have.
"""

_MARK, _LETTER, _OTHER = 1, 2, 4
_KINDS = np.zeros(256, np.uint8)
_KINDS[list(MARKS)] = _MARK
_KINDS[list(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")] = _LETTER
_KINDS[0xC3:] = _OTHER  # the first byte of a character that may be a letter


def is_code(array: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Whether each text is shorter than LONGEST, mostly in ASCII letters, and full of MARKS (bool, shape [rows])."""
    data, offsets, _ = buffers(array)
    return _is_code(data, offsets, _KINDS, LONGEST, FEWEST, PER_LETTER)


@njit(cache=True, nogil=True)
def _is_code(data, offsets, kinds, longest, fewest, per_letter):
    found = np.zeros(len(offsets) - 1, np.bool_)
    for row in range(len(found)):
        begin, end = offsets[row], offsets[row + 1]
        if end - begin >= longest:
            continue
        marks = letters = others = 0
        for at in range(begin, end):
            kind = kinds[data[at]]
            marks += kind & _MARK
            letters += (kind & _LETTER) >> 1
            others += kind >> 2
        found[row] = letters > others and marks >= max(fewest, per_letter * letters)
    return found
