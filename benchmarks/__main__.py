"""`python -m benchmarks [ROW ...]`: medcorpus beside its peers, same work, same corpus, same run.

    --mb 138 --big 1104   size of the corpus that everybody gets, and of the one that only we do (0: leave it out)
    --from FOLDER         sentences from any folder of text instead of the real data
    --runs 3              each command so often, in turn; medians are shown
    --only-us             leave the peers out
    --out FOLDER          where corpus, scratch and `results.json` go (default: a temporary folder); named again, it
                          keeps the rows that are not run anew
    --readme              write the tables into README.md

Rows: dedup, quality, langid, terms, pipeline, big, kernels, agreement, families; all when none is named. Every figure
is of a whole process, start-up and files included; rows that say `kernel` are processor time on one core, from Arrow to
the answer. Peers have to be installed first (`python -m benchmarks.environments`); those that are not are left out, and
said so. Not tests: nothing here fails; the bars are printed beside the figures.
"""

import argparse
import compileall
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import corpus, environments, kernels
from benchmarks.measure import Run, run
from benchmarks.table import Row, markdown

SHORT = 20
"""Seconds. A command that takes less is run twice and the second time counts: after minutes of others its libraries are
out of the file cache, and reading them again is a tenth of such a run and nothing to a long one."""

HERE = Path(__file__).parent
SCRIPTS = HERE / "peers"
MEDCORPUS = [sys.executable, "-m", "medcorpus"]


