"""Inference of fastText language models over the utf-8 of a column, without a Python object a document.

What fastText does for a line: every word becomes `<word>`; each run of `minn` to `maxn` characters in it, but for
`<` and `>` alone, is hashed into one of `bucket` buckets; the rows of the input matrix of all those that were
kept, of the words it knows and of the end of the line are averaged; times the output matrix, softmax, or a walk
down a tree of yes or no (hierarchical softmax). Here it is done so that it is quick:

* The five n-grams that end at a character are hashed side by side, each from the one before: a character
  takes one step in five hashes that do not wait for each other.
* Which buckets were kept is one bit each with a running count of bits beside every 64 (a rank index): 250 KB
  for a million buckets, where a table of row numbers would take 4 MB out of the caches.
* Hashes of many words are gathered, then their rows found, then those added up: three short loops that the
  processor can run ahead in, and rows on their way from memory while others are added.
* Rows are int16 with one scale for all, and are added up as whole numbers. Sums of whole numbers do not
  depend on their order, so the sum of a word that came twice can be kept for the third time (its bytes are
  compared, not a hash of them): scores are the same, to the last bit, whatever was read before.

Rounding to int16 moves scores of our model by 1e-4 on documents and at most 1e-3 on 12 characters.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numba import njit

from medcorpus.text.buffers import buffers, contiguous
from medcorpus.text.compiled import INNER
from medcorpus.text.composing import composed
from medcorpus.text.lid.line import NOT_NFC, as_it_is, line, room, tables
from medcorpus.text.lid.model import NO_LETTERS, NOTHING_KNOWN
from medcorpus.text.lid.weights import MAXN, Weights

_PRIME, _SEED = np.uint32(16777619), np.uint32(2166136261)  # FNV-1a, 32 bits
_OPEN, _CLOSE = np.uint32(ord("<")), np.uint32(ord(">"))
_AFTER_OPEN = np.uint32((int(_SEED) ^ int(_OPEN)) * int(_PRIME) & 0xFFFFFFFF)
_SPACE = 0x20
_END_OF_LINE = np.uint64(int.from_bytes(b"</s>", "little"))  # ends a line even where it stands in a text
_LABEL, _LABEL_TAIL = np.uint64(int.from_bytes(b"__label_", "little")), np.uint64(ord("_"))  # words fastText skips
_BATCH = 4096  # hashes gathered; sums of so many int16 fit in int32
_AHEAD = 128  # rows asked for before they are added: they come from memory side by side
_SPARE = 256  # hashes of one short word: at most 23 bytes, five each, and four
_KEPT_BITS = 12  # sums of so many words (2**12) are kept
_NEVER = np.float32(1e30)
_FAR = 20.0  # e^-20 of the best label's probability is as good as none
_FLOOR = np.float32(1e-5)  # fastText adds it to every probability (`std_log`)


class Work(NamedTuple):
    """Scratch of one call. Kernels take it apart once a document: touching a field costs two atomic operations."""

    hashes: np.ndarray  # uint32
    spare: np.ndarray  # uint32: those of one word
    found: np.ndarray  # uint64: their buckets, then those of their rows that were kept
    sums: np.ndarray  # int32 (dim)
    keys: np.ndarray  # uint64 (words, 3): words seen, padded with zeros
    known: np.ndarray  # int32 (words): rows behind each; -1 when it was seen but once
    kept: np.ndarray  # int32 (words, dim): sums of those


def predict(texts: pa.Array | pa.ChunkedArray, model: Weights, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The best `k` labels of each row, as `model.Model.predict_array` returns them."""
    labels, scores, doubtful = _predicted(texts, model, k)
    rows = np.flatnonzero(doubtful)
    if len(rows):
        labels[rows], scores[rows], _ = _predicted(composed(contiguous(texts).take(pa.array(rows))), model, k)
    return labels, scores


