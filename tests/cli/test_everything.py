"""Every folder of the real data in one run, counts as the benchmark's table expects them."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.helpers import SHARED, environment

ROOT = Path(__file__).parents[2]


@pytest.mark.accept
@pytest.mark.skipif(not SHARED.is_dir(), reason="the real data is not here")
def test_every_folder_is_ingested_with_the_counts_of_its_manifest() -> None:
    environ = environment() | {"MEDCORPUS_DATA": str(SHARED)}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.everything"], cwd=ROOT, env=environ, capture_output=True, text=True
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\n| ") > 30 and "NOT AS EXPECTED" not in done.stdout
