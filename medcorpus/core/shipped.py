"""Find the files that travel with the product: the language table, recipes, prompts.

In a checkout they stand at the top level, where people edit them; in a wheel they are copied to
`medcorpus/shipped/`. This is the one place that knows both.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def shipped(name: str) -> Path:
    """Path of a shipped file or folder such as `language_families.yaml` or `recipes/quickstart.yaml`.

    Raises FileNotFoundError naming the file when neither the checkout nor the wheel holds it.
    """
    for root in (_PACKAGE.parent if (_PACKAGE.parent / "pyproject.toml").exists() else None, _PACKAGE / "shipped"):
        if root is not None and (root / name).exists():
            return root / name
    raise FileNotFoundError(f"{name} is not among the files shipped with medcorpus")
