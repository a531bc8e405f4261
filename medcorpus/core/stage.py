"""The contract: five verbs.

    Source   snapshot, partitions, read     the outside world becomes records
    Map      apply(batch) -> batch          same rows, same order; adds or rewrites columns
    Expand   apply(batch) -> batch, parent  new rows with `parents` and ids of their own
    Gather   emit -> resolve -> apply       a barrier: decisions that need rows from everywhere
    Job      run(inputs, out)               a finished dataset becomes an artefact

A stage is a small class with its parameters beside it. It sees batches; counting, timing, rejects,
files and processes are the engine's. Bases live here only, one level deep: no stage inherits a stage.

**Score, then decide**: a Map adds columns and declares *reasons* over them; `select` alone marks rows.
"""

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import pyarrow as pa

from medcorpus.core.manifest import QUARANTINE
from medcorpus.core.params import Params

if TYPE_CHECKING:
    from collections.abc import Awaitable


@dataclass(frozen=True)
class Decision:
    """A reason as bound by the recipe: whose it is and with which limits. Part of a `select`'s key."""

    reason: str
    stage: str  # "module:Class"
    params: dict[str, Any]  # only the decision parameters the reason looks at
    languages: tuple[str, ...] | None = None  # only when the reason looks at the recipe's languages


@dataclass(frozen=True)
class Context:
    """What a stage may know of the recipe it runs in. Nothing here enters a key by itself."""

    step: str = ""
    root: str = "."  # folder that file patterns are relative to
    state: str = ""  # folder for what outlives runs (indexes, models, digests); "" = keep nothing
    languages: tuple[str, ...] = ()
    decisions: tuple[Decision, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)  # what a Job prints in a card: name, versions


@dataclass(frozen=True)
class Resources:
    """What one task of a stage needs. The engine runs as many at a time as cores and memory allow."""

    kind: Literal["cpu", "io", "gpu"] = "cpu"
    memory_mb: int = 512


@dataclass(frozen=True)
class Reason:
    """Why a row may be dropped: a predicate over the stage's own columns and decision parameters.

    `drops(batch, params, languages)` returns a boolean array, true = drop; null counts as false.
    `params` names the decision parameters it looks at; `score` the column shown beside the reason. What is not
    `usual` (the rules of others, what is for review) drops rows only where a `select` names it.
    """

    description: str
    drops: Callable[[pa.RecordBatch, Any, tuple[str, ...]], pa.Array]
    params: tuple[str, ...] = ()
    languages: bool = False
    score: str | None = None
    usual: bool = True


@dataclass(frozen=True)
class Bad:
    """A row, or the rest of a file, that could not be read. Never holds its text.

    What is not broken has another `reason` than quarantine, which alone counts against the error budget: a row that
    could be read but may not be passed on (it then has its own `id` and `language`), or has no text to pass on.
    """

    locator: str
    error: str
    message: str
    reason: str = QUARANTINE
    id: str | None = None
    language: str | None = None


@dataclass(frozen=True)
class Partition:
    """A share of a Source: `digest` of its content and place, and what `read` needs to find it again."""

    digest: str
    spec: dict[str, Any]
    size: int  # bytes, for progress and grouping


