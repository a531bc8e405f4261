"""`medcorpus STAGE IN OUT`: one stage on files, through the same recipe, engine and checks as a build.

Flags are the recipe keys; values are read as YAML, so `--min-words 5` and `--columns '{text: body}'` mean
what they mean in a recipe. The work lies in `.<OUT>.work` until it is done, so a killed command goes on.
"""

import inspect
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from medcorpus.cli.build import WORKERS
from medcorpus.core.errors import RecipeError
from medcorpus.core.stage import load, verb

FILE_SUFFIXES = (".parquet", ".jsonl", ".jsonl.gz", ".jsonl.zst", ".arrow")
_READ = "read"  # id of the step that reads IN


def subcommand(name: str) -> Callable[..., None]:
    """A function with one option for each parameter of the stage, for typer to read."""
    from medcorpus.cli.check import describe
    from medcorpus.recipe.compile import registered

    cls = load(registered()[name])
    kind = verb(cls)
    source = kind == "source"
    help_in = "A file, glob, folder, run step or dataset." if not source else "A file, glob or folder (the `path`)."
    parameters = [
        _parameter("in_", str, typer.Argument(metavar="IN", help=help_in)),
        _parameter(
            "out", Path, typer.Argument(metavar="OUT", help=f"A folder, or a file ({', '.join(FILE_SUFFIXES)}).")
        ),
    ]
    for param in describe(name)["params"]:
        if source and param["name"] == "path":
            continue
        flag = f"--{param['name'].replace('_', '-')}"
        meaning = f"{param['meaning']}" + (
            f" [default: {param['default']}]" if param["default"] not in ("", "required") else ""
        )
        option = typer.Option(flag, metavar=param["type"].upper()[:40], help=meaning, show_default=False)
        parameters.append(_parameter(f"p_{param['name']}", str | None, option, None))
    if cls.reasons:
        default = kind == "gather"
        option = typer.Option(
            "--drop/--keep",
            help=f"Drop rows for this stage's reasons: {', '.join(r for r in cls.reasons if cls.reasons[r].usual)}.",
        )
        parameters.append(_parameter("drop", bool, option, default))
    languages = typer.Option("--languages", help="The recipe's languages, such as en,zh,sw.")
    parameters.append(_parameter("languages", str | None, languages, None))
    parameters.append(_parameter("workers", int | None, WORKERS, None))
    rate = typer.Option(min=0, max=1, help="Share of rows that may go to quarantine.")
    parameters.append(_parameter("max_error_rate", float, rate, 0.02))
    parameters.append(_parameter("json", bool, typer.Option("--json", help="The result as JSON."), False))

    def command(**given: Any) -> None:
        _run(name, kind, cls, given)

    # \b keeps the lines of an indented block as they are (click)
    paragraphs = inspect.cleandoc(inspect.getmodule(cls).__doc__ or name).split("\n\n")
    command.__doc__ = "\n\n".join(f"\b\n{p}" if p.startswith(" ") else p for p in paragraphs)
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _parameter(name: str, kind: Any, what: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, what])


def _run(name: str, kind: str, cls: Any, given: dict[str, Any]) -> None:
    from medcorpus.cli.build import report, run_plan, stop_on_signals
    from medcorpus.core import light
    from medcorpus.core.log import setup
    from medcorpus.core.store import LocalStore
    from medcorpus.engine.early import Early
    from medcorpus.recipe.compile import compile

    out: Path = given["out"]
    suffix = next((s for s in FILE_SUFFIXES if out.name.endswith(s)), None)
    if suffix is None and out.suffix:
        raise RecipeError(f"OUT {out}: a folder, or a file ending in {', '.join(FILE_SUFFIXES)}")
    if out.exists():
        raise RecipeError(f"OUT {out} exists; choose another name or remove it")
    if kind == "job" and suffix:
        raise RecipeError(f"{name} writes a folder; OUT {out} looks like a file")
    light.starting()
    setup()
    stop_on_signals()
    recipe = _recipe(name, kind, cls, given)
    early = Early(min(given["workers"] or 2, 2)) if not recipe.problems else None
    work = out.parent / f".{out.name}.work"
    compiled = compile(recipe, "")
    store = LocalStore(work)
    light.started()
    runner = run_plan(compiled.plan, store, given["workers"], None, given["json"], early)
    last = compiled.plan.steps[-1]
    if kind == "job":
        shutil.copytree(
            (work / last.folder / runner.parts(last.id)[0].key), out, ignore=shutil.ignore_patterns("job.json")
        )
    elif suffix:
        _write_file(store, last, runner, out, suffix)
    else:
        _write_folder(work, last, runner, out)
    report(runner, LocalStore(out if out.is_dir() else out.parent), given["json"]) if given["json"] else _tell(
        runner, out
    )
    shutil.rmtree(work)


