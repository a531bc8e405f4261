"""Hashes against mmh3, the normal form against unicodedata."""

import re
import unicodedata

import mmh3
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medcorpus.text.hashing import hash128, normalised

# PropList.txt, White_Space: unlike str.isspace it leaves out U+001C..001F.
WHITE = re.compile("[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")

# What normal forms and white space are made of, far more often than in random text.
TRICKY = st.text(
    st.sampled_from(
        "a5 \n\t\x1c\x85\xa0\u1680\u2002\u2003\u2028\u202f\u205f\u3000\u200b\ufeff"
        "eé\u0300\u0301\u0323\u0345\u0308AÅ\u212b\u2126"
        "가\u1100\u1161\u11a8각\u0915\u093c\u0958\u09c7\u09be\u0b47\u0b56\u0dd9\u0dcf"
        "\u0e01\u0e38\u0e49\u1025\u102e\u05d0\u05b0\u05bc\u0653\u0627\u0622\U0001109b\U000110ba\U0002f800豈"
    ),
    max_size=12,
)


def assigned(text):
    return all(unicodedata.category(char) != "Cn" for char in text)


def oracle(text):
    return WHITE.sub(" ", unicodedata.normalize("NFC", text or "")).strip(" ")


@given(st.lists(st.one_of(st.none(), st.text(max_size=70)), max_size=6), st.integers(0, 2**32 - 1))
def test_hash_equals_mmh3(texts, seed):
    got = hash128(pa.array(texts, pa.string()), seed)
    assert got.dtype == np.uint64
    assert got.shape == (len(texts), 2)
    want = [mmh3.hash64((text or "").encode(), seed, x64arch=True, signed=False) for text in texts]
    assert [tuple(map(int, pair)) for pair in got] == want


def test_hash_of_every_tail_length():
    texts = ["0123456789abcdef0123456789abcdef!"[:size] for size in range(34)]
    got = hash128(pa.array(texts).slice(1))
    assert [tuple(map(int, pair)) for pair in got] == [mmh3.hash64(t, 0, True, signed=False) for t in texts[1:]]


@given(st.lists(st.one_of(st.none(), TRICKY, st.text(max_size=20).filter(assigned)), max_size=6))
def test_normalised_equals_unicodedata(texts):
    array = pa.array(["x", *texts], pa.string()).slice(1)
    got = normalised(array)
    assert got.null_count == 0
    assert got.to_pylist() == [oracle(text) for text in texts]
    assert normalised(got).equals(got)


def test_every_code_point_alone_and_after_a_letter():
    points = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    points = [char for char in points if assigned(char)]
    for before in ("", "a", "\u0301"):
        texts = [before + char for char in points]
        got = normalised(pa.array(texts)).to_pylist()
        wrong = [hex(ord(text[-1])) for text, form in zip(texts, got, strict=True) if form != oracle(text)]
        assert wrong == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("5 mg", "50 mg"),
        ("Fever", "fever"),
        ("ปวดหัว", "ปวดหว"),  # a vowel mark less
        ("กา", "ก่า"),  # a tone mark more
        ("दिल", "दल"),
        ("5 mg", "٥ mg"),
        ("a\u200bb", "ab"),  # zero width space is no White_Space
    ],
)
def test_what_must_stay_apart(one, other):
    first, second = normalised(pa.array([one, other])).to_pylist()
    assert first != second


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("café", "cafe\u0301"),
        ("  5\u00a0mg \r\n", "5 mg"),
        ("頭痛\u3000発熱", "頭痛 発熱"),
        ("각", "\u1100\u1161\u11a8"),
        ("क़", "\u0915\u093c"),
    ],
)
def test_what_must_come_together(one, other):
    first, second = normalised(pa.array([one, other])).to_pylist()
    assert first == second


def test_all_shapes():
    assert normalised(pa.array([], pa.string())).to_pylist() == []
    assert normalised(pa.array([None, " \n"], pa.large_string())).to_pylist() == ["", ""]
    chunks = pa.chunked_array([pa.array(["a  b", "e\u0301"]), pa.array([" c "])])
    assert normalised(chunks).to_pylist() == ["a b", "é", "c"]
    assert hash128(pa.array([], pa.string())).shape == (0, 2)
