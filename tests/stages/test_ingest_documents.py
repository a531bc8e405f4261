"""Documents as people publish them: counts against what is there, quirks told row by row."""

from collections import Counter
from pathlib import Path

import yaml

from medcorpus.formats.discover import find
from tests.cli.helpers import medcorpus
from tests.stages.test_ingest import DATA, read, real

CLINREC = "documents/clinrec_ru_json/tests/fixtures"


@real
def test_clinrec_sections_stay_html_with_their_guideline_as_title() -> None:
    rows, bad = read(
        DATA, path=f"{CLINREC}/*_real_shape.json", records="obj.sections", language="ru", licence="unknown",
        columns={"text": "content", "title": "_up.name", "group": "_up.id"},
    )  # fmt: skip
    large = [row for row in rows if row["group"] == "773_2"]
    assert len(large) == 31 and len(rows) == 34
    assert large[0]["title"].startswith("Прогрессирующая мышечная дистрофия Дюшенна")
    assert sum("data:image/png;base64" in row["text"] for row in large) >= 2
    assert max(len(row["text"]) for row in large) > 2_000_000
    # catalogues and a list of societies hold no sections: told, file by file
    assert sorted(bad) == [
        (f"{name}_real_shape.json#/obj", "no_records") for name in ("catalog_270_2_270_3", "catalog_843_1", "nko_list")
    ]


@real
def test_clinrec_files_that_are_no_json_are_told_with_line_and_column(tmp_path: Path) -> None:
    params = {"path": str(DATA / CLINREC / "*.json"), "records": ".", "columns": {"text": "obj"}}
    recipe = {"name": "clinrec", "steps": [{"ingest": params, "max_error_rate": 1}]}
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(recipe))
    medcorpus("build", "r.yaml", cwd=tmp_path)
    told = medcorpus("explain", "runs/clinrec", "quarantine", "--json", cwd=tmp_path).stdout
    assert "corrupted.json#L2" in told and "not JSON at line 2, column 1" in told
    assert "invalid_json.json#L2" in told


@real
def test_nigeria_guidelines_as_text_and_as_json() -> None:
    rows, bad = read(DATA, path="documents/nigeria_guidelines_en/raw data", language="en")
    assert (len(rows), bad) == (270, [])
    assert len({row["text"] for row in rows}) == 270 - 14, "duplicates stay for `dedup`"
    assert sorted(len(row["text"].split()) for row in rows)[1] < 30, "two are nearly empty, and stay for `quality`"
    text = {"columns": ["condition_name", "introduction", "clinical_features"]}
    columns = {"title": "condition_name", "text": text}
    rows, bad = read(DATA, path="documents/nigeria_guidelines_en/processed_json", language="en", columns=columns)
    assert (len(rows), bad) == (270, []) and all(row["title"] and row["text"] for row in rows)
    assert Counter(row["locator"].endswith(".json#") for row in rows) == {True: 270}


@real
def test_chinese_dialogues_are_gb18030_under_chinese_names() -> None:
    folder = "documents/chinese_medical_dialogue_gbk"
    columns = {"question": "ask", "answer": "answer", "title": "title"}
    rows, bad = read(DATA, path=f"{folder}/**/*.csv", kind="qa", language="zh", columns=columns)
    assert len(rows) == 7644 and not bad and {row["charset"] for row in rows} == {"gb18030"}
    assert rows[0]["locator"] == "样例_内科5000-6000.csv#L2" and "高血压" in rows[0]["text"]
    assert 7644 - len({row["turns"][0]["content"] for row in rows}) == 407, "questions that come again"
    assert not any("\ufffd" in row["text"] for row in rows)
    (text,), bad = read(DATA, path=f"{folder}/**/*.txt", language="zh")
    assert (text["locator"], text["charset"], bad) == ("Data_数据/IM_内科/内科.txt", "gb18030", [])
    assert text["text"].count("\n") == 16_192 and "高血压患者能吃党参吗？" in text["text"]


@real
def test_leaflets_of_one_medicine_in_two_forms_and_languages() -> None:
    """68290.xml is read, P_68290.pdf, the same leaflet, is told; parallel leaflets (PDF too) stay apart."""
    rows, bad = read(DATA, path="documents/epi_leaflets_eu")
    assert [row["locator"] for row in rows if "68290" in row["locator"]] == [
        "input/resources/68290.xml#composition=1", "input/resources/68290.xml#composition=2",
    ]  # fmt: skip
    assert ("source-data/epi/P_68290.pdf", "no_reader") in bad
    named = [place.lower() for place, _ in bad]
    assert sum("karvea" in name for name in named) == 2 and sum("xenical" in name for name in named) == 2


@real
def test_sib200_keeps_quotes_topics_and_its_splits() -> None:
    file = {"from": "stem", "split": "."}
    columns = {"text": "text", "language": {**file, "part": 0}, "split": {**file, "part": 1}}
    rows, bad = read(DATA, path="lid/sib200/[a-c]*.tsv.gz", quoting=False, labels="sib200", columns=columns)
    assert not bad and sum(row["text"].startswith('"') for row in rows) > 1000, "a quotation mark is text"
    by_file: dict[str, Counter[str]] = {}
    health = Counter[str]()
    for row in rows:
        name = row["locator"].partition(".")[0]
        by_file.setdefault(name, Counter())[row["split"]] += 1
        health[name] += '"category":"health"' in row["extra"]
    assert len(by_file) > 30 and all(counts == {"train": 701, "dev": 99} for counts in by_file.values())
    assert set(health.values()) == {88}, "the same sentences in every language"


@real
def test_keywords_by_list_and_jp_is_japanese() -> None:
    column = {"column": "_name", "split": "_", "part": 0, "map": {"jp": "ja"}}
    columns = {"text": "_value", "group": "_name", "language": column}
    rows, bad = read(DATA, path="terms/mmedc_keywords.json", records="*", columns=columns)
    assert not bad and len({row["group"] for row in rows}) == 12
    assert Counter(row["language"] for row in rows) == {**dict.fromkeys(("eng", "fra", "rus", "spa", "zho"), 200), "jpn": 199}  # fmt: skip # noqa: E501
    assert any(row["text"].lower() == "cell" for row in rows), "a word as general as this is a keyword"


@real
def test_tico19_is_one_member_in_each_of_38_archives() -> None:
    files = find(["documents/tico19_tmx/*.zip"], str(DATA))
    assert len(files) == 38 and all(file.error is None and file.digest for file in files)
    assert {file.locator.partition("!/")[2] for file in files} >= {"all.en-fa.old.tmx", "all.en-ti_ER.tmx"}


def test_the_folder_of_a_hub_dataset_without_its_card(tmp_path: Path) -> None:
    (tmp_path / "d/data").mkdir(parents=True)
    (tmp_path / "d/README.md").write_text("---\nlicense: mit\ntask_categories:\n- question-answering\n---\n# Card\n")
    (tmp_path / "d/dataset_infos.json").write_text("{}")
    (tmp_path / "d/.gitattributes").write_text("x")
    (tmp_path / "d/data/train-00000-of-00001.jsonl").write_text('{"text": "a"}\n')
    (tmp_path / "d/data/validation.csv").write_text("text\nb\n")
    split = {"from": "stem", "pattern": "^(train|validation|test)"}
    rows, bad = read(tmp_path, path="d", columns={"text": "text", "split": split})
    assert [(row["text"], row["split"]) for row in rows] == [("a", "train"), ("b", "validation")] and not bad
    (tmp_path / "d/README.md").write_text("# A page like others\n")
    assert len(read(tmp_path, path="d")[0]) == 3
