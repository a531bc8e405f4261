"""Archives: every file in them is found, read once and told apart; what is wrong costs what is wrong."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medcorpus.formats.base import open_bytes
from medcorpus.formats.containers import archive
from medcorpus.formats.containers.archive import is_archive, members, split
from tests.stages.test_ingest import ingest, read

FILES = {
    "notes/a.txt": "Fièvre.".encode(),
    "notes/b.jsonl": b'{"text": "one"}\n{"text": "two"}\n',
    "ስለ ወባ.txt": "ወባ".encode(),
    "packed.jsonl.gz": gzip.compress(b'{"text": "three"}\n'),
    "__MACOSX/notes/._a.txt": b"junk",
    "notes/.DS_Store": b"junk",
    "image.png": b"\x89PNG",
}
LOCATORS = ["notes/a.txt", "notes/b.jsonl#L1", "notes/b.jsonl#L2", "packed.jsonl.gz#L1", "ስለ ወባ.txt"]


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": ["in parquet"]}), sink)
    return sink.getvalue()


def make(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    """An archive of the kind that its name says."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", method) as sink:
            for name, data in files.items():
                sink.writestr(name, data)
        return path
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    compress = {
        "tar": bytes, "gz": gzip.compress, "tgz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress,
        "zst": lambda data: pa.compress(data, "zstd", asbytes=True),
    }[path.name.rsplit(".", 1)[-1]]  # fmt: skip
    path.write_bytes(compress(raw.getvalue()))
    return path