class Bench:
    """A corpus, a folder to work in, and the rows so far."""

    SCRIPTS = SCRIPTS

    def __init__(self, out: Path, given: argparse.Namespace):
        self.out, self.given = out, given
        self.corpus = out / f"corpus-{given.mb}"
        self.rows: list[Row] = []
        self.megabytes = 0.0
        self.said: dict[str, str] = {}

    def prepare(self) -> None:
        """Write the corpus; make byte code of our modules, as pip does of those that it installs (a tenth of a short
        command is compiling them otherwise); run ours once, so that kernels are compiled and the file cache is warm."""
        compileall.compile_dir(HERE.parent / "medcorpus", quiet=1)
        self.megabytes = self.make(self.given.mb, self.corpus)
        run(self.ours("pipeline", self.corpus), self.fresh(), {"CORPUS": str(self.corpus)})

    def make(self, megabytes: int, folder: Path) -> float:
        """Write a corpus unless it is there; megabytes of text."""
        note = folder.with_name(f"{folder.name}.json")
        if not note.exists():
            written = corpus.make(folder, megabytes, self.given.folder)
            print(f"{folder.name}: {written}", file=sys.stderr)
            note.write_text(json.dumps(written._asdict()))
        return json.loads(note.read_text())["bytes"] / 1e6

    def fresh(self, name: str = "scratch") -> Path:
        """An empty folder."""
        shutil.rmtree(self.out / name, ignore_errors=True)
        (self.out / name).mkdir(parents=True)
        return self.out / name

    def ours(self, recipe: str, data: Path, *more: str) -> list[str]:
        return [*MEDCORPUS, "build", str(HERE / f"{recipe}.yaml"), *more]

    def peer(self, name: str, *command: object) -> tuple[str, list[str]] | None:
        """(what is run, command) in a peer's environment; None when it is not installed."""
        installed = None if self.given.only_us else environments.version(name)
        if installed is None:
            return None
        return installed, [str(environments.python(name)), *map(str, command)]

    def compare(self, work: str, contenders: dict[str, list[str]], data: Path, bars: dict[str, float]) -> None:
        """Run everybody in turn and note a row each; the first is ours."""
        runs: dict[str, list[Run]] = {name: [] for name in contenders}
        for _ in range(self.given.runs):
            for name, command in contenders.items():
                command = [part.replace("OUT", str(self.out / "scratch" / "out")) for part in command]
                env = {"CORPUS": str(data), "HF_HUB_OFFLINE": "1"}
                made = run(command, self.fresh(), env)
                runs[name].append(run(command, self.fresh(), env) if made.seconds < SHORT else made)
                print(f"{work}: {name}: {runs[name][-1].seconds:.1f} s", file=sys.stderr)
        ours = statistics.median(one.seconds for one in next(iter(runs.values())))
        size = self.make(0, data)
        for name, these in runs.items():
            median = statistics.median(one.seconds for one in these)
            self.rows.append(
                Row(
                    work, name, [round(one.seconds, 2) for one in these], size / median,
                    max(one.resident for one in these), max(one.anonymous for one in these),
                    None if name.startswith("medcorpus") else median / ours, bars.get(name.split()[0]),
                )
            )  # fmt: skip

    # -- rows -----------------------------------------------------------------------------------

    def dedup(self) -> None:
        found = {"medcorpus": self.ours("dedup", self.corpus)}
        for made in (
            self.peer(
                "text-dedup", "-m", "text_dedup.minhash", "--path", "parquet", "--data_dir", self.corpus,
                "--split", "train", "--cache_dir", "OUT-cache", "--output", "OUT", "--column", "text",
                "--ngram", 5, "--threshold", 0.7, "--num_proc", 2,
            ),
            self.peer("datatrove", SCRIPTS / "datatrove_dedup.py", self.corpus, "OUT"),
            self.peer("data-juicer", SCRIPTS / "data_juicer_dedup.py", self.corpus, "OUT"),
        ):  # fmt: skip
            found |= dict([made] if made else [])
        bars = {"text-dedup": 14, "datatrove": 50, "py-data-juicer": 20}
        self.compare("near-duplicate removal", found, self.corpus, bars)

    def quality(self) -> None:
        found = {"medcorpus": self.ours("quality", self.corpus)}
        if made := self.peer("datatrove", SCRIPTS / "datatrove_quality.py", self.corpus, "OUT"):
            found |= dict([made])
        if made := self.peer("dolma", SCRIPTS / "dolma_quality.py", self.corpus, "OUT"):
            found[f"{made[0]}, Gopher and C4 only"] = made[1]
        self.compare("quality rules", found, self.corpus, {"datatrove": 60})

    def langid(self) -> None:
        model = environments.lid176()
        if model is None:
            print("langid: lid.176.ftz is not there (python -m benchmarks.environments)", file=sys.stderr)
            return
        # fastText tells one label a text, so ours does not look for texts in two languages here
        settings = [f"langid.model={model}", "langid.labels=lid176", "langid.whole=true", "langid.mixed=false"]
        found = {
            "medcorpus, lid.176": self.ours(
                "langid", self.corpus, *(part for one in settings for part in ("--set", one)), "--workers", "1"
            )
        }
        if made := self.peer("fasttext", SCRIPTS / "fasttext_langid.py", self.corpus, "OUT", model):
            found[f"fastText, one process ({made[0]})"] = made[1]
        if made := self.peer("datatrove", SCRIPTS / "datatrove_langid.py", self.corpus, "OUT", model):
            found |= dict([made])
        self.compare("language identification, lid.176.ftz", found, self.corpus, {"fastText,": 4})
        default = {"medcorpus, its own model": self.ours("langid", self.corpus, "--workers", "1")}
        self.compare("language identification, default", default, self.corpus, {})

    def pipeline(self) -> None:
        self.compare("whole text pipeline", {"medcorpus": self.ours("pipeline", self.corpus)}, self.corpus, {})
        works = ("near-duplicate removal", "quality rules", "language identification, lid.176.ftz")
        earlier = [Row(**row) for row in _earlier(self.out / "results.json")["rows"]]
        stages = [row for row in earlier if row.who.startswith("datatrove") and row.work in works]
        if len(stages) == len(works):
            total = sum(row.median for row in stages)
            ours = self.rows[-1].median
            self.rows.append(
                Row("whole text pipeline", f"{stages[0].who}, its three stages added up", [total],
                    self.megabytes / total, 0, 0, total / ours, 40)
            )  # fmt: skip

    def big(self) -> None:
        if not self.given.big:
            return
        data = self.out / f"corpus-{self.given.big}"
        self.make(self.given.big, data)
        found = {
            "medcorpus": self.ours("dedup", data),
            "medcorpus, one worker": self.ours("dedup", data, "--workers", "1"),
        }
        self.compare(f"near-duplicate removal, {self.given.big / 1000:.1f} GB", found, data, {})

    def kernels(self) -> None:
        self.rows += kernels.rows(self.corpus)

    def terms(self) -> None:
        made = kernels.terms(self.corpus, self.out)
        if made is None:
            return
        row, file = made
        self.rows.append(row)
        if peer := self.peer("ahocorasick", SCRIPTS / "ahocorasick_terms.py", self.corpus, "OUT", file):
            times = [float(run(peer[1], self.fresh()).output.split()[0]) for _ in range(self.given.runs)]
            median = statistics.median(times)
            size = self.megabytes / median
            self.rows.append(Row(row.work, peer[0], times, size, 0, 0, median / row.median, 2.5))

    def agreement(self) -> None:
        from benchmarks import agreement

        self.said["agreement"] = agreement.report(self)

    def families(self) -> None:
        from benchmarks import exactness

        if self.given.big:
            self.said["families"] = exactness.report(self)


