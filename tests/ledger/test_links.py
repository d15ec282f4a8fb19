from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from target_apollo.ledger import Intent, Ledger, Link, LinkOutcome, LinkStatus, Place, source_key

TEAM = "5f5e100c0d4ae7000181a2b3"
OTHER_TEAM = "5f5e100c0d4ae7000181ffff"
ADA, BOB = source_key([1]), source_key([2])
ID_1, ID_2 = "6095a710bd01d100a506d4ae", "6095a710bd01d100a506d4af"
HASH = "0123456789abcdef0123456789abcdef"
NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
CREATED = LinkOutcome(ADA, LinkStatus.CREATED, ID_1, HASH, synced_at=NOON)


def record(ledger: Ledger, *outcomes: LinkOutcome, team: str = TEAM, run: str = "run-1") -> None:
    ledger.record_outcomes(Place(team, "contact", "contacts"), run, outcomes)


def intend(ledger: Ledger, *intents: Intent, run: str = "run-2") -> None:
    ledger.record_intents(Place(TEAM, "contact", "contacts"), run, intents)


def link_of(*values: Any) -> Link:
    return Link(*values, stream="contacts")


def look_up(ledger: Ledger, *keys: str) -> dict[str, Link]:
    return ledger.links(Place(TEAM, "contact", "contacts"), keys)


def test_an_unknown_key_has_no_link(ledger: Ledger) -> None:
    assert look_up(ledger, ADA) == {}


def test_a_created_record_is_found_again_after_the_ledger_was_closed(
    opened: Callable[[], Ledger],
) -> None:
    with opened() as first:
        record(first, CREATED)
    assert look_up(opened(), ADA) == {
        ADA: link_of(ADA, ID_1, HASH, LinkStatus.CREATED, NOON, NOON, None, "run-1")
    }


def test_a_link_belongs_to_its_connection_object_and_stream(ledger: Ledger) -> None:
    record(ledger, CREATED)
    assert ledger.links(Place(OTHER_TEAM, "contact", "contacts"), [ADA]) == {}
    assert ledger.links(Place(TEAM, "account", "contacts"), [ADA]) == {}
    assert ledger.links(Place(TEAM, "contact", "people"), [ADA]) == {}


def test_a_row_is_unchanged_only_with_the_very_payload_that_apollo_holds(ledger: Ledger) -> None:
    record(ledger, CREATED)
    link = look_up(ledger, ADA)[ADA]
    assert link.holds(HASH)
    assert not link.holds(HASH[::-1])


def test_an_intent_keeps_the_id_and_forgets_what_apollo_holds(ledger: Ledger) -> None:
    record(ledger, CREATED)
    intend(ledger, Intent(ADA))
    link = look_up(ledger, ADA)[ADA]
    assert link == link_of(ADA, ID_1, None, LinkStatus.PENDING, NOON, NOON, None, "run-2")
    assert not link.holds(HASH)


def test_an_intent_to_create_is_a_pending_link_without_an_id(ledger: Ledger) -> None:
    intend(ledger, Intent(ADA))
    assert look_up(ledger, ADA)[ADA] == link_of(
        ADA, None, None, LinkStatus.PENDING, None, None, None, "run-2"
    )


def test_an_update_keeps_the_first_sync_and_moves_the_last(ledger: Ledger) -> None:
    record(ledger, CREATED)
    later = NOON + timedelta(hours=1)
    record(ledger, LinkOutcome(ADA, LinkStatus.UPDATED, ID_1, HASH[::-1], synced_at=later))
    link = look_up(ledger, ADA)[ADA]
    assert (link.first_synced_at, link.last_synced_at) == (NOON, later)
    assert link.payload_hash == HASH[::-1]


def test_a_rejected_row_keeps_its_id_and_times_but_not_its_hash(ledger: Ledger) -> None:
    record(ledger, CREATED)
    record(ledger, LinkOutcome(ADA, LinkStatus.ERROR, error="unknown stage"), run="run-2")
    assert look_up(ledger, ADA)[ADA] == link_of(
        ADA, ID_1, None, LinkStatus.ERROR, NOON, NOON, "unknown stage", "run-2"
    )


