"""`python -m benchmarks.corpus OUT [--mb 138] [--from FOLDER]`: a corpus of any size made of real sentences.

Documents are made by sampling sentences (seeded) within one language, as many as a real document has; of every ten
documents two are exact copies of an earlier one and one is a near copy: 3% of its words are exchanged for others of
the language, or, where no blanks part words, 3% of its characters (an exchanged "word" would be the whole text there).
`duplicate` says which, `of` of what. Sentences come from the real data (MEDCORPUS_DATA), or from any folder of text; of
a language with more than MOST of them a sample is kept, so memory does not hang on the size of the folder or of OUT.

OUT receives parts of parquet (zstd, row groups of 8,192), columns id, text, language, duplicate, of.
"""

import argparse
import os
import random
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

PARTS, GROUP = 4, 8192
EXACT, NEAR, EXCHANGED = 0.2, 0.1, 0.03
LEAST, MOST = 200, 400_000  # sentences that a language needs, and that are kept of it
SOURCES = (
    {"path": "documents/nigeria_guidelines_en/raw data", "language": "en"},
    {"path": "documents/openstax_anatomy_cnxml_en", "language": "en"},
    {"path": "documents/medquad_en", "language": "en"},
    {"path": "documents/tico19_tmx", "labels": "tico19"},
    {"path": "documents/chinese_medical_dialogue_gbk/**/*.csv", "language": "zh", "columns": {"text": "answer"}},
    {"path": "exams/xmedbench", "columns": {"text": "question", "language": {"from": "stem"}}},
    {
        "path": "lid/sib200/*.tsv.gz", "quoting": False, "labels": "sib200",
        "columns": {"text": "text", "language": {"from": "stem", "split": ".", "part": 0}},
    },
    {"path": "lid/udhr_unicode"},
)  # fmt: skip
_SENTENCE = re.compile(r"[^\n.!?。！？।؟።]+[.!?。！？।؟።]*")


def texts(root: Path, sources: tuple[dict, ...]) -> Iterator[tuple[str, str]]:
    """(language, text) of every document; a language that is not stated is told by the shipped model."""
    from medcorpus.core.stage import Context
    from medcorpus.stages.ingest import Ingest, IngestParams
    from medcorpus.stages.langid import Langid

    langid = Langid(Langid.Params(), Context("langid"))
    langid.open()
    for source in sources:
        ingest = Ingest(IngestParams(**source), Context("ingest", str(root)))
        for partition in ingest.partitions():
            for batch in ingest.read(partition.spec, lambda bad: None):
                if batch["language"].null_count:
                    batch = langid.apply(batch)
                yield from zip(batch["language"].to_pylist(), batch["text"].to_pylist(), strict=True)


class Written(NamedTuple):
    """A corpus: how many documents, bytes of text, and documents that are copies of an earlier one."""

    documents: int
    bytes: int
    exact: int
    near: int

    def __str__(self) -> str:
        exact, near = (kind / max(1, self.documents) for kind in (self.exact, self.near))
        size = f"{self.documents:,} documents, {self.bytes / 1e6:.1f} MB of text"
        return f"{size}, {exact:.1%} exact and {near:.1%} near copies (planned {EXACT:.0%} and {NEAR:.0%})"


class Reservoir(list[Any]):
    """At most MOST of what is added, each as likely as the other (Vitter 1985, algorithm R)."""

    def __init__(self, rng: random.Random):
        super().__init__()
        self.rng, self.seen = rng, 0

    def add(self, one: Any) -> None:
        self.seen += 1
        if self.seen <= MOST:
            self.append(one)
        elif (place := self.rng.randrange(self.seen)) < MOST:
            self[place] = one


class Pool:
    """Sentences and words of one language, and how many sentences its documents have."""

    def __init__(self, spaced: bool, rng: random.Random):
        self.sentences, self.lengths = Reservoir(rng), Reservoir(rng)
        self.spaced = spaced
        self.size = 0
        self.units: list[str] = []

    def add(self, text: str) -> None:
        found = [one.strip() for one in _SENTENCE.findall(text) if len(one.strip()) > 10]
        for one in found:
            self.sentences.add(one)
        self.lengths.add(len(found))
        self.size += len(text)

    def close(self, rng: random.Random) -> None:
        """Words, or characters, to exchange others for."""
        some = " ".join(rng.sample(self.sentences, min(len(self.sentences), 2000)))
        self.units = some.split() if self.spaced else [char for char in some if char.isalpha()]

    def document(self, rng: random.Random) -> str:
        many = max(6, min(rng.choice(self.lengths), 60), rng.randrange(8, 24))
        chosen = rng.choices(self.sentences, k=many)
        return "".join(one + ("\n" if place % 5 == 4 else " ") for place, one in enumerate(chosen)).strip()

    def near(self, text: str, rng: random.Random) -> str:
        parts = re.split(r"(\s)", text) if self.spaced else list(text)
        places = [place for place, part in enumerate(parts) if part.strip()]
        for place in rng.sample(places, max(1, round(EXCHANGED * len(places)))):
            parts[place] = rng.choice(self.units)
        return "".join(parts)


