"""`medcorpus langid --model FILE` with files that are no language model: refused, with the reason and the cure."""

import json
import os
import subprocess
import sys

import pytest

from medcorpus.core.errors import Missing
from medcorpus.core.stage import Context
from medcorpus.stages.langid import Langid
from medcorpus.text.lid.model import Model, shipped_model
from tests.cli.helpers import inside, medcorpus

NAME = "medcorpus-langid-x.ftz"


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    """A fastText model whose labels are no languages, and word vectors; trained where memory is zero at first."""
    folder = tmp_path_factory.mktemp("classes")
    (folder / "train.txt").write_text("__label__1star a bad cough\n__label__5stars a good night\n" * 40)
    code = (
        "import fasttext\n"
        "fasttext.train_supervised('train.txt', dim=4, epoch=2, thread=1, verbose=0).save_model('stars.bin')\n"
        "fasttext.train_unsupervised('train.txt', dim=4, epoch=1, bucket=100, thread=1, verbose=0)"
        ".save_model('vectors.bin')\n"
    )
    zeros = {"MALLOC_PERTURB_": "255", "MALLOC_MMAP_THRESHOLD_": str(1 << 20)}
    subprocess.run([sys.executable, "-c", code], cwd=folder, env=os.environ | zeros, check=True)
    return folder


@pytest.fixture
def text(tmp_path):
    (tmp_path / "in.jsonl").write_text('{"text": "The patient has had a fever for two days."}\n')
    return tmp_path


def refused(folder, model):
    """What the stage says as it refuses a model."""
    with pytest.raises(Missing) as told:
        Langid(Langid.Params(model=str(model)), Context("langid", root=str(folder), state=str(folder))).open()
    return str(told.value)


@pytest.mark.parametrize("kind", ["cut short", "foreign, cut short", "other labels", "other normal form", "nowhere"])
def test_the_command_line_ends_with_4_and_says_why(text, classes, kind):
    model = {"nowhere": "lid17", "other labels": classes / "stars.bin", "foreign, cut short": "cut.bin"}.get(kind, NAME)
    (text / "cut.bin").write_bytes((classes / "stars.bin").read_bytes()[:-1])
    (text / NAME).write_bytes(shipped_model().read_bytes()[: 2_000_000 if kind == "cut short" else None])
    if kind == "other normal form":
        report = json.loads(shipped_model().with_suffix(".json").read_text())
        (text / NAME).with_suffix(".json").write_text(json.dumps(report | {"normalise_version": 9}))
    done = medcorpus("langid", "in.jsonl", "out.parquet", "--model", model, cwd=text, code=4)
    assert "Traceback" not in done.stderr
    assert refused(text, model) in done.stderr
    assert not (text / "out.parquet").exists()


@pytest.mark.parametrize("cut", [0, 50, 30_000, 2_000_000, -1])
def test_a_file_cut_short(text, cut):
    (text / NAME).write_bytes(shipped_model().read_bytes()[:cut])
    assert refused(text, NAME).endswith(
        f"{NAME} is not a fastText model: the file is cut short; fetch it or fit it again"
    )


@pytest.mark.parametrize("cut", [60, 91, 92, 200, -1])
def test_a_foreign_file_cut_short(text, classes, cut):
    """fastText itself reads noise from it and says nothing."""
    (text / "stars.bin").write_bytes((classes / "stars.bin").read_bytes()[:cut])
    assert "stars.bin is not a fastText model: the file is cut short" in refused(text, "stars.bin")


def test_a_file_of_another_kind(text, classes):
    (text / "notes.bin").write_text("these are my notes on the models\n" * 20)
    assert "notes.bin is not a fastText model: not a fastText file" in refused(text, "notes.bin")
    told = refused(text, classes / "vectors.bin")
    assert "vectors.bin is not a fastText model: it has no labels; word vectors are no identifier" in told


def test_a_model_for_other_labels(text, classes):
    told = refused(text, classes / "stars.bin")
    assert "stars.bin is no language model: 2 of the 2 labels of stars.bin are not known" in told
    assert "unknown language '1star'; nearest known names:" in told


def test_a_model_for_another_normal_form(text):
    (text / NAME).write_bytes(shipped_model().read_bytes())
    report = json.loads(shipped_model().with_suffix(".json").read_text())
    place = (text / NAME).with_suffix(".json")
    place.write_text(json.dumps(report | {"normalise_version": 9}))
    told = refused(text, NAME)
    assert f"{NAME} wants text in normal form 9, and this medcorpus makes form {report['normalise_version']}" in told
    place.write_text(json.dumps(report | {"digest": "0" * 32}))
    assert "is the report of another model file" in refused(text, NAME)
    place.write_text("[]")
    assert f"is not the report of {NAME}" in refused(text, NAME)
    place.write_text(json.dumps(report))
    assert Model(text / NAME).digest == report["digest"]


def test_a_name_that_is_nearly_one(text):
    assert "did you mean 'lid176'?" in refused(text, "lid17")
    assert "put lid.176.bin or lid.176.ftz" in refused(text, "lid176")


def test_labels_of_a_recipe_that_nobody_knows(text):
    (text / "r.yaml").write_text(
        "name: r\nlanguages: [enq, swahilli]\nsteps:\n  - ingest: {path: in.jsonl}\n  - langid: {model: medcorpus}\n"
    )
    told = " ".join(inside("check", "r.yaml", cwd=text, code=2).stderr.split())
    assert "'enq'" in told and "English (eng)" in told
    assert "'swahilli'" in told and "Swahili (swa)" in told


def test_fit_names_a_label_nobody_knows(text):
    (text / "train.tsv").write_text("eng_Latn\tfever\nswq_Latn\thoma\n")
    told = medcorpus("fit", "langid", NAME, "--train", "train.tsv", cwd=text, code=3).stderr
    assert "train.tsv:2: unknown language 'swq_Latn'" in told and "Swahili (swa)" in told
    (text / "train.tsv").write_text("eng\tfever\n")
    assert (
        "train.tsv:1: the label 'eng' names no script"
        in medcorpus("fit", "langid", NAME, "--train", "train.tsv", cwd=text, code=3).stderr
    )
    assert sorted(path.name for path in text.iterdir()) == ["in.jsonl", "train.tsv"]
