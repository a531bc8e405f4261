"""The members of JSON objects that are not mapped, copied out of the bytes of their lines.

No value is parsed and none is changed: `1.10`, `12345678901234567890123` and `"\\u00e9"` stay as they are
written; only white space between tokens goes. What Python or JSON would not agree about (a key with an
escape, NaN, Infinity) is left to `json`, for that row alone.
"""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from medcorpus.formats.base import json_text
from medcorpus.text.compiled import INNER

_QUOTE, _BACKSLASH, _COLON, _COMMA, _OPEN, _CLOSE, _LIST, _END, _N, _I, _BLANK = (ord(c) for c in '"\\:,{}[]NI ')

_ONES, _HIGH = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
_QUOTES, _BACKSLASHES = np.uint64(_QUOTE) * _ONES, np.uint64(_BACKSLASH) * _ONES

_DEEP = 500  # levels that Python surely reads


def members(data: bytes, begins: np.ndarray, ends: np.ndarray, names: tuple[str, ...], drop: bool) -> pa.Array:
    """One JSON object per line `data[begins[i]:ends[i]]`, each a valid JSON object; null when it has none left.

    The members called `names` are left out (`drop`), or are the only ones taken.
    """
    keys = [name.encode() for name in names]
    raw = np.frombuffer(data, np.uint8)
    out = np.empty(len(data) + 1, np.uint8)
    offsets = np.zeros(len(begins) + 1, np.int32)
    state = np.zeros(len(begins), np.uint8)
    used = _copy(
        raw,
        _words(data),
        begins.astype(np.int64),
        ends.astype(np.int64),
        np.frombuffer(b"".join(keys) + b" ", np.uint8),
        np.cumsum([0, *map(len, keys)]).astype(np.int64),
        drop,
        out,
        offsets,
        state,
    )
    found = pa.Array.from_buffers(
        pa.string(), len(begins), [None, pa.py_buffer(offsets), pa.py_buffer(out[:used].tobytes())]
    )
    if (state == 0).any():
        found = pc.if_else(pa.array(state > 0), found, None)
    doubtful = np.flatnonzero(state == 2)
    if len(doubtful):
        other = [_by_json(data[begins[row] : ends[row]], names, drop) for row in doubtful.tolist()]
        found = pc.replace_with_mask(found, pa.array(state == 2), pa.array(other, pa.string()))
    return found


def _words(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint64, len(data) // 8)


def _by_json(line: bytes, names: tuple[str, ...], drop: bool) -> str | None:
    value: dict[str, Any] = json.loads(line, parse_constant=lambda _: None)
    value = {name: item for name, item in value.items() if (name in names) != drop}
    return json_text(value) if value else None


def count_members(data: bytes) -> int:
    """Members of all objects in valid JSON, each as often as it is written."""
    return int(_colons(np.frombuffer(data, np.uint8), _words(data)))


def warm() -> None:
    """Compile, or load, what is here."""
    line = b'{"dose": "5 mg", "unit": null}'
    members(line, np.array([0]), np.array([len(line)]), ("unit",), drop=True)
    count_members(line)


@njit(cache=True, nogil=True)
def _colons(data, words):
    """Colons outside strings."""
    at, count = 0, 0
    while at < len(data):
        if data[at] == _QUOTE:
            at = _string_end(data, words, at, len(data))
        else:
            count += data[at] == _COLON
            at += 1
    return count


@njit(**INNER)
def _string_end(data, words, at, end):
    """Position after the string that opens at `at`. `words` are the same bytes, eight at a time."""
    at += 1
    while at < end:
        if at & 7 == 0:
            # a zero byte in x is one in (x - 0x01..) & ~x & 0x80..: none is a quote, none a backslash
            while at + 8 <= end:
                quote, back = words[at >> 3] ^ _QUOTES, words[at >> 3] ^ _BACKSLASHES
                if ((quote - _ONES) & ~quote | (back - _ONES) & ~back) & _HIGH:
                    break
                at += 8
            if at >= end:
                break
        if data[at] == _QUOTE:
            break
        at += 2 if data[at] == _BACKSLASH else 1
    return min(at + 1, end)


@njit(**INNER)
def _is_named(data, begin, end, names, name_offsets):
    for name in range(len(name_offsets) - 1):
        first, size = name_offsets[name], name_offsets[name + 1] - name_offsets[name]
        if size == end - begin:
            same = True
            for k in range(size):
                if data[begin + k] != names[first + k]:
                    same = False
                    break
            if same:
                return True
    return False


@njit(cache=True, nogil=True)
def _copy(data, words, begins, ends, names, name_offsets, drop, out, offsets, state):
    """Fill `out` and `offsets`; `state` is 0 nothing left, 1 copied, 2 not to be told here."""
    to = 0
    for row in range(len(begins)):
        at, end, start = begins[row] + 1, ends[row], to
        taken = 0
        doubtful = False
        while not doubtful:
            while at < end and data[at] != _QUOTE and data[at] != _CLOSE:
                at += 1
            if at >= end or data[at] == _CLOSE:
                break
            key = at
            at = _string_end(data, words, at, end)
            for k in range(key + 1, at - 1):
                if data[k] == _BACKSLASH:
                    doubtful = True
            take = _is_named(data, key + 1, at - 1, names, name_offsets) != drop
            if take:
                out[to] = _COMMA if taken else _OPEN
                to += 1
                for k in range(key, at):
                    out[to] = data[k]
                    to += 1
                out[to] = _COLON
                to += 1
                taken += 1
            while at < end and data[at] != _COLON:
                at += 1
            at += 1
            depth = 0
            while at < end:
                byte = data[at]
                if depth == 0 and byte in (_COMMA, _CLOSE):
                    break
                after = at + 1
                if byte == _QUOTE:
                    after = _string_end(data, words, at, end)
                elif byte in (_OPEN, _LIST):
                    depth += 1
                    doubtful |= depth > _DEEP
                elif byte in (_CLOSE, _END):
                    depth -= 1
                elif byte in (_N, _I):
                    doubtful = True
                if take and byte > _BLANK:  # outside strings only white space is a blank or below
                    for k in range(at, after):
                        out[to] = data[k]
                        to += 1
                at = after
        if doubtful or not taken:
            to = start
        else:
            out[to] = _CLOSE
            to += 1
        state[row] = 2 if doubtful else min(taken, 1)
        offsets[row + 1] = to
    return to