def _recipe(name: str, kind: str, cls: Any, given: dict[str, Any]) -> Any:
    """The recipe behind the command: read IN, the stage, and (with --drop) a select."""
    from medcorpus.core.errors import Problem
    from medcorpus.recipe.load import Recipe
    from medcorpus.recipe.yaml_lines import Lines, read

    problems: list[Problem] = []
    params: dict[str, Any] = {}
    for key, text in given.items():
        if key.startswith("p_") and text is not None:
            try:
                params[key[2:]] = read(text, f"--{key[2:].replace('_', '-')}")[0]
            except RecipeError as error:
                problems += error.problems
    rate = {"max_error_rate": given["max_error_rate"]}
    if kind == "source":
        steps: list[dict[str, Any]] = [{name: {"path": given["in_"], **params}, **rate}]
    else:
        steps = [{"ingest": {"path": given["in_"]}, "id": _READ, **rate}, {name: params, **rate}]
    if given.get("drop"):
        drop = [r for r, reason in cls.reasons.items() if reason.usual and (given["languages"] or not reason.languages)]
        steps.append({"select": {"drop": drop}, "id": f"{name}_drop", "allow_empty": True})
    value: dict[str, Any] = {"name": name, "steps": steps}
    if given["languages"]:
        value["languages"] = [label.strip() for label in given["languages"].split(",")]
    return Recipe(Path.cwd() / f"medcorpus {name}", value, Lines(), problems)


def _write_folder(work: Path, last: Any, runner: Any, out: Path) -> None:
    """The step folder: its parts, its manifest, and the rejects beside them."""
    import pyarrow as pa

    from medcorpus.core.store import LocalStore
    from medcorpus.engine.parts import PartWriter, part_schema, read_part

    store = LocalStore(work)
    out.parent.mkdir(parents=True, exist_ok=True)
    made = out.with_name(f".{out.name}.tmp-copy")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(mode=0o700 if last.private else 0o777)
    for part in runner.parts(last.id):  # in full: an overlay would miss the parts it stands on
        with (made / f"{part.key}.arrow").open("wb") as sink:
            writer = PartWriter(sink)
            for batch in read_part(store, f"{last.folder}/{part.key}.arrow"):
                writer.write(batch)
            if writer.empty:
                schema = part_schema(store, f"{last.folder}/{part.key}.arrow")
                writer.write(pa.RecordBatch.from_pylist([], schema=schema))
            writer.close()
    shutil.copy(work / last.folder / "manifest.json", made)
    if (work / "rejects").exists():
        shutil.copytree(work / "rejects", made / "rejects")
    made.rename(out)


def _write_file(store: Any, last: Any, runner: Any, out: Path, suffix: str) -> None:
    """All rows in one file, by its suffix."""
    from medcorpus.engine.parts import PartRows

    parts = runner.parts(last.id)
    rows = PartRows(store, [f"{last.folder}/{part.key}.arrow" for part in parts], parts)
    out.parent.mkdir(parents=True, exist_ok=True)
    made = out.with_name(f".{out.name}.tmp-write")
    if suffix == ".parquet":
        import pyarrow.parquet as pq

        with pq.ParquetWriter(made, rows.schema, compression="zstd") as writer:
            for batch in rows.batches():
                writer.write_batch(batch)
    elif suffix == ".arrow":
        import pyarrow as pa

        with pa.ipc.new_file(str(made), rows.schema) as file:
            for batch in rows.batches():
                file.write_batch(batch)
    else:
        import orjson
        import pyarrow as pa

        codec = {".jsonl.gz": "gzip", ".jsonl.zst": "zstd"}.get(suffix)
        with pa.output_stream(str(made), compression=codec) as sink:
            for batch in rows.batches():
                for row in batch.drop_columns(["body"]).to_pylist():
                    sink.write(orjson.dumps({k: v for k, v in row.items() if v is not None}, option=orjson.OPT_APPEND_NEWLINE))  # fmt: skip # noqa: E501
    made.rename(out)


def _tell(runner: Any, out: Path) -> None:
    from medcorpus.cli.build import STEP_COLUMNS, step_row
    from medcorpus.cli.show import table

    table("", STEP_COLUMNS, [step_row(r) for r in runner.reports.values()], right=STEP_COLUMNS[1:-1])
    print(f"written: {out}")
