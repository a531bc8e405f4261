"""XML of any kind: what all dialects share, and the reader of those that have none."""

import gzip
import time
import tracemalloc
from pathlib import Path

import pytest

from medcorpus.core.schema import MAX_ROW_BYTES
from medcorpus.core.stage import Bad
from medcorpus.formats.base import Span
from medcorpus.formats.markup.licences import spdx
from medcorpus.formats.markup.prose import Shape, prose, words
from medcorpus.formats.markup.tree import elements
from medcorpus.formats.markup.xml import DIALECTS, dialect
from tests.reading import DATA, ingest, places, read, real

LAUGHS = (
    '<?xml version="1.0"?>\n<!DOCTYPE d [\n<!ENTITY a0 "lol">\n'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">\n' for n in range(1, 12))
    + "]>\n<d>&a11;</d>"
)


def write(tmp_path: Path, text: str | bytes, name: str = "a.xml") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def only(tmp_path: Path, text: str | bytes) -> str:
    rows, bad = read("xml", write(tmp_path, text))
    assert not bad
    return rows[0]["text"]


def root_of(xml: str, tmp_path: Path):
    (found,) = elements(Span(str(write(tmp_path, xml))))
    return found.root


def test_any_xml_is_its_readable_text(tmp_path: Path) -> None:
    text = """<?xml version="1.0"?>
    <guideline xml:lang="th" id="7"><title>โรคเบาหวาน</title>
      <section><heading>การรักษา</heading><p>ยา <b>เมตฟอร์มิน</b> 500&#160;มก.</p>
        <list><item>หนึ่ง</item><item>สอง</item></list>
        <table><tr><td>a</td><td/><td>x
          y</td></tr></table><script>var x</script><n>10<sup>9</sup>/L</n></section></guideline>"""
    (row,), bad = read("xml", write(tmp_path, text))
    assert not bad and "place" not in row
    assert row["text"] == ("โรคเบาหวาน\n\nการรักษา\n\nยา เมตฟอร์มิน 500\u00a0มก.\n\nหนึ่ง\nสอง\n\na\t\tx y\n\n10⁹/L")
    assert (row["title"], row["language"]) == ("โรคเบาหวาน", "th")
    assert row["extra"] == {"root": "guideline", "xml:lang": "th", "id": "7"}


def test_line_ends_of_an_unknown_dialect_are_kept(tmp_path: Path) -> None:
    text = "<doc lang='amh'><p>\nመመሪያ\n• አንድ\n• ሁለት\n</p><p>\n\nሦስት\n\nአራት\n</p></doc>"
    (row,), _ = read("xml", write(tmp_path, text))
    assert row["text"] == "መመሪያ\n• አንድ\n• ሁለት\n\nሦስት\n\nአራት" and row["language"] == "amh"
    (row,), _ = read("xml", write(tmp_path, "<doc lang='Java'><p>x</p></doc>"))
    assert "language" not in row, "`lang` is a language by habit only"


def test_files_without_text_are_told(tmp_path: Path) -> None:
    for text, error in (("<a b='c'/>", "null_text"), ("", "empty"), ("no markup", "invalid_xml")):
        rows, bad = read("xml", write(tmp_path, text))
        assert not rows and [one.error for one in bad] == [error]


def test_what_does_not_parse_is_told_with_line_and_column(tmp_path: Path) -> None:
    rows, bad = read("xml", write(tmp_path, "<doc>\n<p>Food & drink</p></doc>"))
    assert not rows and bad == [
        Bad(
            "L2:10",
            "invalid_xml",
            "not well-formed (invalid token) at line 2, column 10; what stands before was read",
        )
    ]
    assert "Food" not in bad[0].message


def test_entities_that_a_file_declares_are_refused_at_once(tmp_path: Path) -> None:
    started = time.perf_counter()
    rows, bad = read("xml", write(tmp_path, LAUGHS))
    assert not rows and places(bad) == [("L3:13", "entities")] and time.perf_counter() - started < 1
    parameter = '<!DOCTYPE d [<!ENTITY % p "<!ELEMENT d ANY>"> %p;]><d>x</d>'
    assert [one.error for one in read("xml", write(tmp_path, parameter))[1]] == ["entities"]


