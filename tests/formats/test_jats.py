"""JATS: one row an article; what is in another language is a row of its own."""

from pathlib import Path

from tests.reading import ingest, places, read

ARTICLE = """<article xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:mml="http://www.w3.org/1998/Math/MathML"
 article-type="research-article" xml:lang="pt"><front><journal-meta><journal-title-group>
<journal-title>Rev</journal-title>
</journal-title-group></journal-meta><article-meta><article-id pub-id-type="pmcid">PMC7</article-id>
<article-id pub-id-type="doi">10.1/x</article-id>
<title-group><article-title>Febre <italic>e</italic> tosse</article-title>
<trans-title-group xml:lang="en"><trans-title>Fever and cough</trans-title></trans-title-group></title-group>
<contrib-group><contrib><name><surname>Silva</surname><given-names>Ana</given-names></name></contrib>
<contrib><collab>Grupo</collab></contrib></contrib-group><pub-date><year>2020</year></pub-date>
<permissions><license xlink:href="http://creativecommons.org/licenses/by/4.0/"><license-p>Open.</license-p></license></permissions>
<abstract><title>Resumo</title><sec><title>Objetivo</title><p>Um
 objetivo.</p></sec></abstract>
<trans-abstract xml:lang="en"><p>An aim.</p></trans-abstract>
<kwd-group><kwd>febre</kwd></kwd-group></article-meta></front>
<body><sec><title>Introdução</title><p>Dose <bold>5</bold> mg [<xref ref-type="bibr">1</xref>], 10<sup>9</sup>/L,
<inline-formula><mml:math><mml:msup><mml:mi>x</mml:mi><mml:mn>2</mml:mn></mml:msup></mml:math></inline-formula>.</p>
<list><list-item><p>um</p></list-item><list-item><p>dois</p></list-item></list>
<table-wrap><label>Tabela 1</label><caption><p>Doses</p></caption>
<table><tr><th>A</th><th>B</th></tr><tr><td/><td>1</td></tr>
</table></table-wrap></sec></body>
<back><ref-list><title>Referências</title><ref><mixed-citation>NO</mixed-citation></ref></ref-list></back>
<sub-article article-type="translation" xml:lang="en"><front-stub><title-group><article-title>Fever</article-title>
</title-group></front-stub><body><p>English body.</p></body></sub-article></article>"""


def test_an_article(tmp_path: Path) -> None:
    (tmp_path / "a.nxml").write_text(ARTICLE)
    rows, bad = read("jats", tmp_path / "a.nxml")
    assert not bad and [row.get("place") for row in rows] == [None, "trans-abstract=1", "sub-article=1"]
    first, abstract, translation = rows
    assert first["text"] == (
        "Febre e tosse\n\nResumo\n\nObjetivo\n\nUm objetivo.\n\nIntrodução\n\nDose 5 mg [1], 10⁹/L, x².\n\num\n\ndois"
        "\n\nTabela 1\n\nDoses\n\nA\tB\n\t1"
    )
    assert (first["title"], first["language"], first["licence"]) == ("Febre e tosse", "pt", "CC-BY-4.0")
    assert first["url"] == "https://doi.org/10.1/x" and first["attribution"] == "Ana Silva, Grupo"
    assert first["extra"] == {
        "article_type": "research-article", "journal": "Rev", "year": "2020", "keywords": ["febre"],
        "licence_stated": "http://creativecommons.org/licenses/by/4.0/", "pmcid": "PMC7", "doi": "10.1/x",
    }  # fmt: skip
    assert (abstract["text"], abstract["title"], abstract["language"]) == ("An aim.", "Fever and cough", "en")
    assert translation["text"] == "Fever\n\nEnglish body." and translation["licence"] == "CC-BY-4.0"
    records, _ = ingest(tmp_path, path="a.nxml")
    assert sorted((row["locator"], row["group"]) for row in records) == [
        ("a.nxml", "a.nxml"),
        ("a.nxml#sub-article=1", "a.nxml"),
        ("a.nxml#trans-abstract=1", "a.nxml"),
    ]


def test_a_set_of_articles_that_breaks_off(tmp_path: Path) -> None:
    text = "<!DOCTYPE pmc-articleset PUBLIC '-//NLM//DTD ARTICLE SET 2.0//EN' 'x.dtd'>\n<pmc-articleset>"
    (tmp_path / "a.xml").write_text(text + ARTICLE + "\n" + ARTICLE + "\n" + ARTICLE[:900])
    rows, (bad,) = read("xml", tmp_path / "a.xml")
    assert [row["place"] for row in rows][::3] == ["article=1", "article=2"] and rows[5]["group"] == "article=2"
    assert rows[5]["place"] == "article=2/sub-article=1" and bad.error == "invalid_xml"


def test_articles_that_say_little(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text("<article><front><article-meta/></front></article>")
    assert places(read("xml", tmp_path / "a.xml")[1]) == [("", "null_text")]
    (tmp_path / "a.xml").write_text(
        "<article><front><article-meta><article-id pub-id-type='pmid'>9</article-id><permissions>"
        "<copyright-statement>© Us</copyright-statement><license><license-p>Ask us.</license-p></license></permissions>"
        "</article-meta></front><body><p>药</p></body></article>"
    )
    (row,), _ = read("xml", tmp_path / "a.xml")
    assert row["attribution"] == "© Us" and "licence" not in row and row["extra"]["licence_stated"] == "Ask us."
    assert row["url"] == "https://pubmed.ncbi.nlm.nih.gov/9/" and "language" not in row
