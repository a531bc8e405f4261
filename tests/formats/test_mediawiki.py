"""Dumps of MediaWiki: articles as plain text, everything else told or left out."""

import bz2
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medcorpus.formats import guess
from medcorpus.formats.wikitext import plain
from tests.stages.test_ingest import read

HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="sw">
<siteinfo><dbname>swwiki</dbname><base>https://sw.wikipedia.org/wiki/Mwanzo</base>
<namespaces><namespace key="0" case="first-letter" /><namespace key="6">Picha</namespace>
<namespace key="14">Jamii</namespace></namespaces></siteinfo>
"""


def page(number: int, title: str, text: str, ns: int = 0, redirect: str = "") -> str:
    return (
        f"<page><title>{title}</title><ns>{ns}</ns><id>{number}</id>{redirect}<revision><id>{number + 900}</id>"
        f"<timestamp>2024-05-01T00:00:00Z</timestamp><contributor><username>U</username><id>5</id></contributor>"
        f'<text bytes="1" xml:space="preserve">{text}</text></revision></page>\n'
    )


PAGES = [
    page(1, "Malaria", "'''Malaria''' ni [[ugonjwa]]. [[Picha:a.jpg|thumb|Mbu [[Anofelesi]]]]\n[[Jamii:Maradhi]]"),
    page(2, "Homa ya malaria", "#REDIRECT [[Malaria]]", redirect='<redirect title="Malaria" />'),
    page(3, "Talk:Malaria", "maoni", ns=1),
    page(4, "Homa &amp; maumivu", "5 &lt; 6 &amp;nbsp;mg {{stub}}"),
]


def test_a_dump(tmp_path: Path) -> None:
    (tmp_path / "dump.xml.bz2").write_bytes(bz2.compress((HEAD + "".join(PAGES) + "</mediawiki>").encode()))
    rows, bad = read(tmp_path, path="dump.xml.bz2", category="encyclopedia", licence="CC-BY-SA-4.0")
    assert guess(str(tmp_path / "dump.xml.bz2")) == "mediawiki" and not bad
    assert [(r["locator"], r["title"], r["text"], r["language"], r["url"]) for r in rows] == [
        ("dump.xml.bz2#page=1", "Malaria", "Malaria ni ugonjwa.", "swa", "https://sw.wikipedia.org/wiki/Malaria"),
        (
            "dump.xml.bz2#page=4",
            "Homa & maumivu",
            "5 < 6 \xa0mg",
            "swa",
            "https://sw.wikipedia.org/wiki/Homa_%26_maumivu",
        ),
    ]
    assert rows[0]["extra"] == '{"page_id":"1","revision_id":"901","timestamp":"2024-05-01T00:00:00Z"}'


@pytest.mark.parametrize(
    ("data", "count", "bad"),
    [
        (HEAD + PAGES[0] + PAGES[3][:90], 1, [("d.xml#page=1", "broken")]),
        (HEAD + PAGES[0] + "<page><title>a & b</title></page></mediawiki>", 1, [("d.xml#L7", "invalid_xml")]),
        ("", 0, [("d.xml", "empty")]),
        ("<html></html>", 0, [("d.xml", "not_a_dump")]),
        ('<!DOCTYPE m [<!ENTITY a "b">]>' + HEAD + "</mediawiki>", 0, [("d.xml#L1", "invalid_xml")]),
        (HEAD + page(7, "T", "x" * (40 << 20)) + PAGES[0] + "</mediawiki>", 1, [("d.xml#page=7", "too_large")]),
    ],
    ids=["cut", "no xml", "empty", "html", "entities", "large"],
)
def test_what_is_wrong_is_told(tmp_path: Path, data: str, count: int, bad: list) -> None:
    (tmp_path / "d.xml").write_text(data)
    rows, told = read(tmp_path, path="d.xml", format="mediawiki")
    assert (len(rows), told) == (count, bad)


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("'''Fever''' is ''high'' [[body temperature|temperature]].", "Fever is high temperature."),
        ("a{{cite|b={{c|{{d}}}}}}e", "ae"),
        ("dose<ref name=x>Smith</ref> 5 mg<ref name=x /> daily<ref>a {{b}} <i>c</i></ref>.", "dose 5 mg daily."),
        ("== Signs ==\n* one\n** two\n# three\n; term\n: meaning", "Signs\n- one\n- two\n- three\nterm\nmeaning"),
        ("[[File:a.jpg|thumb|A [[b|c]] d]]after [[Category:X]][[:Category:X]]", "after Category:X"),
        ("[https://who.int WHO], [http://x.y], https://z.org", "WHO, , https://z.org"),
        ("text\n[[fr:Fièvre]]\n[[zh-yue:發燒]]", "text"),
        ("a <!-- b --> c<br/>d <nowiki>''e''</nowiki>", "a  c\nd e"),
        ("x {{never closed", "x {{never closed"),
        ("x [[never closed", "x [[never closed"),
        ("__NOTOC__H<sub>2</sub>O &lt;5 &amp; more", "H2O <5 & more"),
        ("[[ไข้]]สูง [[ยา_ลดไข้]]", "ไข้สูง ยา ลดไข้"),
        (
            '{| class="wikitable"\n|+ Doses\n! Drug !! style="x" | mg\n|-\n| [[A|B]] || 5\n|-\n| colspan=2 | C\n'
            "more\n|}\nend",
            "Doses\nDrug | mg\nB | 5\nC more\nend",
        ),
    ],
)
def test_wikitext(wikitext: str, text: str) -> None:
    assert plain(wikitext) == text


@given(st.text(alphabet="{}[]|=!<>/'\n*: refab-"))
def test_anything_is_text(wikitext: str) -> None:
    plain(wikitext)


def test_long_unbalanced_pages_take_linear_time() -> None:
    for hostile in (
        "{{" * 100_000,
        "[[" * 100_000,
        "<ref>" * 50_000,
        "{|\n" * 50_000,
        "'" * 200_000,
        "=" * 100_000 + "x",
    ):
        plain(hostile)
