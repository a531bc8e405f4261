"""`composed` against Python's own normal form C."""

import random
import unicodedata

import pyarrow as pa
from hypothesis import given, settings

from medcorpus.text import nfc
from medcorpus.text.composing import composed
from tests.text.scripts import texts


def check(rows):
    assert composed(pa.array(rows, pa.string())).to_pylist() == [unicodedata.normalize("NFC", row) for row in rows]


@settings(max_examples=300)
@given(texts)
def test_as_python_does(rows):
    check(rows + [unicodedata.normalize("NFD", row) for row in rows])


def test_every_pair_and_random_marks():
    chance = random.Random(1)
    kinds, pairs, _ = nfc.tables()
    marks = [chr(point) for point in range(0x30000) if kinds[point] and not 0xD800 <= point < 0xE000]
    found = [int(pair) for pair in pairs if pair]
    both = [chr(pair >> 42) + chr(pair >> 21 & 0x1FFFFF) for pair in found]
    rows = both + [f"{pair}{mark}x" for pair in both for mark in chance.choices(marks, k=3)]
    rows += [chance.choice(both)[0] + "".join(chance.choices(marks, k=chance.randint(1, 4))) for _ in range(60_000)]
    apart = [chr(point) for point in range(0x30000) if kinds[point] & 0x600]
    rows += [point + mark for point in apart for mark in chance.choices(marks, k=2)]
    check(rows)


def test_a_letter_with_many_marks():
    chance = random.Random(2)
    marks = [chr(point) for point in range(0x300, 0x360)]
    check(["e" + "".join(chance.choices(marks, k=size)) + "e\u0301" for size in (1, 50, 3_000)])
    check(["".join(chance.choices(marks, k=300)) + "a"])


def test_nulls_and_slices():
    array = pa.array(["e\u0301", None, "", "a\u0323\u0307"], pa.large_string())
    assert composed(array).to_pylist() == ["é", "", "", "ạ̇"]
    assert composed(array[3:]).to_pylist() == ["ạ̇"]
    assert composed(array[:0]).to_pylist() == []
