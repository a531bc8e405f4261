"""JATS, the articles of journals and of PubMed Central. https://jats.nlm.nih.gov/archiving/

One row for each article: title, abstract, body with its tables and captions; not the references, footnotes and
acknowledgements. A translated abstract (`trans-abstract`) and a sub-article (a translation, a reply) are rows of
their own, in their own language, in the group of the article.
"""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from medcorpus.core.stage import Bad
from medcorpus.formats.base import Chunk, Options, Span
from medcorpus.formats.markup.licences import spdx
from medcorpus.formats.markup.prose import Shape, flat, prose, words
from medcorpus.formats.markup.rows import Row, chunks
from medcorpus.formats.markup.tree import elements

_SHAPE = Shape(
    blocks=words(
        "abstract app body boxed-text caption def-list disp-formula disp-quote fig list p sec statement subtitle",
        "supplementary-material table table-wrap title trans-abstract verse-group",
    ),
    lines=words("def def-item list-item table-wrap-foot fn verse-line"),
    breaks=words("break"),
    rows=words("tr"),
    cells=words("td th"),
    skip=words("ref-list graphic inline-graphic media object-id tex-math alternatives-graphic label-alternatives"),
)
_WHOLE, _ARTICLE = "article", ("article", "sub-article", "response")


def read(span: Span, options: Options) -> Iterator[Chunk]:
    """Columns `text`, `title`, `url`, `language`, `licence`, `attribution`, `group`."""
    yield from chunks(_articles(span), options, none="article")


def _articles(span: Span) -> Iterator[Row | Bad]:
    for found in elements(span, (_WHOLE,)):
        if isinstance(found, Bad):
            yield found
        else:
            place = f"article={found.number}" if found.above else ""  # of a set of articles, or the file
            yield from _rows(found.element, place, place, None)


def _rows(article: Element, place: str, group: str, above: Row | None) -> Iterator[Row]:
    """An article, its translated abstracts and what is within it."""
    meta = article.find("front/article-meta")
    meta = article.find("front-stub") if meta is None else meta
    meta = Element("article-meta") if meta is None else meta
    title = flat(meta.find("title-group/article-title"), _SHAPE) or None
    subtitle = flat(meta.find("title-group/subtitle"), _SHAPE)
    parts = [*meta.findall("abstract"), article.find("body"), article.find("floats-group")]
    texts = [prose(part, _SHAPE) for part in parts if part is not None]
    ids = {one.get("pub-id-type", "id"): flat(one, _SHAPE) for one in meta.findall("article-id")}
    licence, stated = _licence(meta)
    first = Row(
        place or None,
        "\n\n".join(filter(None, [title, subtitle, *texts])) if any(texts) else title,
        title=title,
        url=_url(ids) or (above.url if above else None),
        language=article.get("xml:lang") or None,
        licence=licence or (above.licence if above else None),
        attribution=_attribution(meta) or (above.attribution if above else None),
        group=group,
        extra={
            "article_type": article.get("article-type"),
            "journal": flat(article.find("front/journal-meta/journal-title-group/journal-title"), _SHAPE)
            or flat(article.find("front/journal-meta/journal-title"), _SHAPE),
            "year": flat(meta.find("pub-date/year"), _SHAPE),
            "keywords": [flat(word, _SHAPE) for word in meta.findall("kwd-group/kwd")],
            "licence_stated": stated,
            **ids,
        },
    )
    yield first
    titles = {one.get("xml:lang"): flat(one.find("trans-title"), _SHAPE) for one in meta.iter("trans-title-group")}
    under = f"{place}/" if place else ""
    for number, abstract in enumerate(meta.findall("trans-abstract"), 1):
        language = abstract.get("xml:lang")
        yield Row(
            f"{under}trans-abstract={number}", prose(abstract, _SHAPE), title=titles.get(language) or None,
            url=first.url, language=language, licence=first.licence, attribution=first.attribution, group=group,
            extra=first.extra,
        )  # fmt: skip
    within = [child for child in article if child.tag in _ARTICLE]
    for number, child in enumerate(within, 1):
        yield from _rows(child, f"{under}{child.tag}={number}", group, first)


def _licence(meta: Element) -> tuple[str | None, str | None]:
    """SPDX identifier, and what is stated when that says nothing more than words."""
    for licence in meta.findall("permissions/license"):
        links = [link.get("href") for link in licence.iter("ext-link")]
        refs = [(ref.text or "").strip() for ref in licence.iter("license_ref")]
        stated = flat(licence, _SHAPE)
        href = licence.get("href")
        return spdx(href, *refs, *links, licence.get("license-type"), stated), href or stated[:300]
    return None, None


def _attribution(meta: Element) -> str | None:
    """The copyright statement, else the authors."""
    if stated := flat(meta.find("permissions/copyright-statement"), _SHAPE):
        return stated
    names = []
    for author in meta.findall("contrib-group/contrib"):
        name = author.find("name")
        names.append(
            flat(author.find("collab"), _SHAPE)
            if name is None
            else " ".join(filter(None, (flat(name.find("given-names"), _SHAPE), flat(name.find("surname"), _SHAPE))))
        )
    return ", ".join(filter(None, names)) or None


def _url(ids: dict[str, str]) -> str | None:
    if ids.get("doi"):
        return f"https://doi.org/{ids['doi']}"
    for kind in ("pmcid", "pmc"):
        if ids.get(kind):
            return f"https://pmc.ncbi.nlm.nih.gov/articles/PMC{ids[kind].removeprefix('PMC')}/"
    return f"https://pubmed.ncbi.nlm.nih.gov/{ids['pmid']}/" if ids.get("pmid") else None
