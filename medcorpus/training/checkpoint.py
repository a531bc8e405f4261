"""Checkpoints that are whole or not there.

    checkpoints/step-00000120/   *.safetensors, manifest.json (written last: sizes and digests of the others)

Written beside, synced, renamed. What is read is the newest one whose every byte is as the manifest says; a checkpoint
says of what it was made (its lineage), and work goes on from it only with the same.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from medcorpus.core.errors import Fatal

FORMAT = 1
MANIFEST = "manifest.json"
_NAME = re.compile(r"step-(\d{8})")
_TEMPORARY = ".tmp-"


def name_of(step: int) -> str:
    """Folder of the checkpoint after `step` steps."""
    return f"step-{step:08d}"


def write(root: Path, step: int, tensors: Mapping[str, Mapping[str, Any]], state: dict[str, Any], lineage: dict[str, str]) -> Path:  # fmt: skip # noqa: E501
    """Write the checkpoint after `step` steps; `tensors` is file stem -> name -> tensor, `state` is JSON."""
    from safetensors.torch import save_file

    def fill(folder: Path) -> None:
        for stem, named in tensors.items():
            save_file({name: tensor.contiguous() for name, tensor in named.items()}, folder / f"{stem}.safetensors")

    return publish(root / name_of(step), fill, {"step": step, "state": state, "lineage": lineage})


def publish(folder: Path, fill: Callable[[Path], None], about: dict[str, Any]) -> Path:
    """Make `folder` hold what `fill` writes and a manifest with `about`, all of it or nothing."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = folder.with_name(f"{_TEMPORARY}{folder.name}")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    fill(made)
    files = {str(path.relative_to(made)): path for path in sorted(made.rglob("*")) if path.is_file()}
    listed = {name: [path.stat().st_size, digest_of(path)] for name, path in files.items()}
    (made / MANIFEST).write_text(json.dumps({"format": FORMAT, **about, "files": listed}, indent=1) + "\n")
    for path in (*files.values(), made / MANIFEST, made):
        _sync(path)
    if folder.exists():
        shutil.rmtree(folder)
    made.rename(folder)
    _sync(folder.parent)
    return folder


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def digest_of(path: Path) -> str:
    """sha256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder made by `publish`. Raises ValueError saying what is wrong with the folder."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        files = manifest["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"its manifest cannot be read ({type(error).__name__})") from error
    if manifest.get("format") != FORMAT:
        raise ValueError(f"it is of format {manifest.get('format')}, not {FORMAT}")
    for name, (size, digest) in files.items():
        path = folder / name
        if not path.is_file():
            raise ValueError(f"{name} is missing")
        if path.stat().st_size != size:
            raise ValueError(f"{name} has {path.stat().st_size} bytes, not {size}")
        if digest_of(path) != digest:
            raise ValueError(f"{name} has changed since it was written")
    return manifest


def all_of(root: Path) -> list[Path]:
    """Checkpoints of a step, oldest first, whole or not."""
    return sorted(path for path in root.glob("step-*") if _NAME.fullmatch(path.name)) if root.is_dir() else []


def newest(root: Path, say: Callable[[str], None]) -> tuple[Path, dict[str, Any]] | None:
    """The newest whole checkpoint and its manifest; those passed over are named to `say`."""
    for folder in reversed(all_of(root)):
        try:
            return folder, read_manifest(folder)
        except ValueError as error:
            say(f"{folder} is passed over: {error}")
    return None


def prune(root: Path, keep_last: int, best: str | None) -> None:
    """Delete all but the `keep_last` newest checkpoints and the one named `best`; and what a kill left half written."""
    found = all_of(root)
    for folder in found[: max(0, len(found) - keep_last)]:
        if folder.name != best:
            shutil.rmtree(folder)
    sweep(root)


def sweep(root: Path) -> None:
    """Remove what a kill left half written."""
    for folder in root.glob(f"{_TEMPORARY}*"):
        shutil.rmtree(folder)


def check_lineage(where: Path, then: Mapping[str, str], now: Mapping[str, str], accepted: tuple[str, ...] = ()) -> None:
    """Raises Fatal naming what differs between what `where` was made of and what is here now."""
    parts = [part for part in sorted({*then, *now}) if then.get(part) != now.get(part) and part not in accepted]
    if parts:
        shown = "; ".join(f"{part} was {_short(then.get(part))}, is {_short(now.get(part))}" for part in parts)
        raise Fatal(
            f"{where} was made with another {', '.join(parts)} ({shown}). Going on would mix two trainings: put back "
            f"what changed, or start anew in another folder, or accept it knowingly: --accept {','.join(parts)}"
        )


def _short(digest: str | None) -> str:
    return "absent" if digest is None else digest[:12]
