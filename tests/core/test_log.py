"""Logs: standard error, one JSON object a line when asked, results never mixed in."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from medcorpus.core import log


@pytest.fixture(autouse=True)
def as_before():
    logger = log.log
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.level, logger.propagate = before


def test_json_lines(capsys):
    log.setup("json")
    log.event("step done", step="langid", rows=3, share=0.5, path=Path("/x"), text="发烧\n")
    log.event("careful", log.logging.WARNING)
    out, err = capsys.readouterr()
    assert out == ""
    one, two = map(json.loads, err.splitlines())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one.pop("ts"))
    assert one == {
        "level": "info", "event": "step done", "step": "langid", "rows": 3, "share": 0.5, "path": "/x",
        "text": "发烧\n",
    }  # fmt: skip
    assert (two["level"], two["event"]) == ("warning", "careful")


def test_for_people(capsys):
    log.setup()
    log.event("step done", rows=3)
    log.event("careful", log.logging.WARNING)
    log.event("hidden", log.logging.DEBUG)
    assert capsys.readouterr().err == "step done\nwarning: careful\n"


def test_setup_twice_logs_once(capsys):
    log.setup("json")
    log.setup("text")
    log.event("once")
    assert capsys.readouterr().err == "once\n"


def test_other_libraries_are_left_alone(capsys):
    log.setup("json")
    log.logging.getLogger("other").info("not ours")
    assert capsys.readouterr().err == ""


def test_importing_needs_the_standard_library_alone():
    """Training runs on machines without pydantic, typer and yaml."""
    code = (
        "import sys; import medcorpus.core.errors, medcorpus.core.keys, medcorpus.core.languages, "
        "medcorpus.core.log, medcorpus.core.shipped\n"
        "print([m for m in ('pydantic', 'yaml', 'typer', 'pyarrow', 'numpy') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
