"""`boilerplate` and `balance` in a recipe and on files, as a user runs them."""

import json

import pytest

from tests.cli.helpers import inside, medcorpus, parts, tree

HEADERS = {
    "eng": "We use cookies to make this page better",
    "tha": "เราใช้คุกกี้เพื่อปรับปรุงหน้าเว็บนี้ให้ดียิ่งขึ้นสำหรับทุกคน",
    "zho": "我们使用网络跟踪器来改进本页面的内容与服务",
    "ara": "نستخدم ملفات تعريف الارتباط لتحسين هذه الصفحة",
    "hin": "हम इस पृष्ठ को बेहतर बनाने के लिए कुकीज़ का उपयोग करते हैं",
    "amh": "ይህን ገጽ የተሻለ ለማድረግ ኩኪዎችን እንጠቀማለን እና እናመሰግናለን",
    "hau": "Muna amfani da kukis don inganta wannan shafi",
}
COUNTS = {"eng": 40, "tha": 20, "zho": 9, "ara": 8, "hin": 7, "amh": 6, "hau": 5}
RECIPE = """
name: even
steps:
  - ingest: {path: in/*.jsonl, licence: CC0-1.0}
  - boilerplate: {seen: 5, remove: true, max_share: 1}
  - select: {drop: [only_boilerplate, boilerplate]}
    id: cut
  - balance: {by: language, cap: 6}
  - select: {drop: [over_cap]}
    id: even_cut
  - shard:
"""


def rows(language, numbers):
    return [{"text": f"{HEADERS[language]}\n{language} {n}", "language": language} for n in numbers]


def write(folder, name, rows):
    path = folder / "in" / f"{name}.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def build(folder, *args):
    (folder / "even.yaml").write_text(RECIPE)
    report = json.loads(inside("build", "even.yaml", "--json", *args, cwd=folder).stdout)
    return {step["id"]: step for step in report["steps"]}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("even")
    for language, count in COUNTS.items():
        write(folder, language, rows(language, range(count)))
    return folder, build(folder)


def test_a_recipe(built):
    folder, report = built
    import datasets

    made = datasets.load_from_disk(str(folder / "runs/even/dataset")).to_pandas()
    assert made.groupby("language").size().to_dict() == {name: min(count, 6) for name, count in COUNTS.items()}
    assert report["even_cut"]["account"]["reasons"]["over_cap"] == {
        name: count - 6 for name, count in COUNTS.items() if count > 6
    }
    headed = made[made.text.str.contains("\n")]
    assert headed.groupby("language").size().le(1).all(), "one copy of each header"
    assert set(made.text[~made.text.str.contains("\n")]) <= {f"{a} {n}" for a in COUNTS for n in range(40)}
    assert (made.boilerplate_lines == 1).all() and (made.balance_epochs == 1).all()
    assert set(made.balance_group) == set(COUNTS)


def test_again_does_nothing_and_a_new_file_little(built):
    folder, _ = built
    before = parts(folder / "runs/even")
    assert {step["parts_run"] for step in build(folder).values()} == {0}
    assert parts(folder / "runs/even") == before
    write(folder, "more", [{"text": "nothing in common with what is there", "language": "swa"}])
    again = build(folder)
    assert [again[step]["parts_run"] for step in ("ingest", "cut", "even_cut")] == [1, 1, 1]
    after = parts(folder / "runs/even")
    assert all(after[name] == what for name, what in before.items())
    (folder / "in/more.jsonl").unlink()
    build(folder)


def test_workers_and_how_it_came_to_be_leave_no_trace(built, tmp_path):
    folder, _ = built
    for language in reversed(COUNTS):
        write(tmp_path, language, rows(language, range(COUNTS[language] // 2)))
    build(tmp_path, "--workers", "1")
    for language in COUNTS:
        write(tmp_path, language, rows(language, range(COUNTS[language])))
    build(tmp_path, "--workers", "2")
    assert tree(tmp_path / "runs/even/dataset") == tree(folder / "runs/even/dataset")


def test_on_files(tmp_path):
    write(tmp_path, "all", [row for language, count in COUNTS.items() for row in rows(language, range(count))])
    import pandas

    medcorpus("boilerplate", "in/all.jsonl", "lines.parquet", "--seen", 6, "--keep", cwd=tmp_path)
    lines = pandas.read_parquet(tmp_path / "lines.parquet")
    assert len(lines) == sum(COUNTS.values())
    assert lines.groupby("language").boilerplate_lines.sum().to_dict() == {**COUNTS, "hau": 0}
    medcorpus(
        "balance", "lines.parquet", "even.parquet", "--unimax", 2, "--by", "[language, source]", "--keep", cwd=tmp_path
    )
    even = pandas.read_parquet(tmp_path / "even.parquet")
    epochs = even.groupby("language").balance_epochs.sum().to_dict()
    # 95 rows: hau 2 x 5, amh 2 x 6, hin 73 // 5 = 14 = 2 x 7, ara 59 // 4, then thirds of 45
    assert epochs == {"hau": 10, "amh": 12, "hin": 14, "ara": 14, "zho": 15, "tha": 15, "eng": 15}


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ([], "say one of cap, temperature, unimax"),
        (["--cap", "3", "--unimax", "2"], "found: cap, unimax"),
        (["--cap", "none"], "integer"),
        (["--cap", "3", "--by", "tongue"], "language"),
    ],
)
def test_bad_flags(tmp_path, flags, complaint):
    write(tmp_path, "one", rows("eng", range(2)))
    refused = inside("balance", "in/one.jsonl", "out.parquet", *flags, cwd=tmp_path, code=2)
    assert complaint in refused.stderr and not (tmp_path / "out.parquet").exists()


def test_bad_recipe(tmp_path):
    text = RECIPE.replace("cap: 6", "cap: 6, budget: 9").replace("seen: 5", "seen: 1").replace("over_cap", "overcap")
    (tmp_path / "bad.yaml").write_text(text)
    refused = inside("check", "bad.yaml", cwd=tmp_path, code=2).stderr
    assert "3 problems" in refused and "did you mean 'over_cap'" in refused
    assert "budget goes with temperature or unimax" in refused and "seen" in refused


def test_what_stages_tells():
    from pathlib import Path

    shown = inside("stages", "balance", cwd=Path.cwd()).stdout
    assert "unimax 5" in shown and "5x 45.00%" in shown and "Chung et al. 2023" in shown
