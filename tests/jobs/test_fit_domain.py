"""`fit domain`: it learns what is medical, says how well, and makes the same bytes twice."""

import gzip
import json
import random
import subprocess
import sys

import pytest

from medcorpus.core.errors import Fatal
from medcorpus.jobs.fit_domain import Sentence, fit, from_sib, joined, measure, read
from medcorpus.text.domain_model import load

MEDICAL = ["fever", "cough", "infection", "patient", "vaccine", "kidney", "tablets", "injection", "wound", "nurse"]
OTHER = ["election", "football", "castle", "festival", "river", "budget", "railway", "concert", "island", "painter"]
PLAIN = ["the", "of", "a", "was", "in", "with", "and", "for", "on", "many", "people", "said", "new", "year", "city"]


def invented(seed, many):
    chance = random.Random(seed)
    made = []
    for number in range(many):
        medical = number % 3 == 0
        text = " ".join(chance.choices(PLAIN, k=9) + chance.choices(MEDICAL if medical else OTHER, k=2))
        made.append(Sentence(("eng", "swa", "abk")[number % 3 if not medical else 0], str(number // 2), medical, text))
    return made


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    out = tmp_path_factory.mktemp("domain") / "m.npz"
    return out, fit(invented(1, 400), out, heldout=invented(2, 120), epochs=3)


def test_it_learns_and_says_so(fitted):
    out, report = fitted
    assert report["heldout"]["all"]["score"] >= 0.97
    assert report["heldout"]["by_language"].keys() <= {"eng", "swa"}
    assert report["bytes"] == out.stat().st_size
    assert report["digest"] == load(out).digest
    assert json.loads(out.with_suffix(".json").read_text()) == report


def test_twice_is_the_same_bytes(fitted, tmp_path):
    fit(invented(1, 400), tmp_path / "m.npz", heldout=invented(2, 120), epochs=3)
    assert (tmp_path / "m.npz").read_bytes() == fitted[0].read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.json", "m.npz"]


def test_one_class_is_not_enough(tmp_path):
    for lot in ([], [one for one in invented(1, 30) if one.medical]):
        with pytest.raises(Fatal, match="one of the two is missing"):
            fit(lot, tmp_path / "m.npz")


def test_joined_texts_keep_language_and_class():
    made = joined(invented(1, 100))
    longer = [one for one in made if len(one.text.split()) > 11]
    assert longer
    for one in longer:
        assert len(set(one.text.split()) & set(OTHER if one.medical else MEDICAL)) == 0


def test_measure_leaves_out_a_language_of_one_class(fitted):
    lot = [*invented(3, 60), Sentence("fra", "x", True, "fièvre")]
    assert "fra" not in measure(load(fitted[0]), lot)["by_language"]


@pytest.mark.parametrize(
    ("line", "why"),
    [("eng\t1", "expected language"), ("eng\tyes\tx", "expected language"), ("englsh\t1\tx", "nearest known names")],
)
def test_bad_lines_are_named(tmp_path, line, why):
    path = tmp_path / "t.tsv"
    path.write_text(f"en\t0\tfine\n{line}\n")
    with pytest.raises(Fatal, match=rf"t\.tsv:2: .*{why}"):
        read(path)


def test_sib_is_read_by_part(tmp_path):
    with gzip.open(tmp_path / "swh_Latn.train.tsv.gz", "wt", encoding="utf-8") as stream:
        stream.write('index_id\tcategory\ttext\n7\thealth\tHoma "kali\n8\tsports\tMpira\n')
    assert from_sib(tmp_path) == [Sentence("swa", "7", True, 'Homa "kali'), Sentence("swa", "8", False, "Mpira")]
    with pytest.raises(Fatal, match=r"no \*\.dev\.tsv\.gz"):
        from_sib(tmp_path, "dev")


def test_the_command(tmp_path):
    train = tmp_path / "train.tsv"
    train.write_text("".join(f"{one.language}\t{one.medical:d}\t{one.text}\n" for one in invented(1, 200)))
    command = [sys.executable, "-m", "medcorpus", "fit", "domain", str(tmp_path / "m.npz")]
    done = subprocess.run([*command, "--train", str(train), "--epochs", "2"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["medical"] == 67
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, "say what to train on" in done.stderr) == (2, True)
