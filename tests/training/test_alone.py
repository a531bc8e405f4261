"""The model side on a bare image: in a process where everything but torch, transformers and safetensors is missing."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCKED = ["pydantic", "typer", "pyarrow", "datasets", "trl", "rich", "numba", "orjson", "matplotlib", "peft", "pandas"]
NOT_FOR_US = ["yaml", "fsspec"]  # transformers brings them, by way of huggingface_hub; we must not lean on that

CODE = """
import importlib, pkgutil, sys
from importlib.machinery import PathFinder
from pathlib import Path

class Finder(PathFinder):
    # What the path has, less what is blocked: an import of it fails, a look for it finds nothing.

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        frame = sys._getframe(1)
        while "importlib" in frame.f_code.co_filename:
            frame = frame.f_back
        ours = frame.f_globals.get("__name__", "").startswith("medcorpus")
        if name.split(".")[0] in BLOCKED + NOT_FOR_US * ours:
            return None
        return super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
import medcorpus.training
for module in pkgutil.walk_packages(medcorpus.training.__path__, "medcorpus.training."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)

import torch
from medcorpus.core.errors import Missing
from medcorpus.training import attention, base, loss, precision, sizes, tokenizer, weights
from medcorpus.training.moe import analysis, routing, upcycle

out = Path(sys.argv[1])
tokenizer.train(["take two tablets", "kunywa maji mengi"] * 9, out / "words", 300)
base.build(out / "base", out / "words", {"hidden": 32, "layers": 2, "ffn": 48})
upcycle.upcycle(out / "base", out / "moe", upcycle.Upcycling(["a", "b"], {"eng": 0, "swa": 1}, layers=1))
assert upcycle.parity(out / "base", out / "moe").relative <= 1e-5
model = precision.trainable(weights.load(out / "moe").train(), "last", layers=1)
routing.install(model, languages=["eng", "swa"])
attention.install(model)
x = torch.randint(0, 256, (2, 8))  # every tokenizer has the bytes
segments = torch.ones_like(x)
objective = loss.Objective(model)
optimizer = precision.MasterAdamW(precision.groups(model, 1e-3))
with routing.experts(model, segments, segments):
    objective(x, loss.targets(x, segments, segments), None, torch.arange(8).expand(2, 8), segments).total.backward()
optimizer.step()
assert analysis.summary(routing.statistics(model))["tokens"] == 16
assert sizes.parameters(model)["total"] > 0
counts = routing.statistics(model)
for asked, *arguments in (precision.trainable, model, "lora"), (analysis.heat_map, counts, ["a", "b"], out / "x.png"):
    try:
        asked(*arguments)
    except Missing as error:
        assert "pip install" in str(error)
    else:
        raise AssertionError("it was not missing")
print("alone")
"""


def test_it_runs_with_nothing_but_torch_and_transformers(tmp_path):
    code = f"BLOCKED, NOT_FOR_US = {BLOCKED}, {NOT_FOR_US}\n{CODE}"
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == "alone"
