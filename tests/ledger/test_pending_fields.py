"""Values that are still to be sent, as the ledger keeps them: in SQLite and in PostgreSQL."""

from __future__ import annotations

from typing import Any

from target_apollo.ledger import (
    Ledger,
    LinkOutcome,
    LinkStatus,
    PendingFields,
    Place,
    SettledFields,
)

TEAM = "5f5e100c0d4ae7000181a2b3"
PLACE = Place(TEAM, "contact", "contacts")


def of_record(number: int, **body: str | None) -> PendingFields:
    digests = dict.fromkeys(body, f"digest{number}")
    return PendingFields(PLACE, str(number), f"{number:024x}", body, digests=digests)


def bodies(ledger: Ledger) -> list[dict[str, Any]]:
    return [dict(one.body) for one in ledger.pending_fields(TEAM, 100)]


def test_those_that_wait_longest_come_first_in_pages(ledger: Ledger) -> None:
    for number in (3, 1, 2):
        ledger.change_pending_fields(PLACE, {}, [of_record(number, website_url=f"w{number}")])

    first = ledger.pending_fields(TEAM, 2)
    second = ledger.pending_fields(TEAM, 2, first[-1].age)

    assert [one.source_key for one in (*first, *second)] == ["3", "1", "2"]
    assert ledger.count_pending_fields(TEAM) == {("contact", "contacts"): (3, 3)}


def test_newer_values_take_the_place_of_older_ones_and_keep_their_age(ledger: Ledger) -> None:
    ledger.change_pending_fields(PLACE, {}, [of_record(1, website_url="old", mobile_phone="1")])
    ledger.change_pending_fields(PLACE, {}, [of_record(2, website_url="w2")])

    newer = of_record(1, website_url="new", home_phone=None)
    ledger.change_pending_fields(PLACE, {newer.apollo_id: {"website_url"}}, [newer])

    assert bodies(ledger) == [
        {"mobile_phone": "1", "website_url": "new", "home_phone": None},
        {"website_url": "w2"},
    ]


def test_values_that_got_newer_ones_elsewhere_are_deleted(ledger: Ledger) -> None:
    one = of_record(1, website_url="old", mobile_phone="1")
    ledger.change_pending_fields(PLACE, {}, [one])

    ledger.change_pending_fields(PLACE, {one.apollo_id: {"website_url", "title"}}, [])
    assert bodies(ledger) == [{"mobile_phone": "1"}]

    ledger.change_pending_fields(PLACE, {one.apollo_id: {"mobile_phone"}}, [])
    assert not ledger.has_pending_fields()


def test_what_was_sent_counts_as_held_by_the_link(ledger: Ledger) -> None:
    one = of_record(1, website_url="w", mobile_phone="1")
    made = LinkOutcome("1", LinkStatus.CREATED, one.apollo_id, "hash", single_hashes="a=b")
    ledger.record_outcomes(PLACE, "run", [made])
    ledger.change_pending_fields(PLACE, {}, [one])

    (known,) = ledger.pending_fields(TEAM, 1)
    ledger.settle_pending_fields([SettledFields(known, frozenset({"website_url"}), True, "2026")])

    link = ledger.links(PLACE, ["1"])["1"]
    assert (link.single_hashes, link.apollo_updated_at) == ("a=b;website_url=digest1", "2026")
    assert bodies(ledger) == [{"mobile_phone": "1"}]


def test_a_row_whose_values_were_not_taken_is_compared_again(ledger: Ledger) -> None:
    one = of_record(1, website_url="w")
    ledger.record_outcomes(
        PLACE, "run", [LinkOutcome("1", LinkStatus.CREATED, one.apollo_id, "hash")]
    )
    ledger.change_pending_fields(PLACE, {}, [one])

    ledger.settle_pending_fields([SettledFields(one, frozenset(one.body), is_held=False)])

    assert ledger.links(PLACE, ["1"])["1"].payload_hash is None
    assert not ledger.has_pending_fields()


def test_values_go_with_the_record_that_is_gone(ledger: Ledger) -> None:
    ledger.change_pending_fields(PLACE, {}, [of_record(1, a="1"), of_record(2, a="2")])

    ledger.drop_links(PLACE, [f"{1:024x}"])

    assert bodies(ledger) == [{"a": "2"}]


def test_what_waits_is_counted_by_field_with_the_age_of_the_oldest(ledger: Ledger) -> None:
    for number in (1, 2):
        body = {"website_url": f"w{number}", **({"mobile_phone": "1"} if number == 2 else {})}
        ledger.change_pending_fields(PLACE, {}, [of_record(number, **body)])
    oldest, newest = (one.since for one in ledger.pending_fields(TEAM, 10))

    waiting = ledger.waiting_fields(TEAM)

    assert [(one.stream, one.field, one.values, one.since) for one in waiting] == [
        ("contacts", "mobile_phone", 1, newest),
        ("contacts", "website_url", 2, oldest),
    ]
    assert ledger.waiting_fields("f" * 24) == []