def test_nothing_outside_the_file_is_read(tmp_path: Path) -> None:
    secret = write(tmp_path, "secret", "secret.txt")
    text = f'<!DOCTYPE d SYSTEM "{secret}" [<!ENTITY x SYSTEM "file://{secret}">]><d>a &x; b</d>'
    assert "secret" not in only(tmp_path, text)


def test_entities_of_html_are_known_where_there_is_a_dtd(tmp_path: Path) -> None:
    text = '<!DOCTYPE article PUBLIC "-//NLM//DTD" "x.dtd"><d>&alpha;&nbsp;&unknown; &#x1f600;</d>'
    assert only(tmp_path, text) == "α\u00a0&unknown; 😀"
    assert [one.error for one in read("xml", write(tmp_path, "<d>&alpha;</d>"))[1]] == ["invalid_xml"]


@pytest.mark.parametrize("encoding", ["gb18030", "GBK", "Shift_JIS", "EUC-KR", "windows-1256", "UTF-16", "ISO-8859-1"])
def test_declared_encodings(tmp_path: Path, encoding: str) -> None:
    text = {"Shift_JIS": "糖尿病", "EUC-KR": "당뇨병", "windows-1256": "السكري", "ISO-8859-1": "fièvre"}.get(
        encoding, "糖尿病"
    )
    data = f'<?xml version="1.0" encoding="{encoding}"?><d>{text}</d>'.encode(encoding)
    assert only(tmp_path, data) == text


def test_bytes_that_are_not_of_the_encoding_are_told(tmp_path: Path) -> None:
    for data in (
        b'<?xml version="1.0" encoding="shift_jis"?>\n<d>\x81</d>',
        b"<d>caf\xe9</d>",
        b'<?xml version="1.0" encoding="zlib"?><d/>',
        b'<?xml version="1.0" encoding="no-such"?><d/>',
    ):
        rows, (bad,) = read("xml", write(tmp_path, data))
        assert not rows and bad.error in ("encoding", "invalid_xml") and bad.locator.startswith("L")


def test_a_broken_file_gives_the_elements_before_the_break(tmp_path: Path) -> None:
    text = "<r>" + "".join(f"<row><p>مريض {n}</p></row>" for n in range(20_000)) + "</r>"
    found = list(elements(Span(str(write(tmp_path, text[:-30_000]))), ("row",)))
    assert isinstance(found[-1], Bad) and found[-1].error == "invalid_xml"
    assert [one.number for one in found[:-1]] == list(range(1, len(found))) and len(found) > 15_000
    packed = gzip.compress(text.encode())
    found = list(elements(Span(str(write(tmp_path, packed[:-2000], "a.xml.gz"))), ("row",)))
    assert found[-1].error == "broken" and len(found) > 5_000


