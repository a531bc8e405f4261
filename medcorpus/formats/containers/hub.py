"""Datasets of the Hugging Face Hub, read where they are: `hf://datasets/owner/name@revision/path/*.parquet`.

A revision is required: a commit, or a branch or tag, which is resolved once to the commit it stands for. The digests
of files are those of the Hub, so nothing is fetched to know what changed. Parquet is read by ranges, lines as they
come; nothing is kept on disk. Needs the extra `hub`; HF_TOKEN and HF_ENDPOINT mean what they mean everywhere.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, BinaryIO

from medcorpus.core.errors import Fatal, Missing, Refused, Retryable

SCHEME = "hf://"
_ADDRESS = re.compile(r"hf://datasets/(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[^/]+))?(?:/(?P<glob>.+))?")
_PREFERRED = ("parquet", "jsonl", "json", "csv", "tsv", "arrow", "xlsx")


@dataclass(frozen=True)
class Remote:
    """A file of a dataset at one commit. `digest` is that of its content, as the Hub tells it."""

    path: str
    locator: str
    size: int
    digest: str


def find(address: str) -> Iterator[Remote]:
    """The data files of a dataset: those that the pattern names, else all of the first format of _PREFERRED there is.

    Raises Fatal for an address that is none, Missing and Refused for what the Hub does not give.
    """
    from medcorpus.formats import by_suffix

    parts = _ADDRESS.fullmatch(address)
    if parts is None:
        raise Fatal(f"{address}: an address of the Hub is hf://datasets/<owner>/<name>@<revision>, then a pattern")
    if not parts["revision"]:
        raise Fatal(f"{address}: name a revision (a commit, best), as in hf://datasets/{parts['repo']}@main")
    commit, files = _listed(parts["repo"], parts["revision"])
    if parts["glob"]:
        chosen = [file for file in files if fnmatchcase(file[0], parts["glob"])]
    else:
        formats = {by_suffix(name) for name, _, _ in files}
        first = next((format for format in _PREFERRED if format in formats), None)
        chosen = [file for file in files if first and by_suffix(file[0]) == first]
    for name, size, digest in chosen:
        path = f"{SCHEME}datasets/{parts['repo']}@{commit}/{name}"
        yield Remote(path, f"{parts['repo']}/{name}", size, digest)


@lru_cache(maxsize=16)
def _listed(repo: str, revision: str) -> tuple[str, list[tuple[str, int, str]]]:
    """(commit, [(file, bytes, digest)]) of a dataset."""
    hub = _library()
    try:
        info = hub.HfApi().dataset_info(repo, revision=revision, files_metadata=True)
    except hub.errors.RevisionNotFoundError:
        raise Fatal(f"the dataset {repo} has no revision {revision}") from None
    except (hub.errors.GatedRepoError, hub.errors.RepositoryNotFoundError) as error:
        raise Refused(
            f"the Hub does not give the dataset {repo} ({type(error).__name__}); check its name, accept its terms on"
            " the Hub, and set HF_TOKEN"
        ) from None
    except Exception as error:  # no network, no answer: whatever client the library uses
        raise Fatal(f"the Hub cannot be asked about {repo}: {type(error).__name__}") from error
    files = [
        (
            file.rfilename,
            file.size or 0,
            file.lfs.sha256 if file.lfs else file.blob_id or f"{info.sha}/{file.rfilename}",
        )
        for file in info.siblings or []
    ]
    return str(info.sha), files


def open_remote(path: str) -> BinaryIO:
    """A file at `hf://datasets/owner/name@commit/file`, for reading and seeking.

    Opening and reading raise Retryable: a network that fails says nothing about the file.
    """
    try:
        return _Remote(_filesystem().open(path.removeprefix(SCHEME), "rb", block_size=8 << 20), path)
    except Exception as error:
        raise Retryable(f"{path} cannot be opened: {type(error).__name__}") from error


class _Remote(io.RawIOBase):
    """A remote file with one kind of error."""

    def __init__(self, file: Any, path: str):
        self._file, self._path = file, path

    def read(self, size: int = -1) -> bytes:
        """See RawIOBase. Raises Retryable."""
        try:
            return self._file.read(size)
        except Exception as error:
            raise Retryable(f"{self._path} cannot be read: {type(error).__name__}") from error

    def seek(self, offset: int, whence: int = 0) -> int:
        """See RawIOBase."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """See RawIOBase."""
        return self._file.tell()

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


@lru_cache(maxsize=1)
def _filesystem() -> Any:
    return _library().HfFileSystem()


def _library() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError:
        raise Missing("reading from the Hub needs huggingface-hub: pip install 'medcorpus[hub]'") from None
    return huggingface_hub
