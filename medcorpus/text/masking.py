"""What a person is shown never holds an address or a long number: `mask`, used by everything that displays text.

    [EMAIL]   anna@example.org, also percent-encoded (%40), full-width, or in any script
    [URL]     an address with a user part: https://anna:secret@example.org/x
    [NUMBER]  six or more digits of any script, also when spaces, dashes, dots or brackets group them as
              they do in phone numbers, and dates with a year in four digits (they may be somebody's birthday)

What has fewer digits stays: doses ("500 mg", "875/125 mg"), years; commas do not group, so "1,200,000 IU" stays.
Two things with more digits stay because medical text is full of them and they name nobody: a span of two
years ("2019-2020") and a range of two decimals ("0.25-0.50"). In doubt it masks: "5 10 15 20" is a phone
number to it. It does not know names or addresses; that is the work of the `phi` stage, which will stand
behind this function later. Time is linear in the text: every pattern is anchored by a bounded prefix.
"""

import re
import unicodedata

_MIN_DIGITS = 6

# Ends a run of characters that may be an e-mail address; anything else, in any script, may be part of one.
_EMAIL_STOP = r"\s<>()\[\]{}（）［］,;:\"“”„«»‹›|/\\=?!&，、。；：！？「」『』【】《》।॥؟،؛۔"
_EMAIL_RUN = re.compile(rf"[^{_EMAIL_STOP}]++")
_AT = re.compile(r"[@＠﹫]|%40")
_DOTTED = re.compile(r"[^.．][.．][^.．]")
_EDGE = "'‘’`*~^.．-_"

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]{0,30}://[^\s/<>\"“”«»]*@[^\s<>\"“”«»]*+")
_URL_TAIL = ".,;:!?)]}'’，。；：！？）】」।؟"

# Spaces (not line ends), dashes (with ー, which Japanese uses for one), dots, brackets, and the invisible
# marks of direction and width that come along when numbers are pasted into Arabic, Hebrew or Persian text.
_GROUPING = (
    r" \t\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
    r"\-\u00ad\u058a\u2010-\u2015\u2212\ufe58\ufe63\uff0d\u30fc"
    r".\u00b7\u2024\uff0e()\[\]（）［］"
    r"\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
)
_NUMBER = re.compile(rf"[+＋(（\[［]{{0,3}}\d(?:[{_GROUPING}]{{0,5}}\d)*+")
_DATE = re.compile(r"(?<!\d)(?:\d{1,2}/\d{1,2}/\d{4}|\d{4}/\d{1,2}/\d{1,2})(?!\d)")
_STAYS = re.compile(
    r"(?:19|20)\d\d ?[-\u2010-\u2015] ?(?:19|20)\d\d"
    r"|\d{1,3}\.\d{1,3} ?[-\u2010-\u2015\u2212] ?\d{1,3}\.\d{1,3}"
)


def mask(text: str) -> str:
    """`text` with e-mail addresses, URLs with a user part, and long numbers replaced by what they were."""
    if "://" in text:
        text = _URL.sub(_masked_url, text)
    if _AT.search(text):
        text = _EMAIL_RUN.sub(_masked_email, text)
    if "/" in text:
        text = _DATE.sub("[NUMBER]", text)
    return _NUMBER.sub(_masked_number, text)


def _masked_url(match: re.Match[str]) -> str:
    url = match[0]
    return "[URL]" + url[len(url.rstrip(_URL_TAIL)) :]


def _masked_email(match: re.Match[str]) -> str:
    run = match[0]
    at = _AT.search(run)
    if at is None:
        return run
    bare = run.lstrip(_EDGE)
    head = run[: len(run) - len(bare)]
    bare = bare.rstrip(_EDGE)
    tail = run[len(head) + len(bare) :]
    at = _AT.search(bare)
    if at is None or not any(map(str.isalnum, bare[: at.start()])) or not _DOTTED.search(bare, at.end()):
        return run
    return f"{head}[EMAIL]{tail}"


def _masked_number(match: re.Match[str]) -> str:
    number = match[0]
    digits = sum(map(str.isdecimal, number))
    if digits < _MIN_DIGITS:
        return number
    if _STAYS.fullmatch("".join(_ascii(char) for char in number)):
        return number
    opened = sum(number.count(char) for char in "(（[［") - sum(number.count(char) for char in ")）]］")
    prefix = number[: next(at for at, char in enumerate(number) if char.isdecimal())]
    brackets = "".join(char for char in prefix if char in "(（[［")  # one that closes after the number stays
    return brackets[: max(opened, 0)] + "[NUMBER]"


def _ascii(char: str) -> str:
    return str(unicodedata.decimal(char)) if char.isdecimal() else char
