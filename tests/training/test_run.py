"""Whole trainings in this process: what is handed over from step to step."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from medcorpus.cli import prepare as cli_prepare
from medcorpus.cli import smoke
from medcorpus.core.errors import Fatal
from medcorpus.recipe.compile import compile
from medcorpus.recipe.load import load
from medcorpus.training import checkpoint, run
from medcorpus.training.devices import Devices
from medcorpus.training.log import read_log
from medcorpus.training.prepared import Prepared

BASE = "{init: random, hidden: 32, layers: 2, heads: 2, key_value_heads: 1, ffn: 64, context: 256, vocabulary: 700}"
COMMON = "window: 192, batch_tokens: 3072, lr: 1.0e-3, precision: fp32, log_every: 1"
ONE = f"  - tune: {{mix: {{qa: 0.2}}, {COMMON}, base: {BASE}}}\n    id: one\n"


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows") / "rows"
    smoke.write_rows(folder)
    torch.set_num_threads(1)
    return folder


def trained(rows: Path, folder: Path, steps: str, until: str | None = None) -> tuple[Prepared, dict]:
    (folder / "r.yaml").write_text(f"name: r\ndata: [{rows}]\nsteps:\n{steps}")
    loaded = load(str(folder / "r.yaml"))
    cli_prepare.prepare(compile(loaded, ""), loaded.file, folder / "made")
    prepared = Prepared(folder / "made")
    return prepared, run.run(prepared, Devices(cpu=True), until)


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model" / "model.safetensors")


def test_optimizers_are_fresh_or_carried(rows, tmp_path):
    two = f"  - tune: {{mix: {{qa: 0.1}}, {COMMON}, optimizer: OPTIMIZER}}\n    id: two\n"
    counts = {}
    for kind in ("fresh", "carried"):
        folder = tmp_path / kind
        folder.mkdir()
        prepared, results = trained(rows, folder, ONE + two.replace("OPTIMIZER", kind))
        last, _ = checkpoint.newest(prepared.by_id["two"].out / "checkpoints", print)
        state = load_file(last / "optimizer.safetensors")
        counts[kind] = int(next(value for name, value in state.items() if name.endswith("norm.weight/step")))
        steps = results["one"]["steps"], results["two"]["steps"]
    assert counts == {"fresh": steps[1], "carried": sum(steps)}


def test_the_best_weights_can_be_handed_over(rows, tmp_path):
    best = ONE.replace(
        "mix:", "heldout: 0.2, evaluate_every: 1, hand_over: best, keep_last: 1, epochs: 4, warmup: 1.0, mix:"
    )
    prepared, results = trained(rows, tmp_path, best.replace("lr: 1.0e-3", "lr: 10.0"))
    step = prepared.by_id["one"]
    judged = {line["step"]: line["heldout"]["loss"] for line in read_log(step.out / "log.jsonl") if "heldout" in line}
    wanted = min(judged, key=lambda number: judged[number])
    assert results["one"]["best"] == {"loss": judged[wanted], "checkpoint": checkpoint.name_of(wanted)}
    assert wanted < max(judged), "so large a rate does harm in the end"
    kept = load_file(step.out / "checkpoints" / checkpoint.name_of(wanted) / "model.safetensors")
    handed = tensors(step.out)
    assert torch.equal(handed["model.norm.weight"], next(v for k, v in kept.items() if k.endswith("model.norm.weight")))


def test_parts_are_frozen_and_adapters_merged(rows, tmp_path):
    more = f"""
  - upcycle: {{layers: 1}}
  - tune: {{mix: {{qa: 0.1}}, {COMMON}, train: moe}}
    id: experts
  - tune: {{mix: {{qa: 0.1}}, {COMMON}, train: lora, lora_rank: 2}}
    id: adapters
  - evaluate: {{most: 2, score: texts, routing: forced}}
  - export:
"""
    prepared, results = trained(rows, tmp_path, ONE + more.lstrip("\n"))
    made = {name: tensors(prepared.by_id[name].out) for name in ("upcycle", "experts", "adapters", "export")}
    moved = {name for name, value in made["upcycle"].items() if not torch.equal(value, made["experts"][name])}
    assert moved and all(".mlp.experts." in name or ".mlp.gate." in name for name in moved)
    assert made["adapters"].keys() == made["experts"].keys(), "a stock checkpoint, without adapters"
    moved = {name for name, value in made["experts"].items() if not torch.equal(value, made["adapters"][name])}
    assert any("q_proj" in name for name in moved) and not any("norm" in name for name in moved)
    assert all(torch.equal(value, made["export"][name]) for name, value in made["adapters"].items())
    assert results["evaluate"]["all"]["n"] == 12 and results["export"]["parity"]["difference"] == 0


def test_a_damaged_model_is_not_trained_on(rows, tmp_path):
    two = f"  - tune: {{mix: {{qa: 0.1}}, {COMMON}}}\n    id: two\n"
    prepared, _ = trained(rows, tmp_path, ONE + two, until="one")
    file = prepared.by_id["one"].out / "model" / "config.json"
    file.write_text(file.read_text() + " ")
    with pytest.raises(Fatal, match=r"which two begins with, cannot be used: config.json has"):
        run.run(Prepared(tmp_path / "made"), Devices(cpu=True))


def test_prepared_folders_of_another_kind_say_so(tmp_path):
    with pytest.raises(Exception, match="no prepared training"):
        Prepared(tmp_path)
    (tmp_path / "training.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(Fatal, match="another version"):
        Prepared(tmp_path)


def test_a_checkpoint_on_disk_as_base(rows, tmp_path):
    """An exported mixture is tuned further: its tokenizer, its experts, and its files, of which every byte is noted."""
    (tmp_path / "first").mkdir()
    made = ONE + "  - upcycle: {layers: 1}\n  - export:\n"
    first, _ = trained(rows, tmp_path / "first", made)
    base = (first.root / "export").resolve()
    (tmp_path / "second").mkdir()
    more = f"  - tune: {{mix: {{qa: 0.1}}, {COMMON}, base: {base}}}\n    id: two\n"
    second, results = trained(rows, tmp_path / "second", more)
    plan = json.loads((second.by_id["two"].data / "plan.json").read_text())
    assert "Sino-Tibetan" in plan["experts"] and results["two"]["steps"] > 0
    lines = read_log(second.by_id["two"].out / "log.jsonl")
    assert lines[-1]["experts"]["forced"] > 0
    assert (second.root / "tokenizer" / "tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()
    weights = base / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")  # what was linked has changed under our hands
    with pytest.raises(Fatal, match=r"base, which two .*model.safetensors has changed"):
        Prepared(second.root).model_before(second.by_id["two"])
