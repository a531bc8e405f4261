"""Training on four invented languages: same bytes twice, sound weights, honest report."""

import gzip
import json
import random
import sys
from collections import Counter

import pytest

from medcorpus.cli import run
from medcorpus.cli.fit_report import plot, show
from medcorpus.core.errors import Fatal, Missing
from medcorpus.jobs import fit_langid
from medcorpus.jobs.fit_langid import (
    JUNK,
    MAX_WEIGHT,
    check_label,
    check_weights,
    collect,
    fit,
    main,
    middle,
    read_labelled,
    snippet,
    training_lines,
)  # fmt: skip
from medcorpus.text.lid.model import Model

SYLLABLES = {
    "qaa_Latn": ["ba", "ko", "ri", "tun", "mel"],
    "qab_Latn": ["xil", "vep", "zo", "quis", "wy"],
    "qac_Cyrl": ["жо", "лан", "пи", "ту", "щек"],
    "qad_Thai": ["กา", "มุ", "ที่", "เลน", "โซ"],
}
TINY = {"dim": 4, "buckets": 4000, "epochs": 5, "augment": 2, "junk": 60}


def invented(seed, lines):
    """(label, text) in four languages that nobody speaks; the last one writes no spaces."""
    chance = random.Random(seed)
    made = []
    for _ in range(lines):
        for label, syllables in SYLLABLES.items():
            words = ["".join(chance.choices(syllables, k=chance.randint(1, 3))) for _ in range(10)]
            made.append((label, ("" if label == "qad_Thai" else " ").join(words)))
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("langid")
    with gzip.open(root / "train.tsv.gz", "wt", encoding="utf-8") as stream:
        stream.writelines(f"{label}\t{text}\n" for label, text in invented(1, 150))
    with (root / "dev.tsv").open("w", encoding="utf-8") as stream:
        stream.writelines(f"{label}\t{text}\n" for label, text in invented(2, 25))
    return root


@pytest.fixture(scope="module")
def fitted(folder):
    out = folder / "a" / "medcorpus-langid-t.ftz"
    report = fit(folder / "train.tsv.gz", out, heldout=folder / "dev.tsv", **TINY)
    return out, report


def test_it_learns_and_says_so(fitted):
    out, report = fitted
    assert report["sentence"]["macro_f1"] >= 0.97
    assert report["short"]["macro_f1"] >= 0.95
    assert set(report["sentence"]["f1"]) == set(SYLLABLES)
    assert sum(part["lines"] for part in report["by_length"]) == 2 * report["sentence"]["lines"] == 200
    assert {script: part["labels"] for script, part in report["by_script"].items()} == {"Latn": 2, "Cyrl": 1, "Thai": 1}
    assert report["bytes"] == out.stat().st_size
    assert report["labels"] == dict.fromkeys(SYLLABLES, 150)
    assert set(report["junk_as_zxx"]) == set(JUNK)
    assert 0 < report["max_weight"] < MAX_WEIGHT == 100
    assert json.loads(out.with_suffix(".json").read_text()) == report
    model = Model(out)
    assert model.digest == report["digest"]
    assert model.labels == (*sorted(SYLLABLES), "zxx")
    assert model.predict(["жопилан тулан"], k=1)[0] == [("qac_Cyrl",)]


def test_twice_is_the_same_bytes_and_nothing_else_is_left(folder, fitted):
    again = folder / "b" / fitted[0].name
    fit(folder / "train.tsv.gz", again, heldout=folder / "dev.tsv", **TINY)
    assert again.read_bytes() == fitted[0].read_bytes()
    assert again.with_suffix(".json").read_bytes() == fitted[0].with_suffix(".json").read_bytes()
    assert {path.name for path in again.parent.iterdir()} == {again.name, again.with_suffix(".json").name}


def test_seed_and_cutoff_change_the_model(folder, fitted):
    out = folder / "c" / fitted[0].name
    report = fit(folder / "train.tsv.gz", out, cutoff=600, seed=2, **TINY)
    assert report["bytes"] != fitted[1]["bytes"]
    assert "sentence" not in report
    assert Model(out).predict([text for _, text in invented(2, 1)], k=1)[0] == [(label,) for label in SYLLABLES]


