"""Licences that let a text be passed on."""

import pyarrow as pa

from medcorpus.core.licences import permissive


def test_permissive() -> None:
    stated = ["CC-BY-4.0", "cc-by-sa-3.0", "CC0-1.0", "MIT", "CC-BY-NC-4.0", "CC-BY-ND-4.0", "unknown", "", None]
    assert permissive(pa.array(stated)).to_pylist() == [True] * 4 + [False] * 5
    assert permissive(pa.array(stated), ["cc-by-nc-*"]).to_pylist() == [False] * 4 + [True] + [False] * 4
    assert permissive(pa.array([], pa.string())).to_pylist() == []
