"""Words: against sentences cut by hand, nothing lost, the same in any batch, and without ICU."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medcorpus.core.errors import Missing
from medcorpus.text import measures
from medcorpus.text.buffers import buffers
from medcorpus.text.segment import words as module
from medcorpus.text.segment.words import breaks, words
from tests.text.segment.words_by_hand import WORDS

# F1 of word boundaries against the sentences by hand: reached .980, .935, .926, .942, .906, .932.
FLOORS = {"zho": 0.97, "jpn": 0.93, "tha": 0.92, "lao": 0.94, "khm": 0.90, "mya": 0.93}
TEXT = st.lists(
    st.sampled_from(
        ["患者", "发热", "。", "頭痛が", "ー", "ผู้ป่วย", "มีไข้", "น้ำ", "ๆ", "ຄົນເຈັບ", "ນ້ຳ", "អ្នកជំងឺ", "\u200b", "လူနာ", "သည်",
         "བོད་སྐད", "ꆈꌠ", "ꦲꦤ", "ᨠ᩠ᨠ", "fever", "5 mg", " ", "\n", "\u0301", "\u200d", "𠀋", "😀", "が", "e\u0301", 
         "B型"]
    ),
    max_size=30,
).map("".join)  # fmt: skip


def cut(text, dictionary=True):
    array = pa.array([text])
    found, wordy = words(array, dictionary)
    data = buffers(array)[0].tobytes()
    pieces = [data[a:b].decode() for a, b in zip(found.starts[:-1], found.starts[1:], strict=True)]
    assert "".join(pieces) == text
    return pieces, wordy.tolist()


def ends(pieces):
    return set(np.cumsum([len(piece) for piece in pieces])[:-1].tolist())


@pytest.mark.parametrize("language", WORDS)
def test_by_hand(language):
    lines = [line.split("|") for line in WORDS[language].strip().split("\n")]
    scores = []
    for dictionary in (True, False):
        right = total = 0
        for line in lines:
            wanted, got = ends(line), ends(cut("".join(line), dictionary)[0])
            right, total = right + 2 * len(wanted & got), total + len(wanted) + len(got)
        scores.append(right / total)
    print(language, *(round(score, 3) for score in scores))
    assert len(lines) >= 12
    assert scores[0] >= FLOORS[language] and scores[0] > scores[1] + 0.15


@pytest.mark.parametrize(
    ("text", "dictionary", "wanted"),
    [
        ("患者因胸痛入院。He took ยาแก้ปวด 5 mg", True, "患者|因|胸痛|入院|。|He| |took| |ยา|แก้|ปวด| |5| |mg"),
        ("B型肝炎", True, "B|型肝炎"),
        ("患者𠀋患者", True, "患者|𠀋|患者"),
        ("患者", False, "患|者"),
        ("น้ำ", False, "น้ำ"),
        ("ជំងឺ", False, "ជំ|ងឺ"),
        ("က္က", False, "က္က"),  # a virama ties
        ("བོད་སྐད", True, "བོད|་|སྐད"),
        ("ꆈꌠꉙ", True, "ꆈ|ꌠ|ꉙ"),
        ("can't, e.g. 2.5", True, "can|'|t|, |e|.|g|. |2|.|5"),
        ("हिन्दी में", True, "हिन्दी| |में"),
    ],
)
def test_where_it_cuts(text, dictionary, wanted):
    pieces, wordy = cut(text, dictionary)
    assert pieces == wanted.split("|")
    assert wordy == [any(char.isalnum() for char in piece) for piece in pieces]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(st.none(), TEXT, st.text(max_size=20)), max_size=5), st.booleans())
def test_the_same_in_any_batch(texts, dictionary):
    texts = [text and text.encode("utf-8", "ignore").decode() for text in texts]
    array = pa.array(["患者", *texts], pa.string()).slice(1)
    data, offsets, _ = buffers(array)
    found = breaks(array, dictionary)
    assert np.all(np.diff(found) > 0)
    alone = []
    for row, text in enumerate(texts):
        cut(text or "", dictionary)
        alone += (breaks(pa.array([text], pa.string()), dictionary) + offsets[row]).tolist()
    assert found.tolist() == alone
    for at in found:  # a character, and no mark, begins there
        char = data[at : at + 4].tobytes().decode("utf-8", "ignore")[0]
        assert measures.classes()[ord(char)] & 0x3F not in (5, 10)


def test_blocks_change_nothing(monkeypatch):
    array = pa.array(["患者因胸痛入院。" * 50, "ผู้ป่วยมีไข้สูง " * 50])
    whole = breaks(array)
    monkeypatch.setattr(module, "_BLOCK", 100)
    assert breaks(array).tolist() == whole.tolist()


def test_without_the_library():
    code = (
        "import sys; sys.modules['icu4py'] = sys.modules['icu4py.breakers'] = None\n"
        "import pyarrow as pa\nfrom medcorpus.text.segment import words\n"
        "print(len(words.breaks(pa.array(['患者']), dictionary=False)))\n"
        "try: words.breaks(pa.array(['患者']))\nexcept Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[0] == "1"
    assert done.stdout.splitlines()[1].startswith("Missing ") and "pip install 'medcorpus[segment]'" in done.stdout
    assert Missing.exit_code == 4


def test_counts_of_real_words():
    array = pa.array(["患者因胸痛入院。", "ผู้ป่วยมีไข้", "fever and cough", None, "BMI 5 B型肝炎"])
    fast, real = measures.counts(array), measures.counts(array, breaks(array))
    assert real["words"].tolist() == [4, 4, 3, 0, 4]
    assert fast["words"].tolist()[2] == 3
    for name in measures.COUNTS:
        if name not in ("words", "top_count", "repeated_chars", "menu_words"):
            assert fast[name].tolist() == real[name].tolist(), name
    assert measures.counts(array, breaks(array, dictionary=False))["words"].tolist() == [7, 7, 3, 0, 6]
