"""Links of several sources in one ledger."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from target_apollo.ledger import Intent, Ledger, LinkOutcome, LinkStatus, Place

TEAM = "5f5e100c0d4ae7000181a2b3"
ID_1, ID_2 = "6095a710bd01d100a506d4ae", "6095a710bd01d100a506d4af"
NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
NOBODY = Place(TEAM, "contact", "contacts")
CRM, SHOP = NOBODY._replace(source="tap-crm"), NOBODY._replace(source="tap-shop")


def write(ledger: Ledger, place: Place, key: str, apollo_id: str = ID_1, **more: object) -> None:
    values: dict[str, object] = {"payload_hash": "hash", "synced_at": NOON, **more}
    outcome = LinkOutcome(key, LinkStatus.CREATED, apollo_id, **values)  # type: ignore[arg-type]
    ledger.record_outcomes(place, "run-1", [outcome])


def test_two_sources_have_a_link_each_under_one_key(ledger: Ledger) -> None:
    write(ledger, CRM, "1", ID_1)
    write(ledger, SHOP, "1", ID_2)
    assert ledger.links(CRM, ["1"])["1"].apollo_id == ID_1
    assert ledger.links(SHOP, ["1"])["1"].apollo_id == ID_2


def test_an_intent_of_one_source_leaves_the_link_of_the_other(ledger: Ledger) -> None:
    write(ledger, CRM, "1")
    ledger.record_intents(SHOP, "run-2", [Intent("1")])
    assert ledger.links(CRM, ["1"])["1"].status is LinkStatus.CREATED
    assert ledger.links(SHOP, ["1"])["1"].status is LinkStatus.PENDING


def test_a_link_without_a_source_is_found_by_every_source(ledger: Ledger) -> None:
    write(ledger, NOBODY, "1")
    assert [ledger.links(place, ["1"])["1"].source for place in (CRM, SHOP)] == ["", ""]


def test_the_own_link_goes_before_one_without_a_source(ledger: Ledger) -> None:
    write(ledger, NOBODY, "1", ID_1)
    write(ledger, CRM, "1", ID_2)
    assert ledger.links(CRM, ["1"])["1"].apollo_id == ID_2


def test_without_a_source_the_only_link_of_a_key_is_found(ledger: Ledger) -> None:
    write(ledger, CRM, "1", ID_1)
    write(ledger, CRM, "2", ID_1)
    write(ledger, SHOP, "2", ID_2)
    found = ledger.links(NOBODY, ["1", "2"])
    assert {key: link.source for key, link in found.items()} == {"1": "tap-crm"}


def test_an_adopted_link_keeps_what_it_knows_and_is_hidden_from_other_sources(
    ledger: Ledger,
) -> None:
    write(ledger, NOBODY, "1")
    write(ledger, NOBODY, "2")
    before = ledger.links(NOBODY, ["1"])["1"]
    ledger.adopt(CRM, ["1", "unknown"])
    after = ledger.links(CRM, ["1"])["1"]
    assert (after.source, after.row) == ("tap-crm", ("tap-crm", "contacts", "1"))
    assert (after.apollo_id, after.payload_hash, after.first_synced_at) == (
        before.apollo_id, before.payload_hash, before.first_synced_at,
    )  # fmt: skip
    assert list(ledger.links(SHOP, ["1", "2"])) == ["2"]


def test_only_links_without_a_source_are_adopted(ledger: Ledger) -> None:
    write(ledger, SHOP, "1")
    ledger.record_outcomes(
        NOBODY._replace(stream="people"), "run", [LinkOutcome("1", LinkStatus.CREATED, ID_2)]
    )
    ledger.adopt(CRM, ["1"])
    assert ledger.links(CRM, ["1"]) == {}
    assert ledger.links(SHOP, ["1"])["1"].source == "tap-shop"


def test_links_of_one_source_can_be_forgotten(ledger: Ledger) -> None:
    write(ledger, NOBODY, "1")
    write(ledger, NOBODY, "2")
    write(ledger, CRM, "1", ID_2)
    ledger.forget(NOBODY, ["1"])
    assert ledger.links(NOBODY, ["1"])["1"].source == "tap-crm"
    assert ledger.links(NOBODY, ["2"])["2"].source == ""


def test_the_links_of_a_stream_are_those_of_its_source(ledger: Ledger) -> None:
    for place, key in ((NOBODY, "1"), (CRM, "2"), (CRM, "3"), (SHOP, "2")):
        write(ledger, place, key)
    found = [[link.source_key for link in ledger.links_of_stream(p)] for p in (NOBODY, CRM, SHOP)]
    assert found == [["1"], ["2", "3"], ["2"]]


def test_a_record_s_links_say_which_row_of_which_source_they_are(ledger: Ledger) -> None:
    write(ledger, CRM, "1")
    write(ledger, SHOP._replace(stream="people"), "1")
    found = ledger.links_by_apollo_id(NOBODY, [ID_1])[ID_1]
    assert [link.row for link in found] == [
        ("tap-crm", "contacts", "1"), ("tap-shop", "people", "1"),
    ]  # fmt: skip


def test_rows_are_found_by_their_address_in_every_source_and_stream(ledger: Ledger) -> None:
    write(ledger, CRM, "1", match_hash="sha256:ada")
    write(ledger, SHOP._replace(stream="people"), "7", ID_2, match_hash="sha256:ada")
    write(ledger, CRM, "2", match_hash="sha256:bob")
    write(ledger, CRM._replace(object="account"), "1", match_hash="sha256:ada")
    write(ledger, CRM._replace(connection="another team"), "1", match_hash="sha256:ada")
    found = ledger.links_by_match(NOBODY, ["sha256:ada", "sha256:eve"])
    assert {key: [link.row for link in links] for key, links in found.items()} == {
        "sha256:ada": [("tap-crm", "contacts", "1"), ("tap-shop", "people", "7")]
    }


def test_a_sync_of_another_source_does_not_count_for_the_mapper(ledger: Ledger) -> None:
    write(ledger, CRM, "1")
    write(ledger, SHOP, "2", synced_at=NOON + timedelta(days=1))
    write(ledger, NOBODY, "3")
    assert ledger.synced_at("contacts", ["1", "2", "3"], source="tap-crm") == {"1": NOON}
    assert ledger.synced_at("contacts", ["1", "2", "3"]) == {"3": NOON}


def test_a_trial_of_another_source_with_another_team_hides_no_lead(ledger: Ledger) -> None:
    write(ledger, CRM, "1")
    write(ledger, SHOP._replace(connection="trial"), "2")
    assert ledger.synced_at("contacts", ["1"], source="tap-crm") == {"1": NOON}


# --- records that are gone from Apollo


def gone(key: str = "1") -> LinkOutcome:
    return LinkOutcome(key, LinkStatus.GONE, ID_1, "hash", match_hash="sha256:ada")


def test_a_row_whose_record_is_gone_is_left_alone_until_its_address_changes(
    ledger: Ledger,
) -> None:
    write(ledger, CRM, "1", match_hash="sha256:ada")
    ledger.record_outcomes(CRM, "run-2", [gone()])
    link = ledger.links(CRM, ["1"])["1"]
    assert (link.status, link.apollo_id, link.payload_hash) == (LinkStatus.GONE, ID_1, "hash")
    assert link.is_left_alone("sha256:ada")
    assert not link.is_left_alone("sha256:bob")
    assert not link.is_left_alone(None)
    assert not link.holds("hash")


def test_a_row_whose_record_is_gone_does_not_count_as_synced(ledger: Ledger) -> None:
    write(ledger, CRM, "1")
    ledger.record_outcomes(CRM, "run-2", [gone()])
    assert ledger.synced_at("contacts", ["1"], source="tap-crm") == {}


def test_a_gone_record_is_no_link_without_its_former_id() -> None:
    with pytest.raises(ValueError, match="needs the Apollo id"):
        LinkOutcome("1", LinkStatus.GONE)
