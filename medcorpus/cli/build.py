"""`medcorpus build RECIPE`."""

import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from medcorpus.cli import Stopped
from medcorpus.cli.show import print_json, table
from medcorpus.core import light
from medcorpus.core.errors import EXIT_DONE, Missing
from medcorpus.core.log import event, setup

WORKERS = typer.Option(
    min=1, envvar="MEDCORPUS_WORKERS", help="Processes (default: as cores and memory allow).", show_envvar=True
)


class Engine(StrEnum):
    """Where tasks run."""

    local = "local"
    ray = "ray"


class LogFormat(StrEnum):
    """How progress and logs look."""

    text = "text"
    json = "json"


def build(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a shipped one such as `quickstart`.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what is cached, what would run, and why.")] = False,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="<step id>.<param>=<yaml>, or languages=[..].")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Stop after this step.")] = None,
    out: Annotated[str | None, typer.Option(help="Run folder or URL (default: runs/<recipe name>).")] = None,
    state: Annotated[
        Path | None, typer.Option(help="Folder for what outlives runs (default: beside the runs).")
    ] = None,
    engine: Annotated[Engine, typer.Option(help="Where tasks run.")] = Engine.local,
    workers: Annotated[int | None, WORKERS] = None,
    json: Annotated[bool, typer.Option("--json", help="The result as JSON on standard output.")] = False,
    log_format: Annotated[LogFormat, typer.Option(help="Progress and logs on standard error.")] = LogFormat.text,
) -> None:
    """Run all steps of a recipe. What is already there is not done again; kill it at any time and run it again."""
    stop_on_signals()
    light.starting()
    setup(log_format.value)
    if engine is Engine.ray:
        raise Missing("--engine ray is not in this version; use --engine local")
    from medcorpus.recipe.load import load

    loaded = load(recipe, tuple(set_ or ()))
    early = None if dry_run or loaded.problems else _early(_folder(loaded, out), workers)
    compiled, store = open_run(loaded, out, state)
    _no_training(compiled, recipe)
    for warning in compiled.warnings:
        event(f"warning: {warning}")
    if until is not None and until not in compiled.plan.by_id:
        from medcorpus.core.errors import RecipeError, nearest

        raise RecipeError(f"--until: no step is called '{until}'{nearest(until, list(compiled.plan.by_id))}")
    if dry_run:
        from medcorpus.cli.dry_run import show

        show(compiled.plan, store, until, json)
        raise SystemExit(EXIT_DONE)
    light.started()
    runner = run_plan(compiled.plan, store, workers, until, log_format is LogFormat.json or json, early)
    report(runner, store, json)


def _no_training(compiled: Any, recipe: str) -> None:
    """Raise RecipeError for a recipe of training."""
    from medcorpus.core.errors import Problem, RecipeError
    from medcorpus.jobs import TRAINING

    problems = [
        Problem(recipe, step.line, f"{step.cls.name} is a step of training: `medcorpus train {recipe}` runs it")
        for step in compiled.plan.steps
        if step.cls.name in TRAINING
    ]
    if problems:
        raise RecipeError(problems)


def _folder(loaded: Any, out: str | None) -> str:
    return out or f"runs/{loaded.value.get('name', 'unnamed')}"


def _early(folder: str, workers: int | None) -> Any:
    """Two workers that start while the recipe is compiled, when the run has never been finished: there is work."""
    if "://" in folder or (Path(folder) / "versions").exists():
        return None
    from medcorpus.engine.early import Early

    return Early(min(workers or 2, 2))


def open_run(loaded: Any, out: str | None, state: Path | None, data_there: bool = True) -> Any:
    """The compiled recipe and the store of its run. Without `data_there`, `data:` may name runs still to come."""
    from medcorpus.core.store import open_store
    from medcorpus.recipe.compile import compile

    folder = _folder(loaded, out)
    if state is None:
        state = Path(".medcorpus") if "://" in folder else Path(folder).parent / ".state"
    compiled = compile(loaded, str(state.resolve()), data_there)
    return compiled, open_store(folder)


def run_plan(plan: Any, store: Any, workers: int | None, until: str | None, plain: bool, early: Any = None) -> Any:
    """Run under the lock. Returns the runner with its reports."""
    from medcorpus.core.store import LocalStore
    from medcorpus.engine.local import Runner
    from medcorpus.engine.progress import Progress

    with store.lock(), Progress(plain=plain) as progress:
        if isinstance(store, LocalStore):
            store.sweep()
        runner = Runner(plan, store, workers, progress, early)
        runner.run(until)
    return runner


def stop_on_signals() -> None:
    """SIGTERM and Ctrl-C end the run in order: workers stopped, lock released, committed parts kept."""

    def stop(signum: int, _: object) -> None:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(signum)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def report(runner: Any, store: Any, as_json: bool) -> None:
    """What the run did: a line a step, then where the result is."""
    from medcorpus.core.store import LocalStore

    dataset = store.path("dataset") if isinstance(store, LocalStore) else None
    artefact = str(dataset) if dataset is not None and dataset.exists() else None
    if as_json:
        steps = [
            {
                "id": r.id, "stage": r.stage, "parts": r.parts, "parts_run": r.ran, "seconds": round(r.seconds, 3),
                "peak_mb": r.peak_mb, "account": r.account.to_json(), "info": r.info,
                "phases": {name: {"tasks": n, "seconds": round(s, 3)} for name, (n, s) in r.phases.items()},
            }
            for r in runner.reports.values()
        ]  # fmt: skip
        print_json({"run": store.root, "changed": runner.wrote, "steps": steps, "dataset": artefact})
        return
    if not runner.wrote:
        print(f"nothing to do: {store.root} is up to date", file=sys.stderr)
    table("", STEP_COLUMNS, [step_row(r) for r in runner.reports.values()], right=STEP_COLUMNS[1:-1])
    if peak := max((r.peak_mb for r in runner.reports.values()), default=0):
        print(f"memory:  {peak} MiB in the largest worker")
    if artefact:
        print(f"dataset: {artefact}   (datasets.load_from_disk opens it)")
    print(f"look:    medcorpus status {store.root}   medcorpus explain {store.root} <id>")


STEP_COLUMNS = ["step", "rows in", "made", "left", "rows out", "seconds", "why they left"]


def step_row(r: Any) -> list[Any]:
    """One line of the step table."""
    account = r.account
    reasons = {reason: sum(counts.values()) for reason, counts in account.reasons.items()}
    why = ", ".join(f"{reason} {count:,}" for reason, count in sorted(reasons.items(), key=lambda kv: -kv[1]))
    if r.info:
        why = ", ".join(f"{k} {v:,}" for k, v in r.info.items() if isinstance(v, int))
    rows = [sum(side.values()) or None for side in (account.rows_in, account.created)]
    out = sum(account.rows_out.values()) or None
    seconds = f"{r.seconds:.2f}" if r.ran or r.seconds else "cached"
    return [r.id, *rows, sum(reasons.values()) or None, out, seconds, why]
