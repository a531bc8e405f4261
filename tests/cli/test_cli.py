"""The command line as a shell sees it."""

import json
import os
import resource
import subprocess
import sys

import pytest

from medcorpus.cli import COMMANDS, SUBCOMMANDS, help_text
from medcorpus.cli.readme import regenerate
from medcorpus.core.shipped import shipped
from medcorpus.jobs import TRAINING
from tests.cli.helpers import environment, inside, medcorpus, tree


def cpu_of(*args):
    """Processor seconds of one command, the least of five."""
    best = 9.0
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "medcorpus", *args], env=environment(), capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return best


@pytest.mark.accept
def test_start_up_is_light():
    top, stage = cpu_of("--help"), cpu_of("langid", "--help")
    print(f"\nCPU of medcorpus --help: {top * 1000:.0f} ms (at most 150), langid --help: {stage * 1000:.0f} ms (600)")
    assert top <= 0.150 and stage <= 0.600


def test_help_imports_nothing_heavy():
    code = "import sys; from medcorpus.cli import run; run(['--help']); print(sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for heavy in ("pydantic", "typer", "pyarrow", "numpy", "yaml", "rich", "numba", "fasttext"):
        assert f"'{heavy}'" not in done.stderr, heavy


@pytest.mark.parametrize("stage", SUBCOMMANDS)
def test_importing_a_stage_is_light(stage):
    module = SUBCOMMANDS[stage][0].partition(":")[0]
    code = f"import sys, {module}; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for heavy in ("numba", "fasttext", "torch", "transformers", "datasets", "pandas", "langdetect"):
        assert f"'{heavy}'" not in done.stdout, heavy


@pytest.mark.parametrize("name", [*COMMANDS, *SUBCOMMANDS])
def test_every_command_explains_itself(name, tmp_path):
    shown = inside(name, "--help", cwd=tmp_path).stdout
    assert "Usage" in shown or "usage" in shown
    assert name in help_text()


def test_usage_errors_are_2_and_name_the_nearest(tmp_path):
    assert "did you mean 'build'" in medcorpus("biuld", cwd=tmp_path, code=2).stderr
    assert "quickstart" in inside("build", "quikstart", cwd=tmp_path, code=2).stderr
    medcorpus("build", "--nonsense", cwd=tmp_path, code=2)
    inside("build", "quickstart", "--until", "nowhere", cwd=tmp_path, code=2)
    assert "no stage" in inside("stages", "qualty", cwd=tmp_path, code=2).stderr
    inside("status", "runs/none", cwd=tmp_path, code=2)
    problem = json.loads(inside("check", "none.yaml", "--json", cwd=tmp_path, code=2).stderr)
    assert problem["error"]["exit_code"] == 2


def test_a_missing_engine_is_4_with_the_cure(tmp_path):
    assert "--engine local" in inside("build", "quickstart", "--engine", "ray", cwd=tmp_path, code=4).stderr


def test_doctor_languages_and_stages(tmp_path):
    found = json.loads(medcorpus("doctor", "--json", cwd=tmp_path).stdout)["findings"]
    assert {finding["what"] for finding in found} >= {"Python", "pyarrow", "langid model", "cores"}
    known = json.loads(inside("languages", "iw", "zh-Hant", "Northern Sotho", "--json", cwd=tmp_path).stdout)
    assert [row["code"] for row in known["languages"]] == ["heb", "zho", "nso"]
    assert "ICU" in inside("languages", "th", cwd=tmp_path).stdout
    assert len(json.loads(inside("languages", "--mission", "--json", cwd=tmp_path).stdout)["languages"]) == 50
    assert "Klingon" in inside("languages", "Klingon", cwd=tmp_path, code=2).stderr
    described = json.loads(inside("stages", "--json", cwd=tmp_path).stdout)["stages"]
    assert [stage["name"] for stage in described] == [*SUBCOMMANDS, *TRAINING]


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quickstart")
    medcorpus("build", "quickstart", cwd=folder)
    return folder


