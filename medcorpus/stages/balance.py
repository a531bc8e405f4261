"""`balance`: how often each row should be seen, so that no language, family, category or source drowns the others.

Rows with the same values of `by` are a group. How much of each group is wanted, ONE of these says (n: its size, in
rows or characters):

    cap          n, but no more than this
    temperature  a share of the budget in proportion to n^(1/T): T = 1 is as it comes, a large T all groups alike.
                 Arivazhagan et al. 2019 take T = 5; papers that write alpha = 1/T take 0.7 (multilingual BERT) or
                 0.3 (Conneau et al. 2020, XLM-R; Xue et al. 2021, mT5)
    unimax       all groups alike, none more than N times over (Chung et al. 2023, algorithm 1): from the smallest
                 group to the largest, an equal part of what is left of the budget, or N x n where that is less

    balance_epochs  how often to see the row: 0, 1, 2 ... 0 is the reason `over_cap`
    balance_group   its group: the values of `by`, with | between them

Where 2.3 times a group is wanted, all its rows are seen twice, and some a third time until that much is met (it is
passed by less than one row). Which ones hangs on a hash of their ids alone, so files, their order and other rows
make no difference, and what a new row moves is a few rows at the edge. Therefore epochs are whole numbers: a
fraction for all rows would change with every new one, and each part of the corpus would be written again.
"""

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BeforeValidator, Field, model_validator

from medcorpus.core.params import Params
from medcorpus.core.schema import with_columns
from medcorpus.core.stage import Gather, Reason, Resources

_EPOCHS = pa.field("balance_epochs", pa.int32())
_GROUP = pa.field("balance_group", pa.string())
_UNKNOWN = {"language": "und", "category": "none"}

By = Literal["language", "family", "category", "source"]


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class BalanceParams(Params):
    """Exactly one of `cap`, `temperature` and `unimax`."""

    by: Annotated[tuple[By, ...], BeforeValidator(_several)] = Field(
        ("language",), min_length=1, description="what makes a group: language, family, category, source, or several"
    )
    cap: int | None = Field(None, ge=1, description="most of any group")
    temperature: float | None = Field(None, ge=1, description="T: shares in proportion to n^(1/T)")
    unimax: int | None = Field(None, ge=1, description="N: groups alike, none seen more often than this")
    budget: int | None = Field(
        None, ge=1, description="all that is wanted with temperature or unimax; default: as much as there is"
    )
    unit: Literal["rows", "chars"] = Field("rows", description="what is counted: rows, or code points of their text")
    seed: int = Field(1, ge=0, lt=1 << 63, description="of the order in which rows are taken")

    @model_validator(mode="after")
    def _one_method(self) -> "BalanceParams":
        given = [name for name in ("cap", "temperature", "unimax") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"say one of cap, temperature, unimax (found: {', '.join(given) or 'none'})")
        if self.budget is not None and self.cap is not None:
            raise ValueError("budget goes with temperature or unimax; a cap is the limit itself")
        if len(set(self.by)) < len(self.by):
            raise ValueError(f"by names something twice: {', '.join(self.by)}")
        return self


def _over_cap(batch: pa.RecordBatch, params: Any, languages: tuple[str, ...]) -> pa.Array:
    return pc.equal(batch.column("balance_epochs"), 0)


