"""Checkpoints as folders of safetensors, read and written one tensor at a time: no model is ever whole in memory."""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.utils import logging

from medcorpus.core.errors import Fatal, Missing

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
SHARD = 2 << 30  # bytes a file; also the most that lies in memory while writing
# What comes along from a base besides its weights. No code: a model that needs its own is not for us.
BESIDE = ("tokenizer*", "vocab*", "merges.txt", "special_tokens_map.json", "added_tokens.json", "chat_template*", "generation_config.json")  # fmt: skip # noqa: E501


def local(base: str | Path, revision: str | None = None) -> Path:
    """The folder of a checkpoint: itself, or that of a model of the Hub, downloaded once.

    Raises Missing when there is neither.
    """
    folder = Path(base)
    if folder.is_dir():
        return folder
    from huggingface_hub import snapshot_download

    wanted = ["*.safetensors", "*.json", "*.txt", "*.jinja", "*.model"]
    try:
        return Path(snapshot_download(str(base), revision=revision, allow_patterns=wanted))
    except Exception as error:  # the Hub's client raises many kinds: no such model, no token, no network
        raise Missing(f"{base} is no folder, and the Hub did not give it ({type(error).__name__})") from error


def load(folder: Path, dtype: torch.dtype | str = "auto") -> PreTrainedModel:
    """The model of a checkpoint folder, by transformers alone: no code of others, no network, no progress bar."""
    logging.disable_progress_bar()
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, local_files_only=True, trust_remote_code=False)


def save(model: PreTrainedModel, folder: Path) -> None:
    """Write a model into `folder` as transformers does, without a progress bar."""
    logging.disable_progress_bar()
    model.save_pretrained(folder)


class Checkpoint:
    """The tensors of a folder with one or more safetensors files, by name."""

    def __init__(self, folder: Path):
        self.folder = folder
        index = folder / INDEX
        if index.exists():
            self.files: dict[str, str] = json.loads(index.read_text())["weight_map"]
        elif (folder / SINGLE).exists():
            with self._open(SINGLE) as file:
                self.files = dict.fromkeys(file.keys(), SINGLE)
        else:
            pickled = next(folder.glob("*.bin"), None)
            cure = "; it has pickled weights, which may run code when opened: save it as safetensors" if pickled else ""
            raise Missing(f"{folder} has no {SINGLE} and no {INDEX}{cure}")
        for name in set(self.files.values()):
            if not (folder / name).exists():
                raise Missing(f"{folder} lacks {name}, which its index names")

    @contextlib.contextmanager
    def _open(self, name: str) -> Iterator[safe_open]:
        try:
            with safe_open(self.folder / name, framework="pt") as file:
                yield file
        except SafetensorError as error:
            raise Fatal(f"{self.folder / name} is damaged or no safetensors file ({error})") from error

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Name and tensor, file by file, in the order of the names."""
        for file in sorted(set(self.files.values())):
            with self._open(file) as opened:
                for name in sorted(opened.keys()):
                    yield name, opened.get_tensor(name)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of one tensor, without reading it."""
        with self._open(self.files[name]) as file:
            return tuple(file.get_slice(name).get_shape())


class Shards:
    """Writes tensors into files of at most about `limit` bytes, and their index."""

    def __init__(self, folder: Path, limit: int = SHARD):
        self.folder, self.limit = folder, limit
        self.waiting: dict[str, Tensor] = {}
        self.bytes = self.total = 0
        self.files: list[list[str]] = []

    def add(self, name: str, tensor: Tensor) -> None:
        """Write `tensor` sooner or later. It must not share memory with another one."""
        size = tensor.numel() * tensor.element_size()
        if self.waiting and self.bytes + size > self.limit:
            self._flush()
        self.waiting[name] = tensor.contiguous()
        self.bytes += size
        self.total += size

    def finish(self) -> None:
        """Write what waits, and name the files as transformers expects them."""
        self._flush()
        count = len(self.files)
        if count == 1:
            self._file(0).rename(self.folder / SINGLE)
            return
        names = [f"model-{number + 1:05d}-of-{count:05d}.safetensors" for number in range(count)]
        for number, name in enumerate(names):
            self._file(number).rename(self.folder / name)
        weight_map = {tensor: name for name, held in zip(names, self.files, strict=True) for tensor in held}
        index = {"metadata": {"total_size": self.total}, "weight_map": dict(sorted(weight_map.items()))}
        (self.folder / INDEX).write_text(json.dumps(index, indent=1))

    def _flush(self) -> None:
        save_file(self.waiting, self._file(len(self.files)), metadata={"format": "pt"})
        self.files.append(list(self.waiting))
        self.waiting, self.bytes = {}, 0

    def _file(self, number: int) -> Path:
        return self.folder / f"part-{number}.safetensors"


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to write into, which becomes `out` when all went well and leaves nothing when not.

    Raises Fatal when `out` exists and is not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Fatal(f"{out} exists already; name another folder or remove it")
    out.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        yield made
        made.chmod(0o755)
        made.replace(out)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def copy_beside(source: Path, out: Path) -> None:
    """Copy tokenizer, chat template and generation settings."""
    for pattern in BESIDE:
        for file in source.glob(pattern):
            shutil.copyfile(file, out / file.name)


def check_tokenizer(folder: Path, vocabulary: int) -> None:
    """Raise Fatal when the tokenizer of `folder` has ids that a model of `vocabulary` words does not."""
    file = folder / "tokenizer.json"
    if not file.exists():
        return
    described = json.loads(file.read_text(encoding="utf-8"))
    ids = [token["id"] for token in described.get("added_tokens", [])]
    words = described.get("model", {}).get("vocab", {})
    ids += words.values() if isinstance(words, dict) else [len(words) - 1]
    if ids and max(ids) >= vocabulary:
        raise Fatal(f"{folder}: the tokenizer has ids up to {max(ids):,}, the model words for only {vocabulary:,}")


def parameters(folder: Path) -> int:
    """Numbers held by a checkpoint, from its headers."""
    checkpoint = Checkpoint(folder)
    return sum(int(torch.Size(checkpoint.shape(name)).numel()) for name in checkpoint.files)
