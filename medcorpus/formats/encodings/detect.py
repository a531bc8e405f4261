"""Which encoding are these bytes in? Candidates are decoded and the results judged as texts.

Bytes say little by themselves: almost every byte is something in almost every encoding. So a sample (lines
that hold bytes above 127) is decoded by all candidates, and what comes out is looked at as a reader would:
control characters and symbols inside words, capitals after small letters, two alphabets in one word, letters
that the language of the text does not write, Chinese without the characters every Chinese text is full of.
The language is told by the shipped language model. `resiliparse` (the detector of Firefox) has a vote.
"""

import unicodedata
from dataclasses import dataclass
from functools import cache

import numpy as np

from medcorpus.formats.encodings.codec import Codec
from medcorpus.formats.encodings.tables import BY_SCRIPT, COMMON, FREQUENT, LETTERS, MULTI, SINGLE, canonical, table
from medcorpus.text.lid.model import Model, shipped_model
from medcorpus.text.lid.normal import script_names, script_table

SAMPLE = 6144
"""Bytes that are judged; more changes nothing and costs time in every candidate."""

WORST = 0.42
"""Above this, what came out is no text (see `Guess.cost`)."""

_SPACE, _LOWER, _UPPER, _LETTER, _MARK, _DIGIT, _ASCII, _QUOTE, _APOSTROPHE, _SIGN, _SYMBOL, _CONTROL = range(12)
_KINDS = {
    "Ll": _LOWER,
    "Lu": _UPPER,
    "Lt": _UPPER,
    "Lo": _LETTER,
    "Lm": _LETTER,
    "Mn": _MARK,
    "Mc": _MARK,
    "Nd": _DIGIT,
}
_QUOTES = frozenset("«»“”„‚‘‹›–—…·•§¿¡、。，．！？：；（）「」『』《》〈〉【】・　￥％～〜－／＋＝،؛؟٪׳״।॥․՝՞՛՜։")
_SIGNS = frozenset("°º±×€№©®µ²³½¼¾£")
_APOSTROPHES = frozenset("’ʼ´\u00ad\u200c\u200d՚՛՞՜־׳״")
_LOOKALIKE = np.zeros(128, bool)  # Latin capitals and small letters that people type for Cyrillic ones
_LOOKALIKE[[ord(char) for char in "aceijopsxyABCEHIJKMOPSTXY"]] = True
_VIETNAMESE = ("tcvn", "viscii", "windows-1258")
_WIDE = frozenset(("Hani", "Kana", "Hang", "Bopo"))
_DENSE = {"Hans": 0.16, "Hant": 0.16, "Hang": 0.25}


@dataclass(frozen=True)
class Guess:
    """An encoding and what speaks against it: 0 is faultless text, 1 is a fault in every character."""

    charset: str
    cost: float
    language: str | None


def detect(data: bytes, hint: str | None = None) -> Guess | None:
    """The likeliest encoding of `data` (not UTF-8, not escape-based), None when nothing gives a text.

    `hint` is a language code (ISO 639-3) that the text is said to be in.
    """
    sample = _sample(data)
    if not sample:
        return None
    vote = _vote(data)
    high = len(sample.translate(None, bytes(range(128))))
    few = high <= 2 and sum(map(data[: 1 << 16].count, b"etaoin")) > 100  # one odd byte in a book
    best: Guess | None = None
    seen: dict[str, None] = {}
    for order, name in enumerate((*MULTI, *SINGLE)):
        if few and name != "windows-1252":
            continue
        text = _decoded(sample, name)
        if text is None or text in seen:
            continue
        seen[text] = None
        cost, language = _cost(text, order < len(MULTI), hint)
        if language is None and name != "windows-1252":
            continue  # signs alone say nothing
        if name in _VIETNAMESE and language != "vie_Latn":
            continue  # a letter for every byte: they take any text of accented letters
        if cost > WORST and not few:
            continue
        cost += max(0, order - len(MULTI)) * 0.002 - (0.01 if name == vote else 0)
        if name != "windows-1252":  # one odd byte is no reason to leave the beaten track
            cost += 0.25 / high
        if best is None or cost < best.cost:
            best = Guess(name, cost, language)
    return best


def _sample(data: bytes) -> bytes:
    """Lines of `data` with bytes above 127, up to about SAMPLE bytes; of a longer line, the part around them."""
    lines, size = [], 0
    for line in data.split(b"\n"):
        if line.isascii():
            continue
        if len(line) > SAMPLE:
            at = next(i for i, byte in enumerate(line) if byte > 127)
            while at and line[at - 1] > 32 and line[at - 1] > 127:
                at -= 1
            line = line[max(0, line.rfind(b" ", 0, max(0, at - 40)) + 1 if at > 40 else 0) : at + SAMPLE]
        lines.append(line)
        size += len(line) + 1
        if size >= SAMPLE:
            break
    return b"\n".join(lines)


