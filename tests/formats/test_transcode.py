"""Files of lines that are not UTF-8, read by the readers as they are."""

import gzip
import json
from pathlib import Path

import pytest

from medcorpus.formats import partitions
from medcorpus.formats.base import Options, Span
from medcorpus.formats.delimited import read_csv
from medcorpus.formats.discover import find
from medcorpus.formats.encodings import decode
from medcorpus.formats.encodings.stream import HEAD
from medcorpus.formats.jsonl import read as read_jsonl
from medcorpus.formats.partitions import Digests
from medcorpus.formats.plain import read_txt

ZH = [
    "患者出现发热和咳嗽三天，血压正常。",
    "医生建议他多喝水，并且要注意休息。",
    "这个药每天吃三次，饭后服用就可以了。",
]


def gather(chunks) -> tuple[list[dict], list[str], list[tuple[str, str]], set[str | None]]:
    rows, places, bad, charsets = [], [], [], set()
    for chunk in chunks:
        rows += chunk.batch.to_pylist()
        places += chunk.places.to_pylist() if chunk.places is not None else []
        bad += [(one.locator, one.error) for one in chunk.bad]
        charsets.add(chunk.charset)
    return rows, places, bad, charsets


def csv_of(path: Path, data: bytes, **options):
    path.write_bytes(data)
    return gather(read_csv(Span(str(path)), Options(**options)))


def jsonl_of(path: Path, data: bytes, **options):
    path.write_bytes(data)
    return gather(read_jsonl(Span(str(path)), Options(wanted=("text",), required=("text",), keep="none", **options)))


@pytest.mark.parametrize("codec", ["gb18030", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "hz", "utf-8-sig", "utf-8"])
@pytest.mark.parametrize("block", [7, 64, 8 << 20])
def test_rows_and_places_are_those_of_the_utf8_file(tmp_path: Path, codec: str, block: int) -> None:
    text = "id,text\n" + "".join(f'{n},"{ZH[n % 3]}\nzwei"\n' for n in range(40))
    rows, places, bad, charsets = csv_of(tmp_path / "a.csv", text.encode(codec), block_bytes=block)
    assert [row["text"] for row in rows] == [f"{ZH[n % 3]}\nzwei" for n in range(40)] and not bad
    assert places == [f"L{2 + 2 * n}" for n in range(40)]
    assert charsets == {None if codec.startswith("utf-8") else {"hz": "hz-gb-2312", "utf-16": "utf-16le",
                        "utf-32": "utf-32le"}.get(codec, codec.replace("-le", "le").replace("-be", "be"))}  # fmt: skip


@pytest.mark.parametrize("codec", ["gb18030", "utf-16", "cp932"])
def test_jsonl_too(tmp_path: Path, codec: str) -> None:
    texts = ["患者は発熱と咳がある。表で見てください。", "能力と十分なソース"] * 20 if codec == "cp932" else ZH * 9
    data = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\r\n" for text in texts).encode(codec)
    rows, places, bad, _ = jsonl_of(tmp_path / "a.jsonl", data, block_bytes=99)
    assert [row["text"] for row in rows] == texts and not bad
    assert places == [f"L{n}" for n in range(1, len(texts) + 1)]
    (tmp_path / "a.jsonl").write_bytes(gzip.compress(data))
    assert len(gather(read_jsonl(Span(str(tmp_path / "a.jsonl")), Options(wanted=("text",), keep="none")))[0]) == len(
        texts
    )


def test_a_line_that_does_not_decode_costs_that_line(tmp_path: Path) -> None:
    lines = [f"{n},{ZH[n % 3]}".encode("gb18030") for n in range(50)]
    lines[30] += b"\xff\xff"
    lines[40] = lines[40][:-1]  # the newline stays one
    rows, places, bad, charsets = csv_of(tmp_path / "a.csv", b"id,text\n" + b"\n".join(lines))
    assert bad == [("L32", "undecodable"), ("L42", "undecodable")] and len(rows) == 48 == len(places)
    assert charsets == {"gb18030"}


def test_utf8_with_damage_stays_utf8(tmp_path: Path) -> None:
    lines = [f"{n},{ZH[n % 3]}".encode() for n in range(50)]
    lines[30] += b"\xff"
    rows, _, bad, charsets = csv_of(tmp_path / "a.csv", b"id,text\n" + b"\n".join(lines))
    assert bad == [("L32", "invalid_utf8")] and len(rows) == 49 and charsets == {None}