def test_a_failed_fit_leaves_what_was_there(folder, tmp_path, monkeypatch):
    out = tmp_path / "medcorpus-langid-t.ftz"
    out.write_text("the old one")
    monkeypatch.setattr(fit_langid, "_ALLOCATOR", {"MALLOC_ARENA_MAX": "1"})
    with pytest.raises(Fatal, match="training the language identifier failed"):
        fit(folder / "train.tsv.gz", out, **(TINY | {"dim": -1}))
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    assert out.read_text() == "the old one"


@pytest.mark.parametrize("largest", [100.0, 1e12, float("inf"), float("nan")])
def test_unsound_weights_are_refused(largest):
    with pytest.raises(Fatal, match="largest weight"):
        check_weights(largest)


def test_sound_weights_pass():
    check_weights(29.0)


def test_names_that_would_lose_the_normal_form_are_refused(folder, tmp_path):
    with pytest.raises(Fatal, match="must start with medcorpus-langid"):
        fit(folder / "train.tsv.gz", tmp_path / "model.ftz", **TINY)


@pytest.mark.parametrize("line", ["no tab", "\ttext without label", "two words\ttext"])
def test_bad_lines_are_named(tmp_path, line):
    path = tmp_path / "bad.tsv"
    path.write_text(f'eng_Latn\tfine, with "quotes\n\n{line}\n', encoding="utf-8")
    with pytest.raises(Fatal, match=r"bad\.tsv:3: expected label TAB text"):
        list(read_labelled(path))


@pytest.mark.parametrize(
    ("label", "told"),
    [
        ("enq_Latn", r"unknown language 'enq_Latn'; nearest known names: English \(eng\)"),
        ("Swahilli_Latn", r"unknown language 'Swahilli_Latn'; nearest known names: Swahili \(swa\)"),
        ("eng_Lattin", "unknown language 'eng_Lattin'"),
        ("eng", "names no script; expected <language>_<Script>"),
        ("quz_Ltn", "unknown language"),
    ],
)
def test_a_label_nobody_knows_is_named_with_its_nearest(tmp_path, label, told):
    path = tmp_path / "bad.tsv"
    path.write_text(f"eng_Latn\tfine\n{label}\ttext\n", encoding="utf-8")
    with pytest.raises(Fatal, match=rf"bad\.tsv:2: .*{told}"):
        list(read_labelled(path))


@pytest.mark.parametrize("label", ["zxx", "zho_Hans", "ace_Arab", "qaa_Latn", "qtz_Thai"])
def test_labels_that_are_known_or_private(label):
    check_label(label)


