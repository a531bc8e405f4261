"""Manifests: rows add up, gaps are named, JSON round trips, versions in order."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medcorpus.core.manifest import (
    QUARANTINE,
    Account,
    Manifest,
    Part,
    read_manifest,
    read_versions,
    rejects_folder,
    step_folder,
    write_manifest,
)
from medcorpus.core.store import LocalStore

languages = st.sampled_from(["eng", "zho", "swa", "und", "total"])
rows = st.lists(
    st.fixed_dictionaries(
        {
            "language": st.none() | languages,
            "made": st.booleans(),
            "becomes": st.none() | languages,
            "reason": st.none() | st.sampled_from(["quarantine", "low", "duplicate"]),
        }
    ),
    max_size=30,
)


def tell(story: list[dict]) -> Account:
    """The account of rows that came or were made, changed their language, and left or stayed."""
    account = Account()
    for row in story:
        language = row["language"] or "und"
        (account.created if row["made"] else account.rows_in)[language] += 1
        if row["becomes"] not in (None, language):
            account.moved_out[language] += 1
            account.moved_in[row["becomes"]] += 1
            language = row["becomes"]
        if row["reason"]:
            account.reject(row["reason"], language)
        else:
            account.rows_out[language] += 1
    return account


@given(rows)
def test_every_story_adds_up(story):
    account = tell(story)
    assert account.gaps() == {}
    assert account.seen == len(story)
    assert account.quarantined == sum(row["reason"] == QUARANTINE for row in story)
    assert Account.from_json(json.loads(json.dumps(account.to_json()))) == account


@given(rows, rows)
def test_accounts_of_parts_sum_to_the_account_of_the_whole(one, two):
    summed = tell(one)
    summed.add(tell(two))
    assert summed.to_json() == tell(one + two).to_json()


@given(rows, st.sampled_from(["eng", "zho"]), st.integers(1, 9))
def test_a_row_that_vanishes_is_named(story, language, lost):
    account = tell(story)
    account.rows_in[language] += lost
    assert account.gaps() == {language: lost, "total": lost}


@given(rows)
def test_gaps_that_cancel_out_are_still_named(story):
    account = tell(story)
    account.rows_out["eng"] += 1
    account.rows_out["zho"] -= 1
    assert account.gaps() == {"eng": -1, "zho": 1}


def test_a_reason_without_language_counts_as_und():
    account = Account()
    account.reject("low", None, 2)
    account.reject("low", "und")
    assert account.reasons == {"low": Counter({"und": 3})}
    assert account.gaps() == {"und": -3, "total": -3}


def test_json_leaves_zeros_out_and_sorts():
    account = Account(rows_in=Counter(zho=1, eng=0, ara=2))
    assert json.dumps(account.to_json()["rows_in"]) == '{"ara": 2, "zho": 1}'


def manifest() -> Manifest:
    accounts = {"langid": tell([]), "quality": Account(rows_in=Counter(eng=2), rows_out=Counter(eng=2))}
    return Manifest("quality", "quality", 3, "ab" * 16, (Part("k1", 2, 99), Part("k2", 0, 0)), accounts)


def test_manifests_round_trip_in_order():
    raw = manifest().to_bytes()
    again = Manifest.from_bytes(raw)
    assert again == manifest()
    assert list(again.accounts) == ["langid", "quality"], "the order of the steps"
    assert again.to_bytes() == raw


def test_a_manifest_is_written_once(tmp_path):
    store = LocalStore(tmp_path)
    assert read_manifest(store, "steps/a") is None
    assert write_manifest(store, "steps/a", manifest())
    before = (tmp_path / "steps/a/manifest.json").stat().st_ino
    assert not write_manifest(store, "steps/a", manifest())
    assert (tmp_path / "steps/a/manifest.json").stat().st_ino == before
    assert read_manifest(store, "steps/a") == manifest()
    other = Manifest("quality", "quality", 3, "cd" * 16, (), {})
    assert write_manifest(store, "steps/a", other)
    assert read_manifest(store, "steps/a") == other


def test_versions_are_numbers_in_order(tmp_path):
    store = LocalStore(tmp_path)
    assert read_versions(store) == {}
    for name in ("10", "9", "1", "draft"):
        with store.publish(f"versions/{name}.json") as sink:
            sink.write(json.dumps({"name": name}).encode())
    assert list(read_versions(store)) == [1, 9, 10]
    assert read_versions(store)[9] == {"name": "9"}


@pytest.mark.parametrize(("private", "folder"), [(False, "steps/a-12345678"), (True, "private/steps/a-12345678")])
def test_folders(private, folder):
    assert step_folder("a", "123456789abc", private) == folder
    assert rejects_folder("a", "123456789abc") == "rejects/a-12345678"
