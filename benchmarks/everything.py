"""`python -m benchmarks.everything`: every folder of the real data through `ingest`, beside what its manifest says.

Builds `everything.yaml` into a temporary folder and prints a table: files, rows, what was rejected and why, the
manifest's number, and `equal` or what the difference is. Exit code 1 when a count is not the one expected.
"""

import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

HERE = Path(__file__).parent


class Expected(NamedTuple):
    """Of one step: what the manifest says, rows, rejects by error, and what the difference is ("": none)."""

    manifest: str
    rows: int
    rejects: dict[str, int]
    why: str = ""


EXPECTED = {
    "igakuqa_ja": Expected("2,000", 1987, {"no_options": 12, "answer": 1}, "12 ask for a number, one key is `a or d`"),
    "igakuqa_en": Expected("(+en)", 1987, {"no_options": 12, "answer": 1}, "the same 13 in English"),
    "frenchmedmcqa": Expected("2171/312/622", 3105, {}),
    "rumedtest": Expected("397", 397, {}),
    "rumeddanet": Expected("1052/256/256/512", 2076, {}),
    "headqa": Expected("2657/1366/2742; en: test only", 9507, {}, "Spanish 6,765, English 2,742"),
    "medqa": Expected("1,273", 1273, {}),
    "xmedbench": Expected("13,999", 13_999, {}),
    "pubmedqa": Expected("1,000", 1000, {}),
    "pubmedqa_key": Expected("500", 500, {}),
    "casimedicos_exp": Expected(
        "579 x 4", 2308, {}, "571 in `cq_e`: questions 27, 210, 245, 277, 413, 484, 515, 526 are not in its files"
    ),
    "casimedicos_arg": Expected(
        "558 x 4 languages", 2212, {}, "553 x 4: the archive has 553 `QUESTION TYPE:` and 553 clinical cases a language"
    ),
    "casimedicos_older": Expected("-", 1230, {}, "older files of the same cases: test in 4 languages, train in 2"),
    "tico19": Expected("38 x 3,071 pairs", 38 * 3071 * 2 - 1, {}, "both sides are rows; one Persian side is missing"),
    "medquad": Expected(
        "1,460 files", 5264, {"null_text": 2909, "no_rows": 6}, "8,173 pairs: 2,909 without answer; 6 files without"
    ),
    "dialogue_csv": Expected("7,644", 7644, {}),
    "dialogue_txt": Expected("16k lines", 1, {}, "one document of 16,192 lines"),
    "nigeria_txt": Expected("270", 270, {}),
    "nigeria_json": Expected("270", 270, {}),
    "openstax": Expected("198", 198, {"no_rows": 1}, "the 199th file is the table of contents"),
    "clinrec": Expected(
        "1 large + 17 files", 38, {"no_records": 5, "missing_column": 3, "invalid_json": 2},
        "34 sections and 4 pages; 5 lists without sections, 3 sections of another shape, 2 files are no JSON",
    ),
    "covid_dotw": Expected("47 of 109 files", 45, {"invalid_xml": 2}, "a bare & in eng.xml and por.xml"),
    "covid_extension": Expected("33 of 109 files", 33, {}),
    "covid_name": Expected("29 of 109 files", 28, {"unknown_language": 1}, "`files.txt` is a list of the files"),
    "leaflets": Expected(
        "26 + 7 + 15", 59, {"no_reader": 15}, "26 bundles of two documents, 7 pages, 15 PDF (no reader for .pdf)"
    ),
    "trafilatura": Expected("120", 120, {}),
    "safebirth": Expected("178", 178, {}),
    "sib200": Expected("205 x (701 + 99)", 164_000, {}),
    "udhr": Expected("464 + 2", 464, {"null_text": 2}, "index.xml and template.xml hold no text"),
    "udhr_legacy": Expected(
        "335 + 388", 705, {"font_encoding": 7, "invalid_utf8": 7, "undecodable": 2, "nul_byte": 1, "empty": 1},
        "fonts of their own; files cut after 10,000 bytes in a character; T.61; UTF-16 with a byte lost; one empty",
    ),
    "terms": Expected("12 lists", 1199, {}, "1,199 terms"),
    "warc": Expected("24", 0, {"no_reader": 24}, "no reader yet"),
    "pdf": Expected("13", 0, {"no_reader": 13}, "no reader yet"),
}  # fmt: skip


class Seen(NamedTuple):
    """Of one step: files with a row or a reject, rows, rejects by error."""

    files: int
    rows: int
    rejects: dict[str, int]


def seen(run: Path, step: str) -> Seen:
    """What the run `run` holds of a step."""
    files: set[str] = set()
    errors: Counter[str] = Counter()
    rows = 0
    for kind, folder in (("row", "private/steps"), ("reject", "rejects")):
        for part in (run / folder).glob(f"{step}-????????/*.arrow"):
            with pa.memory_map(str(part)) as source, pa.ipc.open_stream(source) as stream:
                for batch in stream:
                    files.update(locator.partition("#")[0] for locator in batch["locator"].to_pylist())
                    if kind == "row":
                        rows += batch.num_rows
                    else:
                        errors.update(batch["error"].to_pylist())
    return Seen(len(files), rows, dict(errors))


def main() -> int:
    """Print the table."""
    data = os.environ.get("MEDCORPUS_DATA") or str(HERE.parents[1] / "shared" / "data")
    if not Path(data).is_dir():
        sys.exit("set MEDCORPUS_DATA to the folder with the real data")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "medcorpus", "build", str(HERE / "everything.yaml"), "--workers", "2"]
        done = subprocess.run(
            command, cwd=folder, env=os.environ | {"MEDCORPUS_DATA": data}, stderr=subprocess.PIPE, text=True
        )
        if done.returncode:
            sys.exit(done.stderr)
        found = {step: seen(Path(folder) / "runs/everything", step) for step in EXPECTED}
    print("| step | files | rows | rejected | the manifest says | |\n|---|---:|---:|---|---|---|")
    wrong = []
    for step, expected in EXPECTED.items():
        now = found[step]
        rejects = ", ".join(f"{count:,} {error}" for error, count in sorted(now.rejects.items()))
        if (now.rows, now.rejects) != (expected.rows, expected.rejects):
            wrong.append(step)
        said = "NOT AS EXPECTED" if step in wrong else expected.why or "equal"
        print(f"| {step} | {now.files:,} | {now.rows:,} | {rejects} | {expected.manifest} | {said} |")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
