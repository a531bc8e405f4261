"""Sentences no model of ours was trained on, from sources other than SIB-200, in the language the source states.

    udhr       articles 26 to 30 of the Universal Declaration, stage 4 or 5
    leaflets   medicine leaflets: FHIR (es), PDF (da en es fi pt, where pypdfium2 is installed)
    exams      questions: en es fr hi it ja ru zh ar
    guidelines Nigeria (en), Russian clinical recommendations (ru)
    dialogues  Chinese consultations
    covid      public-health guidance: some 60 languages, named by the file
    pages      web pages, in the language of `<html lang>` where it is right, else as read by hand (`_PAGES`)

A sentence has MIN_WORDS words, or MIN_LETTERS letters where words are not spaced, and three of four characters are
letters: references, addresses and tables are none. English in text of other languages (notices, titles of papers,
quotations) is taken out by `is_english`, which knows no model, and so are lines in Latin letters where the language has
others. From each source at most MOST sentences of a language are taken, evenly spread.
"""

import csv
import gzip
import html
import io
import json
import re
import tarfile
import unicodedata
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from medcorpus.core.languages import UnknownLanguage, registry

DATA = Path(__file__).parents[3].parent / "shared" / "data"
SIB = DATA / "lid" / "sib200"
MIN_WORDS, MIN_LETTERS, MOST = 6, 10, 250

_END = re.compile(r"\n|(?<=[.!?։።؟۔।])\s+|(?<=[。！？])")
_WORD = re.compile(r"[^\W\d_]+")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u0f00-\u109f\u1780-\u17ff\u3041-\u30fa\u3400-\u9fff]")


class Sentence(NamedTuple):
    """`code` is the registry's."""

    source: str
    code: str
    text: str


def cut(text: str) -> Iterator[str]:
    """Sentences of `text` that are long enough to be one."""
    for piece in _END.split(text):
        line = " ".join(piece.split())
        letters = sum(map(str.isalpha, line))
        enough = letters >= MIN_LETTERS if _UNSPACED.search(line) else len(_WORD.findall(line)) >= MIN_WORDS
        letters += sum(unicodedata.category(one) in ("Mn", "Mc") for one in line)  # vowel signs
        if enough and letters >= 0.75 * len(line.replace(" ", "")):
            yield line


@cache
def english_words() -> frozenset[str]:
    """Words of SIB-200's English sentences and of the English guidance."""
    guidance = [_plain(_read(DATA / "documents" / "covid_guidance" / name)) for name in _ENGLISH]
    lines = [text for label, text in sib("train") if label == "eng_Latn"]
    return frozenset(_WORD.findall(" ".join(lines + guidance).lower()))


_ENGLISH = ("dotw/eng.xml", "kingcounty/kingcounty.eng", "mythbusters/English.txt")


def is_english(line: str) -> bool:
    """Whether more than half of the words are known English ones."""
    words = [word.lower() for word in _WORD.findall(line)]
    return sum(word in english_words() for word in words) > len(words) / 2


def _wanted(code: str, line: str) -> bool:
    language = registry().get(code)
    if code == "eng" or language is None:
        return True
    latin = sum("LATIN" in unicodedata.name(one, "") for one in line if one.isalpha())
    foreign = "Latn" not in language.scripts and latin > sum(map(str.isalpha, line)) / 2
    return not foreign and not is_english(line)


