"""Raised digits as Unicode has them, so that 10<sup>9</sup>/L does not become 109/L."""

_RAISED = str.maketrans("0123456789+-−=()ni", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿⁱ")


def superscript(text: str) -> str | None:
    """`text` raised (`-9` becomes `⁻⁹`), or None when a character of it has no raised form or it has no digit or sign.

    A lone letter stays: M<sup>n</sup> may be anything, and 1<sup>er</sup> is a word.
    """
    raised = text.strip().translate(_RAISED)
    if not raised or any(char not in _FORMS for char in raised) or not any(char in _COUNTS for char in raised):
        return None
    return raised


_FORMS = frozenset("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ")
_COUNTS = frozenset("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻")
