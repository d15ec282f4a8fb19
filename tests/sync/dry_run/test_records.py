from __future__ import annotations

from collections.abc import Iterator

import pytest

from target_apollo.model.objects.registry import ObjectKind
from target_apollo.sync.dry_run.known_records import KnownRecords, SeenRows

CONTACTS, ACCOUNTS = ObjectKind.CONTACTS, ObjectKind.ACCOUNTS


@pytest.fixture
def records() -> Iterator[KnownRecords]:
    found = KnownRecords()
    yield found
    found.close()


def test_a_record_is_found_by_its_id_and_by_what_it_is_recognised_by(records: KnownRecords) -> None:
    records.put(CONTACTS, {"id": "1", "title": "CEO"}, ["email a", "name b"])

    assert records.get(CONTACTS, "1") == {"id": "1", "title": "CEO"}
    assert records.first(CONTACTS, ["email x", "name b"]) == {"id": "1", "title": "CEO"}


def test_the_strongest_identity_decides(records: KnownRecords) -> None:
    records.put(CONTACTS, {"id": "1"}, ["name b"])
    records.put(CONTACTS, {"id": "2"}, ["email a"])

    assert records.first(CONTACTS, ["email a", "name b"]) == {"id": "2"}


def test_contacts_and_accounts_are_kept_apart(records: KnownRecords) -> None:
    records.put(CONTACTS, {"id": "1"}, ["name a"])

    assert records.get(ACCOUNTS, "1") is None
    assert records.first(ACCOUNTS, ["name a"]) is None


def test_a_changed_record_is_no_longer_found_by_what_it_was(records: KnownRecords) -> None:
    records.put(CONTACTS, {"id": "1"}, ["email old"])
    records.put(CONTACTS, {"id": "1"}, ["email new"])

    assert records.first(CONTACTS, ["email old"]) is None
    assert records.first(CONTACTS, ["email new"]) == {"id": "1"}


def test_records_that_share_an_identity_are_all_known(records: KnownRecords) -> None:
    records.put(ACCOUNTS, {"id": "1"}, ["domain a.com"])
    records.put(ACCOUNTS, {"id": "2"}, ["domain a.com"])

    assert records.ids_of(ACCOUNTS, "domain a.com") == ["1", "2"]


def test_rows_that_share_an_address_are_told_once_with_all_their_keys() -> None:
    seen = SeenRows()
    seen.note("contacts", CONTACTS, [("a@x.com", "1"), ("b@x.com", "2")])
    seen.note("contacts", CONTACTS, [("a@x.com", "3"), ("a@x.com", "1")])
    seen.note("leads", CONTACTS, [("b@x.com", "9")])

    assert list(seen.shared()) == [("contacts", CONTACTS, "a@x.com", ["1", "3"])]
    seen.close()
