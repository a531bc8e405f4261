"""The loop on a tiny model: it learns, it goes on bit by bit, it does not care how a step is split."""

import itertools
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from medcorpus.core.errors import Fatal
from medcorpus.training import attention, checkpoint, precision
from medcorpus.training.devices import Devices
from medcorpus.training.log import read_log
from medcorpus.training.loop import Loop, Schedule, Stopped, Tuning, digest
from medcorpus.training.moe import routing
from medcorpus.training.plan.build import Settings
from tests.training.helpers import tiny
from tests.training.test_build import prepared

SETTINGS = Settings({"text": 1.0, "instruction": 1.0, "mcqa": 1.0}, epochs=2, window=160, batch_tokens=640, heldout=0.1)
TUNING = Tuning(Schedule(lr=3e-3), micro_rows=2, save_every=5, log_every=1)
LINEAGE = {"plan": "1"}
EXPERTS = {"eng": 0, "zho": 1, "tha": 2, "ara": 3}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    prepared(folder, SETTINGS, experts=EXPERTS, expert_names=["a", "b", "c", "d"])
    return folder


def optimizer(model):
    return precision.MasterAdamW(precision.groups(model, 1.0, router=3.0), betas=(0.9, 0.95))


def loop(data, out, tuning=TUNING, experts=4, lineage=LINEAGE, **more):
    model = tiny(experts)
    routing.install(model, routing.Routing(), ["eng", "zho", "tha", "ara", "hin", "amh", "hau", "und"])
    attention.install(model)
    made = Loop(model, optimizer, data, out, tuning, Devices(cpu=True), lineage, **more)
    return made


def test_it_learns_and_writes_down_what_happened(data, tmp_path):
    trained = loop(data, tmp_path, replace(TUNING, device_flops=1e9, flops_per_token=1e6))
    figures = trained.run()
    lines = read_log(tmp_path / "log.jsonl")
    steps = [line for line in lines if "loss" in line]
    assert len(steps) == figures["steps"] == trained.reader.steps
    assert steps[-1]["loss"] < 0.8 * steps[0]["loss"]
    first = steps[0]
    assert set(first["loss_by_language"]) <= set(trained.reader.languages) and len(first["loss_by_language"]) > 3
    assert 0 < first["experts"]["forced"] + first["experts"]["own_first"] <= 1
    assert sum(first["experts"]["used"].values()) == pytest.approx(1)
    assert first["mfu"] == pytest.approx(1e6 * first["tokens"] / first["seconds"] / 1e9, rel=0.05)
    assert sum(line["tokens"] for line in steps) == trained.reader.count(np.arange(trained.reader.rows))
    judged = [line["heldout"] for line in lines if "heldout" in line]
    assert judged[-1]["loss"] == figures["best"]["loss"] and len(judged[-1]["loss_by_language"]) > 3
    assert list((tmp_path / "tensorboard").iterdir())
    assert len(checkpoint.all_of(tmp_path / "checkpoints")) <= TUNING.keep_last + 1


def stopped_after(trained, step):
    """Run until SIGTERM is noticed at the end of `step`."""
    one = trained._one

    def and_kill(meters):
        norm = one(meters)
        if trained.step + 1 == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return norm

    trained._one = and_kill
    with pytest.raises(Stopped) as stop:
        trained.run()
    assert stop.value.exit_code == 143


@pytest.mark.parametrize("step", [1, 7])
def test_a_stopped_run_goes_on_bit_by_bit(data, tmp_path, step):
    whole = loop(data, tmp_path / "whole")
    whole.run()
    stopped_after(loop(data, tmp_path / "parts"), step)
    again = loop(data, tmp_path / "parts")
    assert again.resume() == step
    again.run()
    assert digest(again.stock) == digest(whole.stock)
    logs = [
        [(line["step"], line.get("loss")) for line in read_log(tmp_path / name / "log.jsonl")]
        for name in ("whole", "parts")
    ]
    assert logs[0] == logs[1], "the log is that of one run"


def test_a_lost_checkpoint_costs_time_and_no_bit(data, tmp_path):
    whole = loop(data, tmp_path)
    whole.run()
    newest = checkpoint.all_of(tmp_path / "checkpoints")[-1]
    (newest / "optimizer.safetensors").write_bytes(b"")
    again = loop(data, tmp_path)
    assert 0 < again.resume() < whole.reader.steps
    again.run()
    assert digest(again.stock) == digest(whole.stock)


def test_how_a_step_is_split_does_not_matter(data, tmp_path):
    """Token-weighted: one row at a time, or all four, give the same step up to rounding."""
    weights = []
    for rows in (1, 4):
        trained = loop(data, tmp_path / str(rows), replace(TUNING, micro_rows=rows, schedule=Schedule(lr=1e-4)))
        trained.run()
        weights.append(torch.cat([p.detach().flatten() for p in trained.stock.parameters()]))
    assert torch.allclose(weights[0], weights[1], atol=2e-5)
    logs = [read_log(tmp_path / name / "log.jsonl") for name in ("1", "4")]
    for one, four in zip(*logs, strict=True):
        assert one.get("loss", 0) == pytest.approx(four.get("loss", 0), rel=1e-4)


def test_nan_stops_and_keeps_the_last_good_one(data, tmp_path):
    trained = loop(data, tmp_path, replace(TUNING, save_every=2))
    one = trained._one

    def poison(meters):
        if trained.step == 4:
            with torch.no_grad():
                trained.stock.model.norm.weight.fill_(float("nan"))
        return one(meters)

    trained._one = poison
    with pytest.raises(Fatal, match=r"step 5 is no number .*languages .*last good checkpoint is .*step-00000004"):
        trained.run()
    folder, _ = checkpoint.newest(tmp_path / "checkpoints", print)
    assert folder.name == "step-00000004"


def test_another_plan_is_refused(data, tmp_path):
    stopped_after(loop(data, tmp_path), 2)
    with pytest.raises(Fatal, match="another plan"):
        loop(data, tmp_path, lineage={"plan": "2"}).resume()
    assert loop(data, tmp_path, lineage={"plan": "2"}, accepted=("plan",)).resume() == 2


def test_frozen_parts_are_neither_moved_nor_saved(data, tmp_path):
    trained = loop(data, tmp_path)
    for name, parameter in trained.stock.named_parameters():
        parameter.requires_grad = ".layers.1." in name
    before = {name: p.detach().clone() for name, p in trained.stock.named_parameters()}
    trained.optimizer = optimizer(trained.stock)
    trained.scales = [group["lr"] for group in trained.optimizer.param_groups]
    trained.run()
    for name, parameter in trained.stock.named_parameters():
        assert parameter.requires_grad != torch.equal(parameter, before[name])
    from safetensors import safe_open

    newest = checkpoint.all_of(tmp_path / "checkpoints")[-1]
    with safe_open(newest / "model.safetensors", "pt") as saved:
        assert saved.keys() and all(".layers.1." in name for name in saved.keys())  # noqa: SIM118


def test_schedule():
    cosine = Schedule(1.0, "cosine", warmup=0.1, floor=0.1)
    rates = [cosine.at(step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(1 / 11) and max(rates) == rates[10] == pytest.approx(1.0)
    assert rates[-1] == pytest.approx(0.1) and rates[55] == pytest.approx(0.55, abs=0.01)
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))
    assert Schedule(1.0, "linear", 0, 0).at(50, 101) == pytest.approx(0.5)
    assert Schedule(1.0, "constant", 0).at(99, 100) == Schedule(1.0, "cosine", 0).at(0, 1) == 1.0
