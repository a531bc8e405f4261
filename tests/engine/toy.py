"""Small stages that show the engine every verb, and every way to go wrong."""

import asyncio
import os
import signal
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from medcorpus.core.errors import PartitionError, Retryable, RowError
from medcorpus.core.keys import digest
from medcorpus.core.params import Params, decision, place
from medcorpus.core.schema import RECORD, child_id, conform, with_columns
from medcorpus.core.stage import (
    Bad,
    Context,
    Decision,
    Expand,
    Gather,
    Job,
    Map,
    Partition,
    Reason,
    Resources,
    Source,
)  # fmt: skip
from medcorpus.engine.plan import Plan, Step, with_keys
from tests.records import records


class Files(Source):
    """One partition a line-file in a folder; lines are `language text`; `!` makes a bad row."""

    class Params(Params):
        path: str = place()

    name = "files"

    def partitions(self):
        return [
            Partition(digest([path.name, path.read_text()]), {"path": str(path)}, path.stat().st_size)
            for path in sorted(Path(self.params.path).iterdir())
        ]

    def read(self, spec, reject):
        path = Path(spec["path"])
        good = []
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if line.startswith("!"):
                reject(Bad(f"{path.name}#L{number}", "bad_line", "a line that cannot be read"))
            else:
                good.append((f"{path.name}#L{number}", *line.split(" ", 1)))
        for start in range(0, len(good), 7):
            piece = good[start : start + 7]
            if piece:
                locators, languages, texts = map(list, zip(*piece, strict=True))
                yield records(texts, language=languages, locator=locators, source="toy")


class Length(Map):
    """Measures; breaks on `poison`, dies on `bomb`, changes the language of `moved`."""

    class Params(Params):
        unit: int = 1
        longest: int = decision(10)
        sleep: float = 0.0
        count: str = ""

    name = "length"
    reads = ("text",)
    writes = (pa.field("length_chars", pa.int32()),)
    reasons = {
        "too_long": Reason(
            "longer than `longest`",
            lambda batch, params, _: pc.greater(batch["length_chars"], params.longest),
            ("longest",),
            score="length_chars",
        )
    }

    def apply(self, batch):
        if self.params.count and batch.num_rows:
            with Path(self.params.count).open("a") as log:
                log.write(f"{batch.num_rows}\n")
        time.sleep(self.params.sleep)
        texts = batch["text"].to_pylist()
        if any("poison" in text for text in texts):
            raise ValueError(f"cannot measure {texts}")
        if any("secret" in text for text in texts):
            raise RowError("a row that says why")
        if any("bomb" in text for text in texts):
            os.kill(os.getpid(), signal.SIGKILL)
        if any("dud" in text for text in texts):
            raise PartitionError("this part cannot be made")
        if any("twice" in text for text in texts):
            flag = Path(self.params.count + ".tried")
            if not flag.exists():
                flag.touch()
                raise Retryable("try again")
        lengths = pa.array([len(text) * self.params.unit for text in texts], pa.int32())
        moved = pa.array([t == "moved" for t in texts], pa.bool_())
        language = pc.if_else(moved, "eng", batch["language"])
        return with_columns(batch, {"length_chars": lengths, "language": language})


class Slow(Map):
    """An io map: many partitions in flight in one process."""

    class Params(Params):
        log: str = ""

    name = "slow"
    writes = (pa.field("slow_pid", pa.int64()),)
    resources = Resources(kind="io")

    async def apply(self, batch):
        started = time.monotonic()
        await asyncio.sleep(0.2)
        if self.params.log and batch.num_rows:
            with Path(self.params.log).open("a") as log:
                log.write(f"{os.getpid()} {started} {time.monotonic()}\n")
        if any("poison" in text for text in batch["text"].to_pylist()):
            raise ValueError("no")
        return with_columns(batch, {"slow_pid": pa.array([len(t) for t in batch["text"].to_pylist()], pa.int64())})


class Environment(Map):
    """What the variable `variable` is where it runs."""

    class Params(Params):
        variable: str

    name = "environment"
    writes = (pa.field("environment", pa.string()),)

    def apply(self, batch):
        said = os.environ.get(self.params.variable)
        return with_columns(batch, {"environment": pa.array([said] * batch.num_rows, pa.string())})