def test_what_is_said_wins(tmp_path: Path) -> None:
    data = "id,text\n1,čas\n2,žena a muž\n".encode("cp1250")
    assert csv_of(tmp_path / "a.csv", data, encoding="windows-1251")[0][0]["text"] == "иas"
    assert csv_of(tmp_path / "a.csv", data, encoding="windows-1250")[0][0]["text"] == "čas"
    utf8 = csv_of(tmp_path / "a.csv", "id,text\n1,čas\n".encode(), encoding="windows-1250")
    assert utf8[0][0]["text"] == "čas" and utf8[3] == {None}


def test_the_first_bytes_that_are_not_ascii_decide(tmp_path: Path) -> None:
    plain = b"1,fever and cough\n" * (HEAD // 10)
    tail = "2,El niño tiene fiebre y náuseas\n3,¿Desde cuándo? Hace tres días\n".encode("cp1252")
    rows, _, bad, _ = csv_of(tmp_path / "a.csv", b"id,text\n" + plain + tail, block_bytes=HEAD)
    assert not bad and [row["text"] for row in rows[-2:]] == [
        "El niño tiene fiebre y náuseas", "¿Desde cuándo? Hace tres días",
    ]  # fmt: skip


def test_ranges_of_a_big_file_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "SPLIT_BYTES", 4096)
    lines = [json.dumps({"text": ZH[n % 3] + str(n)}, ensure_ascii=False) + "\n" for n in range(400)]

    def through(codec: str) -> tuple[int, list[str], list[str]]:
        (tmp_path / "a.jsonl").write_bytes("".join(lines).encode(codec))
        (file,) = find(["a.jsonl"], str(tmp_path))
        parts = partitions.partitions([(file, "jsonl")], Digests(""))
        texts, places = [], []
        for part in parts:
            rows, at, bad, _ = gather(
                read_jsonl(Span.of(part.spec["files"][0]), Options(wanted=("text",), keep="none"))
            )
            assert not bad
            texts, places = texts + [row["text"] for row in rows], places + at
        return len(parts), texts, places

    many, *same = through("utf-8")
    for codec, parts in (("gb18030", many - 2), ("utf-16", 1)):
        found, *these = through(codec)
        assert these == same and (found == 1 if parts == 1 else found > 3)


def test_documents(tmp_path: Path) -> None:
    def text_of(data: bytes, **options):
        (tmp_path / "a.txt").write_bytes(data)
        return gather(read_txt(Span(str(tmp_path / "a.txt")), Options(**options)))

    assert text_of("Fièvre élevée\r\n".encode("cp1252"))[::3] == ([{"text": "Fièvre élevée\n"}], {"windows-1252"})
    assert text_of("Fièvre".encode("utf-16"))[::3] == ([{"text": "Fièvre"}], {"utf-16le"})
    assert text_of(b"caf\xe9", encoding="koi8-r")[0] == [{"text": "cafИ"}]


# -- real data ----------------------------------------------------------------------------------

DATA = Path(__file__).parents[2].parent / "shared" / "data"


def test_chinese_consultations() -> None:
    """MANIFEST: 7,644 rows (7,691 lines: some are blank or inside quotes), 407 repeated questions; 16k lines."""
    folder = DATA / "documents/chinese_medical_dialogue_gbk"
    if not folder.exists():
        pytest.skip("no chinese_medical_dialogue_gbk here")
    (path,) = folder.glob("*.csv")
    rows, _, bad, charsets = gather(read_csv(Span(str(path)), Options()))
    assert not bad and charsets == {"gb18030"} and len(rows) == 7644
    assert len(rows) - len({row["ask"] for row in rows}) == 407
    (path,) = folder.rglob("*.txt")
    ((row,), _, bad, charsets) = gather(read_txt(Span(str(path)), Options()))
    assert not bad and charsets == {"gb18030"} and row["text"].count("\n") == 16192


@pytest.mark.parametrize(
    ("name", "charset", "text"),
    [
        ("archive.org.he.xinhuanet.com.25340717.html", "gb18030", "新华网"),
        ("mix1.de-clio.html", "windows-1252", "präsentiert"),
        ("nnz-online.de-Quantensprung.html", "windows-1252", "für"),
    ],
)
def test_pages_that_are_not_utf8(name: str, charset: str, text: str) -> None:
    path = DATA / "web/trafilatura_gold/eval" / name
    if not path.exists():
        pytest.skip("no trafilatura_gold here")
    for declared in (None, "iso-8859-1" if charset == "windows-1252" else "gb2312"):
        found = decode(path.read_bytes(), declared)
        assert found.charset == charset and text in found.text, (found.charset, found.text[:500])
