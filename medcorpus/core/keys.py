"""Identity, written down: what makes two pieces of work the same piece of work.

*Step key* = scheme + stage name and version + data-relevant parameters + digests of declared resources
+ decisions (for a `select`) + keys of the steps above. It holds no input data. *Partition key* = step
key + keys of the input partitions; for a Source, the digest of the file range instead.

Left out on purpose: paths, worker counts, batch sizes, log settings, step ids, the recipe's name.
"""

import json
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

SCHEME = 1
"""Bumped when the meaning of a key changes; every cached partition is then made anew."""

STEP_DIGITS = 8
PARTITION_DIGITS = 16


def canonical(value: Any) -> bytes:
    """`value` as JSON bytes that are equal for equal values: sorted keys, no spaces, NaN refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(value: Any) -> str:
    """blake2b of `canonical(value)`: 32 hex digits."""
    return blake2b(canonical(value), digest_size=16).hexdigest()


def step_key(
    stage: str,
    version: int,
    params: dict[str, Any],
    resources: dict[str, str],
    decisions: list[Any],
    upstream: Iterable[str],
) -> str:
    """Key of a step (32 hex digits; folders show the first 8)."""
    return digest(
        {
            "scheme": SCHEME,
            "stage": stage,
            "version": version,
            "params": params,
            "resources": resources,
            "decisions": decisions,
            "upstream": list(upstream),
        }
    )


def partition_key(step: str, inputs: Iterable[str]) -> str:
    """Key of one partition of a step: 16 hex digits, also its file name."""
    return digest([step, list(inputs)])[:PARTITION_DIGITS]
