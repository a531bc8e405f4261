"""Patterns and folders to files and locators."""

import json
import os
import unicodedata
from pathlib import Path

import pytest

from medcorpus.formats.discover import NothingFound, SameLocator, find


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("a.txt", "b.jsonl.gz", "notes.xyz", ".hidden.txt", "sub/c.txt", "sub/deep/ملف.txt", ".git/d.txt"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


def locators(base: Path, *patterns: str) -> list[str]:
    return [file.locator for file in find(list(patterns), str(base))]


def test_a_file_a_folder_a_glob(tree: Path) -> None:
    assert locators(tree, "data/a.txt") == ["a.txt"]
    assert locators(tree, "data") == ["a.txt", "b.jsonl.gz", "notes.xyz", "sub/c.txt", "sub/deep/ملف.txt"]
    assert locators(tree, "data/*.txt") == ["a.txt"]
    assert locators(tree, "data/**/*.txt") == ["a.txt", "sub/c.txt", "sub/deep/ملف.txt"]
    assert locators(tree, "data/**/c.txt") == ["sub/c.txt"]
    assert locators(tree, "data/s?b/*/*.txt") == ["sub/deep/ملف.txt"]
    assert locators(tree, "d*a/a.txt") == ["data/a.txt"]
    assert "notes.xyz" in locators(tree, "data/**") and ".hidden.txt" not in locators(tree, "data/**")
    assert locators(tree, "data/[ab].*") == ["a.txt", "b.jsonl.gz"]
    assert locators(tree, str(tree / "data" / "a.txt")) == ["a.txt"]


def test_a_name_with_a_wildcard_in_it_is_a_name_first(tree: Path) -> None:
    (tree / "data" / "what[1].txt").write_text("x")
    assert locators(tree, "data/what[1].txt") == ["what[1].txt"]


def test_a_file_named_twice_counts_once(tree: Path) -> None:
    assert locators(tree, "data/*.txt", "data/a.txt", "data/**/*.txt") == ["a.txt", "sub/c.txt", "sub/deep/ملف.txt"]


def test_nothing_found_names_the_pattern_and_the_folder(tree: Path) -> None:
    for pattern, folder in (("data/*.pdf", "data"), ("nowhere/*.txt", "nowhere"), ("data/x.txt", "data"), ("no", "")):
        with pytest.raises(NothingFound) as caught:
            find([pattern], str(tree))
        assert pattern in str(caught.value) and str(tree / folder) in str(caught.value)


def test_the_same_locator_from_two_roots(tree: Path) -> None:
    (tree / "more").mkdir()
    (tree / "more" / "a.txt").write_text("other")
    with pytest.raises(SameLocator) as caught:
        find(["data/*.txt", "more/*.txt"], str(tree))
    assert str(tree / "data" / "a.txt") in str(caught.value) and str(tree / "more" / "a.txt") in str(caught.value)


def test_locators_are_composed_and_posix(tmp_path: Path) -> None:
    (tmp_path / unicodedata.normalize("NFD", "émigré.txt")).write_text("x")
    assert locators(tmp_path, "é*.txt") == [unicodedata.normalize("NFC", "émigré.txt")]


def test_loops_end_and_links_are_followed(tree: Path) -> None:
    (tree / "data" / "sub" / "up").symlink_to(tree / "data")
    (tree / "linked").symlink_to(tree / "data" / "sub" / "deep")
    assert locators(tree, "data") == locators(tree, "data/**/*.txt", "data/*.gz", "data/*.xyz")
    assert locators(tree, "linked") == ["ملف.txt"]


def test_what_cannot_be_looked_at_is_told(tree: Path) -> None:
    (tree / "data" / "gone.txt").symlink_to(tree / "nowhere")
    (file,) = [file for file in find(["data"], str(tree)) if file.error]
    assert (file.locator, file.error) == ("gone.txt", "No such file or directory")
    (file,) = find(["data/gone.txt"], str(tree))
    assert file.error
    os.makedirs(os.fsencode(tree) + b"/latin")
    with open(os.fsencode(tree) + b"/latin/caf\xe9.txt", "w") as sink:
        sink.write("x")
    (file,) = find(["latin"], str(tree))
    assert (file.locator, file.error) == ("caf\\xe9.txt", "its name is not utf-8")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look everywhere")
def test_a_closed_folder_is_told(tree: Path) -> None:
    (tree / "data" / "sub").chmod(0)
    try:
        for pattern in ("data", "data/**/*.txt"):
            assert [(f.locator, f.error) for f in find([pattern], str(tree)) if f.error] == [
                ("sub", "Permission denied")
            ]
    finally:
        (tree / "data" / "sub").chmod(0o755)


def test_datasets_and_step_folders_list_their_files(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "dataset"
    folder.mkdir(parents=True)
    for name in ("data-0.arrow", "data-1.arrow", "cache-9.arrow"):
        (folder / name).write_bytes(b"x")
    (folder / "state.json").write_text(
        json.dumps({"_data_files": [{"filename": "data-0.arrow"}, {"filename": "data-1.arrow"}]})
    )
    for pattern in ("run", "run/dataset"):
        files = find([pattern], str(tmp_path))
        assert [(f.locator, f.dataset) for f in files] == [("data-0.arrow", True), ("data-1.arrow", True)]
    step = tmp_path / "step"
    step.mkdir()
    for name in ("11", "22"):
        (step / f"{name}.arrow").write_bytes(b"x")
    (step / "manifest.json").write_text(json.dumps({"parts": [["22", 1, 1]]}))
    assert locators(tmp_path, "step") == ["22.arrow"]
    (tmp_path / "other").mkdir()
    for file in folder.iterdir():
        (tmp_path / "other" / file.name).write_bytes(file.read_bytes())
    assert len(find(["run", "other"], str(tmp_path))) == 4  # records have locators of their own
