"""Mark the rows to drop, for the reasons named. The only stage that does.

Each reason belongs to a step above, which declares it over its own columns and limits; the recipe binds
them (`Context.decisions`). So a new limit costs a new `select` and what follows, never a new score.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from medcorpus.core.params import Params
from medcorpus.core.schema import LARGE, with_columns
from medcorpus.core.stage import Map, load


class SelectParams(Params):
    """What `select` may be told."""

    drop: tuple[str, ...] = Field(
        min_length=1, description="Reasons to drop a row for; each is declared by a stage above (`medcorpus stages`)."
    )


class Select(Map):
    """`drop_reason` is the first reason, in the order named, that holds; the others go to `flags`."""

    name, version, Params = "select", 1, SelectParams
    reads = ()
    writes = (pa.field("drop_reason", pa.string()), pa.field("flags", pa.list_(pa.string())))
    decides = True

    def open(self) -> None:
        """Load the stages that own the reasons. A reason looks at small columns, and at those its stage writes."""
        self._rules = []
        written = {field.name for one in self.context.decisions for field in load(one.stage).writes}
        self.unread = tuple(name for name in LARGE if name not in written)
        for decision in self.context.decisions:
            cls = load(decision.stage)
            limits = cls.Params.model_construct(**decision.params)
            self._rules.append((decision.reason, cls.reasons[decision.reason], limits, decision.languages or ()))

    def apply(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Mark; the engine takes marked rows out."""
        first = batch["drop_reason"]
        others = {}
        for name, reason, limits, languages in self._rules:
            drops = pc.fill_null(reason.drops(batch, limits, languages), False)
            taken = pc.is_valid(first)
            others[name] = pc.and_(drops, taken)
            first = pc.if_else(pc.and_not(drops, taken), name, first)
        return with_columns(batch, {"drop_reason": first, "flags": _with_flags(batch["flags"], others)})


def _with_flags(flags: pa.Array, others: dict[str, pa.Array]) -> pa.Array:
    """`flags` with the names whose boolean arrays hold, after those that were there; none comes twice."""
    held = np.column_stack([drops.to_numpy(zero_copy_only=False) for drops in others.values()] or [[]])
    if not held.any():
        return flags
    there, owners = flags.flatten(), pc.list_parent_indices(flags)
    for column, name in enumerate(others):
        held[owners.filter(pc.equal(there, name)), column] = False
    rows, columns = np.nonzero(held)
    names = pa.concat_arrays([there, pa.array(list(others)).take(pa.array(columns))])
    owners = np.concatenate([owners, rows])
    order = np.argsort(owners, kind="stable")
    offsets = np.searchsorted(owners[order], np.arange(len(flags) + 1)).astype(np.int32)
    null = pc.and_(pc.is_null(flags), pa.array(np.diff(offsets) == 0))
    return pa.ListArray.from_arrays(offsets, names.take(pa.array(order)), flags.type, mask=null)