def _vote(data: bytes) -> str | None:
    from resiliparse.parse.encoding import detect_encoding

    label = detect_encoding(data[: 1 << 16])
    return canonical(label) if label else None


def _decoded(sample: bytes, name: str) -> str | None:
    """The sample, or None when more than one byte in 200 means nothing in this encoding."""
    text = Codec(name).decode(sample, "replace")
    lost = text.count("\ufffd")
    if lost > 1 + (len(sample) // 400 if table(name) is None else -1):
        return None
    return text.replace("\ufffd", "") if lost else text


@cache
def model() -> Model:
    """The shipped language model, loaded once."""
    return Model(shipped_model())


@cache
def _kind(char: str) -> int:
    if char in _APOSTROPHES:
        return _APOSTROPHE
    if char in _QUOTES:
        return _QUOTE
    if char in _SIGNS:
        return _SIGN
    if char.isspace():
        return _SPACE
    if char < "\x80":
        return (
            _LOWER
            if char.islower()
            else _UPPER
            if char.isupper()
            else _DIGIT
            if char.isdigit()
            else (_ASCII if char >= " " else _CONTROL)
        )
    category = unicodedata.category(char)
    return _KINDS.get(category, _CONTROL if category[0] == "C" else _SYMBOL)


def _cost(text: str, wide: bool, hint: str | None) -> tuple[float, str | None]:
    """(faults per character beyond ASCII, language)."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    unique, inverse = np.unique(codes, return_inverse=True)
    kinds = np.array([_kind(chr(code)) for code in unique.tolist()], np.uint8)[inverse]
    high = codes > 127
    total = int(high.sum())
    if not total:
        return 1.0, None
    blank = np.zeros(1, np.uint8)
    before, after = np.concatenate([blank, kinds[:-1]]), np.concatenate([kinds[1:], blank])
    is_letter = (kinds >= _LOWER) & (kinds <= _MARK)
    word_before, word_after = (before >= _LOWER) & (before <= _DIGIT), (after >= _LOWER) & (after <= _DIGIT)
    marks = (kinds == _SPACE) | (kinds == _QUOTE) | (kinds == _SIGN)
    if not (high & (word_before | word_after | marks)).any() and not wide:
        return 1.0, None  # nothing stands where a letter would: no evidence at all
    if total <= 2 and is_letter[high].any() and not wide:
        plain = np.concatenate([[False], is_letter & ~high, [False]])
        if not (high & (plain[:-2] | plain[2:])).any():
            return 1.0, None  # a word of one or two odd bytes alone may be anything
    inside = word_before & word_after
    faults = 3.0 * np.count_nonzero(kinds == _CONTROL)
    faults += 0.6 * np.count_nonzero(high & (kinds == _SYMBOL))
    faults += 1.0 * np.count_nonzero(high & (kinds == _SYMBOL) & inside)
    faults += 0.6 * np.count_nonzero(high & ((kinds == _QUOTE) | (kinds == _SIGN)) & inside & (not wide))
    faults += 0.4 * np.count_nonzero(high & (kinds == _SIGN) & word_before & (before != _DIGIT))
    faults += np.count_nonzero(
        high & (kinds == _DIGIT) & ((word_before & (before != _DIGIT)) | (word_after & (after != _DIGIT)))
    )
    pair_high = high[:-1] | high[1:]
    faults += np.count_nonzero((kinds[:-1] == _LOWER) & (kinds[1:] == _UPPER) & pair_high)
    faults += 0.1 * np.count_nonzero(high & (kinds == _UPPER))
    faults += 0.15 * np.count_nonzero(high & is_letter & ~inside & ~word_before & ~word_after & (not wide))
    scripts = script_table()[codes]
    faults += _mixed(codes, scripts, is_letter)
    letters = high & is_letter
    marked = np.count_nonzero(high & (kinds != _SPACE))
    if not wide and marked * 2 > np.count_nonzero(kinds) and 2 * np.count_nonzero(scripts[high] > 1) < total:
        faults += total  # nothing written in Latin is mostly accents and signs
    fit, language = _fit(text, codes[letters], scripts[letters], hint)
    return (float(faults) + fit * int(letters.sum())) / total, language


def _mixed(codes: np.ndarray, scripts: np.ndarray, is_letter: np.ndarray) -> float:
    """Neighbours that are letters of two scripts; Latin beside Chinese is usual, if it is rare."""
    names = np.array(script_names())
    groups = np.array([1 if name in _WIDE else i + 2 for i, name in enumerate(names)])
    groups[0] = 0
    group = np.where(is_letter, groups[scripts], 0)
    left, right = group[:-1], group[1:]
    both = (left > 0) & (right > 0) & (left != right)
    soft = both & ((left == 1) | (right == 1))
    alike = _LOOKALIKE[np.minimum(codes, 127)] & (codes < 127)
    cyrillic = script_names().index("Cyrl") + 2
    typed = both & ((alike[:-1] & (right == cyrillic)) | (alike[1:] & (left == cyrillic)))
    hard = both & ~soft & ~typed
    return 1.5 * np.count_nonzero(hard) + 0.5 * np.count_nonzero(soft) + 0.1 * np.count_nonzero(typed)


def _fit(text: str, letters: np.ndarray, scripts: np.ndarray, hint: str | None) -> tuple[float, str | None]:
    """(how ill the letters beyond ASCII fit the language that the text seems to be in, that language)."""
    if not len(letters):
        return 0.0, None
    (labels,), (scores,) = model().predict([text], 3)
    best = labels[0]
    counts = np.bincount(scripts, minlength=len(script_names()))
    script = script_names()[int(counts.argmax())]
    if script in _WIDE:
        return _wide_fit(letters, counts), best
    offered = [(label, min(1.0, score)) for label, score in zip(labels, scores, strict=True) if score > 0.02]
    if hint:
        offered.append((f"{hint}_", 0.9))
    costs = []
    for label, score in offered:
        code = label.partition("_")[0]
        known = LETTERS.get(label) or LETTERS.get(code)
        if known is not None:
            costs.append(_unlikely(letters, frozenset(known)) + 0.15 * (1 - score) + 0.02)
        elif script != "Latn" and label.endswith(script):
            costs.append(0.25 * (1 - score) + 0.02)
    if script != "Latn":
        return min([*costs, 0.3]) + _odd(letters, script), best
    sure = 1.5 * max(0.0, offered[0][1] - 0.8) if offered and LETTERS.get(best.partition("_")[0]) else 0.0
    others = min(_unlikely(letters, known) for known in _latin())
    costs += [_unlikely(letters, COMMON) * 0.5 + 0.12 + sure, others + 0.14 + sure]
    return min(costs), best


@cache
def _latin() -> tuple[frozenset[str], ...]:
    return tuple(frozenset(letters) for letters in LETTERS.values() if letters[0] not in "аб")


def _odd(letters: np.ndarray, script: str) -> float:
    """0 when the letters that texts in this script are full of are there; the model cannot tell: given any
    Greek letters it says Greek."""
    frequent, least = BY_SCRIPT.get(script, ("", 0.0))
    if not frequent:
        return 0.1
    share = 1 - _unlikely(letters, frozenset(frequent))
    return 0.7 * max(0.0, 1 - share / least)


def _unlikely(letters: np.ndarray, known: frozenset[str]) -> float:
    """Share of `letters` that are not `known`; capitals count as small letters."""
    unique, counts = np.unique(letters, return_counts=True)
    wrong = [
        count
        for code, count in zip(unique.tolist(), counts.tolist(), strict=True)
        if chr(code).lower() not in known and unicodedata.normalize("NFC", chr(code).lower()) not in known
    ]
    return sum(wrong) / len(letters)


@cache
def _frequent() -> dict[str, np.ndarray]:
    return {script: np.array(sorted(map(ord, set(chars))), np.uint32) for script, chars in FREQUENT.items()}


def _wide_fit(letters: np.ndarray, counts: np.ndarray) -> float:
    """Chinese, Japanese or Korean: are the characters there that every text is full of?"""
    names = script_names()
    share = {name: int(counts[names.index(name)]) / len(letters) for name in _WIDE}
    half = np.count_nonzero((letters >= 0xFF66) & (letters <= 0xFF9F)) / len(letters)
    found = [
        max(0.0, 1 - np.isin(letters, frequent).sum() / len(letters) / _DENSE[script])
        for script, frequent in _frequent().items()
    ]
    hiragana = np.count_nonzero((letters >= 0x3041) & (letters <= 0x309F)) / len(letters)
    found.append(max(0.0, 1 - hiragana / 0.2) if share["Hang"] < 0.05 else 1.0)
    rest = 1 - sum(share.values())
    return 0.8 * min(found) + 0.8 * half + rest
