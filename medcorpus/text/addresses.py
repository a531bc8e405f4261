"""URLs and e-mail addresses in the bytes of a text: what `normal._WEB` and `normal._MAIL` find, blanked in place."""

import numpy as np
from numba import njit

from medcorpus.text.compiled import INNER

# Bytes of an e-mail address after lower(): before the @ (1), and in a label of the domain (2). See `normal._MAIL`.
_MAIL = np.zeros(256, np.uint8)
_MAIL[list(b"abcdefghijklmnopqrstuvwxyz0123456789-")] = 3
_MAIL[list(b"._%+")] = 1
_LOCAL, _DOMAIN = 1, 2
_WWW, _FTP, _HTTP, _HTTPS, _SCHEME = (
    np.array(list(word), np.uint8) for word in (b"www.", b"ftp://", b"http://", b"https://", b"://")
)


@njit(**INNER)
def may_be_address(data, at, end):
    """Whether `@`, `://` or, in any case, `www.` stands at `at`."""
    byte = data[at]
    if byte == 0x40:
        return True
    if byte == 0x3A:
        return _is(data, at, end, _SCHEME)
    if at + 3 >= end or byte | 0x20 != 0x77:
        return False
    return data[at + 1] | 0x20 == 0x77 and data[at + 2] | 0x20 == 0x77 and data[at + 3] == 0x2E


@njit(**INNER)
def _is(data, at, end, word):
    """Whether `word` stands at `at`."""
    if at + len(word) > end:
        return False
    for which in range(len(word)):  # noqa: SIM110 (not a generator: this is compiled)
        if data[at + which] != word[which]:
            return False
    return True


@njit(**INNER)
def blank_addresses(line, end):
    """Overwrite what `normal._WEB`, then what `normal._MAIL` finds in the first `end` bytes with spaces."""
    at = 0
    while at < end:
        begin = at
        if _is(line, at, end, _WWW):
            at += 4
        elif _is(line, at, end, _FTP):
            at += 6
        elif _is(line, at, end, _HTTP):
            at += 7
        elif _is(line, at, end, _HTTPS):
            at += 8
        else:
            at += 1
            continue
        if at < end and 0x21 <= line[at] <= 0x7E:
            while at < end and 0x21 <= line[at] <= 0x7E:
                at += 1
            for place in range(begin, at):
                line[place] = 0x20
        else:
            at = begin + 1
    at = 0
    while at < end:
        begin = at
        while at < end and _MAIL[line[at]] & _LOCAL:
            at += 1
        if at == begin:
            at += 1
            continue
        if at == end or line[at] != 0x40:
            continue
        stop = at + 1
        while stop < end and _MAIL[line[stop]] & _DOMAIN:
            stop += 1
        dots = 0
        if stop > at + 1:
            while stop + 1 < end and line[stop] == 0x2E and _MAIL[line[stop + 1]] & _DOMAIN:
                stop += 1
                dots += 1
                while stop < end and _MAIL[line[stop]] & _DOMAIN:
                    stop += 1
        if dots:
            at = stop
            while at < end and _MAIL[line[at]] & _LOCAL:  # no address begins inside a run
                at += 1
            for place in range(begin, stop):
                line[place] = 0x20
