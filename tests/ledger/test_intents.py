from __future__ import annotations

from collections.abc import Callable

from target_apollo.ledger import Intent, Ledger, Link, LinkOutcome, LinkStatus, Place

TEAM = "5f5e100c0d4ae7000181a2b3"
ID_1 = "6095a710bd01d100a506d4ae"
FOUND_UNDER = "sha256:" + "0" * 64


def announce(ledger: Ledger, *keys: str, run: str = "run-1") -> None:
    intents = [Intent(key, None, FOUND_UNDER) for key in keys]
    ledger.record_intents(Place(TEAM, "contact", "contacts"), run, intents)


def settle(ledger: Ledger, *keys: str, run: str = "run-1") -> None:
    outcomes = [LinkOutcome(key, LinkStatus.CREATED, ID_1) for key in keys]
    ledger.record_outcomes(Place(TEAM, "contact", "contacts"), run, outcomes)


def statuses(ledger: Ledger, *keys: str) -> dict[str, LinkStatus]:
    found = ledger.links(Place(TEAM, "contact", "contacts"), keys)
    return {key: link.status for key, link in found.items()}


def test_creates_under_way_are_pending_links(ledger: Ledger) -> None:
    announce(ledger, "1", "2")
    assert statuses(ledger, "1", "2") == dict.fromkeys(("1", "2"), LinkStatus.PENDING)


def test_creates_that_have_an_outcome_are_pending_no_more(ledger: Ledger) -> None:
    announce(ledger, "1")
    announce(ledger, "2")
    settle(ledger, "1", "2")
    assert statuses(ledger, "1", "2") == dict.fromkeys(("1", "2"), LinkStatus.CREATED)


def test_a_create_without_an_outcome_stays_pending_after_those_of_others(
    ledger: Ledger,
) -> None:
    announce(ledger, "1", "2")
    settle(ledger, "1")
    assert statuses(ledger, "1", "2") == {"1": LinkStatus.CREATED, "2": LinkStatus.PENDING}


def test_a_rejected_create_keeps_what_it_may_be_found_under(ledger: Ledger) -> None:
    announce(ledger, "1")
    rejected = LinkOutcome("1", LinkStatus.ERROR, error="not_confirmed")
    ledger.record_outcomes(Place(TEAM, "contact", "contacts"), "run-1", [rejected])
    (link,) = ledger.links(Place(TEAM, "contact", "contacts"), ["1"]).values()
    assert (link.status, link.match_hash) == (LinkStatus.ERROR, FOUND_UNDER)


def test_what_a_killed_run_left_is_pending_for_the_next(opened: Callable[[], Ledger]) -> None:
    with opened() as killed:
        announce(killed, "1", run="killed")
    with opened() as following:
        following.lock(TEAM, "contacts", "run-2")
        assert following.links(Place(TEAM, "contact", "contacts"), ["1"]) == {
            "1": Link(
                "1",
                None,
                None,
                LinkStatus.PENDING,
                None,
                None,
                None,
                "killed",
                FOUND_UNDER,
                stream="contacts",
            )
        }


def test_a_create_that_found_its_record_keeps_the_id_when_the_run_is_killed(
    opened: Callable[[], Ledger],
) -> None:
    with opened() as killed:
        announce(killed, "1")
        killed.record_intents(Place(TEAM, "contact", "contacts"), "run-1", [Intent("1", ID_1)])
    with opened() as following:
        following.lock(TEAM, "contacts", "run-2")
        (link,) = following.links(Place(TEAM, "contact", "contacts"), ["1"]).values()
    assert (link.status, link.apollo_id) == (LinkStatus.PENDING, ID_1)
