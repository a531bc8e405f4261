"""Router, loss, checkpointing and fp32 masters under FSDP2 on two processes: the numbers of one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.accept
def test_two_processes_compute_what_one_does(tmp_path):
    found = []
    for processes in (1, 2):
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
        command += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", "-m", "tests.training.sharded"]
        out = tmp_path / f"{processes}.json"
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [*command, str(out), "float32", "1"], cwd=ROOT, capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, done.stderr[-3000:]
        found.append(json.loads(out.read_text()))
    one, two = found
    assert one["used"] == two["used"]
    assert two["totals"] == pytest.approx(one["totals"], rel=1e-5)
    for name, norm in one["weights"].items():
        assert two["weights"][name] == pytest.approx(norm, rel=1e-5), name
