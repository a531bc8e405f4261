"""MedQuAD: question and answer pairs from pages of the NIH. https://github.com/abachaa/MedQuAD

One row of kind `qa` for each pair, `qa=<number>`. Three collections (A.D.A.M., drugs, supplements) have had
their answers removed for copyright: such a pair is bad (`null_text`), so that it is counted. A few files spell
the elements otherwise (`qaPairs`, `pair`, `question`).
"""

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from medcorpus.core.stage import Bad
from medcorpus.formats.base import Chunk, Options, Span
from medcorpus.formats.markup.prose import fold
from medcorpus.formats.markup.rows import Row, chunks
from medcorpus.formats.markup.tree import elements

_PAIRS = ("QAPair", "pair")
_FOCUS = ("Focus", "doctitle-focus")
_ABOUT = {"CUI": "cui", "cui": "cui", "SemanticType": "semantic_type", "semanticType": "semantic_type",
          "SemanticGroup": "semantic_group", "semanticGroup": "semantic_group"}  # fmt: skip
_GAP = re.compile(r"\n[ \t]*\n\s*")
_BLANKS = re.compile(r"[ \t]+")
_EDGES = re.compile(r" ?\n ?")


def read(span: Span, options: Options) -> Iterator[Chunk]:
    """Columns `question`, `answer`, `title` (the focus), `url`, `group` (the page)."""
    yield from chunks(_pairs(span), options, "qa", "question and answer pair")


def _pairs(span: Span) -> Iterator[Row | Bad]:
    number = 0
    about: dict[str, list[str]] = {}
    focus = None
    for found in elements(span, {*_PAIRS, *_FOCUS, *_ABOUT}):
        if isinstance(found, Bad):
            number += found.error == "too_large"
            yield found
        elif found.element.tag in _FOCUS:
            focus = fold(found.element.text)
        elif found.element.tag in _ABOUT:
            if text := fold(found.element.text):
                about.setdefault(_ABOUT[found.element.tag], []).append(text)
        else:
            number += 1
            asked = _child(found.element, "question")
            root = found.root
            yield Row(
                f"qa={number}",
                question=None if asked is None else fold(asked.text),
                answer=_paragraphs(_child(found.element, "answer")),
                title=focus,
                url=root.get("url"),
                group="",
                extra={
                    "document": root.get("id") or root.get("docid") or root.get("fid"),
                    "publisher": root.get("source") or root.get("corpus"),
                    "focus": focus,
                    "qid": None if asked is None else asked.get("qid"),
                    "qtype": None if asked is None else asked.get("qtype"),
                    **about,
                },
            )


def _child(pair: Element, name: str) -> Element | None:
    return next((child for child in pair if child.tag.lower() == name), None)


def _paragraphs(answer: Element | None) -> str:
    """Runs of blanks folded, runs of empty lines are one: the indentation is that of a page long gone."""
    text = "" if answer is None else "".join(answer.itertext())
    text = _EDGES.sub("\n", _BLANKS.sub(" ", text.replace("\r\n", "\n")))
    return _GAP.sub("\n\n", text).strip()
