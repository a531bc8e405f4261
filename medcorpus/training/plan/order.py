"""Which documents, how often, in which order.

Shares are of tokens: 1.0 is every document of a key once an epoch, 0.1 a tenth of its tokens (another tenth in the next
epoch), 2.0 all of them twice. Order within an epoch is weighted sampling without replacement.
"""

from collections.abc import Sequence

import numpy as np

INSTRUCTION = ("qa", "dialogue")  # what the mix key `instruction` stands for
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def uniform(ids: np.ndarray, *seeds: int) -> np.ndarray:
    """Numbers in (0, 1) that follow from 64-bit ids and seeds alone, on every machine (splitmix64 of each in turn)."""
    mixed = ids.astype(np.uint64)
    with np.errstate(over="ignore"):
        for seed in seeds:
            mixed = mixed + np.uint64(seed & 0xFFFFFFFFFFFFFFFF) * _GOLDEN + _GOLDEN
            mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            mixed = mixed ^ (mixed >> np.uint64(31))
    return ((mixed >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53


def key_values(keys: dict[str, float], kinds: Sequence[str], sources: Sequence[str], default: float) -> np.ndarray:
    """For each pair of kind and source, the value of the narrowest key that fits: `kind/source`, `kind`, `instruction`.

    Raises KeyError with the first key that fits no pair: a misspelt key would silently train on nothing.
    """
    values, used = [], set()
    for kind, source in zip(kinds, sources, strict=True):
        wide = ("instruction",) if kind in INSTRUCTION else ()
        names = (f"{kind}/{source}", *(f"{name}/{source}" for name in wide), kind, *wide)
        used |= {name for name in names if name in keys}
        values.append(next((keys[name] for name in names if name in keys), default))
    if unused := [key for key in keys if key not in used]:
        raise KeyError(unused[0])
    return np.array(values, np.float64)


def temperature(tokens: np.ndarray, tau: float) -> np.ndarray:
    """Tokens a language gets out of the same total: shares grow with n^(1/tau), as for multilingual BERT and XLM.

    `tokens` [languages]: natural amounts. tau 1 changes nothing, a large tau gives all languages the same.
    """
    weight = np.where(tokens > 0, np.maximum(tokens, 1e-300) ** (1.0 / tau), 0.0)
    return tokens.sum() * weight / max(weight.sum(), 1e-300)


def unimax(tokens: np.ndarray, most: float) -> np.ndarray:
    """Tokens a language gets: the same for all, none seen more than `most` times (UniMax, Chung et al. 2023).

    The rest of a language that is used up goes to the larger ones; what nobody can take is left out of the total.
    """
    budget, left, given = float(tokens.sum()), int((tokens > 0).sum()), np.zeros(len(tokens))
    for index in np.argsort(tokens, kind="stable"):
        if tokens[index] > 0:
            given[index] = min(budget / left, most * tokens[index])
            budget, left = budget - given[index], left - 1
    return given


def draw(ids: np.ndarray, tokens: np.ndarray, share: np.ndarray, groups: np.ndarray, epoch: float, length: float, seed: int) -> np.ndarray:  # fmt: skip # noqa: E501
    """Documents of one epoch, each as often as its share says: indices, group by group.

    A group's documents stand on a ring in random order; each epoch goes on where the last one ended, so a fraction is
    drawn without replacement until all were seen. `epoch` counts what went before, `length` is 1 for a whole epoch.
    `share` must be the same within a group.
    """
    chosen = []
    order = np.lexsort((ids, uniform(ids, seed, 1), groups))
    ends = np.flatnonzero(np.diff(groups[order], append=-1)) + 1
    for begin, end in zip(np.concatenate([[0], ends[:-1]]), ends, strict=True):
        ring = order[begin:end]
        stops = np.cumsum(tokens[ring], dtype=np.float64)
        starts, total, rate = stops - tokens[ring], stops[-1], share[ring[0]]
        if total <= 0 or rate <= 0:
            continue
        low, high = epoch * rate * total, (epoch + length) * rate * total
        for turn in range(int(low // total), int(np.ceil(high / total))):
            at = starts + turn * total
            chosen.append(ring[(at >= low - 1e-6) & (at < high - 1e-6)])
    return np.concatenate(chosen) if chosen else np.zeros(0, np.int64)


def by_priority(ids: np.ndarray, weight: np.ndarray, copy: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Weighted sampling without replacement: indices in the order drawn.

    The document with the smallest -ln(u)/weight comes first, which is the exponential race of Efraimidis and Spirakis
    (2006): the law of drawing one after the other, each time with odds by weight among those left, as HuatuoGPT-II and
    Apollo do. `copy` tells copies of one document apart.
    """
    race = -np.log(uniform(ids ^ copy.astype(np.uint64), seed, 2, epoch)) / weight
    return np.lexsort((copy, ids, race))


def order(
    ids: np.ndarray,
    tokens: np.ndarray,
    share: np.ndarray,
    weight: np.ndarray,
    groups: np.ndarray,
    epochs: float,
    seed: int,
) -> np.ndarray:
    """All epochs, one after the other: indices of documents in training order.

    `ids` uint64, `tokens` > 0, `share` >= 0, `weight` > 0 and `groups` >= 0 are [documents].
    """
    taken = []
    for epoch in range(int(np.ceil(epochs - 1e-9))):
        drawn = draw(ids, tokens, share, groups, epoch, min(1.0, epochs - epoch), seed)
        drawn = drawn[np.argsort(drawn, kind="stable")]
        first = np.concatenate([[True], drawn[1:] != drawn[:-1]]) if len(drawn) else np.zeros(0, bool)
        begins = np.flatnonzero(first)
        copy = np.arange(len(drawn)) - np.repeat(begins, np.diff(np.append(begins, len(drawn))))
        taken.append(drawn[by_priority(ids[drawn], weight[drawn], copy, seed, epoch)])
    return np.concatenate(taken) if taken else np.zeros(0, np.int64)
