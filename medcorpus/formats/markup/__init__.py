"""Readers of HTML, the dialects of XML, and gettext: one file each.

    tree      a file as elements, streamed: what has not been asked for is never held
    prose     an element as readable text: paragraphs and the cells of tables apart
    rows      what a dialect says of a row -> chunks
    xml       any other XML, and which dialect a `.xml` file is
    markdown, mediawiki, conll   markup that is not XML

A new dialect is a file with `read(span, options)`, a line in `formats.READERS`, one in `xml.DIALECTS` and a test.
"""
