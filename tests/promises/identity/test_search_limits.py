"""Look-ups that do not fit this hour: what they found is written, and the next run goes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from target_apollo.apollo.client import ApolloClient
from target_apollo.sandbox import SandboxOptions
from tests.helpers.new_sandbox import new_sandbox
from tests.helpers.worlds import World, one_fast
from tests.promises.conftest import Run, record, schema
from tests.promises.identity.people import people

ROWS, AN_HOUR = 30, 12


@pytest.fixture
def narrow(sync: Run) -> Iterator[World]:
    """Contacts on more pages than an hour has searches, but on fewer than there are rows."""
    with new_sandbox(SandboxOptions(strict=True, minute_limit=400)) as apollo:
        for number in range(100 * (AN_HOUR + 3)):
            apollo.store.add_contact(
                email=f"p{number}@a.com", first_name=f"Ann{number}", last_name=f"Lee{number}"
            )
        yield World(apollo, sync, {"sandbox": apollo, "max_wait_seconds": 1})


def run_with_an_hour(world: World, **settings: object) -> int:
    world.apollo.reset_quota()
    world.apollo.set_options(hour_limit=AN_HOUR)
    rows = people(range(ROWS), title="Buyer")
    done = world.run(rows, **settings)
    assert done.exit_code in (0, 3), done.log
    return sum(contact["title"] == "Buyer" for contact in world.apollo.store.contacts())


@pytest.mark.parametrize("method", one_fast("auto", "individual", "bulk"))
def test_each_run_writes_what_its_searches_found_where_a_reading_of_all_does_not_fit(
    narrow: World, method: str
) -> None:
    written = [run_with_an_hour(narrow, mode="update", update_method=method) for _ in range(3)]

    assert 0 < written[0] < written[1] < written[2] == ROWS


def test_contacts_that_are_deleted_while_all_are_read_hide_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def profile(number: int) -> str:
        return f"https://www.linkedin.com/in/ann-{number}"

    store = world.apollo.store
    there = [
        store.add_contact(first_name=f"Ann{n}", last_name="Lee", linkedin_url=profile(n))["id"]
        for n in range(250)
    ]
    asked = ApolloClient.page

    def while_others_are_deleted(self: ApolloClient, of: Any, page: int) -> Any:
        answer = asked(self, of, page)
        if page == 1 and there[0] in store.contact_by_id:
            store.delete_contact(there[0])
        return answer

    monkeypatch.setattr(ApolloClient, "page", while_others_are_deleted)
    rows = [
        record("contacts", id=n, first_name=f"Ann{n}", last_name="Lee", linkedin_url=profile(n))
        for n in range(95, 125)
    ]

    done = world.run([schema("contacts"), *rows], match_on=["linkedin_url"])

    assert done.records.get("created", 0) == 0, done.log
    assert len(store.contact_by_id) == 249
