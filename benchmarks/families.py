"""Families of near-duplicates beside the peers', and beside what is exactly so.

Families (never survivors) on documents of five tokens between blanks and more, guard off; a family is a connected
component. The judge is an exact oracle (`oracle`): pairs of Jaccard similarity threshold + 0.1 and more have to share
a family; a document in a family where none reaches threshold - 0.2 is a wrong merge.

Whose tokens the judge takes decides who is right. A document of a script that sets words apart is judged by the
peer's own shingles, a table for each peer. One of a script that does not (Chinese, Thai ...) is a token or a few to
the peers, so that one character exchanged is a tenth of the text: those are judged by 5-grams of characters that are
made here, in Python, and are neither theirs nor ours.
"""

import hashlib
import unicodedata
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import environments
from benchmarks.measure import run
from benchmarks.oracle import Sets, alike
from medcorpus.core import overlay
from medcorpus.core.languages import registry

THRESHOLD, ABOVE, BELOW, LEAST_TOKENS = 0.7, 0.1, 0.2, 5
PEERS = {"text-dedup": "text_dedup", "datatrove": "datatrove", "data-juicer": "data_juicer"}
_NONE = np.empty(0, np.uint64)


class Documents(NamedTuple):
    """Of n documents, in the order of the corpus."""

    ids: list[str]
    texts: list[str]
    languages: list[str]

    @property
    def long(self) -> np.ndarray:
        """bool[n]: of tokens enough to be compared."""
        return np.array([len(text.split()) >= LEAST_TOKENS for text in self.texts])

    @property
    def unspaced(self) -> np.ndarray:
        """bool[n]: in a script that does not set words apart."""
        known = registry()
        return np.array([name in known and known.segmentation(name) == "unspaced" for name in self.languages])


class Verdict(NamedTuple):
    """What a judge finds of somebody's families."""

    pairs: int  # that have to share a family
    found: int
    wrong: list[int]  # documents in a family without a partner
    inside: int  # documents in a family


def beside_peers(bench: Any, corpus: Path) -> str:
    """Recall, wrong merges and agreement as Markdown."""
    there = [peer for peer in PEERS if environments.python(peer).exists()]
    missing = [peer for peer in PEERS if peer not in there]
    documents = read(corpus)
    folder = bench.fresh("families")
    run(bench.ours("dedup", corpus, "--set", "dedup.guard=false"), folder, {"CORPUS": str(corpus)})
    ours = families_of(folder / "runs/bench", corpus)
    spaced, unspaced = (documents.long & which for which in (~documents.unspaced, documents.unspaced))
    texts = zip(documents.texts, unspaced, strict=True)
    by_characters = Sets.of([characters(text) if which else _NONE for text, which in texts])
    lines = [
        "| families | judged by shingles of | pairs from 0.8 | recall | wrong merges | documents in a family |",
        "|---|---|---:|---:|---:|---:|",
    ]
    same = []
    for peer in there:
        theirs, shingles = _run(bench, peer, corpus, folder, documents)
        name = environments.version(peer)
        for judge, sets, which in (
            (f"{name}, spaced scripts", shingles, spaced),
            ("characters, unspaced scripts", by_characters, unspaced),
        ):
            pairs = asked(sets, which)
            for who, family in (("medcorpus", ours), (name, theirs)):
                lines.append(_row(who, judge, judged(family, sets, pairs, which)))
        one, two = (members(family, documents.long) for family in (ours, theirs))
        for what, which in (("all", documents.long), ("spaced", spaced)):
            equal = sum(one[n] == two[n] for n in np.flatnonzero(which))
            same.append(f"{equal / max(1, which.sum()):.1%} of {which.sum():,} documents ({what}) with {name}")
    said = [f"Documents in the same family in both: {'; '.join(same)}."] if same else []
    said += [f"Families: not installed: {', '.join(missing)}."] if missing else []
    return "\n".join([*lines, "", *said]) if there else "\n".join(said)


def _run(bench: Any, peer: str, corpus: Path, folder: Path, documents: Documents) -> tuple[np.ndarray, Sets]:
    """Families and shingles of a peer, in our order."""
    out = folder / peer
    out.mkdir()
    command = [environments.python(peer), bench.SCRIPTS / f"{PEERS[peer]}_families.py", corpus, out]
    run(command, out, {"HF_HUB_OFFLINE": "1"})
    return read_families(out / "families.parquet", documents)


