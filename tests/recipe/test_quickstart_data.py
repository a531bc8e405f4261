"""The sample data of the quickstart recipe is what its README and PLANTED.json say it is."""

import csv
import json
import re
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "recipes" / "quickstart"
ARTICLE_COLUMNS = {"doc_id", "lang", "title", "body", "category"}
CASES = {
    "exact_duplicate": 12,
    "doses_differ": 6,
    "wrong_language": 14,
    "junk": 10,
    "too_short": 8,
    "long": 3,
    "personal_data": 3,
    "broken": 3,
}
OPTION = re.compile(r"^\(([A-Z])\) \S", re.MULTILINE)


def fold(text):
    """NFC, then every run of whitespace (no-break spaces too) as one space."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def without_numbers(text):
    """Drop digits of every script and number characters such as the Han numerals."""
    return "".join(c for c in unicodedata.normalize("NFC", text) if unicodedata.numeric(c, None) is None)


def json_lines(name):
    return [json.loads(line) for line in (ROOT / name).read_text(encoding="utf-8").splitlines()]


def read_broken():
    """Rows that can be read, and the line numbers of those that cannot with the reason."""
    good, bad = [], {}
    lines = (ROOT / "broken.jsonl").read_bytes().splitlines()
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line.decode("utf-8"))
        except UnicodeDecodeError:
            bad[number] = "utf-8"
        except json.JSONDecodeError:
            bad[number] = "json"
        else:
            if row.get("body"):
                good.append(row)
            else:
                bad[number] = "body"
    return lines, good, bad


@pytest.fixture(scope="module")
def articles():
    return json_lines("articles.jsonl")


@pytest.fixture(scope="module")
def exams():
    with (ROOT / "exams.csv").open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.fixture(scope="module")
def dialogues():
    return json_lines("dialogues.jsonl")


@pytest.fixture(scope="module")
def notes():
    return {p.name: p.read_text(encoding="utf-8") for p in sorted((ROOT / "notes").iterdir())}


@pytest.fixture(scope="module")
def planted():
    return json.loads((ROOT / "PLANTED.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def texts(articles, exams, dialogues, notes):
    """(file, id) -> text, over all files."""
    found = {("articles.jsonl", row["doc_id"]): row["body"] for row in articles}
    found |= {("exams.csv", row["number"]): row["question"] + "\n" + row["options"] for row in exams}
    found |= {("dialogues.jsonl", row["id"]): row["question"] + "\n" + row["answer"] for row in dialogues}
    found |= {(f"notes/{name}", name): text for name, text in notes.items()}
    found |= {("broken.jsonl", row["doc_id"]): row["body"] for row in read_broken()[1]}
    return found


def key(entry):
    return entry["file"], entry["id"]


def listed(planted, *cases):
    return {key(entry) for case in cases for entry in planted[case]}


def test_counts(articles, exams, dialogues, notes):
    assert len(articles) == 181
    assert len(exams) == 60
    assert len(dialogues) == 32
    assert len(notes) == 15
    assert {Path(name).suffix for name in notes} == {".txt", ".md"}


def test_ids_are_unique(articles, exams, dialogues):
    for ids in (
        [row["doc_id"] for row in articles],
        [row["number"] for row in exams],
        [row["id"] for row in dialogues],
    ):
        assert len(ids) == len(set(ids))


def test_size():
    assert sum(p.stat().st_size for p in ROOT.rglob("*") if p.is_file()) < 400_000


def test_article_columns(articles):
    for row in articles:
        assert set(row) == ARTICLE_COLUMNS
        assert all(isinstance(value, str) and value.strip() for value in row.values())
        assert row["category"] in {"encyclopedia", "guideline", "web"}
    assert {row["category"] for row in articles} == {"encyclopedia", "guideline", "web"}


def test_languages(articles, exams, dialogues, planted):
    lying = listed(planted, "wrong_language", "junk", "too_short", "exact_duplicate")
    clean = Counter(row["lang"] for row in articles if ("articles.jsonl", row["doc_id"]) not in lying)
    assert len(clean) == 21
    assert min(clean.values()) >= 6
    assert {row["lang"] for row in articles} == set(clean)
    for rows, column in ((exams, "language"), (dialogues, "lang")):
        used = {row[column] for row in rows}
        assert len(used) >= 8
        assert used <= set(clean)


def test_clean_articles_have_a_natural_length(articles, planted):
    special = listed(planted, "wrong_language", "junk", "too_short", "exact_duplicate")
    for row in articles:
        if ("articles.jsonl", row["doc_id"]) not in special:
            assert 200 <= len(row["body"]) <= 900, row["doc_id"]


def test_planted_ids_exist(planted, texts):
    assert {case: len(entries) for case, entries in planted.items()} == CASES
    for case, entries in planted.items():
        for entry in entries:
            if case == "broken":
                assert (ROOT / entry["file"]).is_file()
                continue
            assert key(entry) in texts, entry
            for other in ("of", "with"):
                assert other not in entry or key(entry[other]) in texts, entry


def test_readme_names_every_planted_id(planted):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "CC0-1.0" in readme
    for case, entries in planted.items():
        (row,) = [line for line in readme.splitlines() if line.startswith(f"| `{case}` |")]
        for entry in entries:
            assert str(entry.get("id", entry.get("line"))) in row
            for other in ("of", "with"):
                assert other not in entry or entry[other]["id"] in row


def test_exact_duplicates_are_equal_after_folding(planted, texts):
    for entry in planted["exact_duplicate"]:
        assert key(entry) != key(entry["of"])
        assert fold(texts[key(entry)]) == fold(texts[key(entry["of"])]), entry
    assert len({entry["lang"] for entry in planted["exact_duplicate"]}) >= 6
    assert {"th", "ar", "zh", "am"} <= {entry["lang"] for entry in planted["exact_duplicate"]}
    assert any(entry["file"] != entry["of"]["file"] for entry in planted["exact_duplicate"])
    decomposed = [e for e in planted["exact_duplicate"] if not unicodedata.is_normalized("NFC", texts[key(e)])]
    assert {e["lang"] for e in decomposed} == {"fr", "vi"}


def test_no_other_texts_are_equal(planted, texts):
    groups = defaultdict(set)
    for where, text in texts.items():
        groups[fold(text)].add(where)
    found = {frozenset(group) for group in groups.values() if len(group) > 1}
    assert found == {frozenset({key(e), key(e["of"])}) for e in planted["exact_duplicate"]}


def test_doses_differ_in_numbers_only(planted, texts):
    for entry in planted["doses_differ"]:
        one, two = texts[key(entry)], texts[key(entry["with"])]
        assert fold(one) != fold(two)
        assert without_numbers(one) == without_numbers(two), entry


def test_wrong_language_rows_carry_the_label_listed(planted, articles):
    labels = {row["doc_id"]: row["lang"] for row in articles}
    used = set(labels.values())
    for entry in planted["wrong_language"]:
        assert labels[entry["id"]] == entry["label"] != entry["actual"]
    assert sum(entry["actual"] not in used for entry in planted["wrong_language"]) == 6


def test_short_and_long(planted, texts):
    for entry in planted["too_short"]:
        assert len(texts[key(entry)].split()) <= 3
        assert len(texts[key(entry)]) <= 30
    assert {entry["lang"] for entry in planted["long"]} == {"en", "th", "zh"}
    for entry in planted["long"]:
        text = texts[key(entry)]
        assert 6_000 <= len(text) <= 9_000
        assert entry["characters"] == len(text)
        paragraphs = [p for p in text.split("\n\n") if p.strip()]
        assert len(paragraphs) >= 20
        assert len(paragraphs) == len(set(paragraphs))


def test_personal_data_is_only_where_listed(planted, texts):
    personal = re.compile(r"\d{6,}|\S+@\S+\.\S+")  # \d is any script's digits
    found = {where for where, text in texts.items() if personal.search(text)}
    assert found - listed(planted, "junk") == listed(planted, "personal_data")
    numbers = [m for e in planted["personal_data"] for m in re.findall(r"\d{6,}", texts[key(e)])]
    assert [len(n) for n in numbers] == [10, 10]
    assert any(not n.isascii() for n in numbers)


def test_broken_has_exactly_three_bad_lines(planted):
    lines, good, bad = read_broken()
    assert len(lines) == 12
    assert len(good) == 9
    assert len({row["lang"] for row in good}) >= 3
    assert all(set(row) == ARTICLE_COLUMNS for row in good)
    assert sorted(bad.values()) == ["body", "json", "utf-8"]
    assert [entry["line"] for entry in planted["broken"]] == sorted(bad)


def test_exams_parse_and_the_answer_is_an_option(exams):
    for row in exams:
        assert set(row) == {"number", "language", "question", "options", "answer", "explanation"}
        keys = OPTION.findall(row["options"])
        assert keys == ["A", "B", "C", "D"], row["number"]
        assert len(set(row["options"].split("\n"))) == len(keys)
        assert row["answer"] in keys
        assert 60 <= len(row["question"]) <= 400
        assert row["explanation"]
    assert set(Counter(row["answer"] for row in exams)) == {"A", "B", "C", "D"}


def test_dialogues(dialogues):
    for row in dialogues:
        assert set(row) == {"id", "question", "answer", "lang"}
        assert row["question"].strip()
        assert row["answer"].strip()
