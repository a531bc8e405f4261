"""`not_nfc` against Python's own normal forms."""

import unicodedata

import pyarrow as pa
from hypothesis import given, settings

from medcorpus.text.buffers import buffers
from medcorpus.text.nfc import not_nfc
from tests.text.scripts import texts


@settings(max_examples=300)
@given(texts)
def test_tells_what_normal_form_c_would_change(rows):
    rows = (
        rows
        + [f"{'plain words, '[: n % 12]}{row}" for n, row in enumerate(rows)]
        + [f"a long line {row} and more" for row in rows]
    )
    data, offsets, _ = buffers(pa.array(rows, pa.string()))
    want = [unicodedata.normalize("NFC", row) != row for row in rows]
    assert not_nfc(data, offsets).tolist() == want
