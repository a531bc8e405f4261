"""The command line. The top level is lazy: names and one-liners here, everything else when it is used.

Results go to standard output, progress and logs to standard error.
"""

import os
import sys
from typing import Any

from medcorpus import __version__
from medcorpus.core.errors import EXIT_BUG, EXIT_DONE, MedcorpusError, RecipeError, nearest
from medcorpus.jobs import JOBS
from medcorpus.stages import STAGES

COMMANDS: dict[str, tuple[str, str]] = {
    "build": ("medcorpus.cli.build", "run a recipe: does only what is missing"),
    "train": ("medcorpus.cli.train", "tune a model by a recipe: upcycle, stages, evaluation, export"),
    "check": ("medcorpus.cli.check", "find every problem of a recipe before it runs"),
    "stages": ("medcorpus.cli.check", "every stage, its parameters and its reasons"),
    "languages": ("medcorpus.cli.languages", "the languages known, their families and experts"),
    "doctor": ("medcorpus.cli.doctor", "what is installed and reachable, and the cure for what is not"),
    "moe": ("medcorpus.cli.moe", "mixtures of experts: look at one, add an expert, import a published one"),
    "fit": ("medcorpus.cli.fit", "train the small models that are shipped (langid, domain)"),
    "calibrate": ("medcorpus.cli.calibrate", "derive limits from text you know, and report (domain, quality)"),
    "status": ("medcorpus.cli.look", "what a run did, step by step, or is doing now"),
    "explain": ("medcorpus.cli.explain", "the whole story of one row: kept, dropped or quarantined, and why"),
    "verify": ("medcorpus.cli.look", "are all parts there, whole, and do the numbers add up?"),
    "versions": ("medcorpus.cli.look", "finished versions of a run"),
}
SUBCOMMANDS = {**STAGES, **JOBS}

EXIT_CODES = """exit codes:
  0 done   1 a bug   2 wrong usage or recipe   3 data problem   4 something is missing (the message has the cure)
  5 a remote service refused   75 another run holds the lock   130/143 stopped by a signal, committed work kept"""


class Stopped(BaseException):
    """A signal asked the process to stop."""

    def __init__(self, signum: int):
        super().__init__(signum)
        self.exit_code = 128 + signum


def help_text() -> str:
    """The page of `medcorpus --help`, made from the tables."""
    width = max(map(len, [*COMMANDS, *SUBCOMMANDS])) + 2
    lines = ["usage: medcorpus COMMAND [ARGUMENTS] [OPTIONS]    (medcorpus COMMAND --help tells more)", ""]
    lines += ["build multilingual medical datasets, and see what happened to every row", "", "commands:"]
    lines += [f"  {name:<{width}}{line}" for name, (_, line) in COMMANDS.items()]
    lines += ["", "one stage on files (medcorpus STAGE IN OUT), in the order of a build:"]
    lines += [f"  {name:<{width}}{line}" for name, (_, line) in SUBCOMMANDS.items()]
    lines += ["", "start here:", "  medcorpus build quickstart", "  medcorpus status runs/quickstart", "", EXIT_CODES]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    """Run one command and exit with its code."""
    sys.exit(run(sys.argv[1:] if argv is None else argv))


def run(args: list[str]) -> int:
    """Run one command; returns the exit code. Errors go to standard error, as JSON with `--json`."""
    try:
        return _dispatch(args)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else EXIT_DONE if stop.code is None else EXIT_BUG
    except Stopped as stop:
        print("stopped; what was committed is kept, the same command goes on from there", file=sys.stderr)
        return stop.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except MedcorpusError as error:
        _say(error, "--json" in args)
        return error.exit_code
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _say(MedcorpusError(f"{place}{error.strerror or error}"), "--json" in args)
        return 3
    except Exception as error:
        import traceback

        places = "".join(traceback.format_list(traceback.extract_tb(error.__traceback__)))
        shown = f": {error}" if os.environ.get("MEDCORPUS_DEBUG") else " (MEDCORPUS_DEBUG=1 shows the message)"
        print(f"{places}bug: {type(error).__name__}{shown}", file=sys.stderr)
        return EXIT_BUG


def _dispatch(args: list[str]) -> int:
    if not args or args[0] in ("-h", "--help", "help"):
        print(help_text())
        return EXIT_DONE if args else 2
    name, rest = args[0], args[1:]
    if name == "--version":
        print(f"medcorpus {__version__}")
        return EXIT_DONE
    from importlib import import_module

    if name == "build" or name in SUBCOMMANDS:
        _begin(rest, SUBCOMMANDS.get(name, STAGES["ingest"])[0])
    if name in COMMANDS:
        command: Any = getattr(import_module(COMMANDS[name][0]), name)
    elif name in SUBCOMMANDS:
        from medcorpus.cli.stage import subcommand

        command = subcommand(name)
    else:
        known = [*COMMANDS, *SUBCOMMANDS]
        raise RecipeError(f"there is no command '{name}'{nearest(name, known)} (`medcorpus --help` lists all)")
    import typer

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    if isinstance(command, typer.Typer):  # it has commands of its own
        app = command
    else:
        app.command(name, no_args_is_help=False)(command)
    result = app(rest, prog_name=f"medcorpus {name}", standalone_mode=True)
    return result if isinstance(result, int) else EXIT_DONE


def _begin(args: list[str], stage: str) -> None:
    """Start what workers are copied from before the command itself is imported, which takes as long."""
    if not args or {"-h", "--help", "--dry-run"} & set(args):
        return
    from medcorpus.core import light
    from medcorpus.engine.early import template

    light.starting()
    template([path.partition(":")[0] for path in (STAGES["ingest"][0], stage)])


def _say(error: MedcorpusError, as_json: bool) -> None:
    if as_json:
        import json

        body: dict[str, Any] = {"exit_code": error.exit_code, "message": str(error)}
        if isinstance(error, RecipeError):
            body["problems"] = [vars(problem) for problem in error.problems]
        print(json.dumps({"error": body}, ensure_ascii=False), file=sys.stderr)
        return
    if isinstance(error, RecipeError) and len(error.problems) > 1:
        print(f"{len(error.problems)} problems:", file=sys.stderr)
        for problem in error.problems:
            print(f"  {problem}", file=sys.stderr)
        return
    print(f"error: {error}", file=sys.stderr)
