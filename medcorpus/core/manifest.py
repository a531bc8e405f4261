"""What a run leaves behind: where things lie, what each step did, and proof that it adds up.

    steps/<id>-<stepkey8>/<partitionkey16>.arrow      rows of one partition (IPC stream, LZ4)
    steps/<id>-<stepkey8>/manifest.json               the list of partition keys, and the account
    rejects/<id>-<stepkey8>/<partitionkey16>.arrow    rows that left: id, reason, score, pointer; never text
    private/steps/...                                 the same for steps that may hold patient data
    versions/<n>.json                                 what each finished run consisted of

A partition is done if and only if its part exists. The rejects file is published just before it and
carries the account of that partition in its schema metadata, so a part is never without its account.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from medcorpus.core.keys import STEP_DIGITS, canonical
from medcorpus.core.store import Store

QUARANTINE = "quarantine"
EXPANDED = "expanded"
PRIVATE = "private/"
"""Before the folder of a step upstream of those that protect patients."""

ACCOUNT_KEY = b"medcorpus.account"

REJECTS = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("step", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("also", pa.list_(pa.string())),  # what else was flagged when it left
        pa.field("score", pa.float64()),
        pa.field("language", pa.string()),
        pa.field("part", pa.string()),  # pointer: the part that still holds the row ("" = it never was one)
        pa.field("row", pa.int64()),
        pa.field("locator", pa.string()),
        pa.field("error", pa.string()),
        pa.field("message", pa.string()),
    ]
)

_SIDES = ("rows_in", "created", "moved_in", "moved_out", "rows_out")


@dataclass
class Account:
    """Rows of one step by language: in + created + moved in = out + moved out + sum of reasons."""

    rows_in: Counter[str] = field(default_factory=Counter)
    created: Counter[str] = field(default_factory=Counter)
    moved_in: Counter[str] = field(default_factory=Counter)
    moved_out: Counter[str] = field(default_factory=Counter)
    rows_out: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, Counter[str]] = field(default_factory=dict)

    def reject(self, reason: str, language: str | None, rows: int = 1) -> None:
        """Note that `rows` rows left for `reason`."""
        self.reasons.setdefault(reason, Counter())[language or "und"] += rows

    def add(self, other: "Account") -> None:
        """Sum another partition's account into this one."""
        for side in _SIDES:
            getattr(self, side).update(getattr(other, side))
        for reason, counts in other.reasons.items():
            self.reasons.setdefault(reason, Counter()).update(counts)

    def gaps(self) -> dict[str, int]:
        """Languages (and "total") whose two sides differ, with the difference; empty when it adds up."""
        gap: Counter[str] = Counter()
        for counts, sign in (
            *((getattr(self, side), 1) for side in ("rows_in", "created", "moved_in")),
            *((getattr(self, side), -1) for side in ("moved_out", "rows_out")),
            *((counts, -1) for counts in self.reasons.values()),
        ):
            for language, rows in counts.items():
                gap[language] += sign * rows
        gap["total"] = sum(gap.values())
        return {language: rows for language, rows in sorted(gap.items()) if rows}

    @property
    def quarantined(self) -> int:
        """Rows in quarantine."""
        return sum(self.reasons.get(QUARANTINE, {}).values())

    @property
    def seen(self) -> int:
        """Rows in and created."""
        return sum(self.rows_in.values()) + sum(self.created.values())

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries, keys sorted, zeros left out."""

        def plain(counts: Counter[str]) -> dict[str, int]:
            return {language: rows for language, rows in sorted(counts.items()) if rows}

        return {side: plain(getattr(self, side)) for side in _SIDES} | {
            "reasons": {reason: plain(counts) for reason, counts in sorted(self.reasons.items())}
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Account":
        """The inverse of `to_json`."""
        return cls(
            **{side: Counter(value[side]) for side in _SIDES},
            reasons={reason: Counter(counts) for reason, counts in value["reasons"].items()},
        )


@dataclass(frozen=True)
class Part:
    """One finished partition: its key, and its size for planning."""

    key: str
    rows: int
    bytes: int  # Arrow bytes before compression

    def to_json(self) -> list[Any]:
        """[key, rows, bytes]."""
        return [self.key, self.rows, self.bytes]


@dataclass(frozen=True)
class Manifest:
    """What a unit of steps wrote: the parts of its last step, and the account of every step in it."""

    step: str
    stage: str
    version: int
    key: str
    parts: tuple[Part, ...]
    accounts: dict[str, Account]  # step id -> account; the last one is `step`

    def to_bytes(self) -> bytes:
        """Canonical JSON: equal for equal content."""
        return canonical(
            {
                "scheme": 1,
                "step": self.step,
                "stage": self.stage,
                "version": self.version,
                "key": self.key,
                "parts": [part.to_json() for part in self.parts],
                "accounts": [[step, account.to_json()] for step, account in self.accounts.items()],
            }
        )

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Manifest":
        """The inverse of `to_bytes`."""
        value = json.loads(raw)
        return cls(
            step=value["step"],
            stage=value["stage"],
            version=value["version"],
            key=value["key"],
            parts=tuple(Part(*part) for part in value["parts"]),
            accounts={step: Account.from_json(account) for step, account in value["accounts"]},
        )


def step_folder(step: str, key: str, private: bool) -> str:
    """Folder of a step's parts inside the run."""
    return f"{PRIVATE if private else ''}steps/{step}-{key[:STEP_DIGITS]}"


def rejects_folder(step: str, key: str) -> str:
    """Folder of a step's rejects inside the run; holds no text, so it is never private."""
    return f"rejects/{step}-{key[:STEP_DIGITS]}"


def read_manifest(store: Store, folder: str) -> Manifest | None:
    """The manifest of a step folder, or None."""
    try:
        with store.open(f"{folder}/manifest.json") as stream:
            return Manifest.from_bytes(stream.read())
    except FileNotFoundError:
        return None


def write_manifest(store: Store, folder: str, manifest: Manifest) -> bool:
    """Publish unless the same is already there. Returns whether anything was written."""
    raw = manifest.to_bytes()
    try:
        with store.open(f"{folder}/manifest.json") as stream:
            if stream.read() == raw:
                return False
    except FileNotFoundError:
        pass
    with store.publish(f"{folder}/manifest.json") as sink:
        sink.write(raw)
    return True


def read_versions(store: Store) -> dict[int, dict[str, Any]]:
    """Every finished version of a run, oldest first."""
    found = {}
    for name in store.list("versions"):
        if name.endswith(".json") and name[:-5].isdigit():
            with store.open(f"versions/{name}") as stream:
                found[int(name[:-5])] = json.loads(stream.read())
    return dict(sorted(found.items()))