KINDS = ["zip", "tar", "tar.gz", "tgz", "tar.bz2", "tar.xz", "tar.zst"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_of_an_archive_are_read_like_those_of_a_folder(tmp_path: Path, kind: str) -> None:
    make(tmp_path / f"d.{kind}", FILES | {"t.parquet": parquet()})
    rows, bad = read(tmp_path, path=f"d.{kind}")
    assert bad == [(f"d.{kind}!/image.png", "no_reader")]
    assert {row["locator"].removeprefix(f"d.{kind}!/"): row["text"] for row in rows} == {
        **dict(zip(LOCATORS, ["Fièvre.", "one", "two", "three", "ወባ"], strict=True)),
        "t.parquet#row=0": "in parquet",
    }
    assert is_archive(f"D.{kind.upper()}")


@pytest.mark.parametrize("kind", KINDS)
def test_a_pattern_names_members(tmp_path: Path, kind: str) -> None:
    make(tmp_path / f"d.{kind}", FILES)
    assert [row["text"] for row in read(tmp_path, path=f"*.{kind}!/*.txt")[0]] == ["Fièvre.", "ወባ"]
    assert [row["text"] for row in read(tmp_path, path=f"d.{kind}!/notes/*.jsonl")[0]] == ["one", "two"]
    assert read(tmp_path, path=f"d.{kind}!/*.csv")[1] == [(f"d.{kind}", "unreadable")]


def test_archives_below_a_folder_are_found(tmp_path: Path) -> None:
    make(tmp_path / "d.zip", {"a.txt": b"x"})
    (tmp_path / "b.txt").write_text("y")
    assert sorted(row["locator"] for row in read(tmp_path, path=".")[0]) == ["b.txt", "d.zip!/a.txt"]
    rows, _ = read(tmp_path, path=str(tmp_path / "d.zip"))
    assert rows[0]["locator"] == "d.zip!/a.txt"


def test_a_file_whose_name_looks_like_a_member(tmp_path: Path) -> None:
    (tmp_path / "d!").mkdir()
    (tmp_path / "d!/a.txt").write_text("x")
    (tmp_path / "e.zip!").mkdir()
    (tmp_path / "e.zip!/a.txt").write_text("y")
    assert read(tmp_path, path="d!/a.txt")[0][0]["text"] == "x"
    assert read(tmp_path, path="e.zip!/a.txt")[0][0]["text"] == "y"
    assert split(str(tmp_path / "e.zip!/a.txt")) is None


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_names_are_normalised_and_a_name_twice_is_two_files(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"d.{kind}"
    with pytest.warns() if kind == "zip" else _nothing():
        if kind == "zip":
            with zipfile.ZipFile(path, "w") as sink:
                for name, data in (("../../etc/x.txt", "a"), ("/abs/y.txt", "b"), ("./z.txt", "c"), ("z.txt", "d")):
                    sink.writestr(name, data)
                sink.writestr("z.txt", "e")
        else:
            with tarfile.open(path, "w:gz" if kind.endswith("gz") else "w") as tar:
                for name, data in (("../../etc/x.txt", "a"), ("/abs/y.txt", "b"), ("./z.txt", "c"), ("z.txt", "d")):
                    add(tar, name, data.encode())
                add(tar, "z.txt", b"e")
    rows, bad = read(tmp_path, path=path.name)
    assert not bad and {row["locator"].partition("!/")[2]: row["text"] for row in rows} == {
        "etc/x.txt": "a",
        "abs/y.txt": "b",
        "z.txt": "c",
        "2~z.txt": "d",
        "3~z.txt": "e",
    }


class _nothing:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def test_links_and_folders_are_no_files(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "d.tar.gz", "w:gz") as tar:
        folder = tarfile.TarInfo("d")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        add(tar, "d/a.txt", b"x")
        link = tarfile.TarInfo("d/b.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "../../../etc/passwd"
        tar.addfile(link)
    rows, bad = read(tmp_path, path="d.tar.gz")
    assert [row["text"] for row in rows] == ["x"] and not bad


def test_names_without_the_utf8_flag(tmp_path: Path) -> None:
    make(tmp_path / "d.zip", {"Dépliant.txt": b"x"})
    data = bytearray((tmp_path / "d.zip").read_bytes())
    for at, magic in ((6, b"PK\3\4"), (8, b"PK\1\2")):  # clear bit 11 of the flags in both headers
        data[data.index(magic) + at + 1] &= 0xF7
    (tmp_path / "d.zip").write_bytes(data)
    assert read(tmp_path, path="d.zip")[0][0]["locator"] == "d.zip!/Dépliant.txt"


def test_encrypted_members_and_unknown_methods(tmp_path: Path) -> None:
    path = make(tmp_path / "d.zip", {"a.txt": b"secret", "b.txt": b"open"})
    data = bytearray(path.read_bytes())
    for at, magic in ((6, b"PK\3\4"), (8, b"PK\1\2")):
        data[data.index(magic) + at] |= 1
    path.write_bytes(data)
    rows, bad = read(tmp_path, path="d.zip")
    assert [row["text"] for row in rows] == ["open"] and bad == [("d.zip!/a.txt", "unreadable")]
    assert [m.error for m in members(str(path))] == ["the member is encrypted", None]
    data[data.index(b"PK\3\4") + 6] &= 0xFE
    data[data.index(b"PK\1\2") + 8] &= 0xFE
    data[data.index(b"PK\1\2") + 10] = 97
    path.write_bytes(data)
    assert "method 97" in str(members(str(path))[0].error)


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_an_archive_in_an_archive_is_told(tmp_path: Path, kind: str) -> None:
    inner = make(tmp_path / "inner.zip", {"a.txt": b"x"})
    make(tmp_path / f"d.{kind}", {"b.txt": b"y", "inner.zip": inner.read_bytes()})
    rows, bad = read(tmp_path, path=f"d.{kind}")
    assert [row["text"] for row in rows] == ["y"] and bad == [(f"d.{kind}!/inner.zip", "unreadable")]


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar"])
def test_what_is_no_archive_or_an_empty_one_is_one_reject(tmp_path: Path, kind: str) -> None:
    (tmp_path / f"a.{kind}").write_bytes(b"not an archive, however long " * 100)
    (tmp_path / f"b.{kind}").write_bytes(b"")
    make(tmp_path / f"c.{kind}", {})
    (tmp_path / "ok.txt").write_text("x")
    rows, bad = read(tmp_path, path=".")
    assert len(rows) == 1 and bad == [(f"{name}.{kind}", "unreadable") for name in "abc"]


def lines(count: int) -> bytes:
    return b"".join(json.dumps({"text": f"{n} {hash((n, 3))}"}).encode() + b"\n" for n in range(count))


def test_a_damaged_member_gives_what_is_before_the_damage(tmp_path: Path) -> None:
    path = make(tmp_path / "d.zip", {"a.jsonl": lines(20_000), "b.jsonl": lines(3)})
    data = bytearray(path.read_bytes())
    at = len(data) // 2
    data[at : at + 40] = b"\xff" * 40
    path.write_bytes(data)
    rows, bad = read(tmp_path, path="d.zip")
    inside = [row for row in rows if "a.jsonl" in row["locator"]]
    assert 1000 < len(inside) < 20_000 and len(rows) == len(inside) + 3
    assert bad == [(f"d.zip!/a.jsonl#L{len(inside) + 1}", "broken")] or bad[-1][1] == "broken"


def test_a_wrong_checksum_is_told(tmp_path: Path) -> None:
    path = make(tmp_path / "d.zip", {"a.jsonl": lines(30)}, zipfile.ZIP_STORED)
    data = path.read_bytes().replace(b'"text": "7 ', b'"text": "8 ', 1)
    path.write_bytes(data)
    _, bad = read(tmp_path, path="d.zip")
    assert [error for _, error in bad] == ["broken"]


@pytest.mark.parametrize("kind", ["tar", "tar.gz"])
def test_a_tar_that_breaks_off(tmp_path: Path, kind: str) -> None:
    files = {f"{n}.jsonl": lines(3000) for n in range(4)}
    path = make(tmp_path / f"d.{kind}", files)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 5 // 8])
    rows, bad = read(tmp_path, path=f"d.{kind}")
    assert len(rows) == 6000 and [locator for locator, _ in bad] == [f"d.{kind}!/2.jsonl"]


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "BOMB_BYTES", 1 << 20)
    for kind in ("zip", "tar.gz"):
        make(tmp_path / f"d.{kind}", {"a.txt": b"x", "bomb.txt": bytes(8 << 20)})
        rows, bad = read(tmp_path, path=f"d.{kind}")
        assert [row["text"] for row in rows] == ["x"] and len(bad) == 1 and bad[0][1] == "unreadable"
    make(tmp_path / "e.zip", {"long.jsonl": b'{"text": "' + b"y" * (40 << 20) + b'"}\n{"text": "z"}\n'})
    monkeypatch.undo()
    rows, bad = read(tmp_path, path="e.zip")
    assert [row["text"] for row in rows] == ["z"] and bad == [("e.zip!/long.jsonl#L1", "too_large")]


def test_overlapping_members_are_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "d.zip", {"a.txt": b"x" * 1000, "b.txt": b"x" * 1000}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    for at in (data.rindex(b"PK\1\2"), data.index(b"PK\1\2")):
        data[at + 20 : at + 24] = (9_000_000).to_bytes(4, "little")
    path.write_bytes(data)
    assert read(tmp_path, path="d.zip") == ([], [("d.zip", "unreadable")])


def test_a_compressed_tar_is_one_share_in_its_order_and_inflated_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{n:03}.txt" for n in range(99, -1, -1)]
    make(tmp_path / "d.tar.gz", {name: name.encode() for name in names})
    stage = ingest(tmp_path, path="d.tar.gz")
    (share,) = stage.partitions()
    assert [file["locator"] for file in share.spec["files"]] == [f"d.tar.gz!/{name}" for name in names]
    wound = []
    monkeypatch.setattr(archive._Tape, "_wind_back", _counted(archive._Tape._wind_back, wound))
    archive._tape.cache_clear()
    assert sum(batch.num_rows for batch in stage.read(share.spec, print)) == 100 and len(wound) == 1


def _counted(function, calls):  # type: ignore[no-untyped-def]
    def call(*args):  # type: ignore[no-untyped-def]
        calls.append(1)
        return function(*args)

    return call


def test_a_member_of_a_zip_that_changes_changes_its_share_alone(tmp_path: Path) -> None:
    files = {f"{n}.txt": f"{n}".encode() for n in range(200)}
    make(tmp_path / "d.zip", files)
    before = {p.digest for p in ingest(tmp_path, path="d.zip").partitions()}
    make(tmp_path / "d.zip", files | {"7.txt": b"changed", "new.txt": b"new"})
    after = {p.digest for p in ingest(tmp_path, path="d.zip").partitions()}
    assert len(before) > 2 and 1 <= len(after - before) <= 2


def test_listings_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    path = make(tmp_path / "d.tar.gz", FILES)
    os.utime(path, (1e9, 1e9))
    state = str(tmp_path / "state")
    first = ingest(tmp_path, state=state, path="d.tar.gz").snapshot()
    monkeypatch.setattr("medcorpus.formats.partitions.list_members", None)
    assert ingest(tmp_path, state=state, path="d.tar.gz").snapshot() == first


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="\0/\\", exclude_categories=["Cc"]), min_size=1, max_size=8
)


@settings(max_examples=40, deadline=None)
@given(
    files=st.dictionaries(
        NAMES.filter(lambda n: not n.startswith((".", "__MACOSX"))), st.binary(max_size=40), min_size=1, max_size=5
    )
)
@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_every_member_is_listed_and_opens(tmp_path_factory: pytest.TempPathFactory, kind: str, files: dict[str, bytes]) -> None:  # fmt: skip # noqa: E501
    path = make(tmp_path_factory.mktemp("x") / f"d.{kind}", files)
    listed = [m for m in members(str(path)) if not is_archive(m.name)]
    assert all(m.error is None for m in listed)
    if not any(is_archive(name) for name in files):
        assert [m.size for m in listed] == [len(data) for data in files.values()]
        for member, data in zip(listed, files.values(), strict=True):
            with open_bytes(f"{path}!/{member.name}") as file:
                assert file.read() == data
