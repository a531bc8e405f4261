"""Hashes of strings against a loop over their bytes, and how evenly they fall."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from medcorpus.text.hashes import hashes
from tests.text.scripts import texts

ALL = (1 << 64) - 1


def mixed(word):
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 & ALL
    word = (word ^ word >> 27) * 0x94D049BB133111EB & ALL
    return word ^ word >> 31


def slow(text, seed):
    state = mixed(seed) ^ 0xCBF29CE484222325
    for byte in text.encode():
        state = (state ^ byte) * 0x100000001B3 & ALL
    return mixed(state)


@given(texts, st.integers(0, (1 << 63) - 1))
def test_equals_a_loop_over_bytes(rows, seed):
    assert hashes(pa.array(rows), seed).tolist() == [slow(text, seed) for text in rows]
    assert hashes(pa.chunked_array([rows, rows[::-1]]), seed).tolist()[: len(rows)] == [slow(t, seed) for t in rows]
    assert hashes(pa.array([*rows, None]).slice(len(rows)), seed).tolist() == [slow("", seed)]


def test_neighbours_fall_apart_and_every_bit_is_used():
    ids = pa.array([f"{number:032x}" for number in range(20_000)])
    found = hashes(ids)
    assert len(np.unique(found)) == len(found)
    ones = (found[:, None] >> np.arange(64, dtype=np.uint64) & np.uint64(1)).mean(axis=0)
    assert (np.abs(ones - 0.5) < 0.02).all()  # 5 standard deviations are 0.018
    assert abs(np.corrcoef(np.argsort(np.argsort(found)), np.arange(len(found)))[0, 1]) < 0.03
    assert (hashes(ids, 2) != found).all()
