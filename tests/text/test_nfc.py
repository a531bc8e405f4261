"""What a walk finds to be in normal form C against Python's own normal forms."""

import unicodedata

import pyarrow as pa
from hypothesis import given, settings

from medcorpus.text import nfc
from medcorpus.text.shingles import _units, _walked
from tests.text.scripts import texts


@settings(max_examples=300)
@given(texts)
def test_tells_what_normal_form_c_would_change_beyond_letters_taken_apart_on_the_way(rows):
    rows = (
        rows
        + [f"{'plain words, '[: n % 12]}{row}" for n, row in enumerate(rows)]
        + [f"a long line {row} and more" for row in rows]
    )
    _, doubtful, _ = _walked(pa.array(rows, pa.string()), 5, 1, _units(1))
    apart = ["".join(unicodedata.normalize("NFC", c) if split(c) else c for c in row) for row in rows]
    assert doubtful.tolist() == [unicodedata.normalize("NFC", row) != row for row in apart]


def split(char):
    return nfc.tables()[0][ord(char)] & nfc.SPLIT != 0
