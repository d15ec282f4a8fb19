from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest

from target_apollo.ledger import Ledger, LinkOutcome, LinkStatus, Place, Walk

TEAM, OTHER_TEAM = "5f5e100c0d4ae7000181a2b3", "5f5e100c0d4ae7000181ffff"
OAK, ELM, ASH = "sha256:oak", "sha256:elm", "sha256:ash"
ID_1, ID_2 = "6095a710bd01d100a506d4ae", "6095a710bd01d100a506d4af"
ACCOUNTS = Place(TEAM, "account", "accounts", "tap-crm")


def link(ledger: Ledger, key: str, apollo_id: str, found_under: str, **place: str) -> None:
    outcome = LinkOutcome(key, LinkStatus.CREATED, apollo_id, "hash", match_hash=found_under)
    ledger.record_outcomes(ACCOUNTS._replace(**place), "run-1", [outcome])


def test_accounts_are_kept_by_the_hash_of_their_domain(opened: Callable[[], Ledger]) -> None:
    with opened() as first:
        first.save_companies(TEAM, {OAK: ID_1, ELM: ID_2})
    ledger = opened()
    assert ledger.company_ids(TEAM, [OAK, ELM, ASH]) == {OAK: ID_1, ELM: ID_2}
    assert ledger.company_ids(OTHER_TEAM, [OAK]) == {}


def test_a_newer_account_of_a_domain_replaces_the_older(ledger: Ledger) -> None:
    ledger.save_companies(TEAM, {OAK: ID_1})
    ledger.save_companies(TEAM, {OAK: ID_2})
    ledger.save_companies(TEAM, {})
    assert ledger.company_ids(TEAM, [OAK]) == {OAK: ID_2}


def test_thousands_of_accounts_are_kept_and_found(ledger: Ledger) -> None:
    many = {f"sha256:{number}": f"{number:024x}" for number in range(3_000)}
    ledger.save_companies(TEAM, many)
    assert ledger.company_ids(TEAM, many) == many


@pytest.mark.parametrize("way", ["dropped", "gone"])
def test_an_account_that_is_gone_is_forgotten(ledger: Ledger, way: str) -> None:
    ledger.save_companies(TEAM, {OAK: ID_1, ASH: ID_1, ELM: ID_2})
    ledger.save_companies(OTHER_TEAM, {OAK: ID_1})
    if way == "dropped":
        ledger.drop_links(ACCOUNTS, [ID_1])
    else:
        ledger.record_outcomes(ACCOUNTS, "run", [LinkOutcome("1", LinkStatus.GONE, ID_1)])
    assert ledger.company_ids(TEAM, [OAK, ASH, ELM]) == {ELM: ID_2}
    assert ledger.company_ids(OTHER_TEAM, [OAK]) == {OAK: ID_1}


def test_a_contact_that_is_gone_takes_no_account_with_it(ledger: Ledger) -> None:
    ledger.save_companies(TEAM, {OAK: ID_1})
    ledger.drop_links(ACCOUNTS._replace(object="contact"), [ID_1])
    assert ledger.company_ids(TEAM, [OAK]) == {OAK: ID_1}


def test_accounts_that_rows_became_are_found_by_their_domain(ledger: Ledger) -> None:
    link(ledger, "1", ID_1, OAK)
    link(ledger, "9", ID_2, ELM, source="", stream="firms")
    link(ledger, "1", ID_2, ASH, object="contact")
    assert ledger.account_ids_by_match(TEAM, [OAK, ELM, ASH]) == {OAK: ID_1, ELM: ID_2}
    assert ledger.account_ids_by_match(OTHER_TEAM, [OAK]) == {}


def test_of_two_accounts_with_one_domain_the_last_written_is_found(ledger: Ledger) -> None:
    link(ledger, "1", ID_2, OAK)
    link(ledger, "2", ID_1, OAK)
    assert ledger.account_ids_by_match(TEAM, [OAK]) == {OAK: ID_1}


def test_an_account_that_is_gone_is_not_found_by_its_domain(ledger: Ledger) -> None:
    gone = LinkOutcome("1", LinkStatus.GONE, ID_1, match_hash=OAK)
    ledger.record_outcomes(ACCOUNTS, "run", [gone])
    assert ledger.account_ids_by_match(TEAM, [OAK]) == {}


def test_a_walk_through_the_accounts_is_taken_up_where_it_stopped(
    opened: Callable[[], Ledger],
) -> None:
    with opened() as first:
        assert first.walk(TEAM) is None
        first.save_walk(TEAM, Walk(3, newest="2026-11-20T09:00:00.000Z"))
        first.save_walk(TEAM, Walk(1, reached="2026-11-20T09:00:00.000Z"))
    ledger = opened()
    walk = ledger.walk(TEAM)
    assert walk is not None
    assert (walk.next_page, walk.newest, walk.reached) == (1, None, "2026-11-20T09:00:00.000Z")
    assert walk.changed_at is not None
    assert datetime.now(timezone.utc) - walk.changed_at < timedelta(minutes=1)
    assert ledger.walk(OTHER_TEAM) is None
