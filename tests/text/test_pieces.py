"""Pieces of texts: valid, in order, from all over the text, for any script."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from medcorpus.text.pieces import pieces
from tests.text.scripts import text


@given(st.lists(text.map(lambda one: one * 7), min_size=1, max_size=5), st.integers(1, 5), st.integers(1, 40))
def test_pieces_are_parts_of_long_texts(rows, count, size):
    found, which = pieces(pa.array(rows), count, size)
    found.validate(full=True)
    assert which.tolist() == [n for n, row in enumerate(rows) if len(row.encode()) >= count * size]
    parts = found.to_pylist()
    assert len(parts) == count * len(which)
    for number, row in enumerate(which):
        own = parts[number * count : (number + 1) * count]
        assert all(part in rows[row] for part in own)
        assert rows[row].startswith(own[0]) or count == 1
        assert all(len(part.encode()) <= size + 64 for part in own)


def test_where_they_lie():
    found, which = pieces(pa.array(["aaa " * 100 + "bbb " * 100, "short", None]), 4, 100)
    assert which.tolist() == [0]
    assert [part.strip()[:3] for part in found.to_pylist()] == ["aaa", "aaa", "bbb", "bbb"]
