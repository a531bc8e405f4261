"""Kernels without wrappers are named in kernels only: called from Python they would crash the process."""

import ast
from collections.abc import Iterator
from pathlib import Path

import medcorpus.text

TEXT = Path(medcorpus.text.__file__).parent


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
        if isinstance(child, ast.Name):
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
