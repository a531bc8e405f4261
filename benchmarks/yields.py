"""`python -m benchmarks.yields [--plot PNG] [--json FILE]`: rows kept by the published rules, before and after.

Before: limits as published, Gopher's English stop words asked of English alone. After: `calibration: shipped`, derived
from SIB-200 train and the Declaration of Human Rights; none of the texts shown here was seen for it, but what of
SIB-200 dev is parallel to its train part. Junk is the pages of `web/trafilatura_gold` without extraction: style sheets,
scripts and mark-up as they stand in the file, and the menus (links one a line). MEDCORPUS_DATA names the folder.
"""

import argparse
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa

from medcorpus.cli.calibrate_quality import Kept, count, markdown
from medcorpus.core.schema import RECORD, conform
from medcorpus.core.stage import Context

FEWEST = 50
"""Rows of a language and source that are shown."""

EXAMS = {"text": "question", "language": {"from": "stem"}}
GOOD: dict[str, tuple[dict, ...]] = {
    "SIB-200 dev": (
        {
            "path": "lid/sib200/*.dev.tsv.gz", "quoting": False, "labels": "sib200",
            "columns": {"text": "text", "language": {"from": "stem", "split": ".", "part": 0}},
        },
    ),
    "TICO-19": ({"path": "documents/tico19_tmx", "labels": "tico19"},),
    "exams": (
        {"path": "exams/xmedbench", "columns": EXAMS},
        {"path": "exams/medqa_usmle_en/**/*.jsonl", "language": "en"},
        {"path": "exams/headqa_es/test_HEAD.json", "language": "es"},
        {"path": "exams/rumedbench_ru/RuMedTest/*.jsonl", "language": "ru"},
    ),
    "MedQuAD": ({"path": "documents/medquad_en", "language": "en"},),
    "Nigerian guidelines": ({"path": "documents/nigeria_guidelines_en/raw data", "language": "en"},),
    "leaflets": ({"path": "documents/epi_leaflets_eu"},),
    "COVID guidance": (
        {"path": "documents/covid_guidance/dotw", "labels": "covid19-datashare"},
        {
            "path": ["documents/covid_guidance/canadagov", "documents/covid_guidance/kingcounty"], "format": "txt",
            "labels": "covid19-datashare", "columns": {"language": {"from": "extension"}},
        },
    ),
    "OpenStax anatomy": ({"path": "documents/openstax_anatomy_cnxml_en", "language": "en"},),
    "Russian guidelines": (
        {
            "path": "documents/clinrec_ru_json/tests/fixtures", "language": "ru", "records": "obj.sections",
            "columns": {"text": "content"},
        },
    ),
    "Chinese dialogues": (
        {
            "path": "documents/chinese_medical_dialogue_gbk/**/*.csv", "kind": "qa", "language": "zh",
            "columns": {"question": "ask", "answer": "answer", "title": "title"},
        },
    ),
}  # fmt: skip
"""Real medical text by source, each for the stage `ingest`."""

_LINK = re.compile(r"<a\b[^>]*>(.*?)</a>", re.S | re.I)
_CODE = re.compile(r"<(script|style)\b[^>]*>(.+?)</\1>", re.S | re.I)
_TAG = re.compile(r"<[^>]+>")


def good(root: Path, sources: tuple[dict, ...]) -> Iterator[pa.RecordBatch]:
    """Records with a language: stated, or told by `langid`."""
    from medcorpus.stages.extract import Extract
    from medcorpus.stages.ingest import Ingest, IngestParams
    from medcorpus.stages.langid import Langid

    langid, extract = Langid(Langid.Params(), Context("langid")), Extract(Extract.Params(), Context("extract"))
    langid.open()
    extract.open()
    for source in sources:
        ingest = Ingest(IngestParams(**source), Context("ingest", str(root)))
        for partition in ingest.partitions():
            for batch in ingest.read(partition.spec, lambda bad: None):
                batch = extract.apply(batch)
                yield langid.apply(batch) if batch["language"].null_count else batch


