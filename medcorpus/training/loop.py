"""The loop of one tune step: batches of the plan, one after the other, until the plan ends.

Short, because the rest is settled before: which rows a step has (the plan), how many learnt tokens they hold (so the
loss of a step is the mean over its tokens, however they are split over devices and micro-batches), how random numbers
are seeded (by the number of the step). So where a run stands is one integer, and going on from a checkpoint gives the
very bits that an unbroken run gives.
"""

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from medcorpus.core.errors import Fatal
from medcorpus.core.log import event
from medcorpus.training import attention, checkpoint
from medcorpus.training.devices import Devices, restore, whole
from medcorpus.training.log import Log, read_log
from medcorpus.training.loss import Objective
from medcorpus.training.moe import routing
from medcorpus.training.reader import Batch, Reader


class Stopped(Exception):
    """SIGTERM or SIGINT came; the step it came in is done and saved."""

    def __init__(self, signum: int, folder: Path):
        super().__init__(f"stopped by signal {signum}; saved as {folder}")
        self.exit_code = 128 + signum


@dataclass(frozen=True)
class Schedule:
    """Learning rates: a linear rise over `warmup` (a share of the steps), then down to `floor` * lr by the last."""

    lr: float = 1e-5
    shape: str = "cosine"  # or linear, constant
    warmup: float = 0.03
    floor: float = 0.1

    def at(self, step: int, steps: int) -> float:
        """The rate of step `step` (from 0) of `steps`."""
        rise = math.ceil(self.warmup * steps)
        if step < rise:
            return self.lr * (step + 1) / (rise + 1)
        if self.shape == "constant":
            return self.lr
        done = (step - rise) / max(1, steps - rise - 1) if steps > rise + 1 else 0.0
        left = (1 + math.cos(math.pi * done)) / 2 if self.shape == "cosine" else 1 - done
        return self.lr * (self.floor + (1 - self.floor) * left)


@dataclass(frozen=True)
class Tuning:
    """How a step is trained. What is not here is in the plan."""

    schedule: Schedule = field(default_factory=Schedule)
    clip: float = 1.0
    micro_rows: int = 1  # rows a device works on at a time
    save_every: int = 500
    keep_last: int = 2
    log_every: int = 10
    evaluate_every: int = 0  # 0: at the end only
    seed: int = 0
    flops_per_token: float = 0.0  # forward and backward, for MFU
    device_flops: float = 0.0  # of one device a second; 0: unknown


@dataclass
class Meters:
    """Sums since the last line of the log, on the device: nothing waits for it in between."""

    loss: Tensor  # [languages]
    learnt: Tensor  # [languages]
    tokens: int = 0
    waited: float = 0.0
    began: float = field(default_factory=time.perf_counter)

    @classmethod
    def empty(cls, languages: int, device: torch.device) -> "Meters":
        """All zero."""
        nothing = torch.zeros(languages, dtype=torch.float64, device=device)
        return cls(nothing, nothing.clone())

    def add(self, losses: Tensor, batch: dict[str, Tensor]) -> None:
        """Count the losses [B, S] of a batch by language."""
        there = batch["targets"] >= 0
        of = batch["language_ids"][there]
        self.loss.index_add_(0, of, losses[there].double())
        self.learnt.index_add_(0, of, torch.ones_like(of, dtype=torch.float64))


