"""Code is no language: real programs of this machine, as the stage `langid` says it.

What is counted: lines of 12 characters and more that hold code, at most LINES of each of FILES files a kind, and blocks
of ten such lines one after another. Comments and docstrings are taken out first, for they are English and ought to be
called so; so are, of HTML, lines with three words or more outside of tags, and, of data and SQL, strings of three words
or more. A line counts as language when `langid` says anything but `und` of it.
"""

import base64
import io
import os
import random
import re
import sysconfig
import tokenize
from functools import cache
from pathlib import Path

import pyarrow as pa
import pytest

from medcorpus.core.stage import Context
from medcorpus.stages.langid import Langid
from medcorpus.text.lid.code import FEWEST, LONGEST, MARKS, PER_LETTER, is_code
from tests.records import records

FILES, LINES, BLOCKS = 60, 40, 12
ROOTS = {
    "py": [sysconfig.get_path("stdlib"), sysconfig.get_path("platlib")],
    "h": [sysconfig.get_path("include"), sysconfig.get_path("platlib"), "/usr/include"],
    "js": [sysconfig.get_path("platlib"), "/usr/share", "/usr/lib/node_modules"],
    "css": [sysconfig.get_path("platlib"), "/usr/share"],
    "html": [sysconfig.get_path("platlib"), "/usr/share"],
    "json": [sysconfig.get_path("platlib"), "/usr/share"],
    "sql": ["/usr/share"],
}
MOST = {"json": 0.08, "sql": 0.25}
"""Share of lines called a language, 0.15 where none is given: `LANGUAGE C STRICT` of SQL is made of English words."""
ENOUGH = 300
"""Lines, from which a kind is judged: a bare machine has no SQL."""

_BLOCK_COMMENT = re.compile(r"/\*.*?\*/", re.S)
_LINE_COMMENT = re.compile(r"(?<![:\w\"'])//.*")
_LONG_STRING = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'")


def code(kind: str, text: str) -> list[str]:
    """Lines of `text` that hold code."""
    if kind == "py":
        return _python(text)
    if kind in ("h", "js", "css", "sql"):
        text = _LINE_COMMENT.sub("", _BLOCK_COMMENT.sub("\n", text))
    if kind == "sql":
        text = re.sub(r"--.*", "", text)
    if kind in ("sql", "json", "js"):
        text = _LONG_STRING.sub(lambda found: found[0] if len(found[0].split()) < 3 else '""', text)
    lines = text.splitlines()
    if kind == "html":
        text = re.sub(r"<!--.*?-->", "", text, flags=re.S)
        lines = [line for line in text.splitlines() if "<" in line and len(re.sub("<[^>]*>?", " ", line).split()) < 3]
    return [line for line in lines if len(line.strip()) >= 12]


def _python(text: str) -> list[str]:
    prose: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and len(token.string.split()) >= 3):
            prose |= set(range(token.start[0], token.end[0] + 1))
    return [line for n, line in enumerate(text.splitlines(), 1) if n not in prose and len(line.strip()) >= 12]


@cache
def below(root: Path) -> dict[str, list[Path]]:
    """Files of the kinds wanted anywhere below `root`, by kind, sorted; no links."""
    found: dict[str, list[Path]] = {kind: [] for kind in ROOTS}
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if path.suffix[1:] in found and not path.is_symlink():
                found[path.suffix[1:]].append(path)
    return {kind: sorted(paths) for kind, paths in found.items()}


def gathered(kind: str) -> tuple[list[str], list[str]]:
    """(lines, blocks of ten lines) of real files."""
    lines: list[str] = []
    blocks: list[str] = []
    for root in dict.fromkeys(map(Path, ROOTS[kind])):
        paths = [path for path in below(root).get(kind, ()) if 1000 < path.stat().st_size < 300_000]
        random.Random(3).shuffle(paths)
        for path in paths[:FILES]:
            try:
                found = code(kind, path.read_text(encoding="utf-8"))
            except (UnicodeDecodeError, SyntaxError, tokenize.TokenError):
                continue
            chance = random.Random(1)
            lines += chance.sample(found, min(LINES, len(found)))
            tens = ["\n".join(found[at : at + 10]) for at in range(0, len(found) - 9, 10)]
            blocks += chance.sample(tens, min(BLOCKS, len(tens)))
    return lines, blocks


