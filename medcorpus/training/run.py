"""Run a prepared training, step by step: what is done is not done again, a broken step goes on where it was."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from medcorpus.core.errors import Fatal
from medcorpus.core.log import event
from medcorpus.training import analysis, attention, base, checkpoint, evaluate, precision, routing, sizes, upcycle, weights
from medcorpus.training.devices import Devices, restore, whole
from medcorpus.training.loop import Loop, Schedule, Tuning, digest, groups
from medcorpus.training.prepared import Prepared, Step
from medcorpus.training.reader import Reader


def run(prepared: Prepared, devices: Devices, until: str | None = None, accepted: tuple[str, ...] = ()) -> dict[str, Any]:
    """Do what is missing; returns the result of every step by id. Raises Stopped and MedcorpusError."""
    with_weights(prepared, devices)
    results = {}
    for step in prepared.until(until):
        if step.result is None:
            event(f"{step.id}: {step.stage}")
            made = STAGES[step.stage](prepared, step, step.out, devices, accepted)
            if devices.first:
                _publish_json(step.out / "result.json", made)
            devices.wait()
        results[step.id] = step.result or {}
    return results


def with_weights(prepared: Prepared, devices: Devices) -> None:
    """A base with random weights is made here, where torch is: the folder prepared holds its sizes only."""
    about, folder = prepared.about["base"], prepared.root / "base"
    if devices.first and about.get("init") == "random" and not (folder / checkpoint.MANIFEST).exists():
        checkpoint.publish(folder, lambda made: base.create(about, prepared.root / "tokenizer", made), {})
    devices.wait()


# -- steps --------------------------------------------------------------------------------------------


def upcycled(prepared: Prepared, step: Step, out: Path, devices: Devices, accepted: tuple[str, ...]) -> dict[str, Any]:
    """Dense to Post-MoE; the two must agree on random tokens (`parity`), unless noise was asked for."""
    if not devices.first:
        return {}
    dense, plan = prepared.model_before(step), upcycle.Upcycling(**step.params["upcycling"])
    texts = _texts(prepared, step) if plan.router == "hidden" else None
    made: dict[str, Any] = {}

    def fill(folder: Path) -> None:
        made.update(upcycle.upcycle(dense, folder / "made", plan, texts))
        for path in (folder / "made").iterdir():
            path.rename(folder / path.name)
        (folder / "made").rmdir()

    checkpoint.publish(out / "model", fill, {})
    found = upcycle.parity(dense, out / "model")
    event(f"parity with the dense model: largest difference {found.difference:.3g} of {found.largest:.3g}")
    varied = plan.noise or plan.drop or plan.shared or not plan.normalise
    if found.relative > 1e-5 and not varied:
        raise Fatal(f"{step.id}: the mixture does not equal the dense model ({found.relative:.2g} of the largest logit)")
    return made | {"parity": found._asdict()}


def _texts(prepared: Prepared, step: Step) -> dict[int, torch.Tensor]:
    """For each expert some tokens of its languages, out of the plan of the next tune step."""
    later = prepared.steps[prepared.steps.index(step) + 1 :]
    tune = next((one for one in later if one.stage == "tune"), None)
    if tune is None:
        raise Fatal(f"{step.id}: `router: hidden` takes its texts from a tune step below, and there is none")
    reader, found = Reader(tune.data), {}
    for expert in sorted(set(reader.spans["expert"].tolist()) - {-1}):
        mine = (reader.spans["expert"] == expert).nonzero()[0]
        pieces, size = [], 0
        for span in mine[: step.params["router_tokens"]]:
            start, length = int(reader.spans["start"][span]), int(reader.spans["length"][span])
            pieces.append(torch.from_numpy(reader.tokens[start : start + length].astype("int64")))
            size += length
            if size >= step.params["router_tokens"]:
                break
        found[expert] = torch.cat(pieces)
    return found


def tuned(prepared: Prepared, step: Step, out: Path, devices: Devices, accepted: tuple[str, ...]) -> dict[str, Any]:
    """One tune step, from the model before it (with a fresh optimizer) to `model/`."""
    params, before = step.params, prepared.model_before(step)
    loop = open_loop(prepared, step, out, devices, accepted)
    loop.resume()
    figures = loop.run()
    if params["hand_over"] == "best" and loop.best["checkpoint"]:
        restore(out / "checkpoints" / loop.best["checkpoint"], loop.objective, loop.optimizer)
    made = {"digest": digest(loop.stock), **figures, "routing": _routed(loop, out, devices)}
    full = {name: whole(p.detach()).cpu() for name, p in loop.stock.named_parameters()} if devices.world > 1 else None
    if devices.first:

        def fill(folder: Path) -> None:
            precision.finished(loop.stock).save_pretrained(folder, state_dict=full)
            weights.copy_beside(before, folder)

        checkpoint.publish(out / "model", fill, {})
        shutil.rmtree(out / "checkpoints")
    devices.wait()
    return made


def open_loop(prepared: Prepared, step: Step, out: Path, devices: Devices, accepted: tuple[str, ...]) -> Loop:
    """Model, optimizer and plan of a tune step, ready to begin or go on."""
    params, before = step.params, prepared.model_before(step)
    torch.manual_seed(params["seed"])
    model = weights.load(before, torch.float32 if params["precision"] == "fp32" else torch.bfloat16)
    reader = Reader(step.data)
    if (longest := getattr(model.config, "max_position_embeddings", None)) and reader.window > longest:
        raise Fatal(f"{step.id}: windows of {reader.window} tokens, but the model reads at most {longest}")
    if int(reader.tokens.max(initial=0)) >= model.config.vocab_size:
        raise Fatal(f"{step.id}: the tokenizer knows words that the model does not: it belongs to another model")
    model = precision.prepare(model, params["train"], params["checkpointing"])
    routing.install(model, routing.Routing(**params["routing"]), reader.languages)
    attention.install(model, params["attention"])
    found = groups(model, params["rates"], params["weight_decay"])
    optimizer = precision.optimizer(found, tuple(params["betas"]))
    tuning = Tuning(
        schedule=Schedule(**params["schedule"]),
        flops_per_token=sizes.flops_per_token(model.config, reader.window),
        device_flops=params["device_flops"] or sizes.device_flops(devices.device),
        **{name: params[name] for name in ("weight_decay", "clip", "save_every", "keep_last", "log_every", "evaluate_every", "seed")},  # noqa: E501
        betas=tuple(params["betas"]),
        micro_rows=max(1, params["micro_tokens"] // reader.window),
    )
    return Loop(model, optimizer, step.data, out, tuning, devices, prepared.lineage(step), accepted)


def again(prepared: Prepared, id: str, devices: Devices) -> dict[str, Any]:
    """Train a finished tune step once more from its beginning, aside, and compare the weights bit by bit."""
    (step,) = prepared.until(id)[-1:]
    if step.stage != "tune" or step.result is None:
        raise Fatal(f"{id} is no finished tune step")
    out = step.out.with_name(f".again-{step.out.name}")
    shutil.rmtree(out, ignore_errors=True)
    loop = open_loop(prepared, step, out, devices, ())
    loop.tuning = replace(loop.tuning, save_every=0)
    loop.run(lambda line: None)
    found = {"first": step.result["digest"], "again": digest(loop.stock)}
    shutil.rmtree(out, ignore_errors=True)
    return found | {"equal": found["first"] == found["again"]}


def evaluated(prepared: Prepared, step: Step, out: Path, devices: Devices, accepted: tuple[str, ...]) -> dict[str, Any]:
    """Accuracy by language of the model as it is now, and what its routers do when nothing is forced."""
    if not devices.first:
        return {}
    folder = prepared.model_before(step)
    model = weights.load(folder).to(devices.device).eval()
    items = evaluate.read_items(step.data / "items.jsonl")
    languages = sorted({item.language for item in items})
    routing.install(model, routing.Routing(infer=step.params["routing"]), languages)
    found = evaluate.evaluate(model, items, upcycle.description(folder)["languages"], step.params["batch_tokens"])
    choices = found.pop("choices")
    out.mkdir(parents=True, exist_ok=True)
    (out / "choices.jsonl").write_text("".join(json.dumps(choice) + "\n" for choice in choices), encoding="utf-8")
    return found | {"routing": _report_routing(model, upcycle.description(folder)["experts"], out)}


def exported(prepared: Prepared, step: Step, out: Path, devices: Devices, accepted: tuple[str, ...]) -> dict[str, Any]:
    """A folder that transformers, lm-eval and vLLM open by themselves; opened here, and compared, before it counts."""
    if not devices.first:
        return {}
    from transformers import AutoTokenizer

    before = prepared.model_before(step)
    dtype = {"keep": "auto", "fp32": torch.float32, "bf16": torch.bfloat16}[step.params["dtype"]]

    def fill(folder: Path) -> None:
        weights.load(before, dtype).save_pretrained(folder)
        weights.copy_beside(before, folder)

    checkpoint.publish(out / "model", fill, {})
    tokenizer = AutoTokenizer.from_pretrained(out / "model", local_files_only=True)
    found = upcycle.parity(before, out / "model")
    event(f"export parity: largest difference {found.difference:.3g} of {found.largest:.3g}")
    if found.relative > 1e-5 and step.params["dtype"] != "bf16":
        raise Fatal(f"{step.id}: the exported model is not the tuned one ({found.relative:.2g} of the largest logit)")
    link = prepared.root / "export"
    made = link.with_name(".export-new")
    made.unlink(missing_ok=True)
    made.symlink_to((out / "model").relative_to(prepared.root))
    made.replace(link)
    return {"folder": str(link), "parity": found._asdict(), "vocabulary": len(tokenizer)}


STAGES: dict[str, Callable[..., dict[str, Any]]] = {
    "upcycle": upcycled,
    "tune": tuned,
    "evaluate": evaluated,
    "export": exported,
}


def _publish_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f".{path.name}.tmp")
    made.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    made.replace(path)