class Balance(Gather):
    """Says how often to see each row, for groups of a wanted size."""

    name = "balance"
    compiles = True
    Params = BalanceParams
    reads = ("id", "text", "language", "category", "source")
    writes = (_EPOCHS, _GROUP)
    decision_fields = (_EPOCHS,)
    resources = Resources(memory_mb=1024)
    reasons = {"over_cap": Reason("more of its group than is wanted", _over_cap, score="balance_epochs")}

    @classmethod
    def figures(cls) -> list[dict[str, str]]:
        """What becomes of groups of some sizes: times each is seen, and its share of the whole."""
        sizes = {f"{10**power:,}": 10**power for power in range(6, 1, -1)}
        choices = [{"temperature": t} for t in (1, 2, 3.3, 5, 100)] + [{"unimax": n} for n in (1, 2, 5, 10)]
        out = []
        for choice in choices:
            wanted = targets(sizes, BalanceParams.model_validate(choice))
            total = sum(wanted.values())
            shown = {
                f"of {name}": f"{wanted[name] / size:.3g}x {wanted[name] / total:.2%}" for name, size in sizes.items()
            }
            out.append({"method": " ".join(f"{key} {value}" for key, value in choice.items())} | shown)
        return out

    def notes(self) -> list[str]:
        """What is wanted of each group."""
        params = self.params
        group = " and ".join(params.by)
        if params.cap is not None:
            return [f"at most {params.cap:,} {params.unit} for each {group}"]
        budget = f"{params.budget:,} {params.unit}" if params.budget else f"as many {params.unit} as there are"
        if params.unimax is not None:
            return [f"{budget}, each {group} alike, none more than {params.unimax} times over"]
        return [f"{budget}, each {group} in proportion to n^(1/{params.temperature:g})"]

    def resource_digests(self) -> dict[str, str]:
        """Which family each language belongs to, where that is asked."""
        from medcorpus.core.keys import digest

        return {"families": digest(_families())} if "family" in self.params.by else {}

    def open(self) -> None:
        """Load the kernel."""
        from medcorpus.text.hashes import hashes

        hashes(pa.array(["warm"]))

    def emit(self, batches: Iterator[pa.RecordBatch]) -> pa.Table:
        """`group` (dictionary), `key` (uint64, its place in the order) and `size` (int64) of each row."""
        from medcorpus.text.hashes import hashes

        groups, keys, sizes = [], [], []
        for batch in batches:
            groups.append(self._groups(batch))
            keys.append(hashes(batch.column("id"), self.params.seed))
            sizes.append(self._sizes(batch))
        return pa.table(
            {
                "group": pa.concat_arrays(groups).dictionary_encode(),
                "key": np.concatenate(keys),
                "size": np.concatenate(sizes),
            }
        )

    def resolve(self, parts: list[pa.Table]) -> pa.Table:
        """Decisions for the rows that are not seen once."""
        rows = [part.num_rows for part in parts]
        epochs = np.ones(0, np.int64)
        if parts:
            columns = {name: [chunk for part in parts for chunk in part[name].chunks] for name in parts[0].schema.names}
            encoded = pa.chunked_array(columns["group"], parts[0].schema.field("group").type).unify_dictionaries()
            group = np.concatenate([np.empty(0, np.int32), *(chunk.indices.to_numpy() for chunk in encoded.chunks)])
            names = encoded.chunk(0).dictionary.to_pylist() if encoded.num_chunks else []
            key, size = (np.concatenate([np.empty(0, kind), *map(np.asarray, columns[name])])
                         for name, kind in (("key", np.uint64), ("size", np.int64)))  # fmt: skip
            sizes = np.bincount(group, size, len(names)).astype(np.int64)  # exact up to 2^53
            wanted = targets(dict(zip(names, sizes.tolist(), strict=True)), self.params)
            epochs = times(group, key, size, np.array([wanted[name] for name in names], np.int64), sizes)
        told = np.flatnonzero(epochs != 1)
        part = np.repeat(np.arange(len(parts)), rows)[told]
        first = np.cumsum([0, *rows])
        return pa.table(
            {
                "part": pa.array(part, pa.int32()),
                "row": pa.array(told - first[part], pa.int64()),
                "balance_epochs": pa.array(epochs[told], pa.int32()),
            }
        )

    def apply(self, batch: pa.RecordBatch, decisions: pa.Table) -> pa.RecordBatch:
        """`batch` with its groups, and the epochs of its rows: 1 where nothing was decided."""
        epochs = np.ones(batch.num_rows, np.int32)
        epochs[decisions.column("row").to_numpy()] = decisions.column("balance_epochs").to_numpy()
        return with_columns(
            batch, {"balance_epochs": (_EPOCHS, pa.array(epochs)), "balance_group": (_GROUP, self._groups(batch))}
        )

    def _groups(self, batch: pa.RecordBatch) -> pa.Array:
        """The group of each row. With several values a backslash or | inside one has a backslash before it."""
        values = []
        for name in self.params.by:
            if name == "family":
                codes = batch.column("language").dictionary_encode()
                known = _families()
                names = pa.array([known.get(code, "und") for code in codes.dictionary.to_pylist()], pa.string())
                values.append(pc.fill_null(names.take(codes.indices), "und"))
            else:
                values.append(pc.fill_null(batch.column(name), _UNKNOWN.get(name, "")))
        if len(values) == 1:
            return values[0]
        safe = [pc.replace_substring(pc.replace_substring(value, "\\", "\\\\"), "|", "\\|") for value in values]
        return pc.binary_join_element_wise(*safe, "|")

    def _sizes(self, batch: pa.RecordBatch) -> np.ndarray:
        """int64: 1, or code points of the text."""
        if self.params.unit == "rows":
            return np.ones(batch.num_rows, np.int64)
        return pc.fill_null(pc.utf8_length(batch.column("text")), 0).to_numpy(zero_copy_only=False).astype(np.int64)


def targets(sizes: dict[str, int], params: BalanceParams) -> dict[str, int]:
    """How much is wanted of each group, given how much there is; whole units, halves going to the even one."""
    if params.cap is not None:
        return {name: min(size, params.cap) for name, size in sizes.items()}
    budget = sum(sizes.values()) if params.budget is None else params.budget
    if params.temperature is not None:
        weights = {name: math.pow(size, 1 / params.temperature) if size else 0.0 for name, size in sizes.items()}
        total = math.fsum(weights.values()) or 1.0
        return {name: round(budget * (weight / total)) for name, weight in weights.items()}
    wanted = {}
    for done, (size, name) in enumerate(sorted((size, name) for name, size in sizes.items())):
        wanted[name] = min(budget // (len(sizes) - done), size * params.unimax)
        budget -= wanted[name]
    return wanted


def times(group: np.ndarray, key: np.ndarray, size: np.ndarray, wanted: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """int64[n]: how often each row is seen, rows of a group being taken by rising `key` until it has what is wanted.

    `group`, `key`, `size` are of the rows, `wanted` and `sizes` of the groups. Rows with one key are taken together.
    A group of size 0 (empty texts) is seen once.
    """
    often, rest = np.divmod(wanted, np.maximum(sizes, 1))
    often[sizes == 0] = 1
    order = np.lexsort((key, group))
    in_group, by_key = group[order], key[order]
    before = np.cumsum(size[order]) - size[order] - (np.cumsum(sizes) - sizes)[in_group]
    new = np.ones(len(order), np.bool_)
    new[1:] = (np.diff(in_group) != 0) | (by_key[1:] != by_key[:-1])
    before = before[new][np.cumsum(new) - 1]
    out = np.empty(len(order), np.int64)
    out[order] = often[in_group] + (before < rest[in_group])
    return out


def _families() -> dict[str, str]:
    """Code -> family, of every language known."""
    from medcorpus.core.languages import registry

    return {language.code: language.family for language in registry()}