@pytest.fixture(scope="module")
def stage():
    made = Langid(Langid.Params(), Context("langid"))
    made.open()
    return made


def called_language(stage, texts):
    """Share of `texts` that the stage calls anything but `und`."""
    said = stage.apply(records(texts))["language"].to_pylist()
    return sum(code != "und" for code in said) / len(said)


@pytest.mark.parametrize("kind", ROOTS)
def test_real_code_is_no_language(stage, kind):
    lines, blocks = gathered(kind)
    if len(lines) < ENOUGH:
        pytest.skip(f"only {len(lines)} lines of {kind} here")
    of_lines, of_blocks = called_language(stage, lines), called_language(stage, blocks)
    print(f"{kind}: {of_lines:.2%} of {len(lines)} lines, {of_blocks:.2%} of {len(blocks)} blocks called a language")
    assert of_lines <= MOST.get(kind, 0.15)
    assert of_blocks <= 0.05


def test_what_counts_as_code():
    assert code("py", 'def f(x):\n    """What it does."""\n    return x + "y"  # the sum\n    total = x + 1\n') == [
        "    total = x + 1"
    ]
    assert code("h", "/* The first\n   function */\nint first(void); // of two\n") == ["int first(void); "]
    assert code("json", '{"summary": "some words of text",\n "version": "1.2.3"}') == [
        '{"summary": "",',
        ' "version": "1.2.3"}',
    ]
    assert code("html", "<p>Words that people read</p>\n<div class='a'><br/></div>") == ["<div class='a'><br/></div>"]


def test_marks_are_counted_as_they_are():
    """Against counting the characters one by one; prose of any script is no code, however it is punctuated."""
    chance = random.Random(5)
    alphabet = 'aZz019 "{}=;:_,.()é中ก\u0301😀'
    texts = ["".join(chance.choices(alphabet, k=chance.randrange(40))) for _ in range(3000)]
    expected = []
    for text in texts:
        letters = sum(char.isascii() and char.isalpha() for char in text)
        marks = sum(char in MARKS.decode() for char in text)
        expected.append(letters > sum(char >= "\xc0" for char in text) and marks >= max(FEWEST, PER_LETTER * letters))
    assert is_code(pa.array(texts).slice(7)).tolist() == expected[7:]
    assert any(expected) and not all(expected)
    assert not is_code(pa.array(['"a": {' * LONGEST, None, ""])).any()


@pytest.mark.parametrize(
    "prose",
    [
        'Dr. Lee: "No fever; BP 120/80 mmHg; HR 72/min, SpO2 = 98%, give 5 mg [oral]."',
        "病人：「头痛三天」；体温38.5°C（口服布洛芬）。",
        'แพทย์: "กินยาวันละ 2 ครั้ง" [หลังอาหาร]',
        "የሕክምና ባለሙያ፦ «መድኃኒቱን በቀን 2 ጊዜ ይውሰዱ»።",
        'Likita: "Kada ka sha fiye da 2 a rana" (bayan abinci).',
        'डॉक्टर: "दिन में 2 बार; खाने के बाद" [500 mg]',
        'الطبيب: "لا تتناول أكثر من حبتين"؛ [بعد الأكل]',
    ],
)
def test_prose_with_many_marks_is_no_code(prose):
    assert not is_code(pa.array([prose]))[0]


@pytest.mark.parametrize("kind", ["digits", "base64", "hex", "measures", "marks", "addresses"])
def test_what_has_no_words_is_never_a_language(stage, kind):
    chance = random.Random(11)
    made = {
        "digits": lambda: " ".join(str(chance.randrange(10**6)) for _ in range(6)),
        "base64": lambda: base64.b64encode(chance.randbytes(60)).decode(),
        "hex": lambda: chance.randbytes(24).hex(),
        "measures": lambda: f"{chance.uniform(1, 99):.1f} / {chance.uniform(1, 99):.1f} ({chance.randrange(100)} %)",
        "marks": lambda: "".join(chance.choices("-=*#_.:|/\\!?()[]{}<>~ •★→", k=30)),
        "addresses": lambda: f"https://example.org/{chance.randrange(10**6)}?id={chance.randrange(10**6)}",
    }[kind]
    assert called_language(stage, [made() for _ in range(300)]) == 0
