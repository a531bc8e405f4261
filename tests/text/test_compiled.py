"""Kernels without wrappers are named in kernels only: called from Python they would crash the process."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import medcorpus.text

TEXT = Path(medcorpus.text.__file__).parent
ROOT = TEXT.parent.parent


def options(function: ast.AST) -> str | None:
    """What a function gives to njit, None if it is no kernel."""
    for decorator in getattr(function, "decorator_list", ()):
        if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "njit":
            return ast.unparse(decorator)
    return None


def named_outside_of_kernels(tree: ast.AST) -> Iterator[str]:
    """Names read anywhere but in the bodies of kernels; `kernel.py_func` is no kernel."""
    for child in ast.iter_child_nodes(tree):
        if options(child) is not None:
            continue
        if isinstance(child, ast.Attribute) and child.attr == "py_func":
            continue
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Load):
            yield child.id
        yield from named_outside_of_kernels(child)


def test_only_kernels_call_kernels_without_wrappers():
    seen = 0
    for path in sorted(TEXT.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        inner = {node.name for node in tree.body if "**IN" in (options(node) or "")}
        imported = {
            alias.asname or alias.name
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("medcorpus.text.")
            for alias in node.names
            if is_inner(node.module or "", alias.name)
        }
        wrong = (inner | imported) & set(named_outside_of_kernels(tree))
        assert not wrong, f"{path.name} names {wrong} where Python runs"
        seen += len(inner)
    assert seen > 60


def is_inner(module: str, name: str) -> bool:
    path = TEXT.joinpath(*module.split(".")[2:]).with_suffix(".py")
    if not path.exists():
        return False
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if getattr(node, "name", "") == name:
            return "**IN" in (options(node) or "")
    return False


def test_no_module_elsewhere_takes_one():
    root = TEXT.parent
    for path in sorted(root.rglob("*.py")):
        if TEXT in path.parents:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("medcorpus.text."):
                taken = [alias.name for alias in node.names if is_inner(node.module or "", alias.name)]
                assert not taken, f"{path}: {taken}"


KERNELS = """
import numpy as np
from numba import njit
from medcorpus.text.compiled import INLINE, INNER

TABLE = np.arange(256, dtype=np.uint8)[::-1].copy()

@njit(**INLINE)
def turned(byte):
    return TABLE[byte]

@njit(**INNER)
def checked(data, at):
    if data[at] == 7:
        raise ValueError("seven")
    return turned(data[at])

@njit(**INNER)
def once_more(data):
    out = np.zeros(len(data), np.uint8)
    for at in range(len(data)):
        out[at] = checked(data, at)
    return out

@njit(cache=True)
def all_turned(data):
    return once_more(once_more(data)), once_more(data)
"""

USE = """
import numpy as np
import kernels
data = np.array([1, 2, 250], np.uint8)
same, other = kernels.all_turned(data)
assert same.tolist() == [1, 2, 250] and other.tolist() == [254, 253, 5], (same, other)
try:
    kernels.all_turned(np.array([7], np.uint8))
    raise SystemExit("nothing was raised")
except ValueError as error:
    assert str(error) == "seven"
"""


def test_what_callers_hold_of_inner_kernels_is_enough(tmp_path: Path) -> None:
    def run(code: str) -> str:
        environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "kept"), "PYTHONPATH": f"{ROOT}:{tmp_path}"}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    (tmp_path / "kernels.py").write_text(KERNELS)
    has_code = """
for kernel in (kernels.turned, kernels.checked, kernels.once_more, kernels.all_turned):
    (made,) = kernel.overloads.values()
    print(kernel.__name__, made.library.codegen._engine.is_symbol_defined(made.fndesc.llvm_func_name))
"""
    hook = "from medcorpus.text import compiled\nimport numba\nprint(numba.__version__.startswith(compiled._KNOWN))\n"
    known, *names = run(f"{hook}compiled.leave_inner_to_callers()\n{USE}{has_code}").split()
    with_code = [name for name, has in zip(names[::2], names[1::2], strict=True) if has == "True"]
    assert with_code == ["all_turned"] or known == "False", with_code  # a numba of another make makes code for each
    run(f"{USE}assert sum(kernels.all_turned.stats.cache_hits.values()) == 1")
