"""README's tables, made from the code: `python -m medcorpus.cli.readme` writes them again, a test compares.

A generated part stands between `<!-- begin:name -->` and `<!-- end:name -->`.
"""

import re
import sys
from pathlib import Path

from medcorpus.cli import COMMANDS, EXIT_CODES, SUBCOMMANDS
from medcorpus.cli.check import describe
from medcorpus.jobs import TRAINING


def parts() -> dict[str, str]:
    """Name -> Markdown of every generated part."""
    return {
        "commands": _commands(),
        "stages": _stages(),
        "parameters": _parameters(),
        "bands": _bands(),
        "exits": _exits(),
    }


def regenerate(text: str) -> str:
    """`text` with every generated part written anew."""
    for name, body in parts().items():
        pattern = re.compile(rf"(<!-- begin:{name} -->\n).*?(<!-- end:{name} -->)", re.DOTALL)
        text = pattern.sub(lambda match, body=body: f"{match[1]}{body}\n{match[2]}", text)
    return text


def _commands() -> str:
    rows = [f"| `{name}` | {line} |" for name, (_, line) in {**COMMANDS, **SUBCOMMANDS}.items()]
    return "\n".join(["| command | does |", "|---|---|", *rows])


def _stages() -> str:
    lines = ["| stage | verb | does | reasons it offers to `select` |", "|---|---|---|---|"]
    for name in (*SUBCOMMANDS, *TRAINING):
        one = describe(name)
        reasons = ", ".join(f"`{reason}`" for reason in one["reasons"])
        lines.append(f"| `{name}` | {one['verb']} | {one['summary']} | {reasons} |")
    return "\n".join(lines)


def _parameters() -> str:
    lines = []
    for name in (*SUBCOMMANDS, *TRAINING):
        lines += [f"**`{name}`**", "", "| parameter | default | kind | meaning |", "|---|---|---|---|"]
        for param in describe(name)["params"]:
            default = f"`{param['default']}`" if param["default"] else ""
            default = default.replace("|", "\\|")
            lines.append(f"| `{param['name']}` | {default} | {param['role']} | {param['meaning']} |")
        lines.append("")
    return "\n".join(lines).rstrip()


def _bands() -> str:
    rows = describe("dedup")["figures"]
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "--:|" * len(rows[0])]
    return "\n".join(lines + ["| " + " | ".join(row.values()) + " |" for row in rows])


def _exits() -> str:
    return "```\n" + EXIT_CODES + "\n```"


if __name__ == "__main__":
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "README.md")
    path.write_text(regenerate(path.read_text(encoding="utf-8")), encoding="utf-8")
