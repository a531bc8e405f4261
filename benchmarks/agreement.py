"""Do we say the same as the peers? Families of near-duplicates, each quality rule, labels of lid.176.

*Families* (never survivors) on documents of five tokens between blanks and more, guard off, a family being a connected
component, beside an exact oracle: Jaccard similarity of the sets of 5-grams of text-dedup's tokens. Pairs at
threshold + 0.1 and above have to share a family; a document in a family without a partner at threshold - 0.2 is a
wrong merge.

*Rules*: each rule alone drops a text or not. Texts of the corpus, every other one damaged on purpose (lines, words and
paragraphs repeated, symbols and bullets put in, ends of lines cut off), as most texts pass every rule. Rules on words
are compared given our tokens, then with the peer's own tokens by language.

*Labels*: lid.176.ftz through fastText and through our own inference, on whole documents.
"""

import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import environments
from benchmarks.measure import run
from medcorpus.core.languages import registry

THRESHOLD, MEGABYTES, TEXTS = 0.7, 20, 4000
LINE_RULES = (
    "gopher_duplicate_lines", "gopher_duplicate_paragraphs", "gopher_duplicate_line_chars",
    "gopher_duplicate_paragraph_chars", "gopher_bullet_lines", "gopher_ellipsis_lines", "c4_banned", "c4_open_banned",
    "fineweb_ended_lines", "fineweb_short_lines", "fineweb_duplicate_chars",
)  # fmt: skip


def report(bench: Any) -> str:
    """Both tables as Markdown."""
    corpus = bench.out / f"corpus-{MEGABYTES}"
    bench.make(MEGABYTES, corpus)
    parts = []
    if environments.python("text-dedup").exists():
        parts.append(families(bench, corpus))
    if environments.python("datatrove").exists():
        parts.append(quality(bench, corpus))
    if environments.lid176():
        parts.append(labels(bench, corpus))
    return "\n\n".join(parts) or "no peer is installed"


# -- families -----------------------------------------------------------------------------------


