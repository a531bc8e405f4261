"""Kernels are compiled once on a machine, with a message, before any worker starts."""

import json
import signal
import time
from pathlib import Path

import pytest

from tests.cli.helpers import medcorpus, members, start

RECIPE = """
name: c
languages: [en]
steps:
  - ingest: {path: a.txt}
  - balance: {by: [language], cap: 10}
  - select: {drop: [over_cap]}
"""


def compiled(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("compiled-*")}


def test_once_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "kernels"))
    (tmp_path / "a.txt").write_text("The patient should drink plenty of water.")
    (tmp_path / "c.yaml").write_text(RECIPE)
    first = medcorpus("build", "c.yaml", cwd=tmp_path).stderr
    assert first.count("compiling the kernels of ingest, balance:") == 1 and first.count("kernels compiled in") == 1
    assert compiled(tmp_path / "kernels") == {"compiled-ingest", "compiled-balance"}
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "kernels").rglob("*.nb?")}
    assert len(kept) >= 2  # a kernel: what is kept of it, and its code
    second = medcorpus("build", "c.yaml", "--out", "again", cwd=tmp_path).stderr
    assert "compiling" not in second
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "kernels").rglob("*.nb?")} == kept


def test_no_worker_compiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for texts in parts (e and an accent) nor for members of JSON that are kept."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "kernels"))
    lines = [{"text": "Le me\u0301decin prescrit 5 mg deux fois par jour.", "dose": number} for number in range(9)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "c.yaml").write_text("name: c\nsteps:\n  - ingest: {path: a.jsonl, keep: all}\n  - dedup:\n")
    medcorpus("build", "c.yaml", cwd=tmp_path)
    compiled_at = (tmp_path / "kernels" / "compiled-dedup").stat().st_mtime_ns
    kernels = list((tmp_path / "kernels").rglob("*.nb?"))
    assert len(kernels) > 10
    assert not [kernel.name for kernel in kernels if kernel.stat().st_mtime_ns > compiled_at]


def test_a_stage_that_cannot_be_opened_is_told_by_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "kernels"))
    (tmp_path / "a.txt").write_text("The patient should drink plenty of water.")
    (tmp_path / "not.bin").write_bytes(b"no model")
    (tmp_path / "c.yaml").write_text(RECIPE.replace("balance: {by: [language], cap: 10}", "langid: {model: not.bin}").replace("over_cap", "wrong_language"))  # fmt: skip # noqa: E501
    failed = medcorpus("build", "c.yaml", cwd=tmp_path, code=None)
    assert failed.returncode in (3, 4) and "not.bin" in failed.stderr and "Traceback" not in failed.stderr
    assert compiled(tmp_path / "kernels") == {"compiled-ingest"}


def test_doctor_compiles_what_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = json.loads(medcorpus("doctor", "--json", cwd=tmp_path, code=None).stdout)["findings"]
    (kernels,) = [one for one in found if one["what"] == "kernels"]
    assert kernels["state"] == "ok" and {"langid", "quality", "dedup"} <= set(kernels["found"].split(":")[0].split(", "))  # fmt: skip # noqa: E501


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_stays_when_the_run_is_stopped_while_it_compiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signum: int) -> None:  # fmt: skip # noqa: E501
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "kernels"))
    (tmp_path / "a.txt").write_text("The patient should drink plenty of water.")
    (tmp_path / "c.yaml").write_text(RECIPE.replace("balance: {by: [language], cap: 10}", "quality:").replace("over_cap", "too_short"))  # fmt: skip # noqa: E501
    run = start("build", "c.yaml", cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "kernels").rglob("*.nbc")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert run.poll() is None
    run.send_signal(signum)
    run.communicate()
    deadline = time.monotonic() + 10
    while members(run.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not members(run.pid)
    assert compiled(tmp_path / "kernels") == set()
