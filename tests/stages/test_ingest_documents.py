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
    text = {"columns": ["condition_name", "introduction", "clinical_features"]}
    columns = {"title": "condition_name", "text": text}
    rows, bad = read(DATA, path="documents/nigeria_guidelines_en/processed_json", language="en", columns=columns)
    assert (len(rows), bad) == (270, []) and all(row["title"] and row["text"] for row in rows)
    assert Counter(row["locator"].endswith(".json#") for row in rows) == {True: 270}


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
