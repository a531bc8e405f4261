"""Run a prepared training, step by step: what is done is not done again, a broken step goes on where it was."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from medcorpus.core.errors import Fatal, Missing
from medcorpus.core.log import event
from medcorpus.training import attention, base, checkpoint, evaluate, precision, sizes, weights
from medcorpus.training.devices import Devices, restore, whole
from medcorpus.training.loop import Loop, Schedule, Tuning, digest
from medcorpus.training.moe import analysis, routing, upcycle
from medcorpus.training.plan.items import read_items
from medcorpus.training.prepared import Prepared, Step
from medcorpus.training.reader import Reader


def run(
    prepared: Prepared, devices: Devices, until: str | None = None, accepted: tuple[str, ...] = ()
) -> dict[str, Any]:
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


_BESIDE_SIZES = ("init", "vocabulary", "tokenizer")  # what else stands in `base: {init: random, ...}`


def with_weights(prepared: Prepared, devices: Devices) -> None:
    """A base with random weights is made here, where torch is: the folder prepared holds its sizes only."""
    about, folder = prepared.about["base"], prepared.root / "base"
    if devices.first and about.get("init") == "random" and not (folder / checkpoint.MANIFEST).exists():
        settings = {name: about[name] for name in ("kind", "tied", "seed") if name in about}
        sizes_of = {name: value for name, value in about.items() if name not in (*settings, *_BESIDE_SIZES)}
        tokenizer = prepared.root / "tokenizer"
        checkpoint.publish(folder, lambda made: _inside(made, lambda new: base.build(new, tokenizer, sizes_of, **settings)), {})  # fmt: skip # noqa: E501
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
        _inside(folder, lambda new: made.update(upcycle.upcycle(dense, new, plan, texts)))

    checkpoint.publish(out / "model", fill, {})
    found = upcycle.parity(dense, out / "model")
    event(f"parity with the dense model: largest difference {found.difference:.3g} of {found.largest:.3g}")
    varied = plan.noise or plan.drop or plan.shared or not plan.normalise
    if found.relative > 1e-5 and not varied:
        raise Fatal(
            f"{step.id}: the mixture does not equal the dense model ({found.relative:.2g} of the largest logit)"
        )
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
    """One tune step, from the model before it to `model/`."""
    loop = open_loop(prepared, step, out, devices, accepted)
    loop.resume()
    figures = loop.run()
    if step.params["hand_over"] == "best" and loop.best["checkpoint"]:
        restore(out / "checkpoints" / loop.best["checkpoint"], loop.objective, loop.optimizer)
    made = {"digest": digest(loop.stock), **figures}
    hand_over(loop, prepared.model_before(step), out / "model")
    if devices.first:
        checkpoint.prune(out / "checkpoints", 1, loop.best["checkpoint"] or None)
    return made


def hand_over(loop: Loop, before: Path, folder: Path) -> None:
    """The tuned model as a stock checkpoint: adapters merged, shards gathered, our router taken out."""
    devices = loop.devices
    if devices.world > 1:
        full = {name: whole(p.detach()).cpu() for name, p in loop.stock.named_parameters()}
        if devices.first:
            model = precision.filled(weights.load(before, loop.stock.dtype), loop.stock, full)
    else:
        routing.remove(loop.stock)
        model = precision.merged(loop.stock)
    if devices.first:

        def fill(made: Path) -> None:
            weights.save(model, made)
            weights.copy_beside(before, made)

        checkpoint.publish(folder, fill, {})
    devices.wait()


def open_loop(prepared: Prepared, step: Step, out: Path, devices: Devices, accepted: tuple[str, ...]) -> Loop:
    """Model, optimizer and plan of a tune step, ready to begin or go on."""
    params, before, reader = step.params, prepared.model_before(step), Reader(step.data)
    torch.manual_seed(params["seed"])
    model = weights.load(before, torch.float32 if params["precision"] == "fp32" else torch.bfloat16)
    longest = getattr(model.config, "max_position_embeddings", None)
    if longest and reader.window > longest:
        raise Fatal(f"{step.id}: windows of {reader.window} tokens, but the model reads at most {longest}")
    weights.check_tokenizer(prepared.root / "tokenizer", model.get_input_embeddings().num_embeddings)
    model = precision.trainable(model, params["train"], params["last_layers"], params["lora_rank"])
    precision.checkpointing(model, int(params["checkpointing"]))
    micro_rows = max(1, params["micro_tokens"] // reader.window)
    _check_memory(model, micro_rows * reader.window, params, devices)
    kinds = {name: params["routing"][name] for name in ("train", "balance", "z", "language")}
    routing.install(model, routing.Routing(**kinds), reader.languages)
    attention.install(model, params["attention"], devices.device)

    def optimizer(sharded: torch.nn.Module) -> torch.optim.Optimizer:
        groups = precision.groups(sharded, 1.0, params["weight_decay"], **params["rates"])
        return precision.MasterAdamW(groups, betas=tuple(params["betas"]))

    seen, scored = reader.context()
    tuning = Tuning(
        schedule=Schedule(params["lr"], params["schedule"], params["warmup"], params["floor"]),
        flops_per_token=sizes.flops_per_token(model, seen, scored).training,
        device_flops=params["device_flops"] or devices.peak() or 0.0,
        micro_rows=micro_rows,
        **{name: params[name] for name in ("clip", "save_every", "keep_last", "log_every", "evaluate_every", "seed")},
    )
    loop = Loop(model, optimizer, step.data, out, tuning, devices, prepared.lineage(step), accepted)
    if params["optimizer"] == "carried":
        _carry(prepared, step, loop)
    return loop


def _check_memory(model: torch.nn.Module, tokens: int, params: dict[str, Any], devices: Devices) -> None:
    """Raise Fatal now rather than hours later."""
    size = 4 if params["precision"] == "fp32" else 2
    need = sizes.memory(model, tokens, size, int(params["checkpointing"]))
    where = "this machine" if devices.world == 1 else f"all {devices.world} devices"
    sizes.check_memory(need, sizes.available(devices.device) * devices.world, where)


def _carry(prepared: Prepared, step: Step, loop: Loop) -> None:
    """The optimizer's state of the tune before, as its last checkpoint has it."""
    before = prepared.by_id.get(step.model_from or "")
    found = checkpoint.newest(before.out / "checkpoints", event) if before else None
    if found is None:
        raise Fatal(f"{step.id}: `optimizer: carried` needs a tune step directly above, with a checkpoint")
    restore(found[0], loop.objective, loop.optimizer, weights=False)


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
    items = read_items(step.data / "items.jsonl")
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