def test_deep_nesting_and_large_tags_are_refused_and_not_held(tmp_path: Path) -> None:
    started = time.perf_counter()
    assert [b.error for b in read("xml", write(tmp_path, "<d>" * 100_000))[1]] == ["too_deep"]
    huge = f"<d><!--{'x' * (MAX_ROW_BYTES + (2 << 20))}--></d>"
    assert [b.error for b in read("xml", write(tmp_path, huge))[1]] == ["too_large"]
    many = "<d>" + "<b/>" * (MAX_ROW_BYTES // 64 + 10) + "</d>"
    assert places(read("xml", write(tmp_path, many))[1]) == [("L1", "too_large")]
    assert time.perf_counter() - started < 20


def test_an_element_above_the_row_limit_costs_itself_only(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    with path.open("wb") as sink:
        sink.write(b"<r>\n<row>one</row>\n<row>")
        for _ in range(200):
            sink.write(b"fever " * 174_763)  # 1 MB
        sink.write(b"</row>\n<row>three</row></r>")
    tracemalloc.start()
    found = list(elements(Span(str(path)), ("row",)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [one.locator if isinstance(one, Bad) else (one.number, one.element.text) for one in found] == [
        (1, "one"),
        "L3",
        (3, "three"),
    ]
    assert found[1].error == "too_large" and peak < 3 * MAX_ROW_BYTES


def test_formulas_and_tables_as_plain_text(tmp_path: Path) -> None:
    math = (
        "<p>x <math><mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mn>2</mn></mfrac><mo>=</mo>"
        "<msup><mn>10</mn><mn>-9</mn></msup><msqrt><mi>y</mi></msqrt><msub><mtext>CO</mtext><mn>2</mn></msub>"
        "<annotation>no</annotation></math> z</p>"
    )
    assert prose(root_of(math, tmp_path), Shape()) == "x (a+b)/2=10⁻⁹√yCO2 z"
    table = "<t><row><entry>药</entry><entry>剂量</entry></row><row><entry/><entry><p>1</p><p>2</p></entry></row></t>"
    shape = Shape(rows=words("row"), cells=words("entry"), blocks=words("p"))
    assert prose(root_of(table, tmp_path), shape) == "药\t剂量\n\t1 2"


@pytest.mark.parametrize(
    ("stated", "licence"),
    [
        ("https://creativecommons.org/licenses/by/4.0/", "CC-BY-4.0"),
        ("http://creativecommons.org/licenses/by-nc-sa/3.0/igo/", "CC-BY-NC-SA-3.0-IGO"),
        ("http://creativecommons.org/licences/by/2.0/uk/legalcode", "CC-BY-2.0"),
        ("This is under CC BY-NC 4.0.", "CC-BY-NC-4.0"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"),
        ("creativecommons.org/publicdomain/mark/1.0", "public-domain"),
        ("All rights reserved", None),
        (None, None),
    ],
)
def test_licences(stated: str | None, licence: str | None) -> None:
    assert spdx(stated) == licence and spdx("see below", stated) == licence


def test_dialects_are_told_by_root_and_hint() -> None:
    assert dialect(b"<article><title>DocBook</title></article>") is None
    assert dialect(b"\xef\xbb\xbf<?xml version='1.0'?><!-- <tmx> --><jats:article><front/>").endswith("jats")
    assert dialect("<?xml version='1.0' encoding='UTF-16'?><tmx>".encode("utf-16")).endswith("tmx")
    assert dialect(b"<doc><p>x</p></doc>") is None and dialect(b"text") is None
    assert dialect(b'<!DOCTYPE html [<!ENTITY x "y>">]><html>').endswith("html")
    assert len({known.module for known in DIALECTS}) == len(DIALECTS)


@real
def test_covid_guidance() -> None:
    """109 files: 47 XML of which two have a bare `&`; text under the code of a language as suffix, or its name."""
    labels = {"labels": "covid19-datashare"}
    rows, bad = ingest(DATA, path="documents/covid_guidance/dotw", **labels)
    assert len(rows) == 45 and places(bad) == [("eng.xml#L68:12", "invalid_xml"), ("por.xml#L77:20", "invalid_xml")]
    assert all(row["language"] and len(row["text"]) > 100 for row in rows)
    languages = {row["locator"]: row["language"] for row in rows}
    assert (languages["zh-cn.xml"], languages["alb.xml"], languages["arm.xml"]) == ("zho", "sqi", "hye")
    stems, _ = ingest(DATA, path="documents/covid_guidance/dotw", columns={"language": {"from": "stem"}}, **labels)
    assert [row["language"] for row in stems] == [row["language"] for row in rows], "the stem says what the file says"
    folders = [f"documents/covid_guidance/{name}" for name in ("canadagov", "kingcounty")]
    rows, bad = ingest(DATA, path=folders, format="txt", columns={"language": {"from": "extension"}}, **labels)
    assert len(rows) == 33 and not bad and {"moh", "iku", "cwd", "khm"} <= {row["language"] for row in rows}
    stem = {"language": {"from": "stem"}}
    rows, bad = ingest(DATA, path="documents/covid_guidance/mythbusters", columns=stem, **labels)
    assert len(rows) == 28 and places(bad) == [("files.txt", "unknown_language")], "a list of the files"
    rows, bad = ingest(DATA, path="documents/covid_guidance")
    assert len(rows) == 45 + 29 and {one.error for one in bad} == {"invalid_xml", "no_reader"} and len(bad) == 35