class Stage:
    """What all verbs share."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    Params: ClassVar[type[Params]] = Params
    reads: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[tuple[pa.Field, ...]] = ()
    unread: tuple[str, ...] = ()  # columns that `apply` never looks at: a batch may come without them
    reasons: ClassVar[dict[str, Reason]] = {}
    resources: ClassVar[Resources] = Resources()
    costly: ClassVar[bool] = False  # its output is written at once, never recomputed for a later stage
    protects: ClassVar[bool] = False  # its output no longer holds patient data (phi)
    compiles: ClassVar[bool] = False  # `open` compiles kernels, which takes seconds the first time on a machine
    decides: ClassVar[bool] = False  # it marks rows by the reasons of the steps above (select)

    def __init__(self, params: Any, context: Context = Context()):
        self.params = params
        self.context = context

    def open(self) -> None:
        """Load models and kernels. Called once in the process that runs the stage, before any batch."""

    def warm(self) -> None:
        """Run the kernels that `open` leaves to later, without it. Called where they are compiled, before any work."""

    def close(self) -> None:
        """Release what `open` took."""

    def resource_digests(self) -> dict[str, str]:
        """Digests of the models, prompts and term lists that decide what is written. Part of the key."""
        return {}

    @classmethod
    def figures(cls) -> list[dict[str, str]]:
        """A table that helps to choose a parameter, for `medcorpus stages NAME`: one dict a row."""
        return []

    @classmethod
    def limits_of(cls, reason: str, params: dict[str, Any], root: str) -> dict[str, Any]:
        """The decision parameters that a reason looks at, as they enter the key of a `select`.

        A stage whose parameter names a file of limits (relative to `root`) puts in what the file says.
        """
        return {name: params.get(name) for name in cls.reasons[reason].params}

    def notes(self) -> list[str]:
        """What the plan shows beside this step (a guessed format, a model's name)."""
        return []


class Source(Stage):
    """Brings records in. Takes no input."""

    def snapshot(self) -> str:
        """Digest of everything the source would read now."""
        raise NotImplementedError

    def partitions(self) -> list[Partition]:
        """The shares, each small enough for one task; stable when files are added or reordered."""
        raise NotImplementedError

    def read(self, spec: dict[str, Any], reject: Callable[[Bad], None]) -> Iterator[pa.RecordBatch]:
        """Records of one partition, in order; what cannot be read is handed to `reject`."""
        raise NotImplementedError


class Map(Stage):
    """Same rows, same order. An `io` map (resources.kind) is a coroutine, run beside others."""

    def apply(self, batch: pa.RecordBatch) -> "pa.RecordBatch | Awaitable[pa.RecordBatch]":
        """`batch` with columns added or rewritten."""
        raise NotImplementedError


class Expand(Stage):
    """Makes new rows out of rows."""

    def apply(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.Array]:
        """New batch, and for each of its rows the row of `batch` it comes from, in rising order.

        A row that passes unchanged keeps its id; a made row has an id of its own and `parents`. A row
        whose id is not in the output counts as dropped for the reason `expanded`.
        """
        raise NotImplementedError


class Gather(Stage):
    """Decisions that need rows from everywhere, in three phases.

    `emit` boils one part down to a table, which is kept: a part that did not change is never read again for
    it. `resolve` sees all those tables at once, memory-mapped, and decides; it should walk their columns
    from end to end and hash nothing. `apply` writes down the decisions that concern its batch, and runs again
    only for parts whose decisions changed.

    Tables instead of rows sorted into buckets by the engine: what has to lie together (a band, a group) differs
    from stage to stage, and a column that `emit` has sorted needs only to be merged.
    """

    decision_fields: ClassVar[tuple[pa.Field, ...]] = ()

    def emit(self, batches: Iterator[pa.RecordBatch]) -> pa.Table:
        """What `resolve` needs of one part, in any shape. There is at least one batch, which may be empty."""
        raise NotImplementedError

    def resolve(self, parts: list[pa.Table]) -> pa.Table:
        """Decisions: `part` (int32, place in `parts`), `row` (int64, within the part) and `decision_fields`.

        Silent rows are left out. The answer may depend on what was emitted, not on how rows were cut into
        parts, nor on their order.
        """
        raise NotImplementedError

    def resolve_digests(self) -> dict[str, str]:
        """Digests of what `resolve` looks at besides the parts. They make it run again, not `emit`."""
        return {}

    def apply(self, batch: pa.RecordBatch, decisions: pa.Table) -> pa.RecordBatch:
        """`batch` with the decisions written down; `decisions.row` counts within this batch."""
        raise NotImplementedError


class Rows(Protocol):
    """What a Job reads: finished partitions, in a fixed order."""

    schema: pa.Schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows of all inputs."""
        ...

    @property
    def num_rows(self) -> int:
        """Rows in all partitions."""
        ...

    @property
    def num_bytes(self) -> int:
        """Arrow bytes in all partitions."""
        ...


class Job(Stage):
    """A finished dataset in, an artefact out."""

    links: ClassVar[dict[str, str]] = {}  # name in the run folder -> path inside the newest artefact
    as_views: ClassVar[tuple[str, ...]] = ()  # string columns that `inputs` may bring as `core.views`, not copied

    def run(self, inputs: Rows, out: Path) -> dict[str, Any]:
        """Write the artefact into the empty folder `out`; return a few figures for the report."""
        raise NotImplementedError


def load(path: str) -> type[Stage]:
    """The class behind "module:Class"."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def verb(cls: type[Stage]) -> str:
    """`source`, `map`, `expand`, `gather` or `job`."""
    return next(base.__name__.lower() for base in cls.__mro__ if base.__module__ == __name__)
