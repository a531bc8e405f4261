"""Train the language identifier we ship, from labelled text to a quantised fastText file.

    python -m medcorpus.jobs.fit_langid collect SIB_DIR UDHR_DIR train.tsv --heldout_tsv heldout.tsv
    python -m medcorpus.jobs.fit_langid fit train.tsv medcorpus-langid-2.ftz --heldout dev.tsv

Each line is seen whole and as `augment` random snippets, because what a short text loses a language
identifier on whole sentences never learns (macro-F1 on five words: .79 without, .93 with). A class `zxx`
of generated junk catches code and identifiers; text without any letter never reaches the model.

Equal input, seed, machine and fastText build give equal bytes. That needs care: fastText 0.9 sets only
block t of ten of its input table per thread t, so with one thread nine tenths stay whatever memory held
(weights of 1e12 have been seen, and NaN). Training therefore runs in a child process whose allocator is
told to hand out zeros, with one thread, and the weights are checked.
"""

import argparse
import gzip
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from medcorpus.core.errors import Fatal
from medcorpus.core.languages import UnknownLanguage, registry
from medcorpus.text.lid.junk import JUNK
from medcorpus.text.lid.model import NO_LANGUAGE, OWN_PREFIX, Model
from medcorpus.text.lid.normal import NORMALISE_VERSION, normalise, script_names
from medcorpus.text.lid.scoring import by_length, by_script, figures

Labelled = list[tuple[str, str]]
"""(label, text), as everywhere in this file."""

UNSPACED = frozenset({"Hans", "Hant", "Hani", "Jpan", "Thai", "Laoo", "Khmr", "Mymr", "Tibt"})
"""Scripts written without spaces: snippets are counted in characters there."""

MAX_WEIGHT = 100.0
"""Sound models stay below 30; unset memory gave 1e12 and more."""

MISSION_BOOST, RARE_BOOST, NEIGHBOUR_BOOST = 1.5, 8, 2
"""Mission languages get that many times the snippets. Classes with fewer lines than the median get up to
RARE_BOOST (mission languages) or NEIGHBOUR_BOOST (others) times as many."""

_ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 20),  # tables of 1 MiB and more come straight from the kernel: zeros
    "MALLOC_PERTURB_": "255",  # and glibc fills everything else with 255 ^ 0xff = 0
}
_NO_WORDS = 10_000_000  # minCount no word reaches: the model holds character n-grams only


