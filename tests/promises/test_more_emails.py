"""Several e-mail addresses of one person: the first is the contact's, a new contact gets all."""

from __future__ import annotations

from typing import Any

import pytest

from target_apollo.sandbox import Sandbox
from tests.promises.conftest import CONTACT_SCHEMA, Run, contact, schema

LISTED = schema("contacts", {"properties": {**CONTACT_SCHEMA["properties"], "contact_emails": {}}})


def stored(apollo: Sandbox) -> list[list[str]]:
    """The addresses of each contact, its own first."""
    return [
        [str(entry["email"]) for entry in one["contact_emails"]] for one in apollo.store.contacts()
    ]


@pytest.mark.parametrize("mode", ["insert", "upsert"])
@pytest.mark.parametrize(
    "columns",
    [
        {"email": "Ann Lee <ann@a.com>; ann@Müller.de, mailto:lee@a.com"},
        {"email": "ann@a.com", "contact_emails": ["ann@xn--mller-kva.de", "lee@a.com"]},
        {
            "email": None,
            "contact_emails": [
                {"email": "ann@müller.de", "position": 1},
                {"email": "lee@a.com", "position": 2},
                {"email": "ann@a.com", "position": 0},
            ],
        },
    ],
)
def test_a_new_contact_gets_all_its_addresses_and_later_runs_send_nothing(
    apollo: Sandbox, sync: Run, mode: str, columns: dict[str, Any]
) -> None:
    rows = [LISTED, contact(1, first_name="Ann", **columns)]
    assert sync(rows, mode=mode).exit_code == 0

    assert stored(apollo) == [["ann@a.com", "ann@xn--mller-kva.de", "lee@a.com"]]
    again = sync(rows, mode=mode)
    # Of the two requests one asks whose key it is, the other for the custom fields.
    assert "rejected 0; 2 requests" in again.log
    assert ("unchanged 1" if mode == "upsert" else "existing 1") in again.log
    assert len(stored(apollo)) == 1


@pytest.mark.full
def test_an_existing_contact_keeps_its_addresses_and_that_is_said(
    apollo: Sandbox, sync: Run
) -> None:
    sync([LISTED, contact(1, email="ann@a.com", title="A")])

    later = sync([LISTED, contact(1, email="ann@a.com; lee@a.com", title="B")])

    assert stored(apollo) == [["ann@a.com"]]
    assert [one["title"] for one in apollo.store.contacts()] == ["B"]
    assert "no endpoint that changes 'contact_emails' on existing contacts" in later.log


def test_a_malformed_address_beside_a_valid_one_is_left_out_and_said(
    apollo: Sandbox, sync: Run
) -> None:
    done = sync([LISTED, contact(1, email="ann@a.com; lee@@a.com", contact_emails=["lee@"])])

    assert stored(apollo) == [["ann@a.com"]]
    assert not done.rejects
    assert "rows have malformed e-mail addresses beside valid ones" in done.log


def test_without_a_ledger_the_second_run_finds_the_contact(apollo: Sandbox, sync: Run) -> None:
    rows = [LISTED, contact(1, email="ann@a.com; lee@a.com")]
    for _ in range(2):
        assert sync(rows, ledger_url="").exit_code == 0
    assert stored(apollo) == [["ann@a.com", "lee@a.com"]]


@pytest.mark.parametrize("mode", ["insert", "upsert"])
def test_an_address_that_is_another_row_s_own_makes_two_people_no_one(
    apollo: Sandbox, sync: Run, mode: str
) -> None:
    rows = [
        contact(1, email="ann@a.com; bob@a.com", first_name="Ann"),
        contact(2, email="bob@a.com", first_name="Bob"),
    ]
    assert "created 2" in sync([LISTED, *rows], mode=mode).log

    held = {one["email"]: one["first_name"] for one in apollo.store.contacts()}
    assert held == {"ann@a.com": "Ann", "bob@a.com": "Bob"}
    assert "created 0, updated 0" in sync([LISTED, *rows], mode=mode).log


@pytest.mark.parametrize("mode", ["insert", "upsert"])
@pytest.mark.parametrize("batch_size", [1, 10])
def test_an_additional_address_that_two_people_share_costs_neither(
    apollo: Sandbox, sync: Run, mode: str, batch_size: int
) -> None:
    rows = [
        contact(1, email="ann@a.com; office@a.com", first_name="Ann"),
        contact(2, email="bob@a.com; office@a.com", first_name="Bob"),
    ]
    done = sync([LISTED, *rows], mode=mode, batch_size=batch_size, parallel_requests=1)

    assert not done.rejects
    held = {one["email"]: one["first_name"] for one in apollo.store.contacts()}
    assert held == {"ann@a.com": "Ann", "bob@a.com": "Bob"}
    assert "created 0, updated 0" in sync([LISTED, *rows], mode=mode).log


def test_an_additional_address_that_is_a_contact_s_own_costs_no_row(
    apollo: Sandbox, sync: Run
) -> None:
    sync([LISTED, contact(2, email="bob@a.com", first_name="Bob")])

    done = sync([LISTED, contact(1, email="ann@a.com; bob@a.com", first_name="Ann")])

    assert not done.rejects
    assert stored(apollo) == [["bob@a.com"], ["ann@a.com"]]
