"""txt and md: one file, one row."""

import gzip
from pathlib import Path

from medcorpus.core.schema import MAX_ROW_BYTES
from medcorpus.formats.base import Options, Span
from medcorpus.formats.plain import read_md, read_txt


def only(path: Path, reader=read_txt):
    (chunk,) = reader(Span(str(path)), Options())
    return chunk.batch.to_pylist(), [(bad.locator, bad.error, bad.message) for bad in chunk.bad]


def test_text_without_its_byte_order_mark_and_carriage_returns(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbf" + "ผู้ป่วย\r\nمريض\n".encode())
    assert only(tmp_path / "a.txt") == ([{"text": "ผู้ป่วย\nمريض\n"}], [])


def test_compressed_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"fever"))
    assert only(tmp_path / "a.txt.gz")[0] == [{"text": "fever"}]


def test_bad_files_are_told_with_the_byte(tmp_path: Path) -> None:
    def bad(data: bytes) -> tuple[str, str]:
        (tmp_path / "a.txt").write_bytes(data)
        rows, ((locator, error, message),) = only(tmp_path / "a.txt")
        assert not rows and locator == ""
        return error, message

    text = "maladie du cœur, élevée à l'été ".encode() * 9
    assert bad(text + b"\xe9") == ("invalid_utf8", f"byte {len(text)} of the file is not utf-8")
    assert bad(b"\x81\x8d\x01 \x02\x90\xff")[0] == "undecodable"
    assert bad(b"ab\0c") == ("nul_byte", "byte 2 of the file is NUL")
    assert bad(b"") == ("empty", "the file is empty")
    assert bad(b"x" * (MAX_ROW_BYTES + 1))[0] == "too_large"
    assert bad(gzip.compress(b"fever " * 9999)[:-9])[0] == "broken"


def test_markdown_keeps_its_text(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Malaria\n\n*fever*\n")
    assert only(tmp_path / "a.md", read_md)[0] == [{"text": "# Malaria\n\n*fever*\n", "title": "Malaria"}]
