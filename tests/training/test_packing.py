import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from medcorpus.training.plan.packing import pack, spans

LENGTHS = st.lists(st.integers(1, 100), min_size=1, max_size=200)


def slow_pack(lengths, window, open_rows):
    """Best fit by looking at every open row."""
    rows, room, opened = [], {}, 0
    for length in lengths:
        fitting = [(free, row) for row, free in room.items() if free >= length]
        if fitting:
            row = min(fitting)[1]
        else:
            row, opened = opened, opened + 1
            room[row] = window
            room.pop(row - open_rows, None)
        room[row] -= length
        rows.append(row)
        if not room[row]:
            del room[row]
    return rows


@given(LENGTHS, st.integers(1, 8))
def test_pack_is_best_fit_over_the_newest_rows(lengths, open_rows):
    rows = pack(np.array(lengths), 100, open_rows)
    assert rows.tolist() == slow_pack(lengths, 100, open_rows)
    assert np.bincount(rows, lengths).max() <= 100
    assert set(rows.tolist()) == set(range(rows.max() + 1)), "no row is empty"


def test_rows_are_nearly_full_and_nearly_in_order():
    lengths = np.clip(np.random.default_rng(0).lognormal(5, 1, 20_000), 1, 2048).astype(int)
    rows = pack(lengths, 2048)
    assert lengths.sum() / ((rows.max() + 1) * 2048) > 0.98
    highest = np.maximum.accumulate(rows)
    assert (highest - rows).max() < 256, "no span comes far too early"


@given(st.lists(st.integers(0, 300), min_size=1, max_size=20), st.integers(0, 40))
def test_spans_cover_every_token_of_what_may_be_cut(lengths, overlap):
    window, may_cut = 50, np.arange(len(lengths)) % 2 == 0
    document, start, length = spans(np.array(lengths), window, overlap, may_cut)
    for number, whole in enumerate(lengths):
        mine = [(int(s), int(n)) for d, s, n in zip(document, start, length, strict=True) if d == number]
        if whole == 0 or (whole > window and not may_cut[number]):
            assert mine == []
            continue
        assert all(0 < n <= window for _, n in mine) and mine[-1][0] + mine[-1][1] == whole
        assert set(range(whole)) == {t for s, n in mine for t in range(s, s + n)}
        assert all(b[0] - a[0] == window - overlap for a, b in itertools.pairwise(mine))
