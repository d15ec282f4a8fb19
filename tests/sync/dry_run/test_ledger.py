"""The ledger of a dry run, over that of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from target_apollo.ledger import Ledger, LinkOutcome, LinkStatus, Place, Walk
from target_apollo.sync.dry_run.ledger import LedgerOverlay
from target_apollo.sync.dry_run.simulated_apollo import SimulatedApollo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEAM = "team"
CONTACTS = Place(TEAM, "contact", "contacts", "tap-crm")
ACCOUNTS = CONTACTS._replace(object="account", stream="accounts")
OAK, ELM, ASH = "sha256:oak", "sha256:elm", "sha256:ash"
ID_1, ID_2 = "1" * 24, "2" * 24


class Trusting(SimulatedApollo):
    def __init__(self) -> None:
        """Nothing is asked of it here."""

    def trust(self, *_: object) -> None:
        """Takes every id."""


def linked(key: str, apollo_id: str, match: str) -> LinkOutcome:
    return LinkOutcome(key, LinkStatus.CREATED, apollo_id, "hash", match_hash=match)


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/ledger.db"
    with Ledger.open(url) as ledger:
        ledger.record_outcomes(CONTACTS, "run", [linked("1", ID_1, OAK), linked("2", ID_2, ELM)])
        ledger.record_outcomes(CONTACTS._replace(source=""), "run", [linked("9", ID_2, ASH)])
        ledger.record_outcomes(ACCOUNTS, "run", [linked("1", ID_1, OAK)])
        ledger.save_companies(TEAM, {ELM: ID_1, ASH: ID_2})
        ledger.save_walk(TEAM, Walk(4))
    return url


@pytest.fixture
def overlay(url: str) -> Iterator[LedgerOverlay]:
    ledger = LedgerOverlay(url, Trusting())
    yield ledger
    ledger.close()


def rows_of(overlay: LedgerOverlay, match: str) -> list[str]:
    found = overlay.links_by_match(CONTACTS, [match])
    return [link.source_key for link in found.get(match, [])]


def test_rows_are_found_by_the_address_that_they_have_in_the_dry_run(
    overlay: LedgerOverlay,
) -> None:
    assert rows_of(overlay, OAK) == ["1"]
    overlay.record_outcomes(CONTACTS, "dry", [linked("1", ID_1, ELM)])
    assert rows_of(overlay, OAK) == []
    assert rows_of(overlay, ELM) == ["1", "2"]
    overlay.drop_links(CONTACTS, [ID_2])
    assert rows_of(overlay, ELM) == ["1"]


@pytest.mark.parametrize("gone", [True, False])
def test_accounts_are_known_by_their_domain_until_they_are_gone(
    overlay: LedgerOverlay, gone: bool
) -> None:
    assert overlay.company_ids(TEAM, [OAK, ELM, ASH]) == {ELM: ID_1, ASH: ID_2}
    assert overlay.account_ids_by_match(TEAM, [OAK, ELM]) == {OAK: ID_1}
    overlay.save_companies(TEAM, {OAK: ID_2})
    assert overlay.company_ids(TEAM, [OAK, ASH]) == {OAK: ID_2, ASH: ID_2}
    if gone:
        overlay.record_outcomes(ACCOUNTS, "dry", [LinkOutcome("1", LinkStatus.GONE, ID_1)])
    else:
        overlay.drop_links(ACCOUNTS, [ID_1])
    assert overlay.company_ids(TEAM, [OAK, ELM, ASH]) == {OAK: ID_2, ASH: ID_2}
    assert overlay.account_ids_by_match(TEAM, [OAK]) == {}


def test_what_a_dry_run_saves_is_not_in_the_run_s_ledger(overlay: LedgerOverlay, url: str) -> None:
    walk = overlay.walk(TEAM)
    assert walk is not None
    assert walk.next_page == 4
    overlay.save_walk(TEAM, Walk(5))
    overlay.save_companies(TEAM, {OAK: ID_1})
    overlay.adopt(CONTACTS, ["9"])
    overlay.forget(CONTACTS._replace(source=""), ["9"])
    seen = overlay.walk(TEAM)
    assert seen is not None
    assert seen.next_page == 5
    with Ledger.open(url) as ledger:
        kept = ledger.walk(TEAM)
        assert kept is not None
        assert kept.next_page == 4
        assert ledger.company_ids(TEAM, [OAK]) == {}
        assert ledger.links(CONTACTS, ["9"])["9"].source == ""