ORDER = ("near-duplicate removal", "quality rules", "language", "terms", "whole text pipeline", "kernel")
"""Beginnings of the names of works, as they are shown."""

ROWS = ("dedup", "quality", "langid", "terms", "pipeline", "big", "kernels", "agreement", "families")


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", help=", ".join(ROWS))
    parser.add_argument("--mb", type=int, default=138)
    parser.add_argument("--big", type=int, default=1104)
    parser.add_argument("--from", dest="folder")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only-us", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--readme", action="store_true")
    given = parser.parse_args()
    unknown = set(given.rows) - set(ROWS)
    if unknown:
        parser.error(f"no row {', '.join(sorted(unknown))} (there are {', '.join(ROWS)})")
    with tempfile.TemporaryDirectory() as temporary:
        out = (given.out or Path(temporary)).resolve()
        out.mkdir(parents=True, exist_ok=True)
        bench = Bench(out, given)
        bench.prepare()
        for name in ROWS:
            if not given.rows or name in given.rows:
                getattr(bench, name)()
                made = _kept(out / "results.json", bench)  # after each: the next one may break
        machine = made["machine"]
        shown = "\n\n".join([markdown(machine, [Row(**row) for row in made["rows"]]), *made["said"].values()])
        print(shown)
        if given.readme:
            _into_readme(shown)


def _kept(path: Path, bench: Bench) -> dict[str, Any]:
    """What `bench` found, with the rows of an earlier call that it did not run again; written to `path`."""
    before = _earlier(path)
    works = {row.work for row in bench.rows}
    rows = [row for row in before["rows"] if row["work"] not in works] + [row._asdict() for row in bench.rows]
    rows.sort(key=lambda row: next((at for at, work in enumerate(ORDER) if row["work"].startswith(work)), len(ORDER)))
    machine = {
        "processor": _processor(), "cores": len(os.sched_getaffinity(0)), "python": platform.python_version(),
        "system": platform.platform(), "load": os.getloadavg()[0], "corpus_mb": round(bench.megabytes, 1),
    }  # fmt: skip
    made = {"machine": machine, "rows": rows, "said": before["said"] | bench.said}
    path.write_text(json.dumps(made, indent=1))
    return made


def _earlier(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {"rows": [], "said": {}}


def _into_readme(shown: str) -> None:
    path = HERE.parent / "README.md"
    before, _, rest = path.read_text("utf-8").partition("<!-- begin:speed -->\n")
    _, _, after = rest.partition("<!-- end:speed -->")
    path.write_text(f"{before}<!-- begin:speed -->\n{shown}\n<!-- end:speed -->{after}", "utf-8")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


if __name__ == "__main__":
    main()
