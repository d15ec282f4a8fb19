"""What a ledger remembers of the places of links, beside other processes that write them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from target_apollo.ledger import Ledger, LedgerError, LinkOutcome, LinkStatus, Place

TEAM = "5f5e100c0d4ae7000181a2b3"
ID_1, ID_2 = "6095a710bd01d100a506d4ae", "6095a710bd01d100a506d4af"
NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
NOBODY = Place(TEAM, "contact", "contacts")
CRM, SHOP = NOBODY._replace(source="tap-crm"), NOBODY._replace(source="tap-shop")
LEADS = NOBODY._replace(stream="leads")
HALF_A_PAIR = "\ud83d"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ledger.db"


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    with Ledger.open(url) as opened:
        yield opened


@pytest.fixture
def other(ledger: Ledger, url: str) -> Iterator[Ledger]:
    """The same ledger, as another process has it open."""
    with Ledger.open(url) as opened:
        yield opened


def write(ledger: Ledger, place: Place, key: str, apollo_id: str = ID_1) -> None:
    outcome = LinkOutcome(key, LinkStatus.CREATED, apollo_id, "hash", synced_at=NOON)
    ledger.record_outcomes(place, "run-1", [outcome])


def test_links_of_a_stream_that_another_process_writes_are_seen(
    ledger: Ledger, other: Ledger
) -> None:
    write(ledger, CRM, "1")
    ledger.links(NOBODY, ["1", "2"])
    write(other, SHOP, "2", ID_2)
    assert set(ledger.links(NOBODY, ["1", "2"])) == {"1", "2"}


def test_links_of_a_source_that_came_before_the_lock_are_seen(
    ledger: Ledger, other: Ledger
) -> None:
    write(ledger, CRM, "1")
    with ledger.lock(TEAM, "contacts", "run-1"):
        ledger.links(NOBODY, ["1", "2"])
    write(other, SHOP, "2", ID_2)
    with ledger.lock(TEAM, "contacts", "run-2"):
        assert set(ledger.links(NOBODY, ["1", "2"])) == {"1", "2"}


def test_a_record_s_links_of_a_stream_that_began_meanwhile_are_seen(
    ledger: Ledger, other: Ledger
) -> None:
    with ledger.lock(TEAM, "contacts", "run-1"):
        write(ledger, NOBODY, "1")
        assert len(ledger.links_by_apollo_id(NOBODY, [ID_1])[ID_1]) == 1
        write(other, LEADS, "9")
        streams = {link.stream for link in ledger.links_by_apollo_id(NOBODY, [ID_1])[ID_1]}
    assert streams == {"contacts", "leads"}


def test_the_first_links_of_a_source_are_found_under_its_lock(ledger: Ledger) -> None:
    write(ledger, NOBODY, "1")
    write(ledger, NOBODY, "2")
    with ledger.lock(TEAM, "contacts", "run-1"):
        assert ledger.links(CRM, ["1"])["1"].source == ""
        ledger.adopt(CRM, ["1"])
        assert ledger.links(CRM, ["1"])["1"].source == "tap-crm"
        write(ledger, SHOP, "2", ID_2)
        assert ledger.links(SHOP, ["2"])["2"].apollo_id == ID_2


def test_a_place_whose_first_write_failed_gets_its_number_by_the_next(
    ledger: Ledger, other: Ledger
) -> None:
    with ledger.lock(TEAM, "contacts", "run-1"):
        with pytest.raises(LedgerError):
            write(ledger, CRM, HALF_A_PAIR)
        write(other, LEADS, "9", ID_2)
        write(ledger, CRM, "1")
        write(ledger, CRM, "2")
    assert set(other.links(CRM, ["1", "2", "9"])) == {"1", "2"}
    assert set(other.links(LEADS, ["1", "2", "9"])) == {"9"}


def test_a_team_that_got_another_name_has_its_links_under_that(ledger: Ledger) -> None:
    ledger.begin_run("run-1", TEAM, ["contacts"], "upsert", NOON)
    with ledger.lock(TEAM, "contacts", "run-1"):
        write(ledger, NOBODY, "1")
        ledger.links_by_apollo_id(NOBODY, [ID_1])
    ledger.take_over(TEAM, f"{TEAM}-2")
    renamed = NOBODY._replace(connection=f"{TEAM}-2")
    with ledger.lock(renamed.connection, "contacts", "run-2"):
        assert set(ledger.links(renamed, ["1"])) == {"1"}
        assert set(ledger.links_by_apollo_id(renamed, [ID_1])) == {ID_1}
        assert ledger.links(NOBODY, ["1"]) == {}