def fit(
    train: Path, out: Path, *, seed: int = 1, dim: int = 16, buckets: int = 262_144, minn: int = 1,
    maxn: int = 5, epochs: int = 12, lr: float = 0.3, augment: int = 3, junk: int = 4000, cutoff: int = 0,
    heldout: Path | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Train on `train`, write the quantised model to `out` and a report to `out` with suffix `.json`.

    `train` and `heldout` are tsv or tsv.gz, one `label TAB text` a line, no quoting. Labels are
    `<iso639-3>_<Script>`; the script decides how snippets are cut. `junk` is the number of generated
    `zxx` lines per pass over the data; there are 1 + `augment` passes. `cutoff` > 0 keeps that many rows
    of the largest norm (train big, then prune). Both files appear whole or not at all.

    Returns the report: settings, digest and bytes of the model, largest weight, lines per label, share of
    fresh junk called `zxx` by kind, and, with `heldout`, macro-F1, F1 per label and the worst confusions
    on whole lines and on snippets of 5 words or 12 characters, and macro-F1 by length and by script.

    Raises Fatal when a file is malformed or has a label that nobody knows, training fails, or a weight reaches
    MAX_WEIGHT.
    """
    if not out.name.startswith(OWN_PREFIX):
        raise Fatal(f"{out.name}: the name must start with {OWN_PREFIX}, by which Model knows to normalise")
    settings: dict[str, Any] = {
        "seed": seed, "dim": dim, "buckets": buckets, "minn": minn, "maxn": maxn, "epochs": epochs, "lr": lr,
        "augment": augment, "junk": junk, "cutoff": cutoff,
    }  # fmt: skip
    lines = list(read_labelled(train))
    examples = training_lines(lines, seed=seed, augment=augment, junk=junk)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fit-", dir=out.parent) as folder:
        text, model = Path(folder, "train.txt"), Path(folder, out.name)
        with text.open("w", encoding="utf-8") as stream:
            stream.writelines(f"__label__{label} {line}\n" for label, line in examples)
        settled = _train_in_child(text, model, settings)
        fitted = Model(model)
        report: dict[str, Any] = {
            "settings": settings,
            "normalise_version": NORMALISE_VERSION,
            "train_digest": _digest(train),
            "digest": fitted.digest,
            "bytes": model.stat().st_size,
            "max_weight": settled["max_weight"],
            "labels": dict(sorted(Counter(label for label, _ in lines).items())),
            "examples": len(examples),
            "junk_as_zxx": junk_recall(fitted, seed + 1),
        }
        if heldout is not None:
            held = list(read_labelled(heldout))
            report["heldout_digest"] = _digest(heldout)
            report |= tell(fitted, held)
        written = Path(folder, "report.json")
        written.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        _publish(written, out.with_suffix(".json"))
        _publish(model, out)
    return report


def _publish(made: Path, place: Path) -> None:
    """Put `made` where readers look, whole: flushed to disk, then renamed over whatever was there."""
    with made.open("rb") as stream:
        os.fsync(stream.fileno())
    made.replace(place)


def _digest(path: Path) -> str:
    return blake2b(path.read_bytes(), digest_size=16).hexdigest()


def read_labelled(path: Path) -> Iterator[tuple[str, str]]:
    """(label, text) of each line of a tsv or tsv.gz; blank lines are skipped.

    Raises Fatal with the line where it is no such line, or its label names no language: the nearest are told.
    """
    known: set[str] = set()
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8", newline="\n") as stream:
        for number, line in enumerate(stream, 1):
            label, tab, text = line.rstrip("\r\n").partition("\t")
            if tab and label and not set(label) & set(" \t"):
                if label not in known:
                    try:
                        check_label(label)
                    except ValueError as error:
                        raise Fatal(f"{path}:{number}: {error}") from None
                    known.add(label)
                yield label, text
            elif line.strip():
                raise Fatal(f"{path}:{number}: expected label TAB text")


_PRIVATE = re.compile("q[a-t][a-z]_[A-Z][a-z]{3}")  # qaa to qtz: ISO 639 leaves them to whoever needs a code


def check_label(label: str) -> None:
    """Raise ValueError unless `label` is `zxx` or a language, of the registry or of private use, and a script."""
    if label == NO_LANGUAGE or _PRIVATE.fullmatch(label):
        return
    if registry().label(label, "sib200").script is None:
        raise ValueError(f"the label {label!r} names no script; expected <language>_<Script>, as eng_Latn")


def training_lines(lines: Labelled, *, seed: int, augment: int, junk: int) -> Labelled:
    """Normalised (label, text) in random order: every line, its snippets, and junk as `zxx`."""
    chance = random.Random(seed)  # noqa: S311
    sizes = Counter(label for label, _ in lines)
    usual = sorted(sizes.values())[len(sizes) // 2] if sizes else 0
    examples = []
    for label, text in lines:
        mission = code_of(label) in registry().mission
        boost = min(RARE_BOOST if mission else NEIGHBOUR_BOOST, max(1, round(usual / sizes[label])))
        boost = max(boost, MISSION_BOOST) if mission else boost
        pieces = [text, *(snippet(label, text, chance) for _ in range(round(augment * boost)))]
        examples += [(label, normalise(piece)) for piece in pieces]
    kinds = [*JUNK.values(), JUNK["code"], JUNK["script"]]  # what real pages are full of, twice
    examples += [(NO_LANGUAGE, normalise(kinds[i % len(kinds)](chance))) for i in range(junk * (1 + augment))]
    examples = [(label, text) for label, text in examples if any(map(str.isalpha, text))]
    chance.shuffle(examples)
    return examples


def snippet(label: str, text: str, chance: random.Random) -> str:
    """2 to 8 words of `text`, or 4 to 23 characters where the script of `label` has no spaces."""
    parts, joint = _parts(label, text)
    size = chance.randint(2, 8) if joint else chance.randint(4, 23)
    start = chance.randint(0, max(0, len(parts) - size))
    return joint.join(parts[start : start + size])


def middle(label: str, text: str) -> str:
    """5 words, or 12 characters without spaces, from the middle of `text`: what short text is scored on."""
    parts, joint = _parts(label, text)
    size = 5 if joint else 12
    start = max(0, (len(parts) - size) // 2)
    return joint.join(parts[start : start + size])


def _parts(label: str, text: str) -> tuple[list[str], str]:
    return (list(text), "") if label.rpartition("_")[2] in UNSPACED else (text.split(), " ")


def junk_recall(model: Model, seed: int, lines: int = 500) -> dict[str, float]:
    """Share of `lines` fresh lines that the model calls `zxx`, by kind of junk."""
    chance = random.Random(seed)  # noqa: S311
    said = {kind: model.predict([make(chance) for _ in range(lines)], k=1)[0] for kind, make in JUNK.items()}
    return {kind: round(said[kind].count((NO_LANGUAGE,)) / lines, 4) for kind in said}


def tell(model: Model, held: Labelled) -> dict[str, Any]:
    """Figures of held-out lines, as they are (`sentence`) and cut by `middle` (`short`), and of both by length and
    script. Raises Fatal when there are none.
    """
    if not held:
        raise Fatal("the held-out file has no line to measure on")
    texts = {"sentence": [text for _, text in held], "short": [middle(*row) for row in held]}
    pairs = {
        name: [(label, said[0]) for (label, _), said in zip(held, model.predict(cut, k=1)[0], strict=True)]
        for name, cut in texts.items()
    }
    both = [pair for name in texts for pair in pairs[name]]
    return {
        **{name: figures(pairs[name]) for name in texts},
        "by_length": by_length([text for name in texts for text in texts[name]], both),
        "by_script": by_script(both),
    }


def _train_in_child(text: Path, model: Path, settings: dict[str, Any]) -> dict[str, Any]:
    root = str(Path(__file__).resolve().parents[2])
    environment = os.environ | _ALLOCATOR | {"PYTHONPATH": os.pathsep.join([root, *sys.path[1:]])}
    command = [sys.executable, "-m", "medcorpus.jobs.fit_langid", "--child", text, model, json.dumps(settings)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise Fatal(f"training the language identifier failed: {last}")
    return json.loads(done.stdout.splitlines()[-1])


def _child(text: str, model: str, settings: str) -> None:
    """Train, check, quantise, save; prints one JSON line. Runs with `_ALLOCATOR` in its environment."""
    import fasttext
    import numpy as np

    wanted = json.loads(settings)
    trained = fasttext.train_supervised(
        input=text, dim=wanted["dim"], bucket=wanted["buckets"], minn=wanted["minn"], maxn=wanted["maxn"],
        epoch=wanted["epochs"], lr=wanted["lr"], seed=wanted["seed"], thread=1, minCount=_NO_WORDS,
        wordNgrams=1, loss="softmax", verbose=0,
    )  # fmt: skip
    weights = (trained.f.getInputMatrix(), trained.f.getOutputMatrix())
    largest = max(float(np.abs(np.asarray(w)).max()) for w in weights)
    check_weights(largest)
    trained.quantize(cutoff=wanted["cutoff"], qnorm=True, dsub=2, verbose=0)
    trained.save_model(model)
    print(json.dumps({"max_weight": round(largest, 4)}))


def check_weights(largest: float) -> None:
    """Raise Fatal unless the largest weight is sound. NaN is not."""
    if not largest < MAX_WEIGHT:
        raise Fatal(
            f"largest weight {largest:g}, expected below {MAX_WEIGHT:g}: fastText started from memory it had"
            " not set (an allocator that ignores MALLOC_PERTURB_?) or the learning rate is too high"
        )


_SAME_LANGUAGE = {"cmn": "zho", "ekk": "est", "gug": "grn"}  # UDHR's code -> the one SIB-200 uses
_SAME_LABEL = {"yue_Hani": "yue_Hant", "zlm_Latn": "zsm_Latn"}
_NOT_APART = frozenset(
    {"cnr_Latn", "bos_Cyrl", "vie_Hani", "kng_Latn", "fat_Latn"}
    | {"cjy_Hans", "gan_Hans", "hak_Hans", "hsn_Hans", "nan_Hans", "wuu_Hans"}  # texts in written standard Chinese
)
"""Labels of the UDHR that nobody could tell from another class by its text."""

_GOOD_STAGE, _SOME_STAGE = 4, 2  # of the UDHR project: 5 = approved, 4 = proof-read, 2 and 3 = partly or not reviewed
_FEWEST = 20  # paragraphs a class is made of
_HELD_OUT = frozenset(range(26, 31))
"""Articles of the UDHR kept for measuring, in languages of which SIB-200 has text to learn from."""


def code_of(label: str) -> str:
    """The registry's code for a label of a model of ours, or the label itself when it has none."""
    try:
        return registry().label(label, "sib200").code
    except UnknownLanguage:
        return label


def collect(
    sib_dir: Path, udhr_dir: Path, out_tsv: Path, heldout_tsv: Path | None = None, terms_dir: Path | None = None
) -> dict[str, int]:
    """Write `label TAB text` from SIB-200's train files, the UDHR and term lists; returns lines by label.

    SIB-200: `<label>.train.tsv.gz` with columns index_id, category, text, no quoting; its dev and test
    files stay unseen. UDHR: `index.xml` beside `udhr_<f>.xml`; paragraphs (titles are mostly "Article 0";
    notes are about the edition). Languages of SIB-200 take documents at stage 4 or 5 and leave articles 26 to
    30 for `heldout_tsv`; others take what there is, from stage 2 on, if it is 20 paragraphs or more in a
    script that the kernel knows. `terms_dir` holds `<code>.txt` as `text.term_lists` reads them: whole words, three
    a line, go to the language's label where it has but one. Equal folders give equal bytes. Raises
    Fatal when a folder holds no such files.
    """
    texts: defaultdict[str, dict[str, None]] = defaultdict(dict)  # a dict keeps order and drops repeats
    held: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for path in sorted(sib_dir.glob("*.train.tsv.gz")):
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as stream:
            rows = [line.rstrip("\r\n").split("\t") for line in stream]
        column = rows[0].index("text")
        texts[path.name.partition(".")[0]].update(dict.fromkeys(row[column] for row in rows[1:]))
    index = udhr_dir / "index.xml"
    if not texts or not index.exists():
        raise Fatal(f"no *.train.tsv.gz in {sib_dir}, or no index.xml in {udhr_dir}")
    known, scripts = set(texts), {*script_names(), *UNSPACED, "Kore"} - {"Hani", "Zyyy"}
    for entry in ElementTree.parse(index).getroot():  # noqa: S314  (files the caller chose)
        code, script, stage = entry.attrib["iso639-3"], entry.attrib["iso15924"], int(entry.attrib["stage"])
        label = f"{_SAME_LANGUAGE.get(code, code)}_{script}"
        label = _SAME_LABEL.get(label, label)
        path = udhr_dir / f"udhr_{entry.attrib['f']}.xml"
        if not path.exists() or label in _NOT_APART or code == "und":
            continue
        if label in known:
            for article, text in _paragraphs(path) if stage >= _GOOD_STAGE else ():
                (held if heldout_tsv and article in _HELD_OUT else texts)[label][text] = None
        elif stage >= _SOME_STAGE and script in scripts:
            found = dict.fromkeys(text for _, text in _paragraphs(path))
            if len(found) >= _FEWEST:
                texts[label].update(found)
    if terms_dir is not None:
        _add_terms(texts, terms_dir)
    for path, rows in ((out_tsv, texts), (heldout_tsv, held)):
        if path is not None:
            with path.open("w", encoding="utf-8", newline="\n") as stream:
                for label in sorted(rows):
                    stream.writelines(f"{label}\t{text}\n" for text in rows[label])
    return {label: len(texts[label]) for label in sorted(texts)}


def _add_terms(texts: dict[str, dict[str, None]], folder: Path) -> None:
    """Terms of each language to its label, three a line, where the language has but one label."""
    from medcorpus.text.term_lists import read

    labels = defaultdict(list)
    for label in texts:
        labels[code_of(label)].append(label)
    for path in sorted(folder.glob("*.txt")):
        if len(labels[path.stem]) == 1:
            whole = [one for term in read(path) for one in term if "*" not in one]
            texts[labels[path.stem][0]].update({", ".join(whole[i : i + 3]): None for i in range(0, len(whole), 3)})


def _paragraphs(path: Path) -> Iterator[tuple[int, str]]:
    """(article, 0 for the preamble; text) of each paragraph with letters."""
    root = ElementTree.parse(path).getroot()  # noqa: S314
    for note in root.findall("{*}note"):
        root.remove(note)
    for part in root:
        number = part.get("number", "0")
        for element in part.iter():
            if element.tag.rpartition("}")[2] == "para" and element.text:
                text = " ".join(element.text.split())
                if any(map(str.isalpha, text)):
                    yield int(number) if number.isdigit() else 0, text


def main(arguments: list[str] | None = None) -> None:
    """The two commands in this file's first lines; every keyword of `fit` is a flag."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["--child"]:
        _child(*arguments[1:])
        return
    parser = argparse.ArgumentParser(prog="python -m medcorpus.jobs.fit_langid")
    commands = parser.add_subparsers(dest="command", required=True)
    gather, train = commands.add_parser("collect"), commands.add_parser("fit")
    for command, files in {gather: ("sib_dir", "udhr_dir", "out_tsv"), train: ("train", "out")}.items():
        for file in files:
            command.add_argument(file, type=Path)
    for flag in ("--heldout_tsv", "--terms_dir"):
        gather.add_argument(flag, type=Path)
    for name, default in (fit.__kwdefaults__ or {}).items():
        train.add_argument(f"--{name}", type=Path if default is None else type(default), default=default)
    chosen = vars(parser.parse_args(arguments))
    run = collect if chosen.pop("command") == "collect" else fit
    print(json.dumps(run(**chosen), indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
