"""Buffers: rows found in place, whatever the array's shape; and the folder kernels are kept in."""

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medcorpus.text.buffers import buffers, contiguous, strings

TEXTS = st.lists(st.one_of(st.none(), st.text(max_size=8)), max_size=12)


def rows(array):
    data, offsets, valid = buffers(array)
    assert not any(part.flags.writeable for part in (data, offsets, valid))
    assert (data.dtype, offsets.dtype, valid.dtype) == (np.uint8, np.int64, np.bool_)
    texts = [data[a:b].tobytes().decode() for a, b in pairwise(offsets)]
    assert all(ok or text == "" for text, ok in zip(texts, valid, strict=True))
    return [text if ok else None for text, ok in zip(texts, valid, strict=True)]


@given(TEXTS, st.sampled_from([pa.string(), pa.large_string()]), st.integers(0, 5), st.integers(0, 12))
def test_slices(texts, kind, begin, size):
    assert rows(pa.array(texts, kind).slice(begin, size)) == texts[begin : begin + size]


@given(st.lists(TEXTS, max_size=4), st.sampled_from([pa.string(), pa.large_string()]))
def test_chunks(chunks, kind):
    array = pa.chunked_array([pa.array(chunk, kind) for chunk in chunks], kind)
    assert rows(array) == [text for chunk in chunks for text in chunk]


def test_in_place():
    array = pa.array(["fever", None, "cough"])
    data, _, _ = buffers(array)
    assert data.ctypes.data == array.buffers()[2].address
    data, _, _ = buffers(pa.chunked_array([array.slice(1)]))
    assert data.ctypes.data == array.buffers()[2].address


def test_a_null_that_hides_text_is_empty():
    full = pa.array(["a", "secret", "b"])
    bitmap = pa.py_buffer(bytes([0b101]))
    hidden = pa.Array.from_buffers(pa.string(), 3, [bitmap, *full.buffers()[1:]])
    assert rows(hidden) == ["a", None, "b"]
    assert rows(hidden.slice(1)) == [None, "b"]


def test_nothing_but_nulls():
    assert rows(pa.array([None, None], pa.string())) == [None, None]


@pytest.mark.parametrize("array", [pa.array([1]), pa.array([b"x"]), pa.nulls(2)])
def test_other_types_are_refused(array):
    with pytest.raises(TypeError, match="string"):
        buffers(array)


@given(TEXTS)
def test_strings_is_the_way_back(texts):
    texts = [text for text in texts if text is not None]
    data, offsets, _ = buffers(pa.array(texts, pa.string()))
    assert strings(data, offsets).to_pylist() == texts


def test_contiguous_keeps_the_chunk():
    chunk = pa.array(["a"])
    assert contiguous(pa.chunked_array([chunk])).buffers()[2].address == chunk.buffers()[2].address


# --- the cache folder -------------------------------------------------------------------------------------


def folder(**environment):
    """NUMBA_CACHE_DIR as `import medcorpus.text` sets it in a fresh process, and whether numba came along."""
    code = (
        "import os, sys, medcorpus.text; "
        "print(os.environ['NUMBA_CACHE_DIR'], any(m in sys.modules for m in ('numba', 'numpy', 'tempfile')))"
    )
    clean = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    clean["PYTHONPATH"] = os.pathsep.join(path or "." for path in sys.path)
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean | environment, capture_output=True, text=True, check=True
    )
    path, loaded = done.stdout.split()
    return path, loaded == "True"


def test_cache_folder_is_private_and_light(tmp_path):
    path, loaded = folder(XDG_CACHE_HOME=str(tmp_path))
    assert Path(path).parent == tmp_path / "medcorpus"
    assert Path(path).name.startswith("numba-")
    assert Path(path).stat().st_mode & 0o777 == 0o700
    assert not loaded


def test_cache_folder_of_the_user_wins(tmp_path):
    assert folder(NUMBA_CACHE_DIR=str(tmp_path))[0] == str(tmp_path)


def test_cache_folder_falls_back(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    path, _ = folder(XDG_CACHE_HOME=str(blocked), TMPDIR=str(temporary))
    assert Path(path).is_relative_to(temporary)
    assert Path(path).stat().st_mode & 0o777 == 0o700


def test_cache_folder_others_can_write_to_is_not_used(tmp_path):
    first, _ = folder(XDG_CACHE_HOME=str(tmp_path))
    Path(first).chmod(0o777)
    second, _ = folder(XDG_CACHE_HOME=str(tmp_path), TMPDIR=str(tmp_path))
    assert second != first


def test_numba_already_imported(tmp_path):
    code = (
        "import os; os.environ.pop('NUMBA_CACHE_DIR', None); import numba, medcorpus.text; "
        "assert numba.config.CACHE_DIR == os.environ['NUMBA_CACHE_DIR'] != '', numba.config.CACHE_DIR"
    )
    environment = os.environ | {
        "XDG_CACHE_HOME": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(path or "." for path in sys.path),
    }
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
