"""Error classes that say what happens next, and the exit codes users script against.

    MedcorpusError          1   (base; a bare one is a bug)
    ├─ RecipeError          2   wrong usage or recipe: every problem is collected and shown at once
    ├─ Fatal                3   stop the run: nothing that follows can be right
    │  ├─ Missing           4   an extra, a model or a credential is not there; the message has the cure
    │  ├─ Refused           5   a remote service refused for good
    │  └─ Locked           75   another run holds the lock
    ├─ PartitionError       3   fail this partition, go on with the others, report at the end
    └─ Retryable            3   try the same partition again, then treat as PartitionError

Everything else that a stage raises belongs to one row: the engine isolates that row and quarantines it.
"""

from dataclasses import dataclass

EXIT_DONE = 0
EXIT_BUG = 1
EXIT_SIGINT = 130
EXIT_SIGTERM = 143


class MedcorpusError(Exception):
    """Base of all errors raised on purpose. `exit_code` is what the process returns."""

    exit_code = EXIT_BUG


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong with a recipe: file, line (1-based; 0 when unknown) and a sentence."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}" if place else self.message


class RecipeError(MedcorpusError):
    """Wrong usage or recipe. Holds every problem found, so that one look mends them all."""

    exit_code = 2

    def __init__(self, problems: list[Problem] | str):
        self.problems = [Problem("", 0, problems)] if isinstance(problems, str) else sorted(problems)
        super().__init__("\n".join(str(p) for p in self.problems))


class Fatal(MedcorpusError):
    """Stop the run. Everything committed so far is kept."""

    exit_code = 3


class Missing(Fatal):
    """Something has to be installed, downloaded or configured first; the message says how."""

    exit_code = 4


class Refused(Fatal):
    """A remote service refused for good (credentials, quota, terms)."""

    exit_code = 5


class Locked(Fatal):
    """Another run holds the lock of this run folder."""

    exit_code = 75


class PartitionError(MedcorpusError):
    """This partition cannot be made; the others go on."""

    exit_code = 3


class Retryable(MedcorpusError):
    """A passing trouble: the same partition is tried again."""

    exit_code = 3


class RowError(MedcorpusError):
    """One row cannot be processed; the message must not hold any of its text."""

    exit_code = 3


def nearest(name: str, known: list[str]) -> str:
    """`; did you mean 'x'?` for the known name closest to `name`, or an empty string."""
    import difflib

    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""
