"""Model files: read as fastText reads them, refused when they are of another kind or broken."""

import contextlib
import random

import fasttext
import numpy as np
import pyarrow as pa
import pytest

from medcorpus.core.errors import Fatal
from medcorpus.text.lid.fasttext_file import NotSupported, huffman, read
from medcorpus.text.lid.model import Model, shipped_model

NO_WORDS = 10_000_000
SYLLABLES = ["ba", "ko", "ri", "tun", "mel", "xil", "vep", "zo", "quis", "wy", "ščo", "ñu"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """300 labels, which is enough to quantise them."""
    root = tmp_path_factory.mktemp("models")
    chance = random.Random(1)
    with (root / "train.txt").open("w", encoding="utf-8") as stream:
        for label in range(300):
            own = chance.choices(SYLLABLES, k=3)
            for _ in range(6):
                words = ["".join(chance.choices(own, k=chance.randint(1, 6))) for _ in range(8)]
                stream.write(f"__label__q{label}_Latn {' '.join(words)}\n")
    return root


def train(folder, **settings):
    """With 12 threads fastText sets all of its memory, with fewer it does not."""
    usual = {"dim": 8, "bucket": 3000, "minn": 1, "maxn": 5, "epoch": 3, "lr": 0.5, "minCount": NO_WORDS}
    return fasttext.train_supervised(str(folder / "train.txt"), thread=12, verbose=0, **(usual | settings))


def texts():
    chance = random.Random(2)
    words = [["".join(chance.choices(SYLLABLES, k=chance.randint(1, 9))) for _ in range(12)] for _ in range(200)]
    return [" ".join(line) for line in words] + ["a", "Zo, 5 ko!", "e-mail x@y.zo", "ba" * 600]


def same_as_fasttext(path):
    model, lines = Model(path), texts()
    labels, scores = model.predict_array(pa.array(lines), k=300)
    for row, (names, numbers) in enumerate(zip(*model.predict(lines, k=300), strict=True)):
        ours = {model.labels[label]: score for label, score in zip(labels[row], scores[row].tolist(), strict=True)}
        assert ours.keys() == set(names)
        assert np.abs([ours[name] for name in names] - np.array(numbers)).max() < 1e-3
    return model


QUANTISED = {
    "plain": {"qnorm": False, "dsub": 2},
    "norms": {"qnorm": True, "dsub": 2},
    "uneven": {"qnorm": True, "dsub": 3},  # 8 columns: two parts of 3 and one of 2
    "cut": {"qnorm": True, "dsub": 2, "cutoff": 700},
    "both": {"qnorm": True, "dsub": 4, "qout": True, "cutoff": 900},
}


@pytest.mark.parametrize("kind", QUANTISED)
def test_quantised(folder, kind):
    trained = train(folder)
    trained.quantize(verbose=0, **QUANTISED[kind])
    path = folder / f"medcorpus-langid-{kind}.ftz"
    trained.save_model(str(path))
    found = read(path)
    assert len(found.rows) == len(found.buckets) == QUANTISED[kind].get("cutoff", 3000)
    assert (np.diff(found.buckets) > 0).all()
    assert same_as_fasttext(path)._weights is not None


@pytest.mark.parametrize("settings", [{}, {"maxn": 3}, {"maxn": 1}, {"bucket": 64}, {"bucket": 1001, "dim": 5}])
def test_dense(folder, settings):
    path = folder / "medcorpus-langid-dense.bin"
    trained = train(folder, **settings)
    trained.save_model(str(path))
    found = read(path)
    assert np.array_equal(found.rows, trained.get_input_matrix())
    assert np.array_equal(found.output, trained.get_output_matrix())
    assert [f"__label__{label}" for label in found.labels] == trained.labels
    assert same_as_fasttext(path)._weights is not None


OTHERS = {
    "pairs": {"wordNgrams": 2},
    "one-vs-all": {"loss": "ova"},
    "no n-grams": {"minCount": 1, "maxn": 0, "minn": 0},
    "up to six": {"maxn": 6},  # can be read, but not run
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_kinds_are_left_to_the_library(folder, kind):
    path = folder / "medcorpus-langid-other.bin"
    train(folder, **OTHERS[kind]).save_model(str(path))
    if kind == "up to six":
        read(path)
    else:
        with pytest.raises(NotSupported):
            read(path)
    assert same_as_fasttext(path)._weights is None


def test_word_vectors_are_no_identifier(folder):
    path = folder / "vectors.bin"
    settings = {"dim": 4, "epoch": 1, "bucket": 100, "thread": 12, "verbose": 0}
    fasttext.train_unsupervised(str(folder / "train.txt"), **settings).save_model(str(path))
    with pytest.raises(NotSupported, match="supervised"):
        read(path)


def test_the_shipped_one():
    found = read(shipped_model())
    assert (found.minn, found.maxn, found.bucket) == (1, 5, 1_000_000)
    assert found.rows.shape == (190_000, 32) and found.output.shape == (len(found.labels), 32)
    assert found.rows.dtype == found.output.dtype == np.float32
    assert np.abs(found.rows).max() < 100


def test_broken_files(folder, tmp_path):
    whole = folder / "medcorpus-langid-whole.ftz"
    trained = train(folder)
    trained.quantize(qnorm=True, cutoff=500, verbose=0)
    trained.save_model(str(whole))
    data = whole.read_bytes()
    broken = tmp_path / "medcorpus-langid-broken.ftz"
    cuts = [*range(0, 200), *range(200, len(data), 997), len(data) - 1]
    for made in [*(data[:cut] for cut in cuts), data + b"\0", b"no model" * 30]:
        broken.write_bytes(made)
        with pytest.raises(ValueError):
            read(broken)
    with pytest.raises(Fatal, match=r"broken\.ftz is not a fastText model"):
        Model(broken)
    for flipped in range(0, 2000):  # whatever a byte becomes, it is no other error
        broken.write_bytes(data[:flipped] + bytes([data[flipped] ^ 0x81]) + data[flipped + 1 :])
        with contextlib.suppress(ValueError, NotSupported):
            read(broken)


def test_another_version_is_left_to_the_library(folder, tmp_path):
    data = shipped_model().read_bytes()
    path = tmp_path / "old.ftz"
    path.write_bytes(data[:4] + b"\x0b" + data[5:])
    with pytest.raises(NotSupported, match="version 11"):
        read(path)


def test_the_tree_is_that_of_the_rarest_two():
    assert huffman([9, 4, 2, 1]).tolist() == [[-1, -1]] * 4 + [[3, 2], [4, 1], [5, 0]]
    with pytest.raises(ValueError, match="more often"):
        huffman([1 << 60, 1])
