"""Front matter, shortcodes, titles."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medcorpus.formats.markdown import columns, front_matter, heading, without_shortcodes
from tests.stages.test_ingest import read


@pytest.mark.parametrize(
    ("markdown", "title"),
    [
        ("# Malaria\n\ntext", "Malaria"),
        ("text\n\n## Fièvre  ##\n# Later", "Fièvre"),
        ("Malaria\n=======\ntext", "Malaria"),
        ("```\n# a comment\n```\n~~~\n# another\n~~~\n# Malaria", "Malaria"),
        ("#hashtag\n#\n####### seven\ntext", None),
        ("", None),
        ("- one\n\n---\n\ntext", None),
        ("# 疟疾\n", "疟疾"),
    ],
)
def test_first_heading(markdown: str, title: str | None) -> None:
    assert heading(markdown) == title


@pytest.mark.parametrize(
    ("block", "made"),
    [
        (
            "title: Malaria\ndate: 2024-05-01\ntags: [a, b]\n",
            {"title": "Malaria", "date": "2024-05-01", "tags": '["a","b"]'},
        ),
        ("draft: true\nn: 5\nnone:\n", {"draft": "true", "n": "5", "none": None}),
        ("title: Fever: what to do\nlang: en\n  junk\n", {"title": "Fever: what to do", "lang": "en"}),
        ("a: &x [1]\nb: *x\nc: 2\n", {"a": "&x [1]", "b": "*x", "c": "2"}),
        ("when: 2024-05-01T10:00:00Z\n", {"when": "2024-05-01T10:00:00+00:00"}),
        ("ชื่อ: ไข้\n", {"ชื่อ": "ไข้"}),
    ],
)
def test_front_matter(block: str, made: dict) -> None:
    for end in ("---", "..."):
        assert front_matter(f"---\n{block}{end}\n\ntext\n") == (made, "text\n")
    assert front_matter(f"---\r\n{block}---\r\ntext".replace("\r", "")) == (made, "text")


def test_front_matter_of_hugo_in_toml() -> None:
    assert front_matter('+++\ntitle = "Fièvre"\ndate = 2024-05-01\n[params]\nn = 1\n+++\ntext') == (
        {"title": "Fièvre", "date": "2024-05-01", "params": '{"n":1}'},
        "text",
    )


@pytest.mark.parametrize(
    "markdown",
    [
        "---\n\n---\ntext", "---\njust words\n---\ntext", "---\n- a\n- b\n---\n", "text\n---\ntitle: x\n---\n",
        "--- \ntitle: x\nno end", "---\ntitle: " + "x" * 70_000 + "\n---\n", "+++\nnot toml\n+++\n", "", "---",
    ],
)  # fmt: skip
def test_what_is_no_front_matter_stays(markdown: str) -> None:
    assert front_matter(markdown) == ({}, markdown)


def test_many_aliases_cost_nothing() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{k}: &{k} [{','.join([f'*{j}'] * 9)}]\n" for j, k in zip("abcdefgh", "bcdefghi", strict=True))  # fmt: skip # noqa: E501
    assert sum(len(value or "") for value in columns(f"---\n{bomb}---\ntext").values()) < 1000


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ('before\n{{< figure src="a.png" title="5 > 3 %}}" >}}\nafter', "before\nafter"),
        ("{{% note %}}\nTake **500 mg**.\n{{% /note %}}\n", "Take **500 mg**.\n"),
        ("Call {{< phone nr=`1\n2` >}}now", "Call now"),
        ("a {{< b", "a {{< b"),
        ("{{ jinja }} and {% tag %}", "{{ jinja }} and {% tag %}"),
        ("{{<a>}}x{{</a>}} {{<b/>}}y", "x y"),
    ],
)
def test_shortcodes(markdown: str, text: str) -> None:
    assert without_shortcodes(markdown) == text


@given(st.text(alphabet='{}<>%"` ab\n-:'))
def test_anything_is_read(text: str) -> None:
    made = columns(text)
    assert isinstance(made["text"], str) and len(made["text"]) <= len(text)
    assert without_shortcodes(text.replace("{{", "")) == text.replace("{{", "")


def test_through_ingest(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(
        "---\ntitle: Malaria\nlanguage: fr\nlicence: CC0-1.0\ntags: [x]\n---\n# H\n{{< toc >}}\nFièvre.\n"
    )
    (tmp_path / "b.md").write_text("# Heading\ntext\n")
    (tmp_path / "c.md").write_text("---\nlang: sw\n---\nHoma.\n")
    rows, bad = read(tmp_path, path="*.md", columns={"language": "lang"}, licence="unknown")
    assert not bad and [(r["title"], r["language"], r["licence"]) for r in rows] == [
        ("Malaria", None, "CC0-1.0"), ("Heading", None, "unknown"), (None, "swa", "unknown"),
    ]  # fmt: skip
    assert rows[0]["text"] == "# H\nFièvre.\n" and rows[0]["extra"] == '{"language":"fr","tags":"[\\"x\\"]"}'
    rows, _ = read(tmp_path, path="a.md")
    assert rows[0]["language"] == "fra"