def _predicted(texts: pa.Array | pa.ChunkedArray, model: Weights, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(labels, scores, rows that have to be composed first)."""
    data, offsets, _ = buffers(texts)
    rows = len(offsets) - 1
    labels, scores = np.full((rows, k), NOTHING_KNOWN, np.int32), np.zeros((rows, k), np.float32)
    doubtful = np.zeros(rows, np.bool_)
    _predict(data, offsets, tables(), model, labels, scores, doubtful)
    return labels, scores, doubtful


@njit(**INNER)
def _step(state, byte):
    return np.uint32((state ^ byte) * _PRIME)


@njit(**INNER)
def _ones(bits):
    """Bits set: the compiler knows this idiom and makes it one instruction."""
    bits -= bits >> np.uint64(1) & np.uint64(0x5555555555555555)
    bits = (bits & np.uint64(0x3333333333333333)) + (bits >> np.uint64(2) & np.uint64(0x3333333333333333))
    bits = bits + (bits >> np.uint64(4)) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return bits * np.uint64(0x0101010101010101) >> np.uint64(56)


@njit(**INNER)
def _entry(text, at, end, slots, starts, spelt):
    """Which of the words the model knows text[at:end] is, or -1."""
    state = _SEED
    for i in range(at, end):
        state = _step(state, np.uint32(np.int8(text[i])))
    mask = len(slots) - 1
    slot = np.int64(state) & mask
    while slots[slot] >= 0:
        begin, size = starts[slots[slot]], end - at
        if starts[slots[slot] + 1] - begin == size:
            i = 0
            while i < size and text[at + i] == spelt[begin + i]:
                i += 1
            if i == size:
                return np.int64(slots[slot])
        slot = slot + 1 & mask
    return np.int64(-1)


@njit(**INNER)
def _word(text, at, end, minn, maxn, hashes, size, rows, index, bucket, shift, reciprocal, found, sums, total):
    """Append the n-grams of the word text[at:end] to the first `size` of `hashes`: (size now, rows added).

    When those run full they are emptied into `total`: so many rows.
    """
    # h1 .. h5: hashes of the n-grams of 1 .. 5 characters that end here. Those wanted come first, shortest before
    # longer; those from before the word, longer or shorter ones are idle, come last and are overwritten.
    at1, at2, at3, at4, at5 = (1 - minn) % MAXN, (2 - minn) % MAXN, (3 - minn) % MAXN, (4 - minn) % MAXN, MAXN - minn
    h1, h2, h3, h4, h5 = _SEED, _AFTER_OPEN, _SEED, _SEED, _SEED
    most, count = 1, 0
    while at < end:
        while True:
            byte = np.uint32(np.int8(text[at]))  # fastText's char is signed
            h1, h2, h3, h4, h5 = _step(h1, byte), _step(h2, byte), _step(h3, byte), _step(h4, byte), _step(h5, byte)
            at += 1
            if text[at] & 0xC0 != 0x80:  # a space at the latest
                break
        hashes[size + at1], hashes[size + at2], hashes[size + at3] = h1, h2, h3
        hashes[size + at4], hashes[size + at5] = h4, h5
        most = min(most + 1, maxn)
        size += max(most - minn + 1, 0)
        h1, h2, h3, h4, h5 = _SEED, h1, h2, h3, h4
        if size > _BATCH - 16:
            count += _flush(hashes, size, rows, index, bucket, shift, reciprocal, found, sums, total)
            size = 0
    least = max(minn, 2)
    hashes[size + (2 - least) % 4], hashes[size + (3 - least) % 4] = _step(h2, _CLOSE), _step(h3, _CLOSE)
    hashes[size + (4 - least) % 4], hashes[size + MAXN - least] = _step(h4, _CLOSE), _step(h5, _CLOSE)
    return size + max(min(most + 1, maxn) - least + 1, 0), count


@njit(**INNER)
def _flush(hashes, size, rows, index, bucket, shift, reciprocal, found, sums, total):
    """Add the rows of the first `size` hashes to `total`; how many there were."""
    for place in range(len(sums)):
        sums[place] = 0
    count = _sum(hashes, size, rows, index, bucket, shift, reciprocal, found, sums)
    for d in range(len(total)):
        total[d] += sums[d]
    return count


@njit(**INNER)
def _sum(hashes, size, rows, index, bucket, shift, reciprocal, found, sums):
    """Add the rows of the first `size` hashes to `sums`; how many there were."""
    for which in range(size):
        state = np.uint64(hashes[which])
        rest = state - (state * reciprocal >> shift) * bucket  # the remainder, or `bucket` more
        found[which] = rest - bucket if rest >= bucket else rest
    count = np.uint64(0)
    for which in range(size):
        place = found[which]
        at = place >> np.uint64(6) << np.uint64(1)
        bits, place = index[at], place & np.uint64(63)
        below = bits & ((np.uint64(1) << place) - np.uint64(1))
        found[count] = index[at | np.uint64(1)] + _ones(below)
        count += bits >> place & np.uint64(1)
    kept, dim, begin = np.int64(count), len(sums), 0
    while begin < kept:
        stop = min(begin + _AHEAD, kept)
        asked = np.int32(0)
        for which in range(begin, stop):
            asked += rows[found[which], 0]
        found[kept] = np.uint64(asked)  # else the compiler sees that nobody wants to know
        which = begin
        while which + 4 <= stop:
            a, b, c, d = found[which], found[which + 1], found[which + 2], found[which + 3]
            for i in range(dim):
                sums[i] += np.int32(rows[a, i]) + np.int32(rows[b, i]) + np.int32(rows[c, i]) + np.int32(rows[d, i])
            which += 4
        while which < stop:
            a = found[which]
            for i in range(dim):
                sums[i] += np.int32(rows[a, i])
            which += 1
        begin = stop
    return kept


@njit(**INNER)
def _load(text, at):
    """Eight bytes, the lowest first; the compiler makes one load of it."""
    at = np.uint64(at)
    return (
        np.uint64(text[at])
        | np.uint64(text[at + np.uint64(1)]) << np.uint64(8)
        | np.uint64(text[at + np.uint64(2)]) << np.uint64(16)
        | np.uint64(text[at + np.uint64(3)]) << np.uint64(24)
        | np.uint64(text[at + np.uint64(4)]) << np.uint64(32)
        | np.uint64(text[at + np.uint64(5)]) << np.uint64(40)
        | np.uint64(text[at + np.uint64(6)]) << np.uint64(48)
        | np.uint64(text[at + np.uint64(7)]) << np.uint64(56)
    )


@njit(**INNER)
def _until_space(value):
    """A mask of the bytes of `value` before the first space; all ones when it has none."""
    other = value ^ np.uint64(0x2020202020202020)
    marks = (other - np.uint64(0x0101010101010101)) & ~other & np.uint64(0x8080808080808080)
    return ((marks & (~marks + np.uint64(1))) >> np.uint64(7)) - np.uint64(1)  # no mark: 0 - 1


@njit(**INNER)
def _add(row, rows, total):
    """Add one row to `total`, unless it is -1; how many that were."""
    if row < 0:
        return 0
    for d in range(len(total)):
        total[d] += rows[row, d]
    return 1


@njit(**INNER)
def _words(text, end, model, work, total):
    """Add the rows of all words in text[:end] to `total`; how many rows. A space and slack follow the text."""
    bucket, shift, reciprocal = np.uint64(model.bucket), np.uint64(model.shift), np.uint64(model.reciprocal)
    minn, maxn = model.minn, model.maxn
    rows, index, all_ones = model.rows, model.index, ~np.uint64(0)
    slots, starts, spelt = model.slots, model.starts, model.spelt
    hashes, spare, found, sums = work.hashes, work.spare, work.found, work.sums
    keys, known, kept = work.keys, work.known, work.kept
    zero = np.int64(0)  # of the type of what it becomes: for literals callees are compiled again
    count, at, pending = zero, zero, zero
    while at < end:
        first, second, third = _load(text, at), np.uint64(0), np.uint64(0)
        mask = _until_space(first)
        stop = at
        if mask == all_ones:
            second = _load(text, at + 8)
            mask = _until_space(second)
            stop += 8
            if mask == all_ones:
                third = _load(text, at + 16)
                mask = _until_space(third)
                stop += 8
                third &= mask
            else:
                second &= mask
        else:
            first &= mask
        stop += np.int64(_ones(mask) >> np.uint64(3))
        if first == _END_OF_LINE:
            break
        if first == _LABEL and second & np.uint64(0xFF) == _LABEL_TAIL:
            while text[stop] != _SPACE:
                stop += 1
            at = stop + 1
            continue
        fresh = True
        if mask != all_ones:
            mixed = (first ^ second * np.uint64(3) ^ third * np.uint64(5)) * np.uint64(0x9E3779B97F4A7C15)
            slot = mixed >> np.uint64(64 - _KEPT_BITS)
            if keys[slot, 0] == first and keys[slot, 1] == second and keys[slot, 2] == third:
                fresh = False
                if known[slot] < 0:
                    size, _ = _word(
                        text, at, stop, minn, maxn, spare, zero,
                        rows, index, bucket, shift, reciprocal, found, sums, total,
                    )  # fmt: skip
                    for place in range(len(sums)):
                        sums[place] = 0
                    known[slot] = _sum(spare, size, rows, index, bucket, shift, reciprocal, found, sums)
                    if len(slots):
                        known[slot] += _add(_entry(text, at, stop, slots, starts, spelt), rows, sums)
                    for d in range(len(total)):
                        kept[slot, d] = sums[d]
                for d in range(len(total)):
                    total[d] += kept[slot, d]
                count += known[slot]
            else:
                keys[slot, 0], keys[slot, 1], keys[slot, 2] = first, second, third
                known[slot] = -1
        else:
            while text[stop] != _SPACE:
                stop += 1
        if fresh:
            pending, added = _word(
                text, at, stop, minn, maxn, hashes, pending,
                rows, index, bucket, shift, reciprocal, found, sums, total,
            )  # fmt: skip
            count += added
            if len(slots):
                count += _add(_entry(text, at, stop, slots, starts, spelt), rows, total)
            if pending > _BATCH - 256:
                count += _flush(hashes, pending, rows, index, bucket, shift, reciprocal, found, sums, total)
                pending = 0
        at = stop + 1
    count += _add(model.end_of_line, rows, total)
    return count + _flush(hashes, pending, rows, index, bucket, shift, reciprocal, found, sums, total)


@njit(cache=True, nogil=True)
def _predict(data, offsets, tables, model, labels, scores, doubtful):
    """Fills `labels`, `scores`, and `doubtful`: rows that have to be composed first."""
    rows, dim, names = len(offsets) - 1, model.rows.shape[1], model.output.shape[1]
    text, scratch = np.empty(0, np.uint8), np.empty(0, np.uint8)
    words = 1 << _KEPT_BITS
    keys, known = np.zeros((words, 3), np.uint64), np.zeros(words, np.int32)
    kept, sums = np.empty((words, dim), np.int32), np.zeros(dim, np.int32)
    hashes, spare, found = np.empty(_BATCH, np.uint32), np.empty(_SPARE, np.uint32), np.empty(_BATCH + 1, np.uint64)
    work = Work(hashes, spare, found, sums, keys, known, kept)
    total = np.zeros(dim, np.int64)
    nodes, logits = np.empty(len(model.tree), np.float32), np.empty(names, np.float32)
    floor = _FLOOR if len(model.tree) == 0 else np.float32(0)
    entries = tables.entries
    for row in range(rows):
        begin, end = offsets[row], offsets[row + 1]
        if room(end - begin) > len(text):
            text, scratch = np.empty(2 * room(end - begin), np.uint8), np.empty(2 * room(end - begin), np.uint8)
        if model.normalised:
            size, letters, script = line(data, begin, end, tables, text, scratch)
        else:
            size, letters = as_it_is(data, begin, end, entries, text)
            script = 0
        if size == NOT_NFC:
            doubtful[row] = True
            continue
        if not letters:
            labels[row, 0], scores[row, 0] = NO_LETTERS, 1
            continue
        allowed = model.gate[script]
        if not model.known[script]:
            continue
        text[size] = _SPACE
        for place in range(len(total)):
            total[place] = 0
        count = _words(text, size, model, work, total)
        if count:
            if len(model.tree):
                _descend(total, count, model, nodes, logits)
            else:
                _softmax(total, count, model, allowed, logits)
            _best(logits, labels[row], scores[row], floor)


@njit(**INNER)
def _softmax(total, count, model, allowed, logits):
    """Probabilities of the labels allowed into `logits`, -1 for the others."""
    output, scale = model.output, model.scale
    for place in range(len(logits)):
        logits[place] = 0
    for d in range(len(total)):
        hidden = np.float32(total[d] * scale / count)
        for which in range(len(logits)):
            logits[which] += hidden * output[d, which]
    for which in range(len(logits)):
        if not allowed[which]:
            logits[which] = -_NEVER
    top, whole = -_NEVER, 0.0
    for which in range(len(logits)):
        top = max(top, logits[which])
    for which in range(len(logits)):
        below = logits[which] - top
        logits[which] = np.exp(below) if below > -_FAR else 0
        whole += logits[which]
    for which in range(len(logits)):
        logits[which] = logits[which] / whole if allowed[which] else -1


@njit(**INNER)
def _descend(total, count, model, nodes, found):
    """Probabilities of all labels into `found`, -1 for those that fastText does not reach.

    A label's is the product of those of the turns that lead to it; each is 1e-5 more, and no way is gone that has
    less than 1e-5, as in `HierarchicalSoftmaxLoss::dfs` with a threshold of 0.
    """
    output, tree, scale = model.output, model.tree, model.scale
    leaves = len(found)
    for place in range(len(nodes)):
        nodes[place] = -1
    nodes[len(nodes) - 1] = 1
    for node in range(len(nodes) - 1, leaves - 1, -1):
        if nodes[node] < _FLOOR:
            continue
        turn = np.float32(0)
        for d in range(len(total)):
            turn += np.float32(total[d] * scale / count) * output[d, node - leaves]
        right = np.float32(1 / (1 + np.exp(-turn)))
        nodes[tree[node, 0]] = nodes[node] * (1 - right + _FLOOR)
        nodes[tree[node, 1]] = nodes[node] * (right + _FLOOR)
    for node in range(leaves):
        found[model.order[node]] = nodes[node] if nodes[node] >= _FLOOR else -1


@njit(**INNER)
def _best(found, labels, scores, floor):
    """The best of `found`, best first; of equal ones the first label wins, negative ones never."""
    size = 0
    for which in range(len(found)):
        if found[which] < 0 or (size == len(labels) and found[which] <= scores[size - 1]):
            continue
        at = min(size, len(labels) - 1)
        while at > 0 and scores[at - 1] < found[which]:
            labels[at], scores[at] = labels[at - 1], scores[at - 1]
            at -= 1
        labels[at], scores[at] = which, found[which]
        size = min(size + 1, len(labels))
    for at in range(size):
        scores[at] = min(scores[at] + floor, np.float32(1))