class Mark(Map):
    """A select of its own."""

    class Params(Params):
        drop: tuple[str, ...] = Field(())

    name = "mark"
    decides = True

    def apply(self, batch):
        reason = batch["drop_reason"]
        for rule in self.context.decisions:
            from medcorpus.core.stage import load

            cls = load(rule.stage)
            hit = cls.reasons[rule.reason].drops(batch, cls.Params.model_construct(**rule.params), ())
            reason = pc.if_else(pc.and_(pc.fill_null(hit, False), pc.is_null(reason)), rule.reason, reason)
        return with_columns(batch, {"drop_reason": reason})


class Words(Expand):
    """A row of several words becomes a row a word."""

    name = "words"

    def apply(self, batch):
        if any("poison" in text for text in batch["text"].to_pylist()):
            raise ValueError("no")
        rows, origin = [], []
        for index, row in enumerate(batch.to_pylist()):
            parts = row["text"].split()
            if len(parts) == 1:
                rows.append(row)
                origin.append(index)
                continue
            for number, part in enumerate(parts):
                id = child_id(row["id"], f"word={number}", part.encode())
                rows.append(row | {"id": id, "text": part, "parents": [row["id"]]})
                origin.append(index)
        made = pa.RecordBatch.from_pylist(rows, schema=batch.schema)
        return made, pa.array(origin, pa.int64())


class Same(Gather):
    """Rows of equal text: all but the smallest id are told whose copy they are."""

    class Params(Params):
        count: str = ""

    name = "same"
    writes = (pa.field("same_as", pa.string()),)
    decision_fields = (pa.field("same_as", pa.string()),)
    reasons = {"copy": Reason("a copy", lambda batch, params, _: pc.is_valid(batch["same_as"]))}

    def emit(self, batches):
        table = pa.Table.from_batches([batch.select(["id", "text"]) for batch in batches])
        if self.params.count and table.num_rows:
            with Path(self.params.count).open("a") as log:
                log.write(f"{table.num_rows}\n")
        return table

    def resolve(self, parts):
        first: dict[str, str] = {}
        rows = [(n, i, row) for n, part in enumerate(parts) for i, row in enumerate(part.to_pylist())]
        for _, _, row in rows:
            first[row["text"]] = min(first.get(row["text"], "z"), row["id"])
        out = [
            {"part": n, "row": i, "same_as": first[row["text"]]}
            for n, i, row in rows
            if first[row["text"]] != row["id"]
        ]
        fields = [pa.field("part", pa.int32()), pa.field("row", pa.int64()), *self.decision_fields]
        return pa.Table.from_pylist(out, schema=pa.schema(fields))

    def apply(self, batch, decisions):
        same = np.full(batch.num_rows, None, object)
        same[decisions["row"].to_numpy()] = decisions["same_as"].to_pylist()
        return with_columns(batch, {"same_as": pa.array(same, pa.string())})


class Write(Job):
    """All texts, sorted, in one file."""

    name = "write"
    links = {"result": ""}

    def run(self, inputs, out):
        texts = sorted(f"{r['id']} {r['language']} {r['text']}" for b in inputs.batches() for r in b.to_pylist())
        (out / "texts.txt").write_text("\n".join(texts))
        return {"rows": len(texts)}


def step(cls, id=None, inputs=(), decisions=(), **params) -> Step:
    """A step of one of these stages; `allow_empty` and `max_error_rate` may be among the parameters."""
    siblings = {name: params.pop(name) for name in ("allow_empty", "max_error_rate") if name in params}
    return Step(
        id=id or cls.name,
        stage=f"{cls.__module__}:{cls.__qualname__}",
        params=params,
        context=Context(step=id or cls.name, decisions=tuple(decisions)),
        inputs=tuple(inputs),
        **siblings,
    )


def plan(*steps: Step) -> Plan:
    """Steps one after the other, where they do not say otherwise."""
    chained = []
    for one in steps:
        if not one.inputs and not issubclass(one.cls, Source):
            from dataclasses import replace

            one = replace(one, inputs=(chained[-1].id,))
        chained.append(one)
    return Plan("toy", with_keys(chained))


def too_long(longest=10) -> Decision:
    """The bound reason of `Length`."""
    return Decision("too_long", f"{Length.__module__}:Length", {"longest": longest})


def copy() -> Decision:
    """The bound reason of `Same`."""
    return Decision("copy", f"{Same.__module__}:Same", {})


__all__ = ["RECORD", "conform"]
