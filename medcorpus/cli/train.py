"""`medcorpus train RECIPE`: prepare, then start `python -m medcorpus.training` on what was prepared.

The model's part runs in a process of its own, the very command that runs on a machine with GPUs and nothing of ours
but `medcorpus.training`.
"""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from medcorpus.cli.show import print_json
from medcorpus.core.errors import RecipeError, nearest
from medcorpus.core.log import event, setup


def train(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a shipped one such as `post_moe`.")],
    plan: Annotated[
        bool, typer.Option("--plan", help="Tokens, memory, time and load of experts; trains nothing.")
    ] = False,
    smoke: Annotated[
        bool,
        typer.Option("--smoke", help="The same steps on a tiny model and made-up rows, killed and resumed: a minute."),
    ] = False,
    prepare: Annotated[
        Path | None, typer.Option(help="Only write this folder, for `python -m medcorpus.training DIR` anywhere.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Stop after this step.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="<step id>.<param>=<yaml>, or data=[..].")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the training (default: runs/<recipe name>).")] = None,
    accept: Annotated[str, typer.Option(help="Differences to go on in spite of, such as code,plan.")] = "",
    mfu: Annotated[float, typer.Option(min=0.01, max=1, help="For --plan: share of a device's FLOP/s in use.")] = 0.4,
    device: Annotated[str, typer.Option(help="For --plan: the device to reckon with.")] = "H200",
    json: Annotated[bool, typer.Option("--json", help="The result as JSON on standard output.")] = False,
) -> None:
    """Tune a model by a recipe. What is done is not done again; kill it at any time and run it again."""
    setup()
    overrides = tuple(set_ or ())
    if smoke:
        from medcorpus.cli.smoke import smoke as run_smoke

        raise SystemExit(run_smoke(recipe, overrides, out, json))
    loaded, compiled = _compiled(recipe, overrides)
    steps = [step.id for step in compiled.plan.steps]
    if until is not None and until not in steps:
        raise RecipeError(f"--until: no step is called '{until}'{nearest(until, steps)}")
    root = prepare or out or Path("runs") / compiled.plan.name
    from medcorpus.cli.prepare import prepare as write
    from medcorpus.core.store import LocalStore

    with LocalStore(root).lock():
        about = write(compiled, loaded.file, root)
        if plan:
            from medcorpus.cli.train_plan import show

            show(about, root, device, mfu, json)
            return
        if prepare is not None:
            if json:
                print_json({"prepared": str(root), "steps": [step["id"] for step in about["steps"]]})
            else:
                print(f"prepared: {root}   (python -m medcorpus.training {root} runs it, also under torchrun)")
            return
        options = ["--accept", accept, *(["--until", until] if until else []), *(["--json"] if json else [])]
        code = start(root, options)
    if code:
        raise SystemExit(code)
    if not json:
        print(f"look: {root}/steps   medcorpus explain {root} 'step 1'")


def _compiled(recipe: str, overrides: tuple[str, ...]) -> tuple[Any, Any]:
    from medcorpus.recipe.compile import compile
    from medcorpus.recipe.load import load

    loaded = load(recipe, overrides)
    compiled = compile(loaded, "")
    for warning in compiled.warnings:
        event(f"warning: {warning}")
    return loaded, compiled


def start(root: Path, options: list[str]) -> int:
    """Run the training in a process of its own, and hand signals on to it; returns its exit code."""
    process = subprocess.Popen([sys.executable, "-m", "medcorpus.training", str(root), *options])

    def hand_on(signum: int, _: object) -> None:
        process.send_signal(signum)

    before = {each: signal.signal(each, hand_on) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        code = process.wait()
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    return code if code >= 0 else 128 - code