def junk(root: Path) -> dict[str, list[pa.RecordBatch]]:
    """What a careless crawl keeps of a page: code, mark-up, and its menu."""
    code, markup, menus = [], [], []
    for path in sorted((root / "web/trafilatura_gold").rglob("*.html")):
        page = path.read_bytes().decode("utf-8", "replace")
        code += [found for _, found in _CODE.findall(page) if len(found) > 200]
        markup.append(page)
        links = [" ".join(_TAG.sub(" ", link).split()) for link in _LINK.findall(page)]
        menus.append("\n".join(link for link in links if 0 < len(link) < 30))
    named = {"scripts and style sheets": code, "mark-up": markup, "menus": [menu for menu in menus if menu]}
    return {name: list(_records(texts)) for name, texts in named.items()}


def _records(texts: list[str]) -> Iterable[pa.RecordBatch]:
    from medcorpus.stages.langid import Langid

    langid = Langid(Langid.Params(), Context("langid"))
    langid.open()
    given = {
        "id": [f"{at:032x}" for at in range(len(texts))], "kind": ["text"] * len(texts), "text": texts,
        "source": ["web"] * len(texts), "locator": [str(at) for at in range(len(texts))],
    }  # fmt: skip
    batch = conform(pa.RecordBatch.from_pydict(given), RECORD)
    yield langid.apply(batch)


def yields(root: Path) -> tuple[dict[str, tuple[Kept, Kept]], dict[str, tuple[Kept, Kept]]]:
    """Of good text by source and language, and of junk by kind (all languages as one): kept before and after."""
    kept = {}
    for name, sources in GOOD.items():
        batches = list(good(root, sources))
        before, after = (count(batches, given) for given in ("none", "shipped"))
        wanted = {code for code, counts in before.items() if counts["rows"] >= FEWEST}
        if name == "COVID guidance" or name == "leaflets":  # many languages, few documents each
            before, after = whole(before), whole(after)
            wanted = {"all"}
        kept[name] = tuple(
            {code: counts for code, counts in side.items() if code in wanted} for side in (before, after)
        )
    dropped = {
        name: (whole(count(batches, "none")), whole(count(batches, "shipped"))) for name, batches in junk(root).items()
    }
    return kept, dropped


def whole(found: Kept) -> Kept:
    """All languages as one, `all`."""
    names = {name for counts in found.values() for name in counts}
    return {"all": {name: sum(counts[name] for counts in found.values()) for name in sorted(names)}}


def plot(found: dict[str, tuple[Kept, Kept]], path: Path) -> None:
    """Rows kept by all of FineWeb's rule sets, before and after, a dot each for every language (needs matplotlib)."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows: dict[str, list[float]] = {}
    for before, after in found.values():
        for code, counts in before.items():
            mine = rows.setdefault(code, [0, 0, 0])
            for at, value in enumerate((counts["rows"], counts["all"], after[code]["all"])):
                mine[at] += value
    order = sorted(rows, key=lambda code: rows[code][2] / rows[code][0])
    figure, axes = plt.subplots(figsize=(7, 0.16 * len(order) + 1))
    for side, colour, label in ((1, "tab:red", "as published"), (2, "tab:blue", "by language")):
        shares = [100 * rows[code][side] / rows[code][0] for code in order]
        axes.scatter(shares, range(len(order)), s=14, color=colour, label=label)
    axes.set_yticks(range(len(order)), order, fontsize=6)
    axes.set_xlabel("good text kept by the rules of Gopher, C4 and FineWeb, percent")
    axes.set_xlim(0, 101)
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.yields")
    parser.add_argument("--plot", type=Path, help="write a plot (.png); needs matplotlib")
    parser.add_argument("--json", type=Path, help="write the counts")
    given = parser.parse_args()
    root = Path(os.environ.get("MEDCORPUS_DATA") or Path(__file__).parents[2] / "shared" / "data")
    kept, dropped = yields(root)
    print(markdown(kept), "\n\nJunk, percent kept:\n", markdown(dropped), sep="\n")
    if given.plot:
        plot(kept, given.plot)
    if given.json:
        given.json.write_text(json.dumps({"good": kept, "junk": dropped}, indent=1) + "\n")


if __name__ == "__main__":
    main()
