"""`medcorpus train RECIPE --plan`: what a training would do and cost, from its plans and the sizes of its model."""

from pathlib import Path
from typing import Any

from medcorpus.cli.show import print_json, table

STARVED = 0.005  # of a step's tokens: an expert that gets less hardly moves from the copy it began as


def show(about: dict[str, Any], root: Path, device: str, mfu: float, as_json: bool) -> None:
    """Print it, as tables or as JSON."""
    steps = estimates(root, device, mfu)
    if as_json:
        print_json({"name": about["name"], "folder": str(root), "steps": steps})
        return
    for step in steps:
        _print(step, device, mfu)


def estimates(root: Path, device: str, mfu: float) -> list[dict[str, Any]]:
    """One object a tune step: its plan, its model, memory, time, experts."""
    import json

    from medcorpus.core.errors import RecipeError
    from medcorpus.training import precision, sizes
    from medcorpus.training.devices import Devices
    from medcorpus.training.moe import upcycle
    from medcorpus.training.prepared import Prepared
    from medcorpus.training.reader import Reader
    from medcorpus.training.run import with_weights

    peak = sizes.peak(device)
    if peak is None:
        raise RecipeError(f"--device: no figures of '{device}' (known: {', '.join(sizes.PEAKS)})")
    prepared = Prepared(root)
    with_weights(prepared, Devices(cpu=True))
    config, found = upcycle.AutoConfig.from_pretrained(root / "base"), []
    for step in prepared.steps:
        if step.stage == "upcycle":
            wanted = upcycle.Upcycling(**step.params["upcycling"])
            layers = range(config.num_hidden_layers)
            config = upcycle.target_config(config, wanted, list(layers[-wanted.layers :] if wanted.layers else layers))
        if step.stage != "tune":
            continue
        params, reader = step.params, Reader(step.data)
        plan = json.loads((step.data / "plan.json").read_text(encoding="utf-8"))
        model = sizes.empty(config)
        counts = sizes.parameters(model)
        model = precision.trainable(model, params["train"], params["last_layers"], params["lora_rank"])
        seen, scored = reader.context()
        flops = sizes.flops_per_token(model, seen, scored)
        micro = max(1, params["micro_tokens"] // reader.window) * reader.window
        size = 4 if params["precision"] == "fp32" else 2
        seconds = sizes.seconds(plan["figures"]["tokens"], flops.training, peak, mfu)
        found.append(
            {
                "id": step.id, "steps": plan["steps"], "rows": plan["rows"], "window": plan["window"],
                **plan["figures"],
                "parameters": counts,
                "trained": sum(p.numel() for p in model.parameters() if p.requires_grad),
                "memory": sizes.memory(model, micro, size, int(params["checkpointing"])),
                "micro_tokens": micro,
                "flops_per_token": flops.training,
                "seconds": seconds,
                "experts": experts(reader, plan["experts"]),
            }
        )  # fmt: skip
    return found


def experts(reader: Any, names: list[str]) -> dict[str, Any] | None:
    """Tokens forced to each expert, which ones get next to nothing, and languages without one; None when dense."""
    import numpy as np

    if not names:
        return None
    length, of = reader.spans["length"], reader.spans["expert"]
    forced = np.bincount(of[of >= 0], length[of >= 0], len(names)).astype(int)
    without = sorted({reader.languages[i] for i in np.unique(reader.spans["language"][of < 0])})
    starved = [name for name, tokens in zip(names, forced, strict=True) if tokens < STARVED * length.sum()]
    return {"tokens": dict(zip(names, forced.tolist(), strict=True)), "starved": starved, "without_expert": without}


def _print(step: dict[str, Any], device: str, mfu: float) -> None:
    tokens = step["tokens"]
    print(f"\n{step['id']}: {step['steps']:,} steps, {step['rows']:,} rows of {step['window']:,}, {tokens:,} tokens")
    print(
        f"  packing {step['packing']:.1%}, learnt {step['learnt'] / tokens:.1%}, {step['documents']:,} documents,"
        f" {step['heldout_documents']:,} held out, {step['cut']:,} longer than a row, {step['too_long']:,} too long"
    )
    if step["left_out"]:
        print("  left out: " + ", ".join(f"{why} {count:,}" for why, count in step["left_out"].items()))
    for part in ("by_language", "by_kind"):
        body = [[name, c["spans"], c["tokens"], f"{c['tokens'] / tokens:.1%}", c["learnt"]] for name, c in sorted(step[part].items(), key=lambda kv: -kv[1]["tokens"])]  # fmt: skip # noqa: E501
        table("", [part.removeprefix("by_"), "spans", "tokens", "share", "learnt"], body, right=["spans", "tokens", "share", "learnt"])  # fmt: skip # noqa: E501
    if step["experts"]:
        forced = step["experts"]["tokens"]
        table("", ["expert", "forced tokens", "share"], [[n, t, f"{t / tokens:.1%}"] for n, t in forced.items()], right=["forced tokens", "share"])  # fmt: skip # noqa: E501
        if step["experts"]["starved"]:
            print(f"  warning: next to no tokens for {', '.join(step['experts']['starved'])}")
        if step["experts"]["without_expert"]:
            print(f"  warning: no expert for {', '.join(step['experts']['without_expert'])}: nothing is forced there")
    count = step["parameters"]
    print(f"  parameters: {count['total']:,}, {count['active']:,} at work on a token, {step['trained']:,} trained")
    parts = ", ".join(f"{name} {size / 2**30:.2f}" for name, size in step["memory"].items() if name != "total")
    print(f"  memory: {step['memory']['total'] / 2**30:.2f} GiB at {step['micro_tokens']:,} tokens at a time ({parts})")
    print(f"  time: {step['seconds'] / 3600:.2f} h on one {device} at an MFU of {mfu:.0%} (reckoned, not measured)")
