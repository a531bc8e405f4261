"""Our own inference against fastText's: the same labels, the same scores, whatever the text."""

import gzip
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings

from medcorpus.text.lid import kernel as lid_kernel
from medcorpus.text.lid.model import NO_LETTERS, NOTHING_KNOWN, Model, allowed, shipped_model
from medcorpus.text.lid.normal import normalise, script_of
from tests.text import scripts

SIB = Path(__file__).parents[3].parent / "shared" / "data" / "lid" / "sib200"
MODEL = Model(shipped_model())
NAMES = (*MODEL.labels, "und", "zxx")  # NOTHING_KNOWN is -2, NO_LETTERS is -1


def gate_decides(text):
    """Whether the script gate leaves less than half of what fastText would say: then rounding is all that is left."""
    line = normalise(text)
    may = allowed(script_of(line), MODEL.labels)
    found = MODEL._model.f.predict(line + "\n", 5, 0.0, "strict")
    return sum(number for number, name in found if name.removeprefix("__label__") in may) < 0.5


def compare(texts, near=1e-3):
    """Share of rows with fastText's label; where it is another, the two best must be as good as equal."""
    labels, scores = MODEL.predict_array(pa.array(texts, pa.string()), k=2)
    names, numbers = MODEL.predict(texts, k=2)
    same = 0
    for row, (wanted, sure) in enumerate(zip(names, numbers, strict=True)):
        gated = abs(float(scores[row, 0]) - sure[0]) >= near and gate_decides(texts[row])
        assert gated or abs(float(scores[row, 0]) - sure[0]) < near, (texts[row], wanted)
        if NAMES[labels[row, 0]] == wanted[0]:
            same += 1
        elif not gated:
            assert sure[0] - sure[1] < 2 * near and NAMES[labels[row, 0]] == wanted[1], texts[row]
    return same / len(texts)


@settings(max_examples=250, deadline=None)
@given(scripts.texts)
def test_property(texts):
    compare(texts, near=1e-2)  # a handful of n-grams: each is rounded to 1/8000


@pytest.fixture(scope="module")
def sentences():
    if not SIB.exists():
        pytest.skip("no shared data")
    found = []
    for path in sorted(SIB.glob("*.dev.tsv.gz")):
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as stream:
            found.append([line.rstrip("\r\n").split("\t")[2] for line in stream][1:])
    return found


def test_documents(sentences):
    documents = [" ".join(texts[i : i + 10]) for texts in sentences for i in range(0, len(texts), 10)]
    assert len(documents) > 2000
    assert compare(documents, near=2e-3) >= 0.999


def test_sentences_and_snippets(sentences):
    some = [text for texts in sentences for text in texts[::9]]
    assert compare(some) >= 0.9999
    assert compare([text[:12] for text in some], near=2e-3) >= 0.999


def test_all_labels_of_a_text():
    """Not the best ones only: the whole distribution is fastText's."""
    texts = ["The patient has a fever.", "Пациент поступил с лихорадкой", "ok", "患者 fever больной"]
    k = len(MODEL.labels)
    labels, scores = MODEL.predict_array(pa.array(texts), k=k + 3)
    assert (labels[:, k:] == NOTHING_KNOWN).all() and (scores[:, k:] == 0).all()
    for row, (names, numbers) in enumerate(zip(*MODEL.predict(texts, k=k), strict=True)):
        ours = {NAMES[label]: float(score) for label, score in zip(labels[row, :k], scores[row, :k], strict=True)}
        assert (np.diff(scores[row, :k]) <= 0).all()
        theirs = dict(zip(names, numbers, strict=True))
        assert all(abs(ours.get(name, 0) - score) < 1e-3 for name, score in theirs.items())
        assert all(score < 1e-3 for name, score in ours.items() if name not in theirs)


LONG = [
    "antidisestablishmentarianism " * 3,
    "x" * 23, "x" * 24, "x" * 25, "x" * 8, "x" * 16, "ж" * 12, "ж" * 11 + "x", "ж" * 12 + "x",
    "a" * 20_000,
    "ผู้ป่วยต้องรับประทานยา" * 500,
    "患者因发热入院" * 1000,
    "word " * 5000,
    "!" * 5000 + "a",
    "ACGT" * 1025,
    "é" * 4096,
]  # fmt: skip