def read_families(file: Path, documents: Documents) -> tuple[np.ndarray, Sets]:
    """What a script in `peers` wrote: (family of each document, its shingles), in the order of `documents`."""
    table = pq.read_table(file)
    place = {id: n for n, id in enumerate(documents.ids)}
    family, rows = np.arange(len(place)), [_NONE] * len(place)
    for id, name, values in zip(*(table[column].to_pylist() for column in ("id", "family", "shingles")), strict=True):
        family[place[id]] = place[name]
        rows[place[id]] = np.array(values, np.uint64)
    return family, Sets.of(rows)


def _row(who: str, judge: str, said: Verdict) -> str:
    recall = f"{said.found / said.pairs:.2%}" if said.pairs else ""
    return f"| {who} | {judge} | {said.pairs:,} | {recall} | {len(said.wrong)} | {said.inside:,} |"


def read(corpus: Path) -> Documents:
    """The documents of a corpus, part by part."""
    tables = [pq.read_table(part, columns=["id", "text", "language"]) for part in parts(corpus)]
    table = pa.concat_tables(tables)
    return Documents(*(table[name].to_pylist() for name in ("id", "text", "language")))


def parts(corpus: Path) -> list[Path]:
    """Files of a corpus in their order, which is that of its documents here."""
    return sorted(corpus.glob("*.parquet"))


def families_of(built: Path, corpus: Path) -> np.ndarray:
    """int64[n]: the place of one member of the family that our run put each document into."""
    start, rows = {}, 0
    for part in parts(corpus):
        start[part.name] = rows
        rows += pq.ParquetFile(part).metadata.num_rows
    family = np.arange(rows)
    first: dict[str, int] = {}
    for file in sorted((built / "private/steps").glob("dedup-*/*.arrow")):
        if file.name.startswith(("emit", "resolve")):
            continue
        for batch in overlay.read(pa.memory_map, str(file), ("locator", "dedup_family")):
            for locator, name in zip(batch["locator"].to_pylist(), batch["dedup_family"].to_pylist(), strict=True):
                if name is not None:
                    part, _, row = locator.rpartition("#row=")
                    place = start[part] + int(row)
                    family[place] = first.setdefault(name, place)
    return family


def characters(text: str) -> np.ndarray:
    """64-bit hashes of the distinct 5-grams of letters with their marks, and digits; case and what is between fall."""
    made: list[str] = []
    for char in unicodedata.normalize("NFC", text.casefold()):
        kind = unicodedata.category(char)[0]
        if kind == "M" and made:
            made[-1] += char
        elif kind in "LN":
            made.append(char)
    grams = {"".join(made[at : at + 5]) for at in range(len(made) - 4)}
    hashes = b"".join(hashlib.blake2b(gram.encode(), digest_size=8).digest() for gram in grams)
    return np.frombuffer(hashes, np.uint64)


def asked(sets: Sets, which: np.ndarray) -> np.ndarray:
    """int64[n, 2]: pairs of `which` (bool) that have to share a family."""
    pairs = alike(sets, THRESHOLD + ABOVE)
    return pairs[which[pairs].all(axis=1)]


def members(family: np.ndarray, which: np.ndarray) -> list[frozenset[int]]:
    """For each document those of its family among `which` (bool)."""
    made: dict[int, list[int]] = defaultdict(list)
    for number in np.flatnonzero(which).tolist():
        made[int(family[number])].append(number)
    frozen = {name: frozenset(numbers) for name, numbers in made.items()}
    return [frozen.get(name, frozenset()) for name in family.tolist()]


def judged(family: np.ndarray, sets: Sets, pairs: np.ndarray, which: np.ndarray) -> Verdict:
    """Whether the families of `which` (bool) hold the `pairs`, and who is in one without a partner."""
    wrong, inside = [], 0
    for number, together in enumerate(members(family, which)):
        if which[number] and len(together) > 1:
            inside += 1
            if all(sets.jaccard(number, other) < THRESHOLD - BELOW for other in together if other != number):
                wrong.append(number)
    return Verdict(len(pairs), int((family[pairs[:, 0]] == family[pairs[:, 1]]).sum()), wrong, inside)
