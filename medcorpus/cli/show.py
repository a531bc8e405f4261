"""Tables and JSON for people and scripts."""

import json
from collections.abc import Iterable
from typing import Any


def print_json(value: Any) -> None:
    """One JSON document on standard output, with the version of its shape."""
    print(json.dumps({"schema_version": 1, **value}, ensure_ascii=False, indent=1))


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]], right: Iterable[str] = ()) -> None:
    """A table on standard output; columns in `right` hold numbers."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    made = Table(
        title=title or None,
        box=SIMPLE_HEAD,
        title_justify="left",
        title_style="bold",
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    numbers = set(right)
    for position, column in enumerate(columns):  # names and numbers stay whole, prose wraps
        number = column in numbers
        made.add_column(column, justify="right" if number else "left", no_wrap=number or not position, overflow="fold")
    for row in rows:
        made.add_row(*(_cell(value) for value in row))
    console = Console()
    if not console.is_terminal:  # a pipe has no width: never cut or fold what a script may read
        console = Console(width=max(200, console.width))
    console.print(made)


def _cell(value: Any) -> str:
    from rich.markup import escape

    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return escape(str(value))