def families(bench: Any, corpus: Path) -> str:
    """Recall, wrong merges and agreement of families."""
    folder = bench.fresh("families")
    run([environments.python("text-dedup"), bench.SCRIPTS / "text_dedup_families.py", corpus, folder], folder)
    theirs = pq.read_table(folder / "families.parquet")
    ids = theirs["id"].to_pylist()
    place = {id: n for n, id in enumerate(ids)}
    texts, languages = _texts(corpus, ids)
    long = [len(text.split()) >= 5 for text in texts]
    unspaced = [language in registry() and registry().segmentation(language) == "unspaced" for language in languages]
    sets = [np.array(row, np.uint64) for row in theirs["shingles"].to_pylist()]
    run(bench.ours("dedup", corpus, "--set", "dedup.guard=false"), folder, {"CORPUS": str(corpus)})
    said = {
        "medcorpus": _ours(folder / "runs/bench", place, corpus),
        environments.version("text-dedup"): [place[family] for family in theirs["family"].to_pylist()],
    }
    pairs = [pair for pair in alike(sets, THRESHOLD + 0.1) if long[pair[0]] and long[pair[1]]]
    lines = [
        "| families | recall of pairs from 0.8 | of | wrong merges | of these without blanks | documents in a family |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, family in said.items():
        found = sum(family[one] == family[two] for one, two in pairs)
        wrong, inside = _wrong(family, sets, long)
        recall = f"{found / max(1, len(pairs)):.2%} | {len(pairs):,}"
        lines.append(f"| {name} | {recall} | {len(wrong)} | {sum(unspaced[n] for n in wrong)} | {inside:,} |")
    one, two = (_members(family, long) for family in said.values())
    same = sum(one[n] == two[n] for n in range(len(ids)) if long[n])
    return "\n".join([*lines, "", f"{same / sum(long):.1%} of {sum(long):,} documents are in the same family in both."])


def _texts(corpus: Path, ids: list[str]) -> tuple[list[str], list[str]]:
    """Texts and languages, in the order of `ids`."""
    table = pq.read_table(corpus, columns=["id", "text", "language"]).to_pylist()
    known = {row["id"]: row for row in table}
    return [known[id]["text"] for id in ids], [known[id]["language"] for id in ids]


def _ours(built: Path, place: dict[str, int], corpus: Path) -> list[int]:
    """Family of each document: the place of one of its members."""
    known = {}
    for part in sorted(corpus.glob("*.parquet")):
        for row, id in enumerate(pq.read_table(part, columns=["id"])["id"].to_pylist()):
            known[f"{part.name}#row={row}"] = place[id]
    family = list(range(len(place)))
    first: dict[str, int] = {}
    for file in sorted((built / "private/steps").glob("dedup-*/*.arrow")):
        if file.name.startswith(("emit", "resolve")):
            continue
        with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as stream:
            for batch in stream:
                for locator, name in zip(batch["locator"].to_pylist(), batch["dedup_family"].to_pylist(), strict=True):
                    if name is not None:
                        family[known[locator]] = first.setdefault(name, known[locator])
    return family


def alike(sets: list[np.ndarray], least: float) -> list[tuple[int, int]]:
    """All pairs whose Jaccard similarity is `least` or more, exactly: what two such sets share is among the rarest
    elements of both (prefix filter, Bayardo et al. 2007)."""
    often = Counter(int(one) for values in sets for one in values)
    index: dict[int, list[int]] = defaultdict(list)
    pairs = []
    for number, values in enumerate(sets):
        ordered = sorted(values.tolist(), key=lambda one: (often[one], one))
        candidates = set()
        for one in ordered[: len(ordered) - int(np.ceil(least * len(ordered))) + 1]:
            candidates.update(index[one])
            index[one].append(number)
        pairs += [(other, number) for other in candidates if jaccard(sets[other], values) >= least]
    return pairs


def jaccard(one: np.ndarray, two: np.ndarray) -> float:
    """Of two sorted arrays without repeats."""
    if min(len(one), len(two)) < 0.3 * max(len(one), len(two)):
        return 0.0
    shared = len(np.intersect1d(one, two, assume_unique=True))
    return shared / (len(one) + len(two) - shared)


def _members(family: list[int], long: list[bool]) -> list[frozenset[int]]:
    made: dict[int, set[int]] = defaultdict(set)
    for number, name in enumerate(family):
        if long[number]:
            made[name].add(number)
    frozen = {name: frozenset(numbers) for name, numbers in made.items()}
    return [frozen.get(name, frozenset()) for name in family]


def _wrong(family: list[int], sets: list[np.ndarray], long: list[bool]) -> tuple[list[int], int]:
    """(documents in a family without a partner at threshold - 0.2, number of documents in a family)."""
    wrong, inside = [], 0
    for number, members in enumerate(_members(family, long)):
        if long[number] and len(members) > 1:
            inside += 1
            others = (other for other in members if other != number)
            if all(jaccard(sets[number], sets[other]) < THRESHOLD - 0.2 for other in others):
                wrong.append(number)
    return wrong, inside


# -- labels -------------------------------------------------------------------------------------


def labels(bench: Any, corpus: Path) -> str:
    """Labels and scores of lid.176.ftz beside fastText's."""
    from medcorpus.text.lid.model import Model

    folder, file = bench.fresh("labels"), environments.lid176()
    run([environments.python("fasttext"), bench.SCRIPTS / "fasttext_langid.py", corpus, folder / "out", file], folder)
    theirs = pq.read_table(folder / "out/labels.parquet")
    texts = _texts(corpus, theirs["id"].to_pylist())[0]
    model = Model(Path(file))
    found, scores = model.predict_array(pa.array(texts))
    names = [*model.labels, "", ""]  # -1 and -2: no letters, nothing known
    equal = np.array([names[at] for at in found[:, 0]]) == np.array(theirs["label"].to_pylist())
    far = np.abs(scores[:, 0] - theirs["score"].to_numpy())[equal].max()
    share = f"{equal.mean():.2%} of {len(texts):,} documents"
    return f"lid.176.ftz: the label is fastText's for {share}, the score within {far:.1e}."


# -- rules --------------------------------------------------------------------------------------


def quality(bench: Any, corpus: Path) -> str:
    """Agreement of each rule with datatrove's."""
    from medcorpus.text.rules import figures
    from medcorpus.text.rules.words import tokens as tokenised

    folder = bench.fresh("rules")
    table = pq.read_table(corpus, columns=["text", "language"]).slice(0, TEXTS)
    rng = random.Random(5)
    spoken = {  # by text: so the peer is handed our tokens
        damaged(text, rng) if number % 2 else text: language for number, (text, language) in enumerate(_rows(table))
    }
    texts, languages = list(spoken), list(spoken.values())
    array = pa.array(texts)
    ends, starts, stops = tokenised(array)
    data = "".join(texts).encode()
    tokens = [[data[starts[t] : stops[t]].decode() for t in range(ends[n], ends[n + 1])] for n in range(len(texts))]
    given = {"id": [str(n) for n in range(len(texts))], "text": array, "language": languages, "tokens": tokens}
    pq.write_table(pa.table(given), folder / "texts.parquet")
    found = figures.figures(figures.counts(array))
    said = {}
    for how in ("same", "own"):
        command = [environments.python("datatrove"), bench.SCRIPTS / "datatrove_rules.py", folder / "texts.parquet"]
        run([*command, folder / f"{how}.parquet", *(["own"] if how == "own" else [])], folder)
        said[how] = pq.read_table(folder / f"{how}.parquet").drop_columns(["id"]).to_pydict()
    lines = [
        f"{environments.version('datatrove')}, {len(texts):,} texts, every other one damaged; given the same tokens:",
        "",
        "| rule | drops here | there | equal |",
        "|---|---:|---:|---:|",
    ]
    by_language: dict[str, list[bool]] = defaultdict(list)
    for name, theirs in said["same"].items():
        ours = _drops(name, found, len(texts))
        equal = [one == two for one, two in zip(ours, theirs, strict=True) if two is not None]
        mark = "" if name in LINE_RULES else " (words)"
        here = sum(one for one, two in zip(ours, theirs, strict=True) if two is not None)
        there = sum(filter(None, theirs))
        lines.append(f"| {name}{mark} | {here:,} | {there:,} | {sum(equal) / len(equal):.2%} |")
        if mark:
            for language, one, two in zip(languages, ours, said["own"][name], strict=True):
                if two is not None:
                    by_language[language].append(one == two)
    lines += ["", "Rules on words, each language with the tokens of the peer itself:", ""]
    lines += ["| language | equal |", "|---|---:|"]
    most = sorted(by_language.items(), key=lambda item: -len(item[1]))[:20]
    lines += [f"| {language} | {sum(equal) / len(equal):.2%} |" for language, equal in most]
    return "\n".join(lines)


def _rows(table: pa.Table) -> list[tuple[str, str]]:
    return list(zip(table["text"].to_pylist(), table["language"].to_pylist(), strict=True))


def _drops(names: str, found: dict[str, np.ndarray], count: int) -> list[bool]:
    """Whether a limit of one of `names` is passed, for each text."""
    from medcorpus.text.rules.published import PUBLISHED

    limits = {name: limit for rules in PUBLISHED.values() for name, limit in rules.items()}
    gone = np.zeros(count, bool)
    for name in names.split(", "):
        least, most = limits[name]
        if least is not None:
            gone |= found[name] < np.float32(least)
        if most is not None:
            gone |= found[name] > np.float32(most)
    return gone.tolist()


def damaged(text: str, rng: random.Random) -> str:
    """`text` with one kind of dirt that some rule looks for."""
    lines, words = text.split("\n"), text.split()
    kind = rng.randrange(14)
    if kind == 0:
        return "\n".join([*lines, *[rng.choice(lines)] * rng.randrange(1, 9)])
    if kind == 1:
        return "\n\n".join([*lines, *rng.choices(lines, k=rng.randrange(1, 9))])
    if kind == 2:
        return "\n".join("- " + line for line in lines)
    if kind == 3:
        return text.replace(". ", "...\n")
    if kind == 4:
        return " ".join(word + (" #" if rng.random() < 0.12 else "") for word in words)
    if kind == 5:
        return " ".join(word + (" ..." if rng.random() < 0.12 else "") for word in words)
    if kind == 6:
        return text + " " + " ".join(rng.choices(words, k=rng.randrange(2, 6))) * rng.randrange(2, 30)
    if kind == 7:
        return " ".join(words[: rng.randrange(1, 90)])
    if kind == 8:
        return "\n".join(words[: rng.randrange(1, 200)])
    if kind == 9:
        return text + "\nLorem ipsum dolor sit amet, consectetur."
    if kind == 10:
        return text + "\nfunction f() { return to the caller; }" * rng.randrange(1, 4)
    if kind == 11:
        return "\n".join(line.rstrip(".") for line in lines) + "\nBy using this site you accept the Terms of Use."
    if kind == 12:
        return " ".join(word if rng.random() < 0.8 else str(rng.randrange(10**6)) for word in words)
    return (text + "\n") * rng.randrange(2, 4)