def pools(found: Iterator[tuple[str, str]], rng: random.Random) -> dict[str, Pool]:
    """Languages with enough sentences."""
    from medcorpus.core.languages import registry

    made: dict[str, Pool] = {}
    for language, text in found:
        if language and text and language in registry():
            if language not in made:
                made[language] = Pool(registry().segmentation(language) == "spaced", rng)
            made[language].add(text)
    kept = {language: pool for language, pool in made.items() if len(set(pool.sentences)) >= LEAST}
    if not kept:
        sys.exit(f"no language has {LEAST} sentences there")
    for pool in kept.values():
        pool.close(rng)
    return kept


def documents(made: dict[str, Pool], size: int, rng: random.Random) -> Iterator[dict[str, str]]:
    """Documents of `size` bytes of text in all."""
    names = sorted(made)
    weights = [min(made[name].size, 4_000_000) ** 0.5 for name in names]
    before: dict[str, list[tuple[str, str]]] = defaultdict(list)
    number = total = 0
    while total < size:
        language = rng.choices(names, weights)[0]
        pool, earlier, what = made[language], before[language], rng.random()
        kind = of = ""
        if earlier and what < EXACT + NEAR:
            kind = "exact" if what < EXACT else "near"
            of, text = rng.choice(earlier)
            text = text if kind == "exact" else pool.near(text, rng)
        else:
            text = pool.document(rng)
        id = f"{number:09}"
        if not kind:
            if len(earlier) < 1000:
                earlier.append((id, text))
            else:
                earlier[rng.randrange(1000)] = (id, text)
        yield {"id": id, "text": text, "language": language, "duplicate": kind, "of": of}
        total += len(text.encode())
        number += 1


def write(out: Path, rows: Iterator[dict[str, str]]) -> Written:
    """Rows into PARTS files, a group each in turn."""
    out.mkdir(parents=True, exist_ok=True)
    schema = pa.schema([(name, pa.string()) for name in ("id", "text", "language", "duplicate", "of")])
    writers = [
        pq.ParquetWriter(out / f"part-{n}.parquet", schema, compression="zstd", compression_level=1)
        for n in range(PARTS)
    ]
    count = size = 0
    copies = {"": 0, "exact": 0, "near": 0}
    groups: list[list[dict[str, str]]] = [[] for _ in writers]

    def flush(part: int) -> None:
        writers[part].write_table(pa.Table.from_pylist(groups[part], schema=schema), row_group_size=GROUP)
        groups[part].clear()

    for row in rows:
        part = count % PARTS
        groups[part].append(row)
        copies[row["duplicate"]] += 1
        count, size = count + 1, size + len(row["text"].encode())
        if len(groups[part]) == GROUP:
            flush(part)
    for part in range(PARTS):
        flush(part)
    for writer in writers:
        writer.close()
    return Written(count, size, copies["exact"], copies["near"])


def make(out: Path, megabytes: int, folder: str | None = None, seed: int = 7) -> Written:
    """Write a corpus of `megabytes` or a document more. Exits when there is nothing to make it of."""
    data = os.environ.get("MEDCORPUS_DATA") or str(Path(__file__).parents[2] / "shared" / "data")
    rng = random.Random(seed)
    if folder is None and not Path(data).is_dir():
        sys.exit("set MEDCORPUS_DATA to the real data, or name a folder of text with --from")
    root, sources = (Path(data), SOURCES) if folder is None else (Path(folder), ({"path": "."},))
    return write(out, documents(pools(texts(root, sources), rng), megabytes * 1_000_000, rng))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.corpus", description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--mb", type=int, default=138)
    parser.add_argument("--from", dest="folder")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    print(f"{given.out}: {make(given.out, given.mb, given.folder, given.seed)}")
