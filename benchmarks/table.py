"""Rows of results, and how they are shown."""

import statistics
from typing import Any, NamedTuple


class Row(NamedTuple):
    """One contender at one work. `ratio`: how many times longer than ours it takes; `bar`: what is asked of that.

    Memory in MiB, 0 where it was not measured. For a kernel `seconds` are processor seconds on one core and `bar` is
    in megabytes a second.
    """

    work: str
    who: str
    seconds: list[float]
    mb_s: float
    resident: int
    anonymous: int
    ratio: float | None
    bar: float | None

    @property
    def median(self) -> float:
        """Of the runs."""
        return statistics.median(self.seconds)


def markdown(machine: dict[str, Any], rows: list[Row]) -> str:
    """The table, with the machine under it."""
    lines = [
        "| work | who | s (median) | MB/s | peak MiB (anonymous) | times ours | bar |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        memory = f"{row.resident:,} ({row.anonymous:,})" if row.resident else ""
        ratio = "" if row.ratio is None else f"{row.ratio:.1f}"
        bar = "" if row.bar is None else f"{row.bar:g}{' MB/s' if row.ratio is None else ''}"
        lines.append(f"| {row.work} | {row.who} | {row.median:.2f} | {row.mb_s:.1f} | {memory} | {ratio} | {bar} |")
    runs = max((len(row.seconds) for row in rows), default=0)
    return "\n".join(
        [
            *lines,
            "",
            f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}; "
            f"{machine['corpus_mb']} MB of text; {runs} runs each, in turn; load {machine['load']:.1f} at the end.",
        ]
    )