@pytest.mark.parametrize("text", LONG, ids=range(len(LONG)))
def test_long_words_and_texts(text):
    for cut in (0, 1, 2, 3):
        compare([text[cut:], text[cut:] + " end", "begin " + text[cut:]], near=1e-2)  # few n-grams, many times


def test_millions_of_ngrams():
    """fastText adds them up in 32 bits and drifts by 0.1; ours stays where one copy of the text is."""
    text = "ผู้ป่วยต้องรับประทานยา"
    few = MODEL.predict_array(pa.array([text * 1000]), k=3)
    many = MODEL.predict_array(pa.array([text * 30_000, text * 1000 + " " + text * 40_000]), k=3)
    assert (many[0] == few[0]).all()
    assert np.abs(many[1] - few[1]).max() < 1e-3


def test_rules():
    texts = ["", " \n", "12.5 / 7", "https://example.org/health", "😀", None, "ꯃꯤꯇꯩ ꯂꯣꯟ ꯍꯤꯗꯥꯛ", "ꓡꓲ-ꓢꓴ", "a\u0301" * 3]
    labels, scores = MODEL.predict_array(pa.array(texts), k=3)
    assert labels[:6].tolist() == [[NO_LETTERS, NOTHING_KNOWN, NOTHING_KNOWN]] * 6
    assert scores[:6].tolist() == [[1, 0, 0]] * 6
    assert labels[6:8].tolist() == [[NOTHING_KNOWN] * 3] * 2 and not scores[6:8].any()
    assert labels[8].min() >= 0
    assert labels.dtype == np.int32 and scores.dtype == np.float32
    none, nothing = MODEL.predict_array(pa.array([], pa.string()))
    assert none.shape == nothing.shape == (0, 1)


def test_scores_do_not_depend_on_what_was_read_before():
    """Sums of words are kept from row to row: any order, any batch, any thread gives the same bits."""
    words = ["fever", "fièvre", "лихорадка", "حمى", "ไข้", "发热", "बुखार", "sốt", "pyrexia", "x" * 40]
    chance = np.random.default_rng(1)
    texts = [" ".join(chance.choice(words, chance.integers(1, 40))) for _ in range(3000)]
    array = pa.array(texts)
    labels, scores = MODEL.predict_array(array, k=4)
    order = chance.permutation(len(texts))
    shuffled = MODEL.predict_array(array.take(pa.array(order)), k=4)
    assert (shuffled[0] == labels[order]).all() and (shuffled[1] == scores[order]).all()
    for row in range(0, 3000, 300):
        alone = MODEL.predict_array(array.slice(row, 1), k=4)
        assert (alone[0] == labels[row]).all() and (alone[1] == scores[row]).all()
    chunked = pa.chunked_array([array.slice(0, 7), array.slice(7).cast(pa.string())])
    assert (MODEL.predict_array(chunked, k=4)[1] == scores).all()
    assert (MODEL.predict_array(array.cast(pa.large_string()), k=4)[1] == scores).all()
    found = [None] * 4

    def work(which):
        found[which] = MODEL.predict_array(array, k=4)

    threads = [threading.Thread(target=work, args=(which,)) for which in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((part[0] == labels).all() and (part[1] == scores).all() for part in found)


def test_two_words_in_one_place():
    """Kept words that fall on the same place turn each other out; more words than places."""
    words = [f"{a}{b}{c}{d}" for a in "abcdefghij" for b in "klmnopqrst" for c in "uvwxyzäöüß" for d in "éèêëáàâåæø"]
    assert len(words) > 2 << lid_kernel._KEPT_BITS
    compare([" ".join(words), " ".join(words * 2), *(" ".join(words[i::50]) for i in range(50))])


def test_a_column_of_another_kind():
    with pytest.raises(TypeError, match="string"):
        MODEL.predict_array(pa.array([1]))