def test_the_quickstart_does_what_its_readme_says(quickstart):
    """Every planted case ends as planned."""
    import datasets

    planted = json.loads(shipped("recipes/quickstart/PLANTED.json").read_text())
    run = quickstart / "runs/quickstart"
    rows = datasets.load_from_disk(str(run / "dataset"))
    extra = [json.loads(e) if e else {} for e in rows["extra"]]
    kept = {e.get("doc_id") or e.get("id") for e in extra}
    dropped = {}
    for reason in ("too_short", "low_quality", "wrong_language", "mislabelled", "duplicate", "quarantine"):
        listed = json.loads(inside("explain", run, reason, "--limit", 999, "--json", cwd=quickstart).stdout)
        dropped[reason] = listed["rows"]
    assert dropped["quarantine"] == 3
    assert dropped["duplicate"] >= len(planted["exact_duplicate"]) * 0.9
    for case in ("junk", "too_short", "wrong_language"):
        left = [row["id"] for row in planted[case] if row["id"] in kept]
        assert not left, (case, left)
    for row in planted["doses_differ"]:
        assert {row["id"], row["with"]["id"]} <= kept, row
    assert sum(name is not None for name in rows["parents"]) >= 3 * 2  # the handbooks, in parts
    assert len(set(rows["language"])) >= 14


def test_readme_commands_run(quickstart):
    readme = (shipped("recipes").parent / "README.md") if (shipped("recipes").parent / "README.md").exists() else None
    if readme is None:
        pytest.skip("README does not travel in the wheel")
    block = readme.read_text().split("```sh\n")[1].split("```")[0]
    commands = [
        line.split("#  ")[0].split(" # ")[0].strip() for line in block.splitlines() if line.startswith("medcorpus")
    ]
    assert len(commands) >= 7
    for command in commands:
        import shlex

        medcorpus(*shlex.split(command)[1:], cwd=quickstart)


def test_readme_tables_are_those_of_the_code():
    readme = shipped("recipes").parent / "README.md"
    assert regenerate(readme.read_text()) == readme.read_text(), "run `make readme`"


def test_no_text_leaves_unmasked(quickstart):
    """What the quickstart plants as personal data is shown masked everywhere."""
    planted = json.loads(shipped("recipes/quickstart/PLANTED.json").read_text())["personal_data"]
    run = quickstart / "runs/quickstart"
    source = {
        json.loads(line)["id"]: line for line in shipped("recipes/quickstart/dialogues.jsonl").read_text().splitlines()
    }
    numbers = {row["id"]: number for number, row in enumerate(map(json.loads, source.values()), 1)}
    for row in planted:
        shown = inside("explain", run, f"dialogues.jsonl#L{numbers[row['id']]}", cwd=quickstart).stdout
        assert "[EMAIL]" in shown or "[NUMBER]" in shown, row
        assert "@example" not in shown


def test_status_versions_verify(quickstart):
    run = "runs/quickstart"
    shown = json.loads(inside("status", run, "--json", cwd=quickstart).stdout)
    assert shown["version"] >= 1 and shown["running"] is None
    assert "moved in" in inside("status", run, "--by-language", cwd=quickstart).stdout
    assert json.loads(inside("versions", run, "--json", cwd=quickstart).stdout)["versions"][0]["version"] == 1
    assert "all right" in inside("verify", run, cwd=quickstart).stdout