def test_a_success_clears_the_error(ledger: Ledger) -> None:
    record(ledger, LinkOutcome(ADA, LinkStatus.ERROR, error="unknown stage"))
    record(ledger, CREATED)
    assert look_up(ledger, ADA)[ADA].error is None


def test_a_row_left_alone_in_insert_mode_has_an_id_and_no_hash(ledger: Ledger) -> None:
    record(ledger, LinkOutcome(ADA, LinkStatus.EXISTING, ID_1, synced_at=NOON))
    link = look_up(ledger, ADA)[ADA]
    assert (link.apollo_id, link.payload_hash) == (ID_1, None)
    assert not link.holds(HASH)


def test_of_two_outcomes_of_one_key_the_last_stands(ledger: Ledger) -> None:
    record(ledger, CREATED, replace(CREATED, status=LinkStatus.UPDATED, apollo_id=ID_2))
    assert look_up(ledger, ADA)[ADA].apollo_id == ID_2


def test_the_address_of_a_row_is_kept_apart_where_its_record_has_another(ledger: Ledger) -> None:
    apart = replace(CREATED, match_hash="held", row_hash="own")
    record(ledger, apart)
    (found,) = look_up(ledger, ADA).values()
    assert (found.match_hash, found.row_hash, found.address_of_row) == ("held", "own", "own")

    record(ledger, replace(CREATED, match_hash="own"))
    (found,) = look_up(ledger, ADA).values()
    assert (found.match_hash, found.row_hash, found.address_of_row) == ("own", None, "own")


@pytest.mark.parametrize("apollo_id", [ID_1, ID_2, None])
@pytest.mark.parametrize("rejected", [False, True])
def test_a_link_to_another_record_forgets_the_address_of_the_former(
    ledger: Ledger, apollo_id: str | None, rejected: bool
) -> None:
    record(ledger, replace(CREATED, match_hash="held", row_hash="own"))
    if rejected:
        record(ledger, LinkOutcome(ADA, LinkStatus.ERROR, apollo_id, error="refused"))
    else:
        intend(ledger, Intent(ADA, apollo_id))

    (found,) = look_up(ledger, ADA).values()
    addresses = (None, None) if apollo_id == ID_2 else ("held", "own")
    assert (found.match_hash, found.row_hash) == addresses


@pytest.mark.parametrize("last", ["own", None])
def test_of_two_outcomes_the_last_says_whether_the_addresses_differ(
    ledger: Ledger, last: str | None
) -> None:
    first = "own" if last is None else None
    record(ledger, *(replace(CREATED, row_hash=one) for one in (first, last)))
    assert look_up(ledger, ADA)[ADA].row_hash == last


def test_rows_that_share_an_apollo_record_are_found_by_its_id(ledger: Ledger) -> None:
    record(ledger, CREATED, replace(CREATED, source_key=BOB))
    record(ledger, CREATED, team=OTHER_TEAM)
    found = ledger.links_by_apollo_id(Place(TEAM, "contact", "contacts"), [ID_1, ID_2])
    assert {key: [link.source_key for link in found[key]] for key in found} == {ID_1: [ADA, BOB]}


def test_the_links_to_a_record_that_is_gone_are_dropped_in_every_stream(ledger: Ledger) -> None:
    record(ledger, CREATED, LinkOutcome(BOB, LinkStatus.CREATED, ID_2, HASH))
    ledger.record_outcomes(Place(TEAM, "contact", "people"), "run-1", [CREATED])
    record(ledger, CREATED, team=OTHER_TEAM)
    assert ledger.drop_links(Place(TEAM, "contact", "contacts"), [ID_1]) == 2
    assert list(look_up(ledger, ADA, BOB)) == [BOB]
    assert ledger.links(Place(TEAM, "contact", "people"), [ADA]) == {}
    assert list(ledger.links(Place(OTHER_TEAM, "contact", "contacts"), [ADA])) == [ADA]