def _report_routing(model: torch.nn.Module, experts: list[str], out: Path) -> dict[str, Any] | None:
    """What the routers did: figures, `routing.json` in full, a heat map with matplotlib. None for a dense model."""
    counts = routing.statistics(model)
    if counts is None:
        return None
    own, known = counts.own.sum(axis=0), counts.known.sum(axis=0)
    shares = {name: float(own[i] / known[i]) for i, name in enumerate(counts.languages) if known[i]}
    _publish_json(out / "routing.json", analysis.table(counts, experts))
    try:
        analysis.heat_map(counts, experts, out / "routing.png", out.name)
    except Missing as error:
        event(str(error))
    return {"experts": experts, "own_first": analysis.summary(counts)["own"], "own_first_by_language": shares}


def _inside(folder: Path, make: Callable[[Path], Any]) -> None:
    """Let `make` write a folder of its own, and have its files in `folder`."""
    made = folder / "made"
    make(made)
    for path in made.iterdir():
        path.rename(folder / path.name)
    made.rmdir()


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


def shown(prepared: Prepared, results: dict[str, Any]) -> str:
    """Results for a person: a paragraph a step."""
    lines = []
    for step in prepared.steps:
        result = results.get(step.id)
        if result is None:
            continue
        lines += ["", f"{step.id} ({step.stage})"]
        if step.stage == "tune":
            held = f", best held-out loss {result['best']['loss']:.4f}" if result["best"] else ""
            lines.append(
                f"  {result['steps']} steps, last loss {result['loss']:.4f}{held}; curves: {step.out}/log.jsonl"
            )
        elif step.stage == "evaluate":
            lines += _table(result)
        elif step.stage == "upcycle":
            share = result["parity"]["relative"]
            lines.append(f"  {len(result['experts'])} experts in layers {result['moe_layers']}, parity {share:.2g}")
        else:
            lines.append(f"  {result['folder']}, parity {result['parity']['relative']:.2g}")
    if "again" in results:
        lines += ["", f"trained again: weights are {'equal' if results['again']['equal'] else 'NOT equal'} bit by bit"]
    return "\n".join(lines).lstrip("\n")


def _table(result: dict[str, Any]) -> list[str]:
    rows = [*result["by_language"].items(), ("all", result["all"])]
    own = (result["routing"] or {}).get("own_first_by_language", {})
    lines = [f"  {'language':<10}{'asked':>7}{'right':>8}{'95% interval':>17}{'guessing':>10}{'own expert':>12}"]
    for name, row in rows:
        share = own.get(name, (result["routing"] or {}).get("own_first") if name == "all" else None)
        interval = f"{row['low']:.1%} - {row['high']:.1%}"
        lines.append(
            f"  {name:<10}{row['n']:>7}{row['accuracy']:>8.1%}{interval:>17}{row['guess']:>10.1%}"
            + (f"{share:>12.1%}" if share is not None else "")
        )
    return lines