def test_verify_sees_a_changed_byte(tmp_path):
    medcorpus("build", "quickstart", cwd=tmp_path)
    run = tmp_path / "runs/quickstart"
    shard = next((run / "dataset").glob("data-*.arrow"))
    raw = bytearray(shard.read_bytes())
    raw[len(raw) // 2] ^= 1
    shard.write_bytes(raw)
    part = next(p for p in (run / "private").rglob("*.arrow") if p.parent.name.startswith("quality"))
    part.write_bytes(part.read_bytes()[:-300])
    told = inside("verify", run, cwd=tmp_path, code=3).stdout
    assert shard.name in told and part.name in told


def test_raw_on_a_terminal_shows_the_text(quickstart):
    """`--raw` works where a person sits: under a pseudo-terminal."""
    import pty

    code = "import sys; from medcorpus.cli import main; main(sys.argv[1:])"
    planted = json.loads(shipped("recipes/quickstart/PLANTED.json").read_text())["personal_data"][0]
    lines = shipped("recipes/quickstart/dialogues.jsonl").read_text().splitlines()
    number = next(n for n, line in enumerate(lines, 1) if json.loads(line)["id"] == planted["id"])
    seen: list[bytes] = []

    def read(descriptor: int) -> bytes:
        seen.append(os.read(descriptor, 4096))
        return seen[-1]

    here = os.getcwd()
    os.chdir(quickstart)
    try:
        status = pty.spawn(
            [sys.executable, "-c", code, "explain", "runs/quickstart", f"dialogues.jsonl#L{number}", "--raw"], read
        )
    finally:
        os.chdir(here)
    assert status == 0 and b"RAW" in b"".join(seen) and b"@example" in b"".join(seen)


def test_json_logs_are_one_object_a_line_and_hold_no_text(tmp_path):
    done = medcorpus("build", "quickstart", "--log-format", "json", "--json", cwd=tmp_path)
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert len(events) > 10 and all({"ts", "level", "event"} <= set(event) for event in events)
    assert json.loads(done.stdout)["dataset"].endswith("dataset")
    assert not any(ord(character) > 0x2000 for character in done.stderr)


@pytest.fixture(scope="module")
def ingested(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ingested")
    source = shipped("recipes/quickstart/articles.jsonl")
    medcorpus("ingest", source, "rows", "--columns", "{text: body, language: lang}", cwd=folder)
    return folder / "rows"


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl.gz", ".arrow", ""])
def test_a_stage_on_files(suffix, ingested, tmp_path):
    out = f"tagged{suffix}"
    done = medcorpus("langid", ingested, out, "--languages", "en,th", "--keep", cwd=tmp_path)
    assert out in done.stdout and not list(tmp_path.glob(".*work"))
    again = medcorpus("quality", out, "measured.parquet", "--min-words", "5", "--drop", cwd=tmp_path)
    assert "too_short" in again.stdout
    import pandas

    frame = pandas.read_parquet(tmp_path / "measured.parquet")
    assert {"language_score", "quality_words"} <= set(frame.columns) and 100 < len(frame) < 181
    assert "exists" in medcorpus("quality", out, "measured.parquet", cwd=tmp_path, code=2).stderr


def test_dedup_and_shard_on_files(tmp_path):
    source = shipped("recipes/quickstart/articles.jsonl")
    medcorpus("ingest", source, "rows.parquet", "--columns", "{text: body}", cwd=tmp_path)
    assert "duplicate" in medcorpus("dedup", "rows.parquet", "unique.parquet", cwd=tmp_path).stdout
    medcorpus("shard", "unique.parquet", "dataset", cwd=tmp_path)
    import datasets

    assert 160 < len(datasets.load_from_disk(str(tmp_path / "dataset"))) < 175


def test_a_run_from_another_folder_is_byte_equal(quickstart, tmp_path):
    medcorpus("build", "quickstart", "--workers", 1, "--out", "elsewhere/run", cwd=tmp_path)
    assert tree(tmp_path / "elsewhere/run/dataset") == tree(quickstart / "runs/quickstart/dataset")


def test_data_of_a_finished_run_is_the_input_of_another(quickstart):
    (quickstart / "next.yaml").write_text(
        "name: next\nlanguages: [th]\ndata: [runs/quickstart]\nsteps:\n"
        "  - langid:\n  - select: {drop: [wrong_language]}\n  - shard:\n"
    )
    medcorpus("build", "next.yaml", cwd=quickstart)
    import datasets

    rows = datasets.load_from_disk(str(quickstart / "runs/next/dataset"))
    assert set(rows["language"]) == {"tha"}
    assert set(rows["id"]) <= set(datasets.load_from_disk(str(quickstart / "runs/quickstart/dataset"))["id"])
