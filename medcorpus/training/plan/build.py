"""A plan: the rows of a training step, computed once.

    plan.arrow, plan.npy   the same table twice, one row a span: row, document, start, length, language, expert, learnt
    heldout.arrow, .npy    the same for documents kept apart, on which a step is judged
    plan.json              window, rows, names of languages and experts, figures, digest

`start` counts in tokens.npy; spans are sorted by row. Row r is trained on at step r // rows_per_step.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from medcorpus.training.plan import order as orders
from medcorpus.training.plan.packing import pack, spans
from medcorpus.training.plan.tokens import Documents

SPAN = np.dtype(
    [("row", "<i4"), ("document", "<i4"), ("start", "<i8"), ("length", "<i4"), ("language", "<i2"), ("expert", "<i2"),
     ("learnt", "<i4")]
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What decides a plan. Keys of `mix` and `priority`: see `order.key_values`."""

    mix: dict[str, float]
    epochs: float = 1.0
    balance: str = "natural"  # or temperature, unimax
    temperature: float = 3.3
    max_epochs: float = 4.0
    priority: dict[str, float] = field(default_factory=dict)
    window: int = 2048
    overlap: int = 0  # of the windows of a long text
    too_long: str = "drop"  # a conversation longer than the window: drop, or cut
    packed: bool = True
    batch_tokens: int = 131_072
    heldout: float = 0.0
    seed: int = 0

    @property
    def rows_per_step(self) -> int:
        """Rows that make one step, on all devices together."""
        return max(1, self.batch_tokens // self.window)


def shares(documents: Documents, settings: Settings, earlier: Sequence[tuple[dict[str, float], float]] = ()) -> np.ndarray:  # fmt: skip # noqa: E501
    """How often an epoch sees each document, by the mix and by what is replayed of earlier steps.

    `earlier`: (mix of an earlier step, share of it replayed); a document gets the largest of its shares. Then the
    balance of languages. Raises KeyError for a mix key that fits nothing.
    """
    pairs = sorted(set(zip(documents.kind.tolist(), documents.source.tolist(), strict=True)))
    kinds, sources = [documents.kinds[k] for k, _ in pairs], [documents.sources[s] for _, s in pairs]
    values = orders.key_values(settings.mix, kinds, sources, 0.0)
    for mix, replayed in earlier:
        known = {key: share for key, share in mix.items() if _fits(key, kinds, sources)}
        values = np.maximum(values, replayed * orders.key_values(known, kinds, sources, 0.0))
    return values[_position(documents, pairs)]


def _fits(key: str, kinds: list[str], sources: list[str]) -> bool:
    try:
        orders.key_values({key: 1.0}, kinds, sources, 0.0)
    except KeyError:
        return False
    return True


def _position(documents: Documents, pairs: list[tuple[int, int]]) -> np.ndarray:
    """For each document the index of its (kind, source) in `pairs`."""
    known = {pair: index for index, pair in enumerate(pairs)}
    both = zip(documents.kind.tolist(), documents.source.tolist(), strict=True)
    return np.array([known[pair] for pair in both], np.int64)


def balanced(share: np.ndarray, documents: Documents, tokens: np.ndarray, settings: Settings) -> np.ndarray:
    """`share` scaled language by language as `settings.balance` says; `tokens` [documents] is what each would bring."""
    if settings.balance == "natural":
        return share
    natural = np.bincount(documents.language, share * tokens, len(documents.languages))
    if settings.balance == "temperature":
        budget = orders.temperature(natural, settings.temperature)
    else:
        budget = orders.unimax(natural, settings.max_epochs)
    return share * np.divide(budget, natural, out=np.zeros_like(natural), where=natural > 0)[documents.language]


def build(
    documents: Documents,
    settings: Settings,
    out: Path,
    experts: dict[str, int] | None = None,
    expert_names: Sequence[str] = (),
    earlier: Sequence[tuple[dict[str, float], float]] = (),
    about: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Write the plan of `documents` into `out`, and return plan.json. `experts`: language -> expert, if there are any.

    `about` is put into plan.json as it is: what the tokens were made of.

    Raises KeyError for a key of mix or priority that fits nothing, ValueError when no document is left.
    """
    hashes = documents.hashes()
    text = np.array([kind == "text" for kind in documents.kinds], bool)[documents.kind]
    whole = text | (documents.length <= settings.window)
    usable = (whole | (settings.too_long == "cut")) & (documents.learnt > 0)
    tokens = np.where(whole, documents.length, settings.window) * usable
    share = shares(documents, settings, earlier) * usable
    kept_apart = orders.uniform(hashes, settings.seed, 3) < settings.heldout
    share = balanced(share * ~kept_apart, documents, tokens, settings)
    pairs = sorted(set(zip(documents.kind.tolist(), documents.source.tolist(), strict=True)))
    position = _position(documents, pairs)
    keys = [documents.kinds[k] for k, _ in pairs], [documents.sources[s] for _, s in pairs]
    weight = orders.key_values(settings.priority, *keys, 1.0)[position]
    group = np.unique(np.stack([share, position, documents.language]), axis=1, return_inverse=True)[1].ravel()
    drawn = orders.order(hashes, tokens, share, weight, group, settings.epochs, settings.seed)
    if not len(drawn):
        raise ValueError(f"no document of the mix {settings.mix} has anything to learn within {settings.window} tokens")
    apart = np.flatnonzero(kept_apart & (shares(documents, settings) > 0) & usable)
    of = np.array([(experts or {}).get(name, -1) for name in documents.languages], np.int16)
    table = _rows(documents, drawn, text, of, settings)
    _write(table, out / "plan")
    _write(_rows(documents, apart, text, of, settings), out / "heldout")
    rows = int(table["row"][-1]) + 1
    made = {
        **(about or {}),
        "settings": asdict(settings),
        "window": settings.window,
        "rows": rows,
        "rows_per_step": settings.rows_per_step,
        "steps": -(-rows // settings.rows_per_step),
        "languages": documents.languages,
        "experts": list(expert_names),
        "figures": figures(documents, table, usable, apart, settings),
        "digest": blake2b(table.tobytes(), digest_size=16).hexdigest(),
    }
    (out / "plan.json").write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return made


def _rows(documents: Documents, drawn: np.ndarray, text: np.ndarray, of: np.ndarray, settings: Settings) -> np.ndarray:
    """The table of spans of the documents `drawn`, in order."""
    index, offset, length = spans(documents.length[drawn], settings.window, settings.overlap, np.ones(len(drawn), bool))
    kept = text[drawn[index]] | (offset == 0)  # of a conversation that is cut, its beginning
    index, offset, length = drawn[index[kept]], offset[kept], length[kept]
    table = np.zeros(len(index), SPAN)
    table["row"] = pack(length, settings.window) if settings.packed else np.arange(len(index))
    table["document"], table["start"], table["length"] = index, documents.start[index] + offset, length
    table["language"], table["expert"] = documents.language[index], of[documents.language[index]]
    table["learnt"] = np.where(text[index], length - 1, documents.learnt[index])
    return table[np.argsort(table["row"], kind="stable")]


def figures(documents: Documents, table: np.ndarray, usable: np.ndarray, apart: np.ndarray, settings: Settings) -> dict[str, Any]:  # fmt: skip # noqa: E501
    """What `train --plan` shows, by language, kind and expert."""
    tokens = int(table["length"].sum())

    def by(codes: np.ndarray, names: list[str]) -> dict[str, dict[str, int]]:
        sums = [np.bincount(codes, w, len(names)).astype(int) for w in (table["length"], table["learnt"], None)]
        shown = ("tokens", "learnt", "spans")
        return {name: {k: int(s[i]) for k, s in zip(shown, sums, strict=True)} for i, name in enumerate(names) if sums[2][i]}  # fmt: skip # noqa: E501

    wanted = shares(documents, settings) > 0
    return {
        "tokens": tokens,
        "learnt": int(table["learnt"].sum()),
        "packing": tokens / (int(table["row"][-1] + 1) * settings.window),
        "documents": int(np.unique(table["document"]).size),
        "heldout_documents": len(apart),
        "by_language": by(table["language"], documents.languages),
        "by_kind": by(documents.kind[table["document"]], documents.kinds),
        "by_source": by(documents.source[table["document"]], documents.sources),
        "too_long": int((wanted & (documents.length > settings.window) & ~usable & (documents.learnt > 0)).sum()),
        "cut": int((wanted & usable & (documents.length > settings.window)).sum()),
        "left_out": {f"{language}: {why}": n for (language, why), n in sorted(documents.left_out.items())},
    }


def _write(table: np.ndarray, stem: Path) -> None:
    import pyarrow as pa

    np.save(stem.with_suffix(".npy"), table)
    columns = pa.table({name: np.ascontiguousarray(table[name]) for name in SPAN.names or ()})
    with pa.ipc.new_file(str(stem.with_suffix(".arrow")), columns.schema) as writer:
        writer.write_table(columns)
