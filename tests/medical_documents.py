"""Documents of the real data whose nature is known: what is medical, and what is not, in many languages."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from medcorpus.core.schema import RECORD, conform
from medcorpus.core.stage import Context
from medcorpus.stages.extract import Extract
from medcorpus.stages.langid import Langid
from tests.reading import DATA, ingest
from tests.records import records

PAGES = Path(__file__).parent / "data" / "trafilatura_domain_labels.tsv"
"""`file TAB medical | other | borderline`, one line for each page of web/trafilatura_gold: each was read by a person's
rule: *medical* informs on bodies, illness, drugs or their study; *borderline* (left out) touches them in an opinion,
a tip on food, or the report of a war; all else is *other*, also where an epidemic is the occasion of sport, law or
politics, or medicine the customer of a software house."""

SHORTEST = 200
"""Characters of a document; below are stubs without a sentence."""

BAR = {
    "medquad": (True, {"path": "documents/medquad_en/**/*.xml"}),
    "guidelines": (True, {"path": "documents/nigeria_guidelines_en/**/*.txt"}),
    "textbook": (True, {"path": "documents/openstax_anatomy_cnxml_en/modules/**/*.cnxml"}),
    "leaflets": (True, {"path": "documents/epi_leaflets_eu/input/**/*.xml"}),
    "udhr": (False, {"path": "lid/udhr_unicode/data/udhr/udhr_*.xml"}),
    "pages": (None, {"path": "web/trafilatura_gold/eval/*.html"}),
}
"""The documents of the bars: whether medical (None: as PAGES says), and how they are read."""

_DIALOGUE = {"question": "ask", "answer": "answer", "title": "title"}
_FR = {"question": "question", "options": "answers", "answer": "correct_answers"}
_RU = {"question": "question", "options": {"columns": ["1", "2", "3", "4"], "keys": ["1", "2", "3", "4"]}}
_JA = {"question": "problem_text", "options": "choices", "answer": "answer"}
_ES = {"question": "qtext", "options": {"column": "answers", "key": "aid", "text": "atext"}, "answer": "ra"}
_XMED = {"question": "question", "options": "options", "answer": "answer", "language": {"from": "stem"}}
_COVID = {"columns": {"language": {"from": "extension"}}, "format": "txt", "labels": "covid19-datashare"}

CROSS = {
    "clinrec": {
        "path": "documents/clinrec_ru_json/tests/fixtures", "language": "ru", "records": "obj.sections",
        "columns": {"text": "content", "title": "_up.name"},
    },
    "dialogues": {
        "path": "documents/chinese_medical_dialogue_gbk/**/*.csv", "kind": "qa", "language": "zh",
        "columns": _DIALOGUE,
    },
    "covid": {"path": "documents/covid_guidance/dotw", "labels": "covid19-datashare"},
    "covid canada": {"path": "documents/covid_guidance/canadagov"} | _COVID,
    "covid king county": {"path": "documents/covid_guidance/kingcounty"} | _COVID,
    "covid myths": {
        "path": "documents/covid_guidance/mythbusters", "labels": "covid19-datashare",
        "columns": {"language": {"from": "stem"}},
    },
    "exams ja": {"path": "exams/igakuqa_ja/data/*/*-?.jsonl", "kind": "mcqa", "language": "ja", "columns": _JA},
    "exams fr": {"path": "exams/frenchmedmcqa/corpus", "kind": "mcqa", "language": "fr", "columns": _FR},
    "exams ru": {"path": "exams/rumedbench_ru/RuMedTest", "kind": "mcqa", "language": "ru", "columns": _RU},
    "exams es": {
        "path": "exams/headqa_es/*.json", "records": "exams.*.data", "kind": "mcqa", "language": "es", "columns": _ES,
    },
    "exams xmedbench": {"path": "exams/xmedbench", "kind": "mcqa", "columns": _XMED},
    "cases": {
        "path": "exams/casimedicos/casimedicos-arg.tar.gz", "format": "conll", "records": "QUESTION TYPE:",
        "columns": {"text": "text", "language": {"from": "folder"}},
    },
}  # fmt: skip
"""More medical text, mostly not English: guidelines, consultations, public health, exams."""


@dataclass(frozen=True)
class Documents:
    """Records with their language; of each, its source and whether it is medical."""

    batch: pa.RecordBatch
    source: np.ndarray
    medical: np.ndarray


def bar() -> Documents:
    """What the bars are measured on, without pages that are borderline."""
    labels = dict(line.split("\t") for line in PAGES.read_text(encoding="utf-8").splitlines())
    rows, source, medical = [], [], []
    for name, (truth, params) in BAR.items():
        for row in _read(params):
            label = labels[row["locator"].rpartition("/")[2]] if truth is None else "other"
            if label != "borderline" and len(row["text"] or "") >= SHORTEST:
                rows.append(row)
                source.append(name)
                medical.append(label == "medical" if truth is None else truth)
    return _told(rows, source, medical)


def cross() -> Documents:
    """Medical text of `CROSS`, short as it may be: an exam question is a record."""
    rows, source = [], []
    for name, params in CROSS.items():
        read = [row for row in _read(params) if row["text"]]
        rows += read
        source += [name] * len(read)
    return _told(rows, source, [True] * len(rows))


def _read(params: dict[str, Any]) -> list[dict[str, Any]]:
    rows, _ = ingest(DATA, **params)
    extract = Extract(Extract.Params(), Context("x"))
    extract.open()
    return extract.apply(conform(pa.RecordBatch.from_pylist(rows, RECORD), RECORD)).to_pylist()


def _told(rows: list[dict[str, Any]], source: list[str], medical: list[bool]) -> Documents:
    langid = Langid(Langid.Params(), Context("l"))
    langid.open()
    texts = [row["text"] for row in rows]
    heard = langid.apply(records(texts))["language"].to_pylist()
    language = [row["language"] or one for row, one in zip(rows, heard, strict=True)]
    return Documents(records(texts, language=language), np.array(source), np.array(medical))
