"""What a stream of sequence members does to Apollo's sequences, which send e-mail to people."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from target_apollo.sandbox import Fault, FaultKind, Sandbox
from tests.ledger.conftest import own_schema, postgresql_server  # noqa: F401 - a fixture
from tests.promises.conftest import Message, TargetRun, contact, schema, state
from tests.promises.objects.enrolling import (
    ADD,
    BOX,
    LEAVE,
    MIRROR,
    Spring,
    members,
    row,
    whole,
)

Run = Callable[..., TargetRun]


@pytest.fixture
def spring(apollo: Sandbox, sync: Run) -> Spring:
    return Spring(apollo, sync)


def test_contacts_are_enrolled_a_hundred_a_request_without_a_guard_flag(spring: Spring) -> None:
    spring.people(120)
    spring.apollo.reset_log()

    done = spring.sync(members(*(row(n) for n in range(120))))

    assert done.exit_code == 0, done.log
    assert done.records == {"received": 120, "created": 120}
    assert len(spring.states) == 120
    assert spring.apollo.count(ADD) == 2
    assert spring.apollo.count("POST /contacts/search") == 1  # of protected stages
    sent = {
        name
        for one in spring.apollo.requests
        if one.endpoint == ADD
        for name, _ in parse_qsl(one.query)
    }
    assert sent == {"contact_ids[]", "emailer_campaign_id", "send_email_from_email_account_id"}


def test_an_unchanged_row_costs_no_request_about_sequences(spring: Spring) -> None:
    spring.people(1)
    spring.sync(members(row(0)))
    spring.apollo.reset_log()

    again = spring.sync(members(row(0)))

    assert again.records == {"received": 1, "unchanged": 1}
    assert {one.endpoint for one in spring.apollo.requests} == {"GET /users/api_profile"}


@pytest.mark.parametrize("allowed", [[], ["Autumn"]])
def test_a_row_of_a_sequence_that_is_not_allowed_is_rejected_before_any_request(
    spring: Spring, allowed: list[str]
) -> None:
    spring.people(1)

    done = spring.sync(members(row(0)), allow_sequences=allowed)

    assert done.reasons == ["sequence_not_allowed"]
    assert spring.states == {}
    assert spring.apollo.count("POST /emailer_campaigns/search") == 0
    assert spring.apollo.count("GET /email_accounts") == 0


def test_a_sequence_may_be_named_by_its_id(spring: Spring) -> None:
    spring.people(1)

    done = spring.sync(members(row(0, sequence=spring.id)), allow_sequences=[spring.id])

    assert done.records == {"received": 1, "created": 1}


@pytest.mark.parametrize(
    ("change", "of", "reason"),
    [
        ({"sequence": "Sprong"}, {}, "unknown_name"),
        ({"mailbox": "nobody@sandbox.example"}, {}, "unknown_name"),
        ({"mailbox": "old@sandbox.example"}, {}, "inactive_in_apollo"),
        ({}, {"active": False}, "inactive_in_apollo"),
        ({}, {"archived": True}, "inactive_in_apollo"),
        ({"auto_unpause_at": "2030-01-01"}, {}, "wrong_type"),
        ({"status": "sent"}, {}, "wrong_type"),
        ({"mailbox": None}, {}, "missing_value"),
        ({"email": None}, {}, "missing_match_key"),
        ({"email": "nobody@a.com"}, {}, "unknown_name"),
    ],
)
def test_a_row_that_can_not_be_enrolled_is_rejected_with_a_sentence(
    spring: Spring, change: Message, of: Message, reason: str
) -> None:
    spring.people(1)
    spring.sequences.add_email_account("old@sandbox.example", active=False)
    spring.sequences.change("Spring", **of)

    done = spring.sync(members(row(0, **change)), allow_sequences=["Spring", "Sprong"])

    assert done.reasons == [reason]
    assert spring.states == {}
    assert spring.apollo.count(ADD) == 0


def test_a_name_that_two_sequences_have_is_rejected_with_their_ids(spring: Spring) -> None:
    spring.people(1)
    other = spring.sequences.add("Spring")["id"]

    done = spring.sync(members(row(0)))

    detail = done.rejects[0]["record"]["_reject"]["detail"]
    assert f"({other}, {spring.id})" in detail
    assert spring.apollo.count(ADD) == 0


def test_a_paused_start_is_sent_as_the_row_has_it(spring: Spring) -> None:
    spring.people(2)

    spring.sync(members(row(0, status="Paused", auto_unpause_at="2030-01-01T08:00:00Z"), row(1)))

    assert spring.states == {"p0@a.com": "paused", "p1@a.com": "active"}
    assert spring.apollo.count(ADD) == 2


def test_a_contact_that_is_in_the_sequence_already_is_unchanged(spring: Spring) -> None:
    spring.people(1)
    spring.sequences.enrol("Spring", "p0@a.com")

    done = spring.sync(members(row(0)))

    assert done.records == {"received": 1, "unchanged": 1}


@pytest.mark.full
def test_a_contact_that_apollo_skips_is_rejected_and_not_sent_again_before_its_row_changes(
    spring: Spring,
) -> None:
    ids = spring.people(2)
    spring.sequences.hold_back(ids["p0@a.com"], "contacts_unverified_email")

    first = spring.sync(members(row(0), row(1)))
    again = spring.sync(members(row(0)))

    assert first.records == {"received": 2, "created": 1, "rejected": 1}
    assert first.reasons == ["not_enrolled"]
    assert again.records == {"received": 1, "rejected": 1}
    assert spring.apollo.count(ADD) == 1
    spring.sync(members(row(0, status="active")))
    assert spring.apollo.count(ADD) == 2


def test_a_reason_that_passes_by_itself_is_tried_again(spring: Spring) -> None:
    ids = spring.people(1)
    spring.sequences.hold_back(ids["p0@a.com"], "contacts_in_pending_state")
    first = spring.sync(members(row(0)))
    spring.sequences.held_back.clear()

    again = spring.sync(members(row(0)))

    assert first.reasons == ["enrolment_waits"]
    assert again.records == {"received": 1, "created": 1}


def test_an_answer_that_names_a_contact_nowhere_is_no_success(spring: Spring) -> None:
    spring.people(2)
    spring.apollo.inject(Fault(ADD, FaultKind.RECORDS_LEFT_OUT, records=1))

    done = spring.sync(members(row(0), row(1)))

    assert done.records == {"received": 2, "created": 1, "rejected": 1}
    assert done.reasons == ["not_confirmed"]
    # The contact has joined all the same, and the next run finds that out.
    again = spring.sync(members(row(0), row(1)))
    assert again.records == {"received": 2, "created": 1, "unchanged": 1}
    assert len(spring.states) == 2


def test_a_contact_that_was_taken_out_by_a_person_is_never_enrolled_again(spring: Spring) -> None:
    ids = spring.people(1)
    spring.sync(members(row(0)))
    spring.take_out(ids["p0@a.com"])

    for more in ({}, {"status": "active"}, {"mailbox": "nobody@a.com"}, {"status": "active"}):
        done = spring.sync(members(row(0, **more)), full_resync=not more)
        assert done.records == {"received": 1, "unchanged": 1}, done.log

    assert spring.states == {}
    assert spring.apollo.count(ADD) == 1


def test_a_contact_in_a_protected_stage_gets_no_e_mail(apollo: Sandbox, spring: Spring) -> None:
    stage = "Do Not Contact"
    people = [contact(0, contact_stage=stage), contact(1)]
    assert spring.sync([schema("contacts"), *people]).exit_code == 0

    done = spring.sync(members(row(0), row(1)))

    assert done.reasons == ["protected_stage"]
    assert spring.states == {"p1@a.com": "active"}


def fill_unseen(apollo: Sandbox, spring: Spring) -> None:
    """Two contacts, of which no search shows yet that one is in a protected stage."""
    apollo.set_options(search_lag_seconds=3600)
    people = [contact(0, contact_stage="Do Not Contact"), contact(1)]
    assert spring.sync([schema("contacts"), *people]).exit_code == 0


def test_a_contact_whose_protected_stage_only_the_enrolment_shows_is_finished_at_once(
    apollo: Sandbox, spring: Spring
) -> None:
    fill_unseen(apollo, spring)

    done = spring.sync(members(row(0), row(1)))

    assert done.reasons == ["protected_stage"]
    assert spring.states == {"p0@a.com": "finished", "p1@a.com": "active"}


def test_who_can_not_be_finished_is_told_with_what_to_do(apollo: Sandbox, spring: Spring) -> None:
    fill_unseen(apollo, spring)
    apollo.inject(Fault(endpoint=LEAVE, kind=FaultKind.ERROR_BEFORE_WRITE, status=403, times=None))

    done = spring.sync(members(row(0), row(1)))

    assert done.reasons == ["protected_stage"]
    assert f"take it out of sequence {spring.id} in Apollo at once" in done.log
    assert done.records == {"received": 2, "created": 1, "rejected": 1}


def test_a_run_stops_before_it_enrols_more_than_allowed(spring: Spring) -> None:
    spring.people(5)
    rows = members(*(row(n) for n in range(5)))

    first = spring.sync([*rows, state({"at": 1})], max_enrolments=3)
    second = spring.sync([*rows, state({"at": 1})], max_enrolments=3)

    assert first.exit_code == 1
    assert "max_enrolments (3) and would enrol more contacts" in first.log
    assert first.records == {"received": 5, "created": 3, "without_outcome": 2}
    assert first.states == []
    assert second.records == {"received": 5, "created": 2, "unchanged": 3}
    assert second.last_state == {"at": 1}


def test_a_run_without_a_ledger_enrols_nobody(spring: Spring) -> None:
    spring.people(1)

    done = spring.sync(members(row(0)), ledger_url="")

    assert done.exit_code == 2
    assert "Set ledger_url" in done.log
    assert spring.states == {}


def test_a_plan_says_who_would_be_enrolled_into_what_and_enrols_nobody(spring: Spring) -> None:
    spring.people(3)
    spring.sync(members(row(0)))

    done = spring.sync(members(row(0, status="active"), row(1), row(2)), dry_run=True)

    assert done.records == {"received": 3, "created": 2, "unchanged": 1}
    assert done.summary["enrolments"] == {
        "Spring": {"enrolled": {spring.mailbox: 2}, "already_in": 1, "left": 0}
    }
    assert f"2 contacts would be enrolled into sequence 'Spring' from mailbox {spring.mailbox}" in (
        done.log
    )
    assert list(spring.states) == ["p0@a.com"]


def test_a_run_tells_before_its_first_request_whom_it_enrols(spring: Spring) -> None:
    spring.people(2)

    done = spring.sync(members(row(0), row(1)))

    assert f"into sequence 'Spring' ({spring.id}) from mailbox {spring.mailbox}" in done.log
    assert "2 in the first request" in done.log
    assert BOX not in done.log


# --- mirror


@pytest.mark.parametrize(
    ("setting", "left"), [("finish", {"p1@a.com": "finished"}), ("remove", {})]
)
def test_a_contact_whose_row_is_gone_leaves_the_sequence(
    spring: Spring, setting: str, left: dict[str, str]
) -> None:
    spring.people(2)
    spring.sync(whole(row(0), row(1)), **MIRROR)

    done = spring.sync(whole(row(0)), sequence_exit=setting, **MIRROR)

    assert done.exit_code == 0, done.log
    assert spring.states == {"p0@a.com": "active", **left}
    assert done.summary["enrolments"]["Spring"]["left"] == 1
    # Nothing is left to do in the run after that.
    spring.sync(whole(row(0)), sequence_exit=setting, **MIRROR)
    assert spring.apollo.count(LEAVE) == 1


def test_a_row_that_is_marked_as_deleted_ends_its_enrolment_at_once(spring: Spring) -> None:
    spring.people(2)
    spring.sync(members(row(0), row(1)), **MIRROR)

    done = spring.sync(members(row(0, _sdc_deleted_at="2026-01-01T00:00:00Z")), **MIRROR)

    assert done.records == {"received": 1, "updated": 1}
    assert spring.states == {"p0@a.com": "finished", "p1@a.com": "active"}


def test_mode_insert_ends_no_enrolment(spring: Spring) -> None:
    spring.people(2)
    spring.sync(whole(row(0), row(1)))

    spring.sync(whole(row(0, _sdc_deleted_at="2026-01-01T00:00:00Z")))

    assert set(spring.states.values()) == {"active"}
    assert spring.apollo.count(LEAVE) == 0


def test_a_contact_that_somebody_else_has_enrolled_stays(spring: Spring) -> None:
    spring.people(2)
    spring.sequences.enrol("Spring", "p1@a.com")
    spring.sync(whole(row(0), row(1)), **MIRROR)

    spring.sync(whole(row(0)), **MIRROR)
    spring.sync(members(row(1, _sdc_deleted_at="2026-01-01T00:00:00Z")), **MIRROR)

    assert spring.states == {"p0@a.com": "active", "p1@a.com": "active"}
    assert spring.apollo.count(LEAVE) == 0


@pytest.mark.full
def test_a_contact_that_another_row_enrols_too_stays(spring: Spring) -> None:
    ids = spring.people(1)
    by_id = {"sequence": "Spring", "apollo_id": ids["p0@a.com"]}
    first = spring.sync(whole(row(0), by_id), **MIRROR)

    spring.sync(whole(by_id), **MIRROR)
    assert first.records == {"received": 2, "created": 1, "unchanged": 1}
    assert spring.states == {"p0@a.com": "active"}

    spring.sync(whole(), **MIRROR, max_updates=1)
    assert spring.states == {"p0@a.com": "finished"}


def test_a_row_that_names_another_sequence_leaves_the_former(spring: Spring) -> None:
    spring.people(1)
    autumn = spring.sequences.add("Autumn")["id"]
    settings = {"allow_sequences": ["Spring", "Autumn"], "sequence_exit": "remove", **MIRROR}
    spring.sync(members(row(0, id=1), key="id"), **settings)

    done = spring.sync(members(row(0, id=1, sequence="Autumn"), key="id"), **settings)

    assert done.records == {"received": 1, "created": 1}, done.log
    held = [one["emailer_campaign_id"] for one in spring.sequences.enrolments()]
    assert held == [autumn]


@pytest.mark.full
@pytest.mark.parametrize("mode", ["insert", "mirror"])
def test_a_row_that_goes_back_to_its_former_sequence_enrols_nobody_again(
    spring: Spring, mode: str
) -> None:
    (contact_id,) = spring.people(1).values()
    spring.sequences.add("Autumn")
    settings = {
        "allow_sequences": ["Spring", "Autumn"],
        "sequence_exit": "remove",
        "streams": {"sequence_members": {"mode": mode}},
    }
    for name in ("Spring", "Autumn"):
        spring.sync(members(row(0, id=1, sequence=name), key="id"), **settings)
    spring.take_out(contact_id)

    done = spring.sync(members(row(0, id=1), key="id"), **settings)

    assert done.records["received"] == 1
    assert done.reasons == ([] if mode == "insert" else ["not_enrolled"])
    assert not spring.states


@pytest.mark.full
def test_a_row_that_goes_back_to_its_former_contact_enrols_nobody_again(spring: Spring) -> None:
    ids = spring.people(2)
    spring.sync(members(row(0, id=1), key="id"))
    spring.sync(members(row(1, id=1), key="id"))
    spring.take_out(ids["p0@a.com"])

    done = spring.sync(members(row(0, id=1), row(0, id=2), key="id"))

    assert done.records == {"received": 2, "unchanged": 2}, done.log
    assert spring.states == {"p1@a.com": "active"}


@pytest.mark.full
def test_a_contact_leaves_with_its_last_row_after_another_went_over_to_another_sequence(
    spring: Spring,
) -> None:
    spring.people(1)
    spring.sequences.add("Autumn")
    settings = {"allow_sequences": ["Spring", "Autumn"], **MIRROR}
    spring.sync(members(row(0, id=1), row(0, id=2), key="id"), **settings)
    spring.sync(members(row(0, id=1, sequence="Autumn"), key="id"), **settings)
    assert spring.states == {"p0@a.com": "active"}

    spring.sync(members(row(0, id=2, _sdc_deleted_at="2026-01-01"), key="id"), **settings)

    assert spring.states == {"p0@a.com": "finished"}


def test_a_run_stops_before_it_ends_a_tenth_of_all_enrolments(spring: Spring) -> None:
    spring.people(30)
    spring.sync(whole(*(row(n) for n in range(30))), **MIRROR)

    stopped = spring.sync(whole(*(row(n) for n in range(15))), **MIRROR)
    assert stopped.exit_code == 1
    assert "have no row any more" in stopped.log
    assert set(spring.states.values()) == {"active"}

    spring.sync(whole(*(row(n) for n in range(15))), max_updates=15, **MIRROR)
    assert list(spring.states.values()).count("finished") == 15


def test_an_empty_table_ends_no_enrolment_unless_allowed(spring: Spring) -> None:
    spring.people(2)
    spring.sync(whole(row(0), row(1)), **MIRROR)

    stopped = spring.sync(whole(), **MIRROR)
    assert stopped.exit_code == 1
    assert "2 of the 2 contacts" in stopped.log
    assert len(spring.active) == 2

    spring.sync(whole(), **MIRROR, max_updates=2)
    assert not spring.active


@pytest.mark.parametrize("change", [{"_sdc_deleted_at": "2026-01-01"}, {"sequence": "Autumn"}])
def test_many_rows_that_leave_their_sequence_stop_the_run_too(
    spring: Spring, change: dict[str, str]
) -> None:
    spring.people(30)
    spring.sequences.add("Autumn")
    settings = {"allow_sequences": ["Spring", "Autumn"], **MIRROR}
    spring.sync(members(*(row(n, id=n) for n in range(30)), key="id"), **settings)

    stopped = spring.sync(
        members(*({**row(n, id=n), **change} for n in range(11)), key="id"), **settings
    )

    assert stopped.exit_code == 1
    assert "11 of the 30 contacts" in stopped.log
    assert len(spring.active) == 30


def test_a_job_in_place_of_an_answer_is_looked_after(spring: Spring) -> None:
    spring.people(2)
    spring.sync(whole(row(0), row(1)), **MIRROR)
    spring.apollo.set_options(stops_by_job=True)

    done = spring.sync(whole(row(0)), **MIRROR)

    assert done.exit_code == 0, done.log
    assert spring.states == {"p0@a.com": "active", "p1@a.com": "finished"}
    assert done.summary["enrolments"]["Spring"]["left"] == 1


@pytest.mark.full
def test_a_contact_that_has_left_with_its_row_does_not_come_back(spring: Spring) -> None:
    spring.people(2)
    settings = {"sequence_exit": "remove", **MIRROR}
    spring.sync(whole(row(0), row(1)), **settings)
    spring.sync(whole(row(0)), **settings)

    done = spring.sync(whole(row(0), row(1)), **settings)

    assert done.records == {"received": 2, "unchanged": 1, "rejected": 1}
    assert done.reasons == ["not_enrolled"]
    assert list(spring.states) == ["p0@a.com"]


# --- lost answers


LOSSES = [FaultKind.RESET_AFTER_WRITE, FaultKind.ERROR_AFTER_WRITE, FaultKind.GARBAGE_BODY]


@pytest.mark.parametrize("kind", LOSSES)
def test_a_contact_whose_answer_was_lost_is_enrolled_once_and_counted_as_such(
    spring: Spring, kind: FaultKind
) -> None:
    spring.people(2)
    spring.enrol_by_person("p1@a.com")
    spring.apollo.inject(Fault(ADD, kind))
    rows = members(row(0), row(1))

    runs = [spring.sync(rows, max_retries=0), spring.sync(rows, max_retries=0)]

    assert [one.exit_code for one in runs] == [1, 0], runs[0].log
    assert runs[1].records == {"received": 2, "created": 1, "unchanged": 1}
    assert len(spring.sequences.enrolments()) == 2


@pytest.mark.full
def test_a_try_whose_answer_was_lost_within_the_run_counts_as_enrolled(spring: Spring) -> None:
    spring.people(1)
    spring.apollo.inject(Fault(ADD, FaultKind.ERROR_AFTER_WRITE))

    done = spring.sync(whole(row(0)), **MIRROR)
    assert done.records == {"received": 1, "created": 1}

    spring.sync(whole(), **MIRROR, max_updates=1)
    assert spring.states == {"p0@a.com": "finished"}


@pytest.mark.full
def test_a_used_up_limit_ends_the_run_and_the_next_one_goes_on(spring: Spring) -> None:
    spring.people(150)
    rows = [*members(*(row(n) for n in range(150))), state({"at": 1})]
    spring.apollo.inject(Fault(ADD, FaultKind.RATE_LIMITED, after=1, retry_after=7200, times=1))

    first = spring.sync(rows)
    second = spring.sync(rows)

    assert (first.exit_code, first.states) == (3, [])
    assert first.records == {"received": 150, "created": 100, "without_outcome": 50}
    assert second.records == {"received": 150, "created": 50, "unchanged": 100}
    assert second.last_state == {"at": 1}


def test_a_member_may_be_named_by_the_key_of_its_row(spring: Spring) -> None:
    spring.people(2)
    streams = {"sequence_members": {"members_of": "contacts"}}

    done = spring.sync(members({"sequence": "Spring", "member_key": "[1]"}), streams=streams)

    assert done.records == {"received": 1, "created": 1}, done.log
    assert spring.states == {"p1@a.com": "active"}


def test_a_replay_tries_a_rejected_row_at_once(spring: Spring, tmp_path: Path) -> None:
    ids = spring.people(1)
    spring.sequences.hold_back(ids["p0@a.com"], "contacts_without_ownership_permission")
    assert spring.sync(members(row(0))).reasons == ["not_enrolled"]
    spring.sequences.held_back.clear()

    done = spring.sync((tmp_path / "rejects.singer").read_bytes())

    assert done.records == {"received": 1, "created": 1}, done.log


def test_a_request_that_is_refused_as_a_whole_is_tried_again_by_the_next_run(
    spring: Spring,
) -> None:
    spring.people(2)
    refusal = {"error": "These mailboxes are no longer active. rep@sandbox.example"}
    spring.apollo.inject(Fault(ADD, FaultKind.ERROR_BEFORE_WRITE, status=422, body=refusal))

    first = spring.sync(members(row(0), row(1)))
    second = spring.sync(members(row(0), row(1)))

    assert first.reasons == ["refused_by_apollo", "refused_by_apollo"]
    assert BOX not in first.log
    assert second.records == {"received": 2, "created": 2}
    assert spring.apollo.count(ADD) == 2


def test_a_contact_that_a_refusal_names_costs_no_other(spring: Spring) -> None:
    ids = spring.people(2)
    refusal = {"message": f"Parameters misconfigured. {ids['p0@a.com']} is not a valid ID"}
    spring.apollo.inject(Fault(ADD, FaultKind.ERROR_BEFORE_WRITE, status=422, body=refusal))

    done = spring.sync(members(row(0), row(1)))

    assert done.reasons == ["gone_from_apollo"]
    assert spring.states == {"p1@a.com": "active"}


@pytest.mark.full
def test_a_mirror_with_a_ledger_in_postgresql(
    spring: Spring,
    postgresql_server: str,  # noqa: F811 - the fixture
) -> None:
    with own_schema(postgresql_server) as url:
        settings = {"ledger_url": url, **MIRROR}
        spring.sync([schema("contacts"), contact(0), contact(1)], ledger_url=url)
        spring.sync(whole(row(0), row(1)), **settings)
        done = spring.sync(whole(row(0)), **settings)
        again = spring.sync(whole(row(0), row(1)), **settings)

    assert done.records == {"received": 1, "unchanged": 1}
    assert spring.states == {"p0@a.com": "active", "p1@a.com": "finished"}
    assert again.reasons == ["not_enrolled"]
