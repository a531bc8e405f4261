import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medcorpus.training.plan import order as orders


def ids(count, seed=0):
    return np.random.default_rng(seed).integers(0, 2**63, count).astype(np.uint64)


def test_uniform_is_the_same_for_ever():
    drawn = orders.uniform(np.array([0, 1, 2**63], np.uint64), 7, 1)
    again = orders.uniform(np.array([2**63, 0, 1], np.uint64), 7, 1)
    assert drawn.tolist() == again[[1, 2, 0]].tolist() and len(set(drawn)) == 3
    many = orders.uniform(ids(100_000), 3)
    assert 0 < many.min() < many.max() < 1 and abs(many.mean() - 0.5) < 0.005
    assert abs(np.corrcoef(many, orders.uniform(ids(100_000), 4))[0, 1]) < 0.02, "seeds are independent"
    first = orders.uniform(np.array([0], np.uint64), 0)[0]
    assert round(float(first), 6) == 0.883311, "the first number of splitmix64 from 0 (Steele et al., 2014)"


def test_the_narrowest_key_wins_and_a_misspelt_one_is_an_error():
    kinds, sources = ["mcqa", "mcqa", "qa", "dialogue"], ["medqa", "igaku", "chat", "chat"]
    mix = {"mcqa": 1.0, "mcqa/igaku": 3.0, "instruction": 0.5, "qa/chat": 0.25}
    assert orders.key_values(mix, kinds, sources, 0.0).tolist() == [1.0, 3.0, 0.25, 0.5]
    with pytest.raises(KeyError, match="mcqa/medq"):
        orders.key_values({"mcqa/medq": 1.0}, kinds, sources, 0.0)


def test_balances_of_languages():
    natural = np.array([1000.0, 100.0, 10.0, 0.0])
    assert orders.temperature(natural, 1.0) == pytest.approx(natural)
    flat = orders.temperature(natural, 1e9)
    assert flat[:3] == pytest.approx([370, 370, 370]) and flat[3] == 0
    between = orders.temperature(natural, 2.0)
    assert between.sum() == pytest.approx(1110) and between[1] / between[2] == pytest.approx(10**0.5)
    assert orders.unimax(natural, 4).tolist() == [670.0, 400.0, 40.0, 0.0], "4 times at most, the rest to the largest"
    assert orders.unimax(natural, 1).tolist() == natural.tolist()


def oracle_epoch(ring, tokens, share, epoch, length):
    """Walk along the ring, document by document."""
    total = sum(tokens[d] for d in ring)
    low, high, at, taken = epoch * share * total, (epoch + length) * share * total, 0, []
    for _ in range(int(np.ceil((epoch + length) * share)) + 1):
        for document in ring:
            if low - 1e-6 <= at < high - 1e-6:
                taken.append(document)
            at += tokens[document]
    return sorted(taken)


@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=20), st.sampled_from([0.1, 0.5, 1.0, 2.0, 2.5]), st.integers(0, 3)
)
def test_draw_walks_the_ring(lengths, share, epoch):
    names, tokens = ids(len(lengths)), np.array(lengths)
    shares, groups = np.full(len(lengths), share), np.zeros(len(lengths), np.int64)
    ring = orders.draw(names, tokens, np.ones(len(lengths)), groups, 0, 1, 5).tolist()
    assert sorted(ring) == list(range(len(lengths)))
    drawn = orders.draw(names, tokens, shares, groups, epoch, 1.0, 5)
    assert sorted(drawn.tolist()) == oracle_epoch(ring, tokens, share, epoch, 1.0)


def test_a_fraction_is_drawn_without_replacement_until_all_were_seen():
    names, tokens = ids(1000), np.full(1000, 7)
    args = names, tokens, np.full(1000, 0.25), np.ones(1000), np.zeros(1000, np.int64)
    drawn = orders.order(*args, epochs=4, seed=1)
    assert len(drawn) == 1000 and len(set(drawn.tolist())) == 1000
    assert len(orders.order(*args, epochs=5, seed=1)) == 1250
    assert len(orders.order(*args, epochs=0.5, seed=1)) == 125
    whole = orders.order(names, tokens, np.full(1000, 2.0), np.ones(1000), args[4], 1, 1)
    assert np.bincount(whole).tolist() == [2] * 1000


def test_priority_is_drawing_by_odds_among_those_left():
    """Of one document with weight 3 and three with weight 1, the heavy one is first half of the time, last hardly."""
    weight = np.array([3.0, 1.0, 1.0, 1.0])
    place = [orders.by_priority(ids(4, s), weight, np.zeros(4, np.int64), s, 0).tolist().index(0) for s in range(4000)]
    # P(first) = 3/6; P(second) = 3/6 * 3/5; P(third) = 3/6 * 2/5 * 3/4; the rest is last
    assert np.bincount(place, minlength=4) / 4000 == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.03)


def test_the_order_of_the_input_means_nothing():
    names, tokens = ids(300), np.random.default_rng(1).integers(1, 90, 300)
    share, weight, groups = np.where(np.arange(300) % 3, 1.0, 0.3), np.ones(300), (np.arange(300) % 3 > 0).astype(int)
    one = orders.order(names, tokens, share, weight, groups, 2, 9)
    turned = np.random.default_rng(2).permutation(300)
    two = orders.order(names[turned], tokens[turned], share[turned], weight[turned], groups[turned], 2, 9)
    assert names[one].tolist() == names[turned][two].tolist()
    assert names[orders.order(names, tokens, share, weight, groups, 2, 8)].tolist() != names[one].tolist()