@cache
def sentences() -> tuple[Sentence, ...]:
    """All of them, source by source."""
    found: list[Sentence] = []
    for source, pairs in {
        "udhr": _udhr(), "leaflets": _leaflets(), "exams": _exams(), "guidelines": _guidelines(),
        "dialogues": _dialogues(), "covid": _covid(), "pages": _pages(),
    }.items():  # fmt: skip
        lines: defaultdict[str, dict[str, None]] = defaultdict(dict)
        for code, text in pairs:
            lines[code].update(dict.fromkeys(line for line in cut(text) if _wanted(code, line)))
        for code, kept in lines.items():
            every = max(1, -(-len(kept) // MOST))
            found += [Sentence(source, code, line) for line in list(kept)[::every]]
    return tuple(found)


def _udhr() -> Iterator[tuple[str, str]]:
    folder = DATA / "lid" / "udhr_unicode" / "data" / "udhr"
    trained = {path.name.partition(".")[0] for path in SIB.glob("*.train.tsv.gz")}
    same = {"cmn": "zho", "ekk": "est", "gug": "grn"}
    for entry in ElementTree.parse(folder / "index.xml").getroot():
        label = f"{same.get(entry.get('iso639-3'), entry.get('iso639-3'))}_{entry.get('iso15924')}"
        path = folder / f"udhr_{entry.get('f')}.xml"
        if label not in trained or int(entry.get("stage")) < 4 or not path.exists():
            continue  # of other languages the whole Declaration is trained on
        for article in ElementTree.parse(path).getroot().iterfind("{*}article"):
            if article.get("number", "0").isdigit() and 26 <= int(article.get("number")) <= 30:
                for para in article.iter():
                    if para.tag.endswith("}para") and para.text:
                        yield registry().label(label, "sib200").code, " ".join(para.text.split())


_PDF = {
    "003607.pdf": "fin", "documento (1).pdf": "por", "karvea-epar-product-information_da.pdf": "dan",
    "xenical-epar-product-information_es.pdf": "spa", "pil.10637.pdf": "eng",
    "skilarence-epar-product-information_en.pdf": "eng",
}  # fmt: skip


def _leaflets() -> Iterator[tuple[str, str]]:
    folder = DATA / "documents" / "epi_leaflets_eu"
    for path in sorted(folder.glob("input/resources/*.xml")):
        for block in re.findall(r"<div.*?</div>", path.read_text(encoding="utf-8"), re.S):
            yield "spa", _plain(block)
    try:
        import pypdfium2
    except ImportError:
        return
    for name, code in _PDF.items():
        for page in pypdfium2.PdfDocument(folder / "source-data" / "epi" / name):
            yield code, page.get_textpage().get_text_range().replace("\r\n", " ")


def _exams() -> Iterator[tuple[str, str]]:
    exams = DATA / "exams"
    for path in sorted(exams.glob("igakuqa_ja/data/*/*-?.jsonl")):
        yield from (("jpn", row["problem_text"]) for row in _json_lines(path))
    for path in sorted(exams.glob("frenchmedmcqa/corpus/*.json")):
        yield from (("fra", row["question"]) for row in json.loads(path.read_bytes()))
    for path in sorted(exams.glob("rumedbench_ru/RuMedDaNet/*.jsonl")):
        yield from (("rus", row["context"]) for row in _json_lines(path))
    for path in sorted(exams.glob("headqa_es/*.json")):
        for exam in json.loads(path.read_bytes())["exams"].values():
            yield from (("spa", row["qtext"]) for row in exam["data"])
    for path in sorted(exams.glob("medqa_usmle_en/**/*.jsonl")):
        yield from (("eng", row["question"]) for row in _json_lines(path))
    for path in sorted(exams.glob("xmedbench/*.json")):
        yield from ((registry().normalise(path.stem), row["question"]) for row in json.loads(path.read_bytes()))
    with tarfile.open(exams / "casimedicos" / "casimedicos-arg.tar.gz") as archive:
        for member in archive:
            if member.isfile() and member.name.endswith(".tsv") and "/._" not in member.name:
                code = registry().normalise(member.name.split("/")[1].lower())
                rows = archive.extractfile(member).read().decode("utf-8").splitlines()
                text = " ".join(row.split()[0] if row.split() else "\n" for row in rows)
                yield code, re.sub(r"QUESTION TYPE.*|CLINICAL CASE|CORRECT ANSWER.*", "\n", text)


def _guidelines() -> Iterator[tuple[str, str]]:
    for path in sorted((DATA / "documents" / "nigeria_guidelines_en").glob("**/*.txt")):
        yield "eng", path.read_text(encoding="utf-8", errors="replace")
    for path in sorted((DATA / "documents" / "clinrec_ru_json").glob("**/clinrec_*_real_shape.json")):
        for piece in _strings(json.loads(path.read_bytes())):
            yield "rus", _plain(re.sub(r"base64,[^\"']*", "", piece))


def _dialogues() -> Iterator[tuple[str, str]]:
    folder = DATA / "documents" / "chinese_medical_dialogue_gbk"
    for path in sorted(folder.glob("*.csv")):
        for row in csv.DictReader(io.StringIO(path.read_text(encoding="gb18030", errors="replace"))):
            yield "zho", f"{row['ask']}\n{row['answer']}"


def _covid() -> Iterator[tuple[str, str]]:
    folder = DATA / "documents" / "covid_guidance"
    for path in sorted([*folder.glob("dotw/*.xml"), *folder.glob("kingcounty/*"), *folder.glob("mythbusters/*.txt")]):
        name = path.suffix[1:] if path.parent.name == "kingcounty" else path.stem
        try:
            code = registry().normalise(name.removesuffix("-p.pdf"))
        except UnknownLanguage:
            continue  # files.txt, and languages that no registry entry names so
        yield code, _plain(_read(path))


_PAGES = {
    "ahlen.de.reparaturcafe": "deu", "feuerwehrtaucher-oldenburg.de.ausbildung": "deu", "pix-bavaria.de": "deu",
    "elfaro.net-asamblea": "spa", "football.ua.podolski": "rus", "nhk.or.jp.k100": "jpn",
    "xinhuanet.com.c_1125597921": "zho", "archive.org.he.xinhuanet.com.25340717": "zho",
    "banyuetan.org.1000200033136171577956287380194268_1": "zho", "spektrum.de.coronavirus": "deu",
    "womenshealth.de.weihnachten": "deu", "jobsnhire.com.health": "eng", "emacspeak.blogspot.com.meta": "eng",
    "archive.org.the-pain.net.silkroad": "deu", "jodel.com.advertising": "deu", "sportnews.bz-peking": "deu",
    "bumsbutzener-gumpfen.blogspot.com.tach-auch": "deu", "netzfueralle.blog.rosalux.de.netzpolitik": "deu",
}  # fmt: skip
"""Pages that say no language, or the wrong one (the first four): read by hand."""


def _pages() -> Iterator[tuple[str, str]]:
    import pyarrow as pa

    from medcorpus.core.schema import RECORD, conform
    from medcorpus.core.stage import Context
    from medcorpus.stages.extract import Extract, ExtractParams
    from tests.reading import ingest

    rows, _ = ingest(DATA, path="web/trafilatura_gold/eval/*.html")
    extract = Extract(ExtractParams(), Context("extract"))
    extract.open()
    texts = extract.apply(conform(pa.RecordBatch.from_pylist(rows, RECORD), RECORD))["text"].to_pylist()
    for row, text in zip(rows, texts, strict=True):
        name = row["locator"].rpartition("/")[2].removesuffix(".html")
        stated = re.search(rb"<html[^>]*\blang=[\"']([\w-]+)", row["body"][:5000], re.I)
        if name not in _PAGES and stated is None:
            continue
        code = _PAGES.get(name) or registry().normalise(stated[1].decode())
        yield code, "\n".join(line for line in (text or "").splitlines() if len(line) > 60)


def tico() -> Iterator[tuple[str, str]]:
    """(label as TICO-19 has it, sentence), the English side once."""
    for path in sorted((DATA / "documents" / "tico19_tmx").glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            root = ElementTree.fromstring(archive.read(archive.namelist()[0]))
        for unit in root.iter("tu"):
            for side in unit.iterfind("tuv"):
                label = side.get("{http://www.w3.org/XML/1998/namespace}lang") or side.get("lang")
                if label.lower() != "en" or path.name == "all.en-ar.tmx.zip":
                    yield label, "".join(side.find("seg").itertext())


def sib(split: str = "dev") -> Iterator[tuple[str, str]]:
    """(label, sentence) of SIB-200."""
    for path in sorted(SIB.glob(f"*.{split}.tsv.gz")):
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as stream:
            for line in list(stream)[1:]:
                yield path.name.partition(".")[0], line.rstrip("\r\n").split("\t")[2]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _plain(markup: str) -> str:
    """Text of a piece of HTML or XML; block elements end a line."""
    spaced = re.sub(r"</?(p|div|li|td|tr|h\d|br|doc)\b[^>]*>", "\n", markup, flags=re.I)
    return html.unescape(re.sub(r"<[^>]+>", " ", spaced))


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _strings(one)


def _json_lines(path: Path) -> Iterable[dict[str, str]]:
    return map(json.loads, path.read_text(encoding="utf-8").splitlines())
