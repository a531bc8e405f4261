"""Each quality rule beside datatrove's: alone, a rule drops a text or not.

Texts of the corpus, every other one damaged on purpose (lines, words and paragraphs repeated, symbols and bullets put
in, ends of lines cut off), as most texts pass every rule. Rules on *lines and characters* need no tokens; C4's rules
for lines are held to more, the same number of lines left. Rules on *words* are compared given our tokens, and C4's
number of *sentences* with spaCy's sentencizer over our tokens (datatrove's own, but for the tokens). Then with what the
peer itself cuts into words and sentences, by language.
"""

import random
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import environments
from benchmarks.measure import run

TEXTS, SHOWN = 4000, 30
LINE_RULES = (
    "gopher_duplicate_lines", "gopher_duplicate_paragraphs", "gopher_duplicate_line_chars",
    "gopher_duplicate_paragraph_chars", "gopher_bullet_lines", "gopher_ellipsis_lines", "c4_banned", "c4_open_banned",
    "fineweb_ended_lines", "fineweb_short_lines", "fineweb_duplicate_chars",
)  # fmt: skip
LINES_LEFT, SENTENCES = ("c4_lines", "c4_open_lines"), ("c4_sentences", "c4_open_sentences")
_CITATION = re.compile(r"\[\d*]|\[edit]|\[citation needed]")  # as datatrove has it


def report(bench: Any, corpus: Path) -> str:
    """Agreement of each rule as Markdown."""
    from medcorpus.text.rules import figures

    folder = bench.fresh("rules")
    table = pq.read_table(corpus, columns=["text", "language"]).slice(0, TEXTS)
    rng = random.Random(5)
    spoken = {  # by text: so the peer is handed our tokens
        damaged(text, rng) if number % 2 else text: language
        for number, (text, language) in enumerate(
            zip(table["text"].to_pylist(), table["language"].to_pylist(), strict=True)
        )
    }
    texts, languages = list(spoken), list(spoken.values())
    given = {"id": [str(n) for n in range(len(texts))], "text": texts, "language": languages, "tokens": _tokens(texts)}
    pq.write_table(pa.table(given), folder / "texts.parquet")
    lines = sorted({_CITATION.sub("", line.strip()) for text in texts for line in text.splitlines()})
    pq.write_table(pa.table({"line": lines, "tokens": _tokens(lines)}), folder / "lines.parquet")
    counts = figures.counts(pa.array(texts))
    found = figures.figures(counts)
    said = {}
    for how in ("same", "own"):
        command = [environments.python("datatrove"), bench.SCRIPTS / "datatrove_rules.py", folder / "texts.parquet"]
        run([*command, folder / f"{how}.parquet", *([folder / "lines.parquet"] if how == "same" else [])], folder)
        said[how] = pq.read_table(folder / f"{how}.parquet").drop_columns(["id"]).to_pydict()
    ours = {name: counts[name].tolist() if name in LINES_LEFT else _drops(name, found) for name in said["same"]}
    return "\n\n".join(
        [
            f"{environments.version('datatrove')}, {len(texts):,} texts, every other one damaged; given our tokens:",
            _by_rule(ours, said["same"]),
            "Rules on words, and on sentences, each language with what the peer itself cuts:",
            _by_language(ours, said["own"], languages),
        ]
    )


def _by_rule(ours: dict[str, list], theirs: dict[str, list]) -> str:
    rows = ["| rule | on | drops here | there | equal |", "|---|---|---:|---:|---:|"]
    lowest: dict[str, float] = {}
    for name in theirs:
        both = [(one, two) for one, two in zip(ours[name], theirs[name], strict=True) if two is not None]
        equal = sum(one == two for one, two in both) / len(both)
        kind = _kind(name)
        lowest[kind] = min(equal, lowest.get(kind, 1))
        what = f"{name}: lines left" if name in LINES_LEFT else name
        rows.append(f"| {what} | {kind} | {sum(a for a, _ in both):,} | {sum(b for _, b in both):,} | {equal:.2%} |")
    said = ", ".join(f"{kind} {equal:.2%}" for kind, equal in lowest.items())
    return "\n".join([*rows, "", f"The least equal of each kind: {said}."])


def _by_language(ours: dict[str, list], theirs: dict[str, list], languages: list[str]) -> str:
    equal: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for name in theirs:
        for language, one, two in zip(languages, ours[name], theirs[name], strict=True):
            if two is not None and _kind(name) in ("words", "sentences"):
                equal[language][_kind(name)].append(one == two)
    most = sorted(equal.items(), key=lambda item: -len(item[1]["words"]))
    rows = ["| language | texts | words | sentences |", "|---|---:|---:|---:|"]
    for language, kinds in most[:SHOWN]:
        shares = " | ".join(f"{sum(kinds[kind]) / len(kinds[kind]):.2%}" for kind in ("words", "sentences"))
        rows.append(f"| {language} | {len(kinds['sentences']) // len(SENTENCES)} | {shares} |")
    alone = sorted(set(languages) - set(equal))
    rest = f"{len(most) - SHOWN} more languages are not shown; " if len(most) > SHOWN else ""
    return "\n".join([*rows, "", f"{rest}without a tokenizer in datatrove as it is installed: {', '.join(alone)}."])


def _kind(name: str) -> str:
    if name in LINE_RULES or name in LINES_LEFT:
        return "lines"
    return "sentences" if name in SENTENCES else "words"


def _tokens(texts: list[str]) -> list[list[str]]:
    """Our tokens of each text."""
    from medcorpus.text.rules.words import tokens

    ends, starts, stops = tokens(pa.array(texts, pa.string()))
    data = "".join(texts).encode()
    return [[data[starts[t] : stops[t]].decode() for t in range(ends[n], ends[n + 1])] for n in range(len(texts))]


def _drops(names: str, found: dict[str, np.ndarray]) -> list[bool]:
    """Whether a limit of one of `names` is passed, for each text."""
    from medcorpus.text.rules.published import PUBLISHED

    limits = {name: limit for rules in PUBLISHED.values() for name, limit in rules.items()}
    gone = np.zeros(len(next(iter(found.values()))), bool)
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
