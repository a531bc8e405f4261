"""The rules of Gopher, C4 and FineWeb against a slow, obvious oracle, on text of every script."""

import re
import unicodedata
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medcorpus.text import measures
from medcorpus.text.rules import figures
from medcorpus.text.rules import words as rule_words
from medcorpus.text.rules.lines import SENTENCE_ENDS
from medcorpus.text.rules.published import FIGURES, PUBLISHED

CLASSES = measures.classes() & 0x3F
STOPS = {chr(point) for first, last in SENTENCE_ENDS for point in range(first, last + 1)}
CITATION = re.compile(r"\[[0-9]*\]|\[edit\]|\[citation needed\]")
POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")


def kind(char: str) -> int:
    return int(CLASSES[ord(char)])


def words_of(text: str) -> list[str]:
    """Tokens, the slow way: cut into runs first, then what belongs together is joined."""
    made: list[str] = []
    script, at = 0, 0
    while at < len(text):
        char, what = text[at], kind(text[at])
        after = kind(text[at + 1]) if at + 1 < len(text) else -1
        wanted = {2: 1, 6: 1, 3: 2, 4: 3}.get(what, script if what in (5, 10) else 0)
        if script == 1 and wanted == 0 and ((char == "." and after in (2, 6)) or (char == "," and after == 6)):
            wanted = 1
        if wanted:
            most = {1: 1 << 60, 2: 2, 3: 4}[wanted]
            if script == wanted and (len(made[-1]) < most or what in (5, 10)):
                made[-1] += char
            else:
                made.append(char)
            script = wanted
        elif script == 1 and char in "'’" and after == 2:
            made.append(char)
        else:
            script = 0
            if what > 1:
                if char in ".-" and made and made[-1][0] == char and text[at - 1] == char:
                    made[-1] += char
                else:
                    made.append(char)
        at += 1
    return made


def is_word(token: str) -> bool:
    return any(kind(char) in (2, 3, 4, 6) for char in token) or (kind(token[-1]) in (5, 10) and len(token) > 1)


def duplicates(parts: list[str]) -> tuple[int, int]:
    again = [part for at, part in enumerate(parts) if part in parts[:at]]
    return len(again), sum(map(len, again))


def top(words: list[str], n: int) -> int:
    grams = [tuple(words[at : at + n]) for at in range(len(words) - n + 1)]
    if not grams:
        return 0
    often = Counter(grams)
    best = max(often.values())
    gram = next(gram for gram in grams if often[gram] == best)
    return (sum(map(len, gram)) + n - 1) * best


def repeated(words: list[str], n: int) -> int:
    seen, at, chars = set(), 0, 0
    while at + n <= len(words):
        gram = tuple(words[at : at + n])
        if gram in seen:
            chars += sum(map(len, gram))
            at += n
        else:
            seen.add(gram)
            at += 1
    return chars


def sentences(line: str) -> int:
    """Of a line without citations: the sentencizer of spaCy over our tokens."""
    count, ended = 1, False
    for token in words_of(line):
        if token in STOPS:
            ended = True
        elif ended and any(unicodedata.category(char)[0] != "P" for char in token):
            count, ended = count + 1, False
    return count


def c4(text: str, open_end: bool) -> tuple[int, int, int]:
    kept = total = banned = 0
    for line in text.splitlines():
        line = line.strip()
        words = line.split()
        if len(words) < 3 or max(map(len, words)) > 1000:
            continue
        plain = CITATION.sub("", line)
        if not open_end and (plain[-1:] not in tuple(".?!\"'") or plain.endswith("...")):
            continue
        low = line.lower()
        if "lorem ipsum" in low or ("{" in line and "javascript" not in low):
            banned += 1
        elif "javascript" not in low and not any(policy in low for policy in POLICIES):
            kept += 1
            total += sentences(plain)
    return kept, total, banned


def oracle(text: str) -> dict[str, int]:
    words = words_of(text)
    full = [line for line in text.split("\n") if line.strip()]
    lines = text.splitlines()
    paragraphs = re.split(r"\n{2,}", text.strip())
    runs = re.split(r"\n+", text)
    closed, opened = c4(text, False), c4(text, True)
    proper = [word for word in words if is_word(word)]
    if not text:
        return dict.fromkeys(figures.COUNTS, 0)
    return {
        "chars": len(text), "newlines": text.count("\n"), "hashes": text.count("#"),
        "ellipses": text.count("...") + text.count("…"),
        "paragraphs": len(paragraphs), "duplicate_paragraphs": duplicates(paragraphs)[0],
        "duplicate_paragraph_chars": duplicates(paragraphs)[1],
        "runs": len(runs), "duplicate_runs": duplicates(runs)[0], "duplicate_run_chars": duplicates(runs)[1],
        "full_lines": len(full), "ended_lines": sum(line[-1] in STOPS for line in full),
        "short_lines": sum(len(line) <= 30 for line in full), "duplicate_line_chars": duplicates(full)[1],
        "lines": len(lines), "bullet_lines": sum(line.strip()[:1] in ("-", "•") for line in lines if line.strip()),
        "ellipsis_lines": sum(line.rstrip().endswith(("...", "…")) for line in lines),
        "c4_lines": closed[0], "c4_sentences": closed[1], "c4_banned": closed[2],
        "c4_open_lines": opened[0], "c4_open_sentences": opened[1], "c4_open_banned": opened[2],
        "tokens": len(words), "words": len(proper), "word_chars": sum(map(len, proper)),
        "alpha": sum(any(kind(char) in (2, 3, 4) for char in word) for word in proper),
        "stop_words": len(set(rule_words.STOP_WORDS) & set(words)),
        **{f"top_{n}": top(words, n) for n in (2, 3, 4)},
        **{f"repeated_{n}": repeated(words, n) for n in range(5, 11)},
    }  # fmt: skip


