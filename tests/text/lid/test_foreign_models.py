"""Models of others, which know words and see the text as it is: the kernel says what the fasttext library says."""

import gzip
import random
from pathlib import Path

import fasttext
import numpy as np
import pyarrow as pa
import pytest

from benchmarks.environments import lid176
from medcorpus.text.lid.model import NO_LETTERS, Model
from tests.text.lid.test_fasttext_file import SYLLABLES

SIB = Path(__file__).parents[3].parent / "shared" / "data" / "lid" / "sib200"
LABELS = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("foreign")
    chance = random.Random(3)
    with (root / "train.txt").open("w", encoding="utf-8") as stream:
        for label in range(LABELS):
            own = [*chance.choices(SYLLABLES, k=3), chance.choice(["患者", "ผู้", "боль", "é", "X"])]
            for _ in range(4 + label % 7):  # the tree of a hierarchical softmax is made of how often each is seen
                words = ["".join(chance.choices(own, k=chance.randint(1, 4))) for _ in range(8)]
                stream.write(f"__label__q{label} {' '.join(words)}\n")
    return root


def train(folder, **settings):
    """With 12 threads fastText sets all of its memory, with fewer it does not."""
    usual = {"dim": 8, "bucket": 2000, "minn": 2, "maxn": 4, "epoch": 8, "lr": 0.5, "minCount": 2}
    return fasttext.train_supervised(str(folder / "train.txt"), thread=12, verbose=0, **(usual | settings))


ODD = [
    "ba  ko\tri\x0btun\x0cmel\x00xil", "ba\x1cko\x1dri\x1etun", "ba\x85ko\u2028ri\u2029tun",
    "ba\r\nko\rri\n\ntun",
    "ba ko </s> ri tun", "</s>", "</s>ba", "x</s>", "__label__q1 ba ko", "ba __label__nobody ko", "__label__",
    "__label__q",
    "__label_ ba", " ba ", "ba\n", "BA Ko", "患者患者 ผู้ผู้ เจ็บ", "боль " * 3000,
    "bakori" * 9, "bakori" * 900, "é", "x" * 23 + " " + "x" * 24,
    "ba ko ba ko ba ko ba", "a", "\ufeffba", "ba\u00a0ko", "ba\u3000ko", "\U0001f600 ba",
]  # fmt: skip


def texts():
    chance = random.Random(4)
    words = [["".join(chance.choices(SYLLABLES, k=chance.randint(1, 9))) for _ in range(12)] for _ in range(100)]
    return [*(" ".join(line) for line in words), *ODD]


def compare(model, lines, near):
    """Share of lines with the library's best label; every label that both tell has nearly the same score."""
    k = len(model.labels)
    labels, scores = model.predict_array(pa.array(lines), k=k)
    same = 0
    for row, (names, numbers) in enumerate(zip(*model.predict(lines, k=k), strict=True)):
        ours = {model.labels[n]: s for n, s in zip(labels[row], scores[row].tolist(), strict=True) if n >= 0}
        theirs = dict(zip(names, numbers, strict=True)) if names[0] in model.labels else {}
        for name in ours.keys() | theirs.keys():
            assert abs(ours.get(name, 0) - theirs.get(name, 0)) < near, (lines[row], name)
        same += not theirs or model.labels[labels[row, 0]] == names[0]
    return same / len(lines)


KINDS = {
    "hierarchical": {"loss": "hs"},
    "softmax": {},
    "from one to five": {"minn": 1, "maxn": 5, "loss": "hs"},
    "from three": {"minn": 3, "maxn": 5},
    "pairs of letters": {"minn": 2, "maxn": 2},
    "all words": {"minCount": 1, "loss": "hs"},
    "no words": {"minCount": 10_000, "minn": 2, "maxn": 5},
}


@pytest.mark.parametrize("quantised", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_as_the_library(folder, kind, quantised):
    trained = train(folder, **KINDS[kind])
    if quantised:
        trained.quantize(verbose=0, qnorm=True, dsub=2, cutoff=600)
    path = folder / f"{kind.replace(' ', '-')}.{'ftz' if quantised else 'bin'}"
    trained.save_model(str(path))
    model = Model(path)
    assert model._weights is not None and not model.normalised
    assert (len(model._weights.slots) > 0) == (kind != "no words")
    assert compare(model, texts(), near=2e-3) >= 0.98  # labels that are as good as equal


def test_no_letter_no_language(folder):
    train(folder).save_model(str(folder / "plain.bin"))
    labels, scores = Model(folder / "plain.bin").predict_array(pa.array(["", None, "12.5 / 7 😀", " \n", "a"]))
    assert labels[:4, 0].tolist() == [NO_LETTERS] * 4 and scores[:4, 0].tolist() == [1] * 4
    assert labels[4, 0] >= 0


def test_scores_do_not_depend_on_what_was_read_before(folder):
    train(folder, loss="hs").save_model(str(folder / "order.bin"))
    model, lines = Model(folder / "order.bin"), pa.array(texts())
    labels, scores = model.predict_array(lines, k=5)
    order = np.random.default_rng(1).permutation(len(lines))
    shuffled = model.predict_array(lines.take(pa.array(order)), k=5)
    assert (shuffled[0] == labels[order]).all() and (shuffled[1] == scores[order]).all()


def test_lid176():
    """The real one: words, a hierarchical softmax, rows cut and quantised."""
    path = lid176()
    if path is None:
        pytest.skip("no lid.176.ftz: python -m benchmarks.environments brings it")
    model = Model(path)
    assert model._weights is not None and len(model.labels) == 176
    assert len(model._weights.tree) == 351 and len(model._weights.slots) > 7235
    lines = [
        *texts(),
        "The patient has a fever.",
        "Пациент поступил с лихорадкой",
        "患者因发热入院",
        "المريض يعاني من الحمى",
    ]
    if SIB.exists():
        for file in sorted(SIB.glob("*.dev.tsv.gz")):
            with gzip.open(file, "rt", encoding="utf-8") as stream:
                lines += [line.rstrip("\n").split("\t")[2] for line in stream][1:8]
    assert compare(model, lines, near=1e-3) >= 0.999
