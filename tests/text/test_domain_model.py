"""The linear model: features against a slow oracle, bytes that repeat, files that are refused."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

from medcorpus.core.errors import Fatal, Missing
from medcorpus.text import domain_model
from medcorpus.text.terms import classes
from tests.text.scripts import texts

MASK = (1 << 64) - 1
PRIME, SEED, STEP = 0x9E3779B97F4A7C15, 0xCBF29CE484222325, 0xD6E8FEB86659FD93


def hashed(letters):
    state = SEED
    for letter in letters:
        state = (state ^ ord(letter)) * PRIME & MASK
    return state


def words(text):
    """[(letters, whether a word)]: runs of words, single letters of unspaced scripts, each with its marks."""
    made, kind = [], None
    for char in text:
        entry = int(classes()[ord(char)])
        now, lower = ["blank", "word", "char", "mark", "skip"][entry >> 21 & 7], chr(entry & 0x1FFFFF)
        if now == "skip":
            kind = kind if kind in ("word", "char") else None
        elif (now == "mark" and kind) or now == kind == "word":
            made[-1][0].append(lower)
        elif now in ("word", "char"):
            made.append(([lower], now == "word", ord(char)))
            kind = now
        else:
            kind = None
    return made


def oracle(text):
    slots, before, earlier = [], 0, 0
    for letters, word, first in words(text):
        state = hashed(letters)
        low, high = (1, 4) if 0x1200 <= first < 0x1380 or 0xAC00 <= first < 0xD7A4 else (3, 7)
        if word:
            beginnings = [hashed(letters[:size]) for size in range(low, min(high, len(letters)) + 1)]
            slots += [(one ^ 0x632BE59BD9B4E019) * PRIME & MASK for one in beginnings]
        slots.append(state)
        if before:
            slots.append((before * STEP + state) * PRIME & MASK)
            if not word and earlier:
                slots.append((((earlier * STEP + before) * STEP + state) & MASK) * PRIME & MASK)
        earlier = 0 if word else before
        before = state
    return [slot >> 44 for slot in slots]


WEIGHTS = np.random.default_rng(1).integers(-127, 128, 1 << domain_model.BITS).astype(np.int8)
MODEL = domain_model.DomainModel(WEIGHTS, 0.01, -1.0, (1, 1, 1, 0), (1, 0), "")


@given(texts)
def test_the_linear_part_is_that_of_the_oracle(rows):
    wanted = []
    for row in rows:
        slots = oracle(row)
        mean = sum(int(WEIGHTS[slot]) for slot in slots) * 0.01 / len(slots) if slots else 0.0
        wanted.append(mean * min(len(slots), 64) ** 0.5 - 1.0 if slots else 0.0)
    assert domain_model.logits(pa.array(rows), MODEL).tolist() == pytest.approx(wanted)


def test_a_score_lies_between_0_and_1_and_lists_are_asked_where_there_are_any():
    z, density, distinct = np.array([-9.0, 0.0, 9.0]), np.array([0, 0.1, 0.9]), np.array([0, 1, 9])
    score = MODEL.score(z, density, distinct, np.array([True, False, True]))
    assert score.dtype == np.float32
    assert score.tolist() == pytest.approx([1 / (1 + np.exp(9)), 0.5, 1 / (1 + np.exp(-(9 + 0.5 + np.log(3))))])


def test_saving_twice_gives_the_same_bytes(tmp_path):
    weights = WEIGHTS.astype(np.float32)
    curve = {"intercept": -1.0, "with_terms": [1, 2, 3, 4], "without": [1, 0]}
    for name in ("a.npz", "b.npz"):
        domain_model.save(tmp_path / name, weights, curve)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    model = domain_model.load(tmp_path / "a.npz")
    assert (model.weights == WEIGHTS).all()
    assert (model.scale, model.with_terms) == (1.0, (1, 2, 3, 4))


def test_one_term_alone_weighs_a_fifth_of_its_share():
    z, density, listed = np.zeros(3), np.array([0.1, 0.1, 0.02]), np.ones(3, np.bool_)
    one, two, _ = odds = np.log(1 / (1 / MODEL.score(z, density, np.array([1, 2, 2]), listed) - 1))
    assert one == pytest.approx(np.sqrt(0.02) + np.log(2), abs=1e-5)
    assert two == pytest.approx(np.sqrt(0.1) + np.log(3), abs=1e-5)
    assert odds[2] - one == pytest.approx(np.log(3 / 2), abs=1e-5)


def test_files_that_are_refused(tmp_path):
    whole = domain_model.shipped_model().read_bytes()
    bad = tmp_path / "m.npz"
    with pytest.raises(Missing, match=r"m\.npz is not there"):
        domain_model.load(bad)
    for content in (b"", b"__label__", whole[: len(whole) // 2], whole[:-3]):
        bad.write_bytes(content)
        with pytest.raises(Fatal, match=r"m\.npz is not a domain model, or cut short"):
            domain_model.load(bad)
    with bad.open("wb") as stream:
        np.savez(stream, weights=WEIGHTS, head=np.frombuffer(b'{"version": 99, "bits": 20}', np.uint8))
    with pytest.raises(Fatal, match="version 99 of the features"):
        domain_model.load(bad)
    with bad.open("wb") as stream:
        np.savez(stream, weights=WEIGHTS[:9], head=np.frombuffer(b'{"version": 2, "bits": 20}', np.uint8))
    with pytest.raises(Fatal, match="weights are not"):
        domain_model.load(bad)