def check(texts: list[str | None]) -> None:
    array = pa.array(["before", *texts], pa.string()).slice(1)
    found = figures.counts(array)
    assert tuple(found) == figures.COUNTS
    ends, starts, stops = rule_words.tokens(array)
    for row, text in enumerate(texts):
        data = "".join(["before", *(one or "" for one in texts)]).encode()
        mine = [data[starts[at] : stops[at]].decode() for at in range(ends[row], ends[row + 1])]
        assert mine == words_of(text or ""), text
        assert {name: int(values[row]) for name, values in found.items()} == oracle(text or ""), text


PIECES = st.sampled_from(
    ["fever", "the ", "of", " ", " ", " ", "\n", "\n", "\n\n", "\r\n", "\r", "\x0b", "\x1c", "5 mg", "3.5",
     "1,000", "e.g.", "don't", ".", ". ", "...", "..", "!", "?", "\"", "'", ",", "-", "---", "#", "{", "}",
     "[12]", "[]", "[edit]", "[citation needed]", "lorem ipsum", "JavaScript", "Terms of Use",
     "uses cookies", "use of cookies", "Privacy Policy", "a a a a a a ", "one two three. ",
     "\x85", "\u2028", "patient’s", "…", "•", "热", "患者发热。", "の", "ไข้", "ปวดหัว",
     "ជំងឺ។", "बुखार।", "تشخيص؟", "ትኩሳት።", "é", "́", "\u200d", "\u3000", "\xa0",
     "👩\u200d⚕️", "𪛖", "½"]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(st.none(), st.lists(PIECES, max_size=60).map("".join)), max_size=3))
def test_pieces_of_every_script(texts: list[str | None]) -> None:
    check(texts)


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("ab.\n #-…'[]1{"), max_size=120))
def test_few_characters(text: str) -> None:
    check([text])


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cn", "Co"]), max_size=60))
def test_any_text(text: str) -> None:
    check([text])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=200))
def test_repetition_of_every_kind(words: list[str]) -> None:
    check([" ".join(words)])


def test_pairs_of_single_characters_are_told_apart() -> None:
    """Hashes of single characters are multiples of their numbers: "#-" and '."' once were the same pair."""
    marks = [chr(point) for point in range(0x21, 0x7F) if unicodedata.category(chr(point))[0] in "PS"]
    close = [(a, b) for a in marks for b in marks if chr(ord(b) + 1) in marks and chr(ord(a) - 1) in marks and a != b]
    assert len(close) > 200
    check([f"{a}{b} one {chr(ord(b) + 1)}{chr(ord(a) - 1)}" for a, b in close])


def test_the_words_of_a_sentence() -> None:
    text = "The patient's dose (3.5 mg, e.g. at 10:30) didn't help... 患者发热。 ผู้ป่วย"
    ends, starts, stops = rule_words.tokens(pa.array([text]))
    data = text.encode()
    assert [data[a:b].decode() for a, b in zip(starts, stops, strict=True)] == [
        "The", "patient", "'s", "dose", "(", "3.5", "mg", ",", "e.g", ".", "at", "10", ":", "30", ")", "didn", "'t",
        "help", "...", "患者", "发热", "。", "ผู้ป่", "วย",
    ]  # fmt: skip
    assert ends.tolist() == [0, 24]


def test_figures_and_limits_name_each_other() -> None:
    found = figures.figures(figures.counts(pa.array(["", None, "The fever of the patient.\nIt went away.\n" * 3])))
    assert list(found) == list(FIGURES) and all(values.dtype == np.float32 for values in found.values())
    assert all(not values[:2].any() for values in found.values())
    limits = [name for rules in PUBLISHED.values() for name in rules]
    assert len(limits) == len(set(limits)) and set(limits) <= set(FIGURES)
    assert found["gopher_duplicate_lines"][2] == pytest.approx(4 / 7)
    assert found["fineweb_ended_lines"][2] == 1 and found["fineweb_short_lines"][2] == 1
    assert found["gopher_stop_words"][2] == 2 and found["c4_sentences"][2] == 6


def test_the_table_is_grown_for_long_texts_and_short_ones_follow() -> None:
    long = " ".join(f"word{n}" for n in range(5000)) + "\n" + "again and again " * 2000
    check(["short text.", long, "short text.", None])