def test_more_keys_than_a_statement_takes_are_looked_up_in_parts(ledger: Ledger) -> None:
    keys = [source_key([number]) for number in range(3_000)]
    record(ledger, *(LinkOutcome(key, LinkStatus.CREATED, ID_1, HASH) for key in keys))
    assert set(look_up(ledger, *keys)) == set(keys)
    assert len(ledger.links_by_apollo_id(Place(TEAM, "contact", "contacts"), [ID_1])[ID_1]) == 3_000
    assert set(ledger.synced_at("contacts", keys)) == set(keys)
    assert ledger.drop_links(Place(TEAM, "contact", "contacts"), [*keys, ID_1]) == 3_000


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"status": LinkStatus.PENDING}, "an intent"),
        ({"status": LinkStatus.CREATED}, "needs the Apollo id"),
        ({"status": LinkStatus.EXISTING}, "needs the Apollo id"),
        ({"status": LinkStatus.EXISTING, "apollo_id": ID_1, "payload_hash": HASH}, "no payload"),
    ],
)
def test_an_outcome_that_contradicts_itself_is_refused(
    fields: Mapping[str, object], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        LinkOutcome(ADA, **fields)  # type: ignore[arg-type]


def test_no_personal_data_is_in_the_ledger(
    ledger: Ledger, run_sql: Callable[[str], list[tuple[object, ...]]]
) -> None:
    key = source_key(["ada@example.com"])
    intend(ledger, Intent(key))
    record(ledger, LinkOutcome(key, LinkStatus.ERROR, error="ada@example.com is taken"))
    ledger.begin_run("run-1", TEAM, ["contacts"], "upsert", NOON)
    ledger.finish_run("run-1", {"rejected": 1}, 1, "stopped at ada@example.com")
    stored = repr([run_sql("SELECT * FROM apollo_links"), run_sql("SELECT * FROM apollo_runs")])
    assert "is taken" in stored
    assert "stopped at" in stored
    assert "ada" not in stored


# synced_at, for the lead mapper


def test_the_moment_of_the_last_sync_is_aware_and_in_utc(ledger: Ledger) -> None:
    summer = datetime(2024, 5, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    record(ledger, replace(CREATED, synced_at=summer))
    found = ledger.synced_at("contacts", [ADA, BOB])
    assert found == {ADA: NOON}
    assert found[ADA].utcoffset() == timedelta(0)


def test_a_row_counts_as_synced_when_its_run_began_since_it_was_read_after_that(
    ledger: Ledger,
) -> None:
    ledger.begin_run("run-1", TEAM, ["contacts"], "upsert", NOON)
    record(ledger, replace(CREATED, synced_at=None))
    assert ledger.synced_at("contacts", [ADA]) == {ADA: NOON}


def test_a_moment_without_a_zone_is_refused(ledger: Ledger) -> None:
    with pytest.raises(Exception, match="time zone"):
        record(ledger, replace(CREATED, synced_at=datetime(2024, 5, 1)))


@pytest.mark.parametrize(
    "unsettle",
    [
        lambda ledger: intend(ledger, Intent(ADA)),
        lambda ledger: record(ledger, LinkOutcome(ADA, LinkStatus.ERROR, error="no")),
    ],
    ids=["pending", "error"],
)
def test_a_row_whose_last_write_is_not_confirmed_does_not_count_as_synced(
    ledger: Ledger, unsettle: Callable[[Ledger], None]
) -> None:
    record(ledger, CREATED)
    unsettle(ledger)
    assert ledger.synced_at("contacts", [ADA]) == {}


def test_a_trial_with_one_team_hides_no_lead_from_the_next(opened: Callable[[], Ledger]) -> None:
    trial = opened()
    record(trial, CREATED, replace(CREATED, source_key=BOB))
    later = NOON + timedelta(days=1)
    record(trial, replace(CREATED, synced_at=later), team=OTHER_TEAM)
    ledger = opened()
    assert ledger.synced_at("contacts", [ADA, BOB]) == {ADA: NOON}
    assert ledger.synced_at("contacts", [ADA, BOB], connection=OTHER_TEAM) == {ADA: later}


# records_of_keys, for the lead mapper


def test_a_key_has_its_record_whatever_became_of_its_last_write(ledger: Ledger) -> None:
    record(ledger, CREATED, LinkOutcome(BOB, LinkStatus.ERROR, error="no"))
    for unsettle in (Intent(ADA, ID_1), LinkOutcome(ADA, LinkStatus.ERROR, ID_1, error="no")):
        if isinstance(unsettle, Intent):
            intend(ledger, unsettle)
        else:
            record(ledger, unsettle)
        assert ledger.records_of_keys("contacts", [ADA, BOB]) == {ADA: {ID_1}}


def test_a_record_that_somebody_deleted_in_apollo_is_none(ledger: Ledger) -> None:
    record(ledger, CREATED)
    record(ledger, LinkOutcome(ADA, LinkStatus.GONE, ID_1, HASH))
    assert ledger.records_of_keys("contacts", [ADA]) == {}


def test_a_record_in_one_team_of_two_counts_where_that_team_is_asked_for(
    opened: Callable[[], Ledger],
) -> None:
    first = opened()
    record(first, CREATED, replace(CREATED, source_key=BOB))
    record(first, replace(CREATED, apollo_id=ID_2), team=OTHER_TEAM)
    ledger = opened()
    assert ledger.records_of_keys("contacts", [ADA, BOB]) == {ADA: {ID_1, ID_2}}
    assert ledger.records_of_keys("contacts", [ADA, BOB], connection=TEAM) == {
        ADA: {ID_1},
        BOB: {ID_1},
    }


def test_a_stream_has_links_of_the_sources_that_wrote_it(ledger: Ledger) -> None:
    record(ledger, CREATED)
    assert ledger.has_links("contacts")
    assert ledger.has_links("contacts", "")
    assert not ledger.has_links("contacts", "tap-crm")
    assert not ledger.has_links("accounts")


def test_a_team_that_has_no_link_any_more_hides_no_lead_from_the_others(
    opened: Callable[[], Ledger],
) -> None:
    trial = opened()
    record(trial, CREATED, replace(CREATED, source_key=BOB))
    record(trial, CREATED, team=OTHER_TEAM)
    trial.drop_links(Place(OTHER_TEAM, "contact", "contacts"), [ID_1])
    assert opened().synced_at("contacts", [ADA, BOB]) == {ADA: NOON, BOB: NOON}


# Any sequence of flushes

keys = st.sampled_from([ADA, BOB, source_key(["c"])])
outcomes = st.builds(
    LinkOutcome,
    keys,
    st.sampled_from([LinkStatus.CREATED, LinkStatus.UPDATED, LinkStatus.UNCHANGED]),
    st.sampled_from([ID_1, ID_2]),
    st.sampled_from([None, HASH]),
    synced_at=st.sampled_from([NOON, NOON + timedelta(microseconds=1)]),
) | st.builds(LinkOutcome, keys, st.just(LinkStatus.ERROR), error=st.just("no"))
intents = st.builds(Intent, keys, st.sampled_from([None, ID_1]))
flushes = st.lists(
    st.lists(intents, max_size=3) | st.lists(outcomes, max_size=3) | st.sampled_from([ID_1, ID_2]),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(flushes)
def test_after_any_flushes_the_links_are_what_the_states_say(
    history: Sequence[Sequence[Intent | LinkOutcome] | str],
) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        Ledger.open(f"sqlite:///{Path(folder) / 'ledger.db'}") as ledger,
    ):
        expected: dict[str, Link] = {}
        for step in history:
            if isinstance(step, str):
                ledger.drop_links(Place(TEAM, "contact", "contacts"), [step])
                expected = {k: link for k, link in expected.items() if link.apollo_id != step}
                continue
            intend(ledger, *(one for one in step if isinstance(one, Intent)))
            record(ledger, *(one for one in step if isinstance(one, LinkOutcome)), run="run-2")
            for one in step:
                expected[one.source_key] = after(expected.get(one.source_key), one)
        assert look_up(ledger, ADA, BOB, source_key(["c"])) == expected


def after(link: Link | None, one: Intent | LinkOutcome) -> Link:
    """What a link becomes, by the states' description."""
    before = link or link_of(
        one.source_key, None, None, LinkStatus.PENDING, None, None, None, "run-2"
    )
    known = replace(before, apollo_id=one.apollo_id or before.apollo_id)
    if isinstance(one, Intent):
        return replace(known, payload_hash=None, status=LinkStatus.PENDING, error=None)
    return replace(
        known,
        payload_hash=one.payload_hash,
        status=one.status,
        error=one.error,
        first_synced_at=before.first_synced_at or one.synced_at,
        last_synced_at=one.synced_at or before.last_synced_at,
    )


def test_an_intent_keeps_under_what_the_record_will_be_found(ledger: Ledger) -> None:
    intend(ledger, Intent(ADA, match_hash=HASH))
    assert look_up(ledger, ADA)[ADA].match_hash == HASH


@pytest.mark.parametrize(
    ("outcome", "kept"),
    [
        (LinkOutcome(ADA, LinkStatus.CREATED, ID_1, HASH), None),
        (LinkOutcome(ADA, LinkStatus.ERROR, error="not_confirmed"), HASH),
    ],
)
def test_only_a_confirmed_record_need_not_be_looked_for(
    ledger: Ledger, outcome: LinkOutcome, kept: str | None
) -> None:
    intend(ledger, Intent(ADA, match_hash=HASH))
    record(ledger, outcome)
    assert look_up(ledger, ADA)[ADA].match_hash == kept


def test_apollos_own_time_of_the_last_write_is_kept(ledger: Ledger) -> None:
    record(ledger, replace(CREATED, apollo_updated_at="2024-05-01T12:00:00.000Z"))
    assert look_up(ledger, ADA)[ADA].apollo_updated_at == "2024-05-01T12:00:00.000Z"


def test_a_written_record_is_no_longer_what_another_key_made_of_it(ledger: Ledger) -> None:
    record(ledger, CREATED, replace(CREATED, source_key=BOB), run="run-1")
    record(ledger, LinkOutcome(ADA, LinkStatus.UPDATED, ID_1, HASH), run="run-2")
    links = look_up(ledger, ADA, BOB)
    assert (links[ADA].payload_hash, links[BOB].payload_hash) == (HASH, None)


def test_of_two_keys_written_by_one_run_both_are_known(ledger: Ledger) -> None:
    record(ledger, CREATED, run="run-1")
    record(ledger, replace(CREATED, source_key=BOB), run="run-1")
    links = look_up(ledger, ADA, BOB)
    assert (links[ADA].payload_hash, links[BOB].payload_hash) == (HASH, HASH)


def test_a_record_that_is_only_found_unchanged_leaves_other_keys_alone(ledger: Ledger) -> None:
    record(ledger, CREATED, replace(CREATED, source_key=BOB), run="run-1")
    record(ledger, LinkOutcome(ADA, LinkStatus.UNCHANGED, ID_1, HASH), run="run-2")
    assert look_up(ledger, BOB)[BOB].payload_hash == HASH


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(flushes)
def test_after_any_flushes_both_databases_have_the_same_links(
    postgresql_url: str, sqlite_url: str, history: Sequence[Sequence[Intent | LinkOutcome] | str]
) -> None:
    place = Place(TEAM, "contact", uuid4().hex)
    found = []
    for url in (postgresql_url, sqlite_url):
        with Ledger.open(url) as ledger:
            for step in history:
                if isinstance(step, str):
                    ledger.drop_links(place, [step])
                    continue
                some = [one for one in step if isinstance(one, Intent)]
                ledger.record_intents(place, "run-1", some)
                done = [one for one in step if isinstance(one, LinkOutcome)]
                ledger.record_outcomes(place, "run-2", done)
            found.append(list(ledger.links_of_stream(place)))
            ledger.drop_links(place, [ID_1, ID_2])
    assert found[0] == found[1]