class Loop:
    """One tune step on its way: model, optimizer, plan, folder."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: Callable[[nn.Module], torch.optim.Optimizer],
        data: Path,
        out: Path,
        tuning: Tuning,
        devices: Devices,
        lineage: dict[str, str],
        accepted: tuple[str, ...] = (),
    ):
        """`optimizer` makes it of the model on the devices; rates of its groups are factors on that of the schedule."""
        self.data, self.out, self.tuning, self.devices = data, out, tuning, devices
        self.lineage, self.accepted = lineage, accepted
        self.reader, self.heldout = Reader(data), Reader(data, "heldout")
        self.stock = model
        objective = Objective(model)
        self.objective, self.optimizer = devices.prepare(objective, optimizer)
        self.scales = [group["lr"] for group in self.optimizer.param_groups]
        self.step, self.best = 0, {"loss": math.inf, "checkpoint": ""}
        self._signal = 0

    # -- going on ---------------------------------------------------------------------------------

    def resume(self) -> int:
        """Go on from the newest whole checkpoint, if there is one; returns the steps done."""
        root = self.out / "checkpoints"
        if self.devices.first:
            checkpoint.sweep(root) if root.is_dir() else None
        found = checkpoint.newest(root, lambda message: event(f"checkpoint {message}"))
        if found is None:
            return 0
        folder, manifest = found
        checkpoint.check_lineage(folder, manifest["lineage"], self.lineage, self.accepted)
        restore(folder, self.objective, self.optimizer)
        self.step, self.best = manifest["step"], manifest["state"]["best"]
        event(f"going on after step {self.step}, from {folder}")
        return self.step

    def save(self) -> Path:
        """A checkpoint of where we are. What is frozen is not in it: it is as it was handed over."""
        root = self.out / "checkpoints"
        tensors = {"model": self.devices.parameters(self.objective), "optimizer": self.devices.state(self.objective, self.optimizer)}  # fmt: skip # noqa: E501
        folder = root / checkpoint.name_of(self.step)
        if self.devices.first:
            checkpoint.write(root, self.step, tensors, {"best": self.best}, self.lineage)
            checkpoint.prune(root, self.tuning.keep_last, self.best["checkpoint"] or None)
        self.devices.wait()
        return folder

    # -- training ---------------------------------------------------------------------------------

    def run(self, say: Callable[[str], None] = event) -> dict[str, Any]:
        """Train to the end of the plan; returns figures. Raises Stopped after a signal, Fatal for a loss of NaN."""
        tuning, steps = self.tuning, self.reader.steps
        meters = Meters.empty(len(self.reader.languages), self.devices.device)
        self.objective.train()
        with self._signals():
            log = Log(self.out, self.step, self.devices.first)
            try:
                while self.step < steps:
                    norm = self._one(meters)
                    self.step += 1
                    last = self.step == steps
                    if self.step % tuning.log_every == 0 or last:
                        log.write(line := self._line(meters, norm))
                        speed = f"{line['tokens_per_second']:,.0f} tokens/s"
                        say(f"step {self.step}/{steps}  loss {line['loss']:.4f}  {speed}")
                        meters = Meters.empty(len(self.reader.languages), self.devices.device)
                    better = False
                    if self.heldout.rows and (last or _due(self.step, tuning.evaluate_every)):
                        log.write(judged := self._judge())
                        better = self.best["checkpoint"] == checkpoint.name_of(self.step)
                        say(f"step {self.step}/{steps}  held-out loss {judged['heldout']['loss']:.4f}")
                    stopping = self.devices.agree(self._signal)
                    if last or better or stopping or _due(self.step, tuning.save_every):
                        folder = self.save()
                    if stopping and not last:
                        raise Stopped(stopping, folder)
            finally:
                log.close()
        losses = [line["loss"] for line in read_log(self.out / "log.jsonl") if "loss" in line]
        return {"steps": steps, "loss": losses[-1], "best": self.best if self.best["checkpoint"] else None}

    def _one(self, meters: Meters) -> float:
        """One step of the optimizer; returns the norm of the gradient."""
        torch.manual_seed(_seed(self.tuning.seed, self.step, self.devices.rank))
        rate = self.tuning.schedule.at(self.step, self.reader.steps)
        for group, scale in zip(self.optimizer.param_groups, self.scales, strict=True):
            group["lr"] = rate * scale
        learnt = max(1, self.reader.count_learnt(self.reader.rows_of(self.step)))
        micro = self.reader.micro_batches(self.step, self.tuning.micro_rows, self.devices.rank, self.devices.world)
        total = torch.zeros((), device=self.devices.device)
        for number, rows in enumerate(micro):
            began = time.perf_counter()
            batch, arguments = self._batch(self.reader.batch(rows))
            meters.waited += time.perf_counter() - began
            partly = number + 1 < len(micro)
            with self.devices.no_sync(self.objective) if partly else nullcontext(), self._routed(batch):
                found = self.objective(batch["input_ids"], batch["targets"], arguments=arguments)
                loss = found.total / learnt + routing.auxiliary_loss(self.stock) / (len(micro) * self.devices.world)
                self.devices.backward(loss)
            total += found.total.detach()
            meters.add(found.tokens, batch)
            meters.tokens += self.reader.count(rows[rows >= 0])
        norm = self.devices.clip(self.objective, self.tuning.clip)
        if not math.isfinite(norm) or not math.isfinite(float(total)):
            self._stop_for_nan(norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return norm

    def _batch(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The batch on the device, and what attention has to know of it."""
        names = ("input_ids", "targets", "expert_ids", "language_ids")
        moved = {
            name: torch.from_numpy(getattr(batch, name)).to(self.devices.device, non_blocking=True) for name in names
        }
        places = torch.from_numpy(batch.position_ids), torch.from_numpy(batch.segment_ids)
        return moved, attention.arguments(self.stock, *places, self.devices.device)

    def _routed(self, batch: dict[str, Tensor]) -> Any:
        return routing.experts(self.stock, batch["expert_ids"], batch["language_ids"])

    def _stop_for_nan(self, norm: float) -> None:
        rows = self.reader.rows_of(self.step)
        spans = range(self.reader.first[rows[0]], self.reader.first[rows[-1] + 1])
        languages = sorted({self.reader.languages[i] for i in self.reader.spans["language"][spans.start : spans.stop]})
        kept = checkpoint.newest(self.out / "checkpoints", lambda message: None)
        good = f"the last good checkpoint is {kept[0]}" if kept else "there is no checkpoint yet"
        raise Fatal(
            f"the loss or gradient of step {self.step + 1} is no number (norm {norm}); rows {rows[0]} to {rows[-1]}, "
            f"languages {', '.join(languages)}. Nothing of that step was kept; {good}. "
            f"`medcorpus explain RUN 'step {self.step + 1}'` lists its documents; try a lower lr, or clip harder"
        )

    # -- judging and telling ------------------------------------------------------------------------

    @torch.no_grad()
    def _judge(self) -> dict[str, Any]:
        """Mean loss of the held-out documents by language; remembers the best checkpoint."""
        meters = Meters.empty(len(self.reader.languages), self.devices.device)
        self.objective.eval()
        for step in range(self.heldout.steps):
            for rows in self.heldout.micro_batches(step, self.tuning.micro_rows, self.devices.rank, self.devices.world):
                batch, arguments = self._batch(self.heldout.batch(rows))
                meters.add(self.objective(batch["input_ids"], batch["targets"], arguments=arguments).tokens, batch)
        self.objective.train()
        by_language, loss = self._means(meters)
        if loss < self.best["loss"]:
            self.best = {"loss": loss, "checkpoint": checkpoint.name_of(self.step)}
        return {"step": self.step, "heldout": {"loss": loss, "loss_by_language": by_language}}

    def _means(self, meters: Meters) -> tuple[dict[str, float], float]:
        sums, counts = (self.devices.total(each).cpu().numpy() for each in (meters.loss, meters.learnt))
        seen = np.flatnonzero(counts)
        by_language = {self.reader.languages[i]: float(sums[i] / counts[i]) for i in seen}
        return by_language, float(sums.sum() / max(1.0, counts.sum()))

    def _line(self, meters: Meters, norm: float) -> dict[str, Any]:
        by_language, loss = self._means(meters)
        seconds = time.perf_counter() - meters.began
        tokens = int(self.devices.total(torch.tensor(float(meters.tokens), device=self.devices.device)))
        line: dict[str, Any] = {
            "step": self.step,
            "loss": loss,
            "lr": self.tuning.schedule.at(self.step - 1, self.reader.steps),
            "norm": norm,
            "tokens": tokens,
            "seconds": round(seconds, 3),
            "tokens_per_second": tokens / seconds,
            "waited_for_data": meters.waited / seconds,
            "memory_mb": self.devices.memory_mb(),
            "loss_by_language": by_language,
        }
        if self.tuning.device_flops:
            line["mfu"] = (
                self.tuning.flops_per_token * tokens / seconds / (self.tuning.device_flops * self.devices.world)
            )
        counts = routing.statistics(self.stock, reset=True)
        if counts is not None:
            line["experts"] = _experts(counts)
        return line

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT are noted, and obeyed at the end of the step."""

        def note(signum: int, _: object) -> None:
            self._signal = signum

        before = {each: signal.signal(each, note) for each in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0


def _experts(counts: routing.Counts) -> dict[str, Any]:
    """Over all layers, on this device: shares of work, of own expert first and free, of forced; entropy in nats."""
    used, tokens, known = counts.used.sum(axis=(0, 1)), counts.tokens.sum(), max(1, counts.known.sum())
    return {
        "used": {str(expert): float(share) for expert, share in enumerate(used / max(1, used.sum()))},
        "own_first": float(counts.own.sum() / known),
        "forced": float(counts.forced.sum() / known),
        "entropy": float(counts.entropy.sum() / max(1, tokens)),
    }


def _seed(seed: int, step: int, rank: int) -> int:
    return (seed * 1_000_003 + step) * 4096 + rank


def digest(model: nn.Module) -> str:
    """blake2b of all parameters, bit by bit: two trainings that end alike have the same."""
    from hashlib import blake2b

    made = blake2b(digest_size=16)
    for name, parameter in sorted(model.named_parameters()):
        made.update(name.encode())
        made.update(whole(parameter.detach()).cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return made.hexdigest()
