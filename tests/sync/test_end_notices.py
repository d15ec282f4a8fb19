from __future__ import annotations

from typing import Any

from target_apollo.config.settings import Settings
from target_apollo.sync.end_notices import unused_settings
from tests.config.test_settings import config

CONTACTS = [{"id": {}, "title": {}}]


def unmet(*streams: str, **own: Any) -> list[str]:
    return unused_settings(Settings.of(config(**own)), streams, CONTACTS)


def test_entries_that_a_stream_or_a_property_meets_are_not_named() -> None:
    entries = {"public-*": {"mode": "insert"}}
    assert unmet("public-contacts", streams=entries, null_policy_per_field={"title": "clear"}) == []


def test_a_misspelled_stream_is_named_with_the_streams_that_came() -> None:
    (sentence,) = unmet("contacts", "accounts", streams={"contcts": {"mode": "insert"}})
    assert "'contcts'" in sentence
    assert "(accounts, contacts)" in sentence


def test_an_entry_behind_one_that_fits_too_is_named() -> None:
    entries = {"*": {"mode": "insert"}, "contacts": {"mode": "update"}}
    (sentence,) = unmet("contacts", streams=entries)
    assert "'contacts'" in sentence
    assert "the entry '*' before it fits the same streams" in sentence


def test_an_unresolved_property_that_no_stream_has_is_named() -> None:
    (sentence,) = unmet("contacts", unresolved={"titel": "drop", "title": "drop"})
    assert "'titel' of the setting 'unresolved'" in sentence


def test_a_property_that_no_stream_has_is_named() -> None:
    (sentence,) = unmet("contacts", null_policy_per_field={"titel": "clear"})
    assert "'titel'" in sentence
