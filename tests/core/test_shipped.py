"""Files that travel with the product are found in a checkout and in a wheel."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import medcorpus
from medcorpus.core.shipped import shipped

ROOT = Path(medcorpus.__file__).resolve().parents[1]


def test_in_the_checkout():
    assert shipped("language_families.yaml") == ROOT / "language_families.yaml"
    assert shipped("recipes").is_dir()
    assert shipped("recipes/quickstart.yaml").is_file()


def test_what_is_not_there_is_named():
    with pytest.raises(FileNotFoundError, match=r"recipes/none\.yaml"):
        shipped("recipes/none.yaml")


def test_in_a_wheel(tmp_path):
    """As installed: no pyproject beside the package, the files inside it."""
    package = tmp_path / "medcorpus"
    for name in ("__init__.py", "core/__init__.py", "core/shipped.py"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "medcorpus" / name, package / name)
    (package / "shipped" / "recipes").mkdir(parents=True)
    (package / "shipped" / "recipes" / "quickstart.yaml").touch()
    code = "from medcorpus.core.shipped import shipped; print(shipped('recipes/quickstart.yaml'))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert Path(out.stdout.strip()) == package / "shipped" / "recipes" / "quickstart.yaml"