def test_held_out_text_of_nothing_is_refused(folder, tmp_path):
    (tmp_path / "dev.tsv").write_text("\n")
    with pytest.raises(Fatal, match="no line to measure on"):
        fit(folder / "train.tsv.gz", tmp_path / "medcorpus-langid-t.ftz", heldout=tmp_path / "dev.tsv", **TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["dev.tsv"]


def test_a_bare_carriage_return_is_no_line_break(tmp_path):
    path = tmp_path / "cr.tsv"
    path.write_bytes("eng_Latn\tone\rtwo\x85three\r\n".encode())
    assert list(read_labelled(path)) == [("eng_Latn", "one\rtwo\x85three")]


# ------------------------------------------------------------------------------------------------- examples


def test_snippets_are_short_pieces():
    chance, words = random.Random(1), list("abcdefghij")
    sizes = Counter(len(snippet("eng_Latn", " ".join(words), chance).split()) for _ in range(300))
    assert set(sizes) == set(range(2, 9))
    thai = "กินยาทุกวันก่อนอาหารเช้าและก่อนนอนนะครับคุณหมอ"
    cut = [snippet("tha_Thai", thai, chance) for _ in range(300)]
    assert {len(piece) for piece in cut} == set(range(4, 24))
    assert all(piece in thai for piece in cut)
    assert snippet("eng_Latn", "one", chance) == "one"
    assert middle("eng_Latn", " ".join(words)) == "c d e f g"
    assert middle("tha_Thai", thai) in thai
    assert len(middle("tha_Thai", thai)) == 12


def test_training_lines():
    lines = [("eng_Latn", f"Fever number {i} after a long day") for i in range(40)]
    lines += [("cos_Latn", f"Una frebba {i} dopu à a ghjurnata") for i in range(5)] + [("lat_Latn", "123")]
    made = training_lines(lines, seed=1, augment=2, junk=30)
    count = Counter(label for label, _ in made)
    assert count["eng_Latn"] == 40 * (1 + 2 * fit_langid.MISSION_BOOST)
    assert count["cos_Latn"] == 5 * (1 + 2 * fit_langid.MISSION_BOOST)  # the median class is as small as this one
    assert "lat_Latn" not in count  # no letters: a rule decides
    assert 80 <= count["zxx"] <= 90
    assert made == training_lines(lines, seed=1, augment=2, junk=30)
    assert made != training_lines(lines, seed=2, augment=2, junk=30)
    assert all("\n" not in text and text == text.lower() for _, text in made)
    rare = training_lines(
        [*lines[:41], *(("fra_Latn", f"fièvre {i} le soir") for i in range(40))], seed=1, augment=2, junk=0
    )
    assert Counter(label for label, _ in rare)["cos_Latn"] == 1 + 2 * fit_langid.RARE_BOOST
    far = [*lines[:40], *(("fra_Latn", f"fièvre {i} le soir") for i in range(40)), ("haw_Latn", "ka poʻe kānaka")]
    made = Counter(label for label, _ in training_lines(far, seed=1, augment=2, junk=0))
    assert made["haw_Latn"] == 1 + 2 * fit_langid.NEIGHBOUR_BOOST, "no language of the mission"


@pytest.mark.parametrize("kind", JUNK)
def test_junk_is_varied_and_repeatable(kind):
    lines = [JUNK[kind](random.Random(seed)) for seed in range(200)]
    assert len(set(lines)) >= 150
    assert lines == [JUNK[kind](random.Random(seed)) for seed in range(200)]
    assert not any("\n" in line or "¦" in line for line in lines)


# ---------------------------------------------------------------------------------------------- source data


@pytest.fixture
def sources(tmp_path):
    sib, udhr = tmp_path / "sib", tmp_path / "udhr"
    sib.mkdir()
    udhr.mkdir()
    for name, text in {
        "eng_Latn.train": 'He said "go',
        "eng_Latn.dev": "unseen",
        "zho_Hans.train": "你好",
    }.items():
        with gzip.open(sib / f"{name}.tsv.gz", "wt", encoding="utf-8") as stream:
            stream.write(f"index_id\tcategory\ttext\n7\thealth\t{text}\n8\thealth\t{text}\n")
    rows = [
        ("eng", "eng", "Latn", 5), ("cmn_hans", "cmn", "Hans", 4), ("lat", "lat", "Latn", 4), ("bad", "eng", "Latn", 2),
        ("haw", "haw", "Latn", 2), ("few", "mah", "Latn", 4), ("lana", "kkh", "Lana", 4), ("cnr", "cnr", "Latn", 4),
        ("gone", "cos", "Latn", 4),
    ]  # fmt: skip
    entries = [f"<udhr f='{f}' iso639-3='{c}' iso15924='{s}' stage='{g}'/>" for f, c, s, g in rows]
    (udhr / "index.xml").write_text(f"<udhrs>{''.join(entries)}</udhrs>")
    for f, *_ in rows[:-1]:
        articles = "".join(
            f'<article number="{n}"><title>{n}</title><para>  right {n} of\n {f} </para></article>'
            for n in (range(1, 31) if f != "few" else range(1, 9))
        )
        (udhr / f"udhr_{f}.xml").write_text(
            '<udhr xmlns="http://www.unhchr.ch/udhr"><note><para>edition</para></note><title>Article 1</title>'
            f"<preamble><para>before {f}</para><para/><para>1.</para></preamble>{articles}</udhr>"
        )
    return sib, udhr


def test_collecting(sources, tmp_path, capsys):
    out, held, lists = tmp_path / "train.tsv", tmp_path / "held.tsv", tmp_path / "lists"
    lists.mkdir()
    (lists / "lat.txt").write_text("# mine\nfebris | febr*\ncor\ntussis\npulmo\n")
    (lists / "deu.txt").write_text("Leber\n")
    counts = collect(*sources, out, heldout_tsv=held, terms_dir=lists)
    assert counts == {"eng_Latn": 27, "haw_Latn": 31, "lat_Latn": 33, "zho_Hans": 27}
    lines = out.read_text(encoding="utf-8").splitlines()
    assert lines[:3] == ['eng_Latn\tHe said "go', "eng_Latn\tbefore eng", "eng_Latn\tright 1 of eng"]
    assert {"lat_Latn\tfebris, cor, tussis", "lat_Latn\tpulmo"} <= set(lines)
    assert not any("right 26 of eng" in line or "edition" in line or "of bad" in line for line in lines)
    kept = held.read_text(encoding="utf-8").splitlines()
    assert kept[:5] == [f"eng_Latn\tright {number} of eng" for number in range(26, 31)]
    assert {line.partition("\t")[0] for line in kept} == {"eng_Latn", "zho_Hans"}, "where there is other text"
    main(["collect", *map(str, sources), str(tmp_path / "again.tsv")])
    assert "right 26 of eng" in (tmp_path / "again.tsv").read_text(), "nothing held back, nothing lost"
    assert json.loads(capsys.readouterr().out)["zho_Hans"] == 32


def test_collecting_from_the_wrong_folder(sources, tmp_path):
    with pytest.raises(Fatal, match=r"train\.tsv\.gz"):
        collect(tmp_path, sources[1], tmp_path / "out.tsv")


def test_flags_are_the_keywords_of_fit(monkeypatch, tmp_path, capsys):
    seen = {}
    monkeypatch.setattr(fit_langid, "fit", fit_langid.fit)
    monkeypatch.setattr(fit_langid, "_train_in_child", lambda text, model, settings: seen.update(settings) or 1 / 0)
    (tmp_path / "t.tsv").write_text("eng_Latn\tfever\n")
    with pytest.raises(ZeroDivisionError):
        main(
            [
                "fit",
                str(tmp_path / "t.tsv"),
                str(tmp_path / "medcorpus-langid-t.ftz"),
                "--lr",
                "0.5",
                "--junk",
                "8",
            ]
        )
    assert seen["lr"] == 0.5
    assert seen["junk"] == 8
    assert seen["dim"] == 16


def test_the_command_shows_the_report_and_draws_it(folder, fitted, tmp_path, monkeypatch, capsys):
    """`medcorpus fit langid`: tables on the terminal, figures as JSON, a picture where matplotlib is."""
    files = [
        str(tmp_path / fitted[0].name),
        "--train",
        str(folder / "train.tsv.gz"),
        "--heldout",
        str(folder / "dev.tsv"),
    ]
    settings = [f"--{name}={value}" for name, value in TINY.items()]
    assert run(["fit", "langid", *files, *settings]) == 0
    told = capsys.readouterr().out
    for part in ("held-out text", "by length", "by script", "macro_f1", "Cyrl", fitted[1]["digest"]):
        assert part in told
    report, picture = (tmp_path / fitted[0].name).with_suffix(".json"), (tmp_path / fitted[0].name).with_suffix(".png")
    assert json.loads(report.read_bytes()) == fitted[1], "the command and the function are one"
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    drawn = picture.read_bytes()
    plot(fitted[1], picture)
    assert picture.read_bytes() == drawn, "the same figures, the same bytes"
    assert len(list(tmp_path.iterdir())) == 3
    picture.unlink()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(Missing, match=r"pip install 'medcorpus\[report\]'"):
        plot(fitted[1], picture)
    assert not picture.exists()


def test_worst_pairs_are_shown_and_drawn(fitted, tmp_path, capsys):
    confused = fitted[1] | {"short": fitted[1]["short"] | {"confusions": [["qaa_Latn", "qab_Latn", 7]]}}
    show(confused, tmp_path / "x.ftz")
    assert "worst pairs, 5 words or 12 characters of each" in " ".join(capsys.readouterr().out.split())
    plot(confused, tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 10_000
    show({name: value for name, value in fitted[1].items() if name not in ("sentence", "short")}, tmp_path / "x.ftz")
    assert "give --heldout FILE" in capsys.readouterr().out


def test_help_teaches(capsys):
    run(["fit", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    for part in (
        "eng_Latn TAB",
        "--heldout",
        "never trained on",
        "medcorpus-langid-<name>.ftz",
        "by length and by script",
    ):
        assert part in told
