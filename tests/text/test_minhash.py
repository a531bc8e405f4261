"""Signatures against numpy, against datasketch, and the S-curve against its formula."""

import datasketch
import numpy as np
import pytest

from medcorpus.text.minhash import Bands, band_keys, bands_for, permutations, signatures

DRAWN = np.random.default_rng(5)


def sets(similarity, size, pairs):
    """Pairs of sets of about that Jaccard similarity, as (values, offsets, exact similarities)."""
    shared = round(similarity * size)
    alone = (size - shared) // 2
    values, exact = [], shared / (shared + 2 * alone)
    for _ in range(pairs):
        drawn = DRAWN.integers(0, 2**32, shared + 2 * alone, dtype=np.uint32)
        values += [drawn[: shared + alone], np.concatenate([drawn[:shared], drawn[shared + alone :]])]
    offsets = np.concatenate([[0], np.cumsum([len(v) for v in values])])
    return np.concatenate(values), offsets, exact


@pytest.mark.parametrize("count", [1, 3, 4, 112])
@pytest.mark.parametrize("size", [0, 1, 7, 63, 64, 65, 500])
def test_signature_equals_numpy(count, size):
    values = DRAWN.integers(0, 2**32, size, dtype=np.uint32)
    a, b = permutations(count, 9)
    want = np.full(count, 0xFFFFFFFF, np.uint32)
    if size:
        want = (a[:, None] * values + b[:, None]).min(axis=1)
    assert (signatures(values, np.array([0, size]), count, 9)[0] == want).all()


@pytest.mark.parametrize("similarity", [0.3, 0.5, 0.7, 0.8, 0.9])
def test_estimates_are_as_good_as_theory_and_datasketch(similarity):
    """The standard error of an estimate from k values is sqrt(s (1 - s) / k)."""
    count, pairs = 112, 150
    values, offsets, exact = sets(similarity, 300, pairs)
    ours = signatures(values, offsets, count)
    found = (ours[::2] == ours[1::2]).mean(axis=1)
    expected = np.sqrt(exact * (1 - exact) / count)
    assert abs(found.mean() - exact) < 4 * expected / np.sqrt(pairs)
    assert 0.8 * expected < np.sqrt(((found - exact) ** 2).mean()) < 1.2 * expected
    theirs = []
    for row in range(len(offsets) - 1):
        one = datasketch.MinHash(count, seed=1, hashfunc=lambda b: int.from_bytes(b, "little"))
        one.update_batch([v.tobytes() for v in values[offsets[row] : offsets[row + 1]]])
        theirs.append(one)
    estimates = np.array([a.jaccard(b) for a, b in zip(theirs[::2], theirs[1::2], strict=True)])
    assert abs(found.mean() - estimates.mean()) < 6 * expected / np.sqrt(pairs)


@pytest.mark.parametrize(("threshold", "cut"), [(0.7, Bands(22, 5)), (0.8, Bands(14, 8))])
def test_bands_of_the_usual_thresholds(threshold, cut):
    assert bands_for(threshold) == cut


def test_bands_keep_their_promise():
    for threshold in np.arange(0.3, 1.001, 0.01):
        cut = bands_for(float(threshold))
        assert cut.bands * cut.rows <= 112
        assert cut.found(min(threshold + 0.1, 1.0)) >= 0.995
        assert cut.found(threshold) >= 0.9
    with pytest.raises(ValueError, match="no bands"):
        bands_for(0.001)


@pytest.mark.parametrize("similarity", [0.6, 0.7, 0.8, 0.9])
def test_bands_find_as_many_as_the_curve_says(similarity):
    cut, pairs = Bands(14, 8), 600
    values, offsets, exact = sets(similarity, 200, pairs)
    keys = band_keys(values, offsets, cut)
    found = (keys[:, ::2] == keys[:, 1::2]).any(axis=0).mean()
    curve = cut.found(exact)
    assert abs(found - curve) < 4 * np.sqrt(curve * (1 - curve) / pairs) + 0.005


def test_seed_and_band_part_keys():
    values, offsets, _ = sets(0.9, 50, 2)
    one, two = (band_keys(values, offsets, Bands(4, 2), seed) for seed in (1, 2))
    assert not (one == two).any()
    assert len(np.unique(one[:, 0])) == 4
