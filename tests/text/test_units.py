"""Lines and paragraphs against an oracle that splits Python strings."""

import re
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medcorpus.text.hashes import hashes
from medcorpus.text.measures import BREAKS, SPACES
from medcorpus.text.units import said, units, without
from tests.text.scripts import text as any_text
from tests.text.test_shingles import SENTENCES, tokens

PIECES = st.sampled_from(
    [*BREAKS, "\r\n", "\n\n", "\n \t\n", *" \t\u3000\u200b", "a", "Fever.", "5 mg", "ยา", "血压", "!", "é"]
)
texts = st.lists(
    st.one_of(st.none(), st.lists(st.one_of(PIECES, PIECES, any_text), max_size=10).map("".join)), max_size=5
)


def lines(text):
    """(line with its break, the break) of a text."""
    found = re.findall(f"([^{BREAKS}]*)(\r\n|[{BREAKS}]|$)", text)
    return [(line + end, end) for line, end in found if line + end]


def slow(text, paragraphs):
    """The units of a text: a line that has something begins one, or in paragraphs one that comes after a gap."""
    out, gap = [], False
    for line, end in lines(text or ""):
        empty = not line.strip(BREAKS + SPACES)
        if not out or (not empty and solid(out[-1]) and (gap or not paragraphs)):
            out.append(line)
        else:
            out[-1] += line
        if not empty:
            gap = False
        gap |= empty or end == "\u2029"
    return out


def solid(text):
    return sum(char not in BREAKS + SPACES for char in text)


def wordy(text):
    return any(unicodedata.category(char)[0] in "LMN" or "\U00020000" <= char < "\U00040000" for char in text)


def cut(array, found):
    data = b"".join((text or "").encode() for text in array.to_pylist())
    begin = found.starts - found.starts[0]
    return [
        [data[begin[unit] : begin[unit + 1]].decode() for unit in range(a, b)]
        for a, b in zip(found.first, found.first[1:], strict=False)
    ]


@settings(max_examples=300)
@given(texts, st.booleans(), st.integers(0, 3))
def test_units_equal_the_oracle(rows, paragraphs, skip):
    array = pa.array(rows, pa.string()).slice(skip)
    rows = rows[skip:]
    found = units(array, paragraphs)
    expected = [slow(text, paragraphs) for text in rows]
    assert cut(array, found) == expected
    assert found.chars.tolist() == [solid(unit) for row in expected for unit in row]
    assert found.wordy.tolist() == [wordy(unit) for row in expected for unit in row]
    assert found.row.tolist() == [number for number, row in enumerate(expected) for _ in row]
    assert found.per_row(found.chars).tolist() == [solid(text or "") for text in rows]


@settings(max_examples=200)
@given(texts, st.booleans(), st.randoms(use_true_random=False))
def test_without_equals_the_oracle(rows, paragraphs, rng):
    array = pa.array(rows, pa.string())
    found = units(array, paragraphs)
    gone = np.array([rng.random() < 0.4 for _ in found.chars], np.bool_)
    expected, at = [], iter(gone.tolist())
    for text in rows:
        marked = [(unit, next(at)) for unit in slow(text, paragraphs)]
        left = "".join(unit for unit, goes in marked if not goes)
        left = left.strip() if wordy(left) else ""
        expected.append(left if any(goes for _, goes in marked) else text)
    assert without(array, found, gone).to_pylist() == expected
    large = array.cast(pa.large_string())
    assert without(large, units(large, paragraphs), gone).equals(pa.array(expected, pa.large_string()))
    assert without(array, found, np.zeros(len(gone), np.bool_)) is array


@settings(max_examples=200)
@given(texts)
def test_units_say_the_same_when_their_tokens_are_the_same(rows):
    array = pa.array(rows, pa.string())
    found = units(array)
    seen = {}
    for unit, value in zip((u for row in cut(array, found) for u in row), said(array, found)[0].tolist(), strict=True):
        if spoken := tuple(tokens(unit)):
            assert seen.setdefault(spoken, value) == value
    assert len(set(seen.values())) == len(seen)


def test_many_rows_outgrow_the_first_tables():
    array = pa.array(["a\nb\n\nc"] * 2000)
    assert units(array).first.tolist() == list(range(0, 6001, 3))
    assert units(array, True).first.tolist() == list(range(0, 4001, 2))
    assert units(pa.array(["x\n" * 5000])).first.tolist() == [0, 5000]


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_line_is_itself_in_any_text_and_another_number_is_not(sentence):
    array = pa.array([f"{sentence}\nx", f"y\r\n\r\n  {sentence} \u2028z", sentence.replace("5", "6"), sentence.upper()])
    found = units(array)
    values, words = said(array, found)
    first, second = values[found.first[0]], values[found.first[1] + 1]
    assert first == second == values[found.first[3]]
    assert (values[found.first[2]] == first) == ("5" not in sentence)
    assert words[found.first[0]] == words[found.first[1] + 1] >= 3


def test_rows_kept_apart():
    array = pa.array(["one line\none line", "one line"])
    found = units(array)
    same, _ = said(array, found)
    assert len(set(same.tolist())) == 1
    apart, _ = said(array, found, apart=hashes(pa.array(["ward", "web"])))
    assert apart[0] == apart[1] != apart[2]
    assert said(array, found, seed=2)[0][0] != same[0]


def test_nothing():
    for array in (pa.array([], pa.string()), pa.array([None, ""], pa.string())):
        found = units(array)
        assert len(found.chars) == 0 and len(found.starts) == 1 and len(found.first) == len(array) + 1
        assert [len(part) for part in said(array, found)] == [0, 0]
        assert without(array, found, np.zeros(0, np.bool_)).equals(array)
