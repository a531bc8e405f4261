"""The benchmark of training runs, at toy size, and counts what it says it counts."""

import argparse
import re

import pytest
import torch

from benchmarks import training
from benchmarks.plain_loop import PlainLoop
from medcorpus.training.moe import routing
from tests.training import tiny

ASKED = argparse.Namespace(size="toy", rows=1, length=64, steps=1, every=0)
CPU = torch.device("cpu")


def test_every_variant_has_its_line(capsys):
    training.steps(ASKED, CPU, torch.float32, 1e12, 1e11)
    training.blocks(ASKED, CPU, torch.float32)
    lines = [line for line in capsys.readouterr().out.splitlines() if re.match(r"\| .*\d", line)]
    assert len(lines) == 5 + 3
    for line in lines[:5]:
        mfu, of_ceiling = (float(part.strip(" %")) for part in line.split("|")[4:6])
        assert of_ceiling == pytest.approx(10 * mfu, abs=0.6)


def test_packed_rows_are_full_and_seen_tokens_are_counted():
    batch, context, tokens = training.packed(argparse.Namespace(size="toy", rows=3, length=40), CPU)
    assert (
        tokens == 120
        and (batch["segments"] > 0).all()
        and (batch["positions"] == 0).sum() == batch["segments"].amax(1).sum()
    )
    assert context == pytest.approx((batch["positions"] + 1).float().mean().item())


def test_the_yardstick_computes_what_ours_does():
    model = tiny.moe("qwen3").train()
    routing.install(model)
    block = model.model.layers[2].mlp
    plain = PlainLoop(32, 48, 4, 2, normalise=True).train()
    with torch.no_grad():
        plain.gate.weight.copy_(block.gate.weight)
        for number, expert in enumerate(plain.experts):
            gate, up = block.experts.gate_up_proj[number].chunk(2)
            expert.gate_proj.weight.copy_(gate)
            expert.up_proj.weight.copy_(up)
            expert.down_proj.weight.copy_(block.experts.down_proj[number])
    x = torch.randn(2, 12, 32, generator=torch.Generator().manual_seed(0))
    own = tiny.ids() % 4
    block.gate.seat.tokens = routing.Tokens(own, own)
    assert torch.allclose(plain(x, own), block(x), atol=1e-5)
