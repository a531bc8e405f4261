"""Compression told by content, breaks told with their place, lines never held beyond the limit."""

import bz2
import gzip
import lzma
from pathlib import Path

import pyarrow as pa
import pytest

from medcorpus.core.schema import MAX_ROW_BYTES
from medcorpus.formats.base import Span
from medcorpus.formats.streams import Stream, codec_of, head, line_blocks

CODECS = {
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda data: pa.compress(data, "zstd", asbytes=True),
}
TEXT = "".join(f"строка {number} ผู้ป่วย {hash((number, 7))}\n" for number in range(30_000)).encode()


def read_all(path: Path, size: int = 1 << 20) -> tuple[bytes, str | None]:
    with Stream(str(path)) as stream:
        return b"".join(iter(lambda: stream.read(size), b"")), stream.broken


def blocks(path: Path, size: int = 1 << 16):
    with Stream(str(path)) as stream:
        return list(line_blocks(stream, Span(str(path)), size))


@pytest.mark.parametrize("codec", CODECS)
def test_compression_is_told_by_content_whatever_the_name(tmp_path: Path, codec: str) -> None:
    file = tmp_path / "notes.jsonl"
    file.write_bytes(CODECS[codec](TEXT))
    assert read_all(file) == (TEXT, None)
    assert head(str(file), 10) == TEXT[:10]


@pytest.mark.parametrize("codec", CODECS)
def test_concatenated_members_are_one_file(tmp_path: Path, codec: str) -> None:
    file = tmp_path / "a.gz"
    file.write_bytes(CODECS[codec](TEXT) + CODECS[codec](b"") + CODECS[codec](b"end\n"))
    assert read_all(file)[0] == TEXT + b"end\n"


def test_gz_that_is_plain_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(TEXT)
    assert read_all(tmp_path / "a.gz") == (TEXT, None)


def test_words_that_look_like_magic_are_not() -> None:
    assert codec_of(b"BZh is an abbreviation") is None
    assert codec_of(b"\x1f\x8b") is None
    assert codec_of(b"") is None


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("cut", [0.5, 0.9, "tail"])
def test_what_comes_before_a_break_is_kept(tmp_path: Path, codec: str, cut: float | str) -> None:
    packed = CODECS[codec](TEXT)
    packed = packed[:-2] if cut == "tail" else packed[: int(len(packed) * cut)]
    (tmp_path / "a").write_bytes(packed)
    for size in (8 << 20, 1000):
        data, broken = read_all(tmp_path / "a", size)
        assert TEXT.startswith(data)
        lost = len(TEXT) * (cut if isinstance(cut, float) else 1) - len(data)
        assert lost < (1_000_000 if codec == "bz2" else 200_000)  # a block of the format
        assert broken is not None and "breaks off" in broken and f"byte {len(packed)}" in broken


def test_damage_in_the_middle_is_told(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(TEXT))
    packed[len(packed) // 2] ^= 0xFF
    (tmp_path / "a").write_bytes(packed)
    data, broken = read_all(tmp_path / "a")
    assert data and "gzip data is damaged near byte" in broken


@pytest.mark.parametrize("size", [1, 7, 64, 1 << 20])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_blocks_are_whole_lines_with_their_numbers(tmp_path: Path, size: int, end: bytes) -> None:
    text = b"one\n\nthree\r\n" + "四\n".encode() + b"five" + end
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbf" + text)
    found = blocks(tmp_path / "a", max(size, 3))
    assert b"".join(block.data for block in found) == text
    line = 1
    for block in found:
        assert block.first == line
        line += block.data.count(b"\n")
        assert block.data.endswith(b"\n") or block.last
    assert [block.last for block in found] == [False] * (len(found) - 1) + [True]


def test_empty_and_utf16_files_say_so(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "packed").write_bytes(gzip.compress(b""))
    (tmp_path / "wide").write_bytes("text\n".encode("utf-16"))
    for name, error in (("empty", "empty"), ("packed", "empty"), ("wide", "encoding")):
        (block,) = blocks(tmp_path / name)
        assert [bad.error for bad in block.bad] == [error]
        assert block.bad[0].locator == "" and not block.data and block.last


@pytest.mark.parametrize("ends", ["newline", "file"])
def test_a_line_above_the_limit_is_skipped_and_counted(tmp_path: Path, ends: str) -> None:
    with (tmp_path / "a").open("wb") as file:
        file.write(b"one\n")
        file.write(b"x" * (MAX_ROW_BYTES + 5))
        if ends == "newline":
            file.write(b"\nthree\n")
    found = blocks(tmp_path / "a", 1 << 20)
    assert [(bad.locator, bad.error) for block in found for bad in block.bad] == [("L2", "too_large")]
    assert [(block.first, block.data) for block in found if block.data] == [(1, b"one\n")] + (
        [(3, b"three\n")] if ends == "newline" else []
    )


def test_a_line_at_the_limit_passes_and_one_above_within_a_block_does_not(tmp_path: Path) -> None:
    for length, passes in ((MAX_ROW_BYTES, True), (MAX_ROW_BYTES + 1, False)):
        (tmp_path / "a").write_bytes(b"one\n" + b"x" * (length - 1) + b"\nthree\n")
        found = blocks(tmp_path / "a", 24 << 20)
        assert bool([bad for block in found for bad in block.bad]) != passes
        assert sum(block.data.count(b"\n") for block in found) == 2 + passes


def test_a_byte_range_is_read_alone(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one\ntwo\nthree\n")
    with Stream(str(tmp_path / "a"), 4, 8) as stream:
        found = list(line_blocks(stream, Span(str(tmp_path / "a"), 4, 8, first_line=2), 100))
    assert [(block.first, block.data) for block in found if block.data] == [(2, b"two\n")]
