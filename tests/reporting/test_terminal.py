from __future__ import annotations

import io
import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_apollo.reporting.detail import detail_of, detail_of_stream, streams_of
from target_apollo.reporting.funnel import Funnel, Step
from target_apollo.reporting.past_runs import PastRun, RejectedKeys, merged
from target_apollo.reporting.terminal import (
    Cell,
    Column,
    Paint,
    detail_lines,
    run_lines,
    table,
    wrapped,
)
from tests.helpers.past_runs import AT, OUTCOMES, detail, past_run, rejected, row, waiting

PLAIN, COLOUR = Paint(), Paint(on=True)
CODES = re.compile(r"\x1b\[\d+m")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(width: int = 1000, **own: Any) -> str:
    return "\n".join(detail_lines(detail(**own), "rejects.singer", width, PLAIN))


def runs_of(*counts: dict[str, int]) -> list[PastRun]:
    return [
        past_run(f"run{at}", AT - timedelta(hours=at), streams={"contacts": own})
        for at, own in enumerate(counts)
    ]


# --- the table of runs


def test_the_runs_are_a_table_with_a_column_for_each_outcome() -> None:
    head, first, second = run_lines(runs_of({"created": 1200}, {"rejected": 7}), 1000, PLAIN)
    heads = ["begun", "(UTC)", "run", "end", "took", "received", *OUTCOMES, "requests"]
    assert head.split() == heads
    told = ["2026-11-20", "09:30", "run0", "all", "well", "12.5", "s", "1,200", "1,200"]
    assert first.split() == [*told, *"00000", "1"]
    assert second.split()[-2:] == ["7", "1"]
    assert head.index("rejected") + len("rejected") == second.rindex("7") + 1


def test_what_is_left_for_the_next_run_has_a_column_where_there_is_some() -> None:
    head, *_ = run_lines([past_run(left=3)], 1000, PLAIN)
    assert "left" in head.split()


def test_a_narrow_terminal_sees_no_column_that_is_0_everywhere() -> None:
    runs = runs_of({"created": 5})
    wide = run_lines(runs, 1000, PLAIN)
    narrow = run_lines(runs, len(wide[0]) - 1, PLAIN)
    assert "existing" not in narrow[0]
    assert "created" in narrow[0]


@pytest.mark.parametrize("width", [30, 40, 60, 80, 120])
def test_no_line_of_the_runs_is_wider_than_the_terminal(width: int) -> None:
    runs = runs_of({"created": 10**6, "rejected": 3, "skipped": 1}, {"unchanged": 5})
    lines = run_lines(runs, width, PLAIN)
    assert max(map(len, lines)) <= max(width, 35)
    text = " ".join(lines)
    for said in ("run0", "run1", "1,000,000", "all well"):
        assert said in text


def test_a_killed_run_has_no_numbers() -> None:
    (killed,) = merged([], [row("killed")])
    _, line = run_lines([killed], 1000, PLAIN)
    assert line.split() == ["2026-11-20", "09:30", "killed", "no", "end", "noted", *"–" * 9]


# --- one run


def test_rejects_are_told_by_reason_with_their_keys() -> None:
    streams = {"contacts": {"rejected": 14, "rejected_because": {"missing_email": 14}}}
    kept = {("contacts", "missing_email"): RejectedKeys(12, [str(key) for key in range(12)])}
    lines = detail_lines(
        detail_of(past_run(streams=streams), kept, ()), "rejects.singer", 1000, PLAIN
    )
    at = lines.index("14 rejected records, kept in rejects.singer")
    assert lines[at + 1] == "  14  missing_email  contacts"
    assert lines[at + 2].strip() == (
        "keys 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more; 2 left the file since"
    )


def test_rejects_that_were_replayed_are_told_as_gone() -> None:
    streams = {"contacts": {"rejected": 1, "rejected_because": {"missing_email": 1}}}
    assert "none of them is in the file any more" in told(streams=streams)


def test_the_rejects_of_a_killed_run_are_told_from_their_file() -> None:
    (killed,) = merged([], [row()])
    kept = {("contacts", "missing_email"): RejectedKeys(1, ["7"])}
    lines = detail_lines(detail_of(killed, kept, ()), "rejects.singer", 1000, PLAIN)
    assert "1 rejected record, kept in rejects.singer" in lines
    assert any("keys 7" in line for line in lines)


def test_requests_stand_beside_their_estimate_and_what_is_left() -> None:
    windows = {
        "minute": {"limit": 200, "usage": 3, "left": 197},
        "hour": {"limit": None, "usage": None, "left": None},
        "day": {"limit": 2000, "usage": 3, "left": 1997},
    }
    text = told(
        api={
            "requests": {"POST /contacts/bulk_create": 3, "GET /labels": 1},
            "retries": 1,
            "rate_limited": 2,
            "seconds_waited": 61.2,
            "quota": {"POST /contacts/bulk_create": windows},
        },
        estimate={"requests": {"POST /contacts/bulk_create": 2, "PATCH /contacts/{id}": 5}},
    )
    rows = [line.split() for line in text.splitlines()]
    assert ["POST", "/contacts/bulk_create", "3", "2", "197", "1,997"] in rows
    assert ["PATCH", "/contacts/{id}", "0", "5", "–", "–"] in rows
    assert ["GET", "/labels", "1", "–", "–", "–"] in rows
    assert "left/h" not in text
    assert "1 retry, 2 refused for the rate limit, 1 min 1 s waited" in text


def test_what_a_run_would_take_after_a_dry_run_is_told() -> None:
    estimate = {"requests": {"PATCH /contacts/{id}": 900}, "seconds": 9000.5}
    text = told(dry_run=True, estimate={**estimate, "takes_several_runs": True})
    assert "The real run would take about 2 h 30 min. Apollo's limits would stop it" in text
    assert "would take" not in told(estimate={"requests": {}, "seconds": None})


def test_what_apollo_does_not_know_is_told_by_property() -> None:
    text = told(unresolved={"contacts": {"account_domain": 1200}})
    assert "Unknown to Apollo in rows of contacts" in text
    assert "account_domain 1,200" in text


def test_rows_that_are_not_those_of_their_records_any_more_are_told_with_their_keys() -> None:
    text = told(
        identity={
            "contacts": {
                "address_changed": {"count": 12, "keys": [str(key) for key in range(1, 13)]},
                "moved": {"count": 1, "keys": ["77"]},
                "gone": {"count": 0, "keys": []},
            }
        }
    )
    assert (
        "Identity changes\n"
        "  12 rows carry another address than the record they are linked to: 1, 2, 3, 4, 5 and 7 "
        "more (stream 'contacts').\n"
        "  1 row has the address of another record than the one it is linked to, and goes to that: "
        "77 (stream 'contacts')."
    ) in text
    assert "is gone" not in text
    assert "Identity" not in told()


def test_protected_values_are_told_by_field() -> None:
    text = told(protected={"contacts": {"phone_number": 34, "title": 180}, "accounts": {}})
    assert "Protected 214 values of contacts\n  title 180, phone_number 34" in text
    assert "accounts" not in text


def test_deleted_and_duplicate_rows_and_unwritten_fields_are_told() -> None:
    text = told(
        deleted={"crm-contacts": 12},
        duplicates={
            "found": 3,
            "listed": [
                {"stream": "contacts", "keys": ["1", "2"], "kind": "same_email"},
                {"stream": "contacts", "keys": ["3", "4"]},
            ],
        },
        unknown_fields={"contacts": ["icp_fit", "note"]},
        not_writable={"accounts": {"linkedin_url": 2}},
        diffs=[{"stream": "contacts", "key": "1", "field": "title", "new": "secret title"}],
    )
    assert "Deleted at the source, moved in Apollo\n  crm-contacts 12" in text
    assert "3 groups of duplicates\n  One e-mail address in several rows: contacts 1, 2" in text
    assert "  and 1 further group" in text
    assert "contacts has no place for icp_fit, note" in text
    assert "accounts that exist can't be given linkedin_url (2)" in text
    assert "1 difference to Apollo's values" in text
    assert "secret title" not in text


def test_fields_that_follow_their_rows_are_told() -> None:
    text = told(
        to_follow={"contacts": 800},
        follow_from="2026-03-01T09:30:00+00:00",
        followed={"contacts": 1},
        not_followed={"leads": 2},
    )
    assert "contacts: 800 fields to follow in later runs, from 2026-03-01 09:30 UTC." in text
    assert "contacts: 1 field sent that had waited." in text
    assert "leads: 2 fields that had waited could not be written." in text
    assert "to follow" not in told()


def test_leads_are_told_from_rule_to_rule_into_apollo() -> None:
    funnel = Funnel("leads", 10, (Step("icp_fit", 6, 0, 4), Step("settled", 0, 1, 3)))
    run = past_run(streams={"accounts": {"created": 2, "unchanged": 1}})
    text = "\n".join(detail_lines(detail_of(run, {}, [funnel]), "rejects", 1000, PLAIN))
    rows = [line.split() for line in text.splitlines()]
    assert ["rule", "icp_fit", "4", "6"] in rows
    assert ["rule", "settled", "3", "1"] in rows
    assert "In Apollo, stream accounts: created 2, unchanged 1" in text


def test_leads_that_passed_otherwise_than_by_the_rules_are_told() -> None:
    funnel = Funnel("leads", 10, (Step("stage", 6, 0, 4),), named=1, withheld=2)
    text = "\n".join(detail_lines(detail_of(past_run(), {}, [funnel]), "rejects", 1000, PLAIN))
    assert "1 lead passed by the setting always, though rules hold against it." in text
    assert "2 leads passed without the e-mail address." in text


def test_why_a_run_ended_early_is_told() -> None:
    assert "No quota." in told(exit_code=3, ended_because="No quota.")


def test_a_run_that_only_one_of_both_knows_says_which() -> None:
    assert "the ledger does not know it" in told()
    (run,) = merged([], [row(finished_at=AT, counts={"received": 1}, exit_code=0)])
    text = "\n".join(detail_lines(detail_of(run, {}, ()), "rejects", 1000, PLAIN))
    assert "there is no summary of it" in text


# --- hostile texts and narrow terminals

hostile = st.text(max_size=60)


@settings(deadline=None, max_examples=50)
@given(hostile, hostile, hostile, st.integers(20, 200))
def test_no_text_from_a_file_moves_the_cursor(
    stream: str, reason: str, key: str, width: int
) -> None:
    run = past_run(
        reason,
        streams={stream: {"created": 1, "rejected": 1, "rejected_because": {reason: 1}}},
        ended_because=key,
        team=stream,
        mode=key,
        api={"requests": {key: 1}, "quota": {stream: {}}},
        protected={stream: {key: 1}},
        deleted={key: 1},
        identity={stream: {reason: {"count": 2, "keys": [key]}}},
        duplicates={"found": 1, "listed": [{"stream": stream, "keys": [key], "kind": reason}]},
        unknown_fields={stream: [key]},
        not_writable={stream: {key: 1}},
    )
    kept = {(stream, reason): RejectedKeys(1, [key])}
    funnel = Funnel(stream, 2, (Step(key, 1, 0, 1),))
    lines = run_lines([run], width, PLAIN)
    lines += detail_lines(detail_of(run, kept, [funnel]), "rejects", width, PLAIN)
    assert all(line.isprintable() for line in lines)


def test_long_texts_are_wrapped_to_the_terminal() -> None:
    duplicate = {"stream": "contacts", "keys": [str(key) for key in range(100, 200)]}
    text = told(
        70,
        ended_because="word " * 60,
        duplicates={"found": 1, "listed": [duplicate]},
        protected={"contacts": {f"field_number_{n}": 1 for n in range(20)}},
    )
    assert max(map(len, text.splitlines())) <= 70


def test_text_without_blanks_is_broken() -> None:
    assert [len(line) for line in wrapped("x" * 100, 40)] == [40, 40, 20]


# --- colour


def test_colour_takes_no_room() -> None:
    runs = runs_of({"created": 5, "rejected": 3}, {"created": 1})
    plain = run_lines(runs, 1000, PLAIN)
    coloured = run_lines(runs, 1000, COLOUR)
    assert coloured != plain
    assert [CODES.sub("", line).rstrip() for line in coloured] == plain


def test_every_colour_is_taken_back() -> None:
    lines = table([Column("a"), Column("b", right=True)], [[Cell("x"), Cell("1")]], COLOUR)
    assert lines[0].count("\x1b[0m") == 2


@pytest.mark.parametrize(
    ("stream", "environment", "on"),
    [
        (Terminal(), {"TERM": "xterm"}, True),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {"TERM": "xterm"}, False),
    ],
    ids=["terminal", "NO_COLOR empty", "NO_COLOR", "dumb", "file"],
)
def test_only_a_terminal_whose_user_wants_it_sees_colour(
    stream: io.StringIO, environment: dict[str, str], on: bool
) -> None:
    assert Paint.for_output(stream, environment).on is on


# --- rejects and what is on its way


def test_causes_of_rejects_are_told_with_column_count_and_what_to_do() -> None:
    kept = {("contacts", "wrong_type"): rejected(9, ("born", "'born' must be a date", 8))}
    streams = {"contacts": {"rejected": 9, "rejected_because": {"wrong_type": 9}}}
    said = told(kept=kept, streams=streams)
    assert "8 × born: 'born' must be a date" in said
    assert "1 × other causes" in said
    assert "to do: Cast the column in the warehouse" in said


def test_values_that_wait_are_told_with_stream_field_and_age() -> None:
    said = told(waits=[waiting("website_url", 1200)])
    assert "On its way at present" in said
    assert (
        "contacts: 1,200 values of website_url to be sent, the oldest for 3 h 0 min, "
        "since 2026-11-20 06:30 UTC." in said
    )


def test_one_stream_can_be_told_alone() -> None:
    streams = {
        name: {"rejected": 1, "created": 2, "rejected_because": {"missing_email": 1}}
        for name in ("contacts", "leads")
    }
    run = past_run(streams=streams, to_follow={"contacts": 3, "leads": 4})
    kept = {(name, "missing_email"): rejected(1, ("email", name, 1)) for name in streams}
    waits = [waiting("title", 1), waiting("website_url", 2, "leads")]
    assert streams_of(run, kept) == ["contacts", "leads"]
    shown = detail_of_stream(run, kept, waits, "leads")
    said = "\n".join(detail_lines(shown, "rejects.singer", 1000, PLAIN))
    assert "website_url" in said
    assert "leads: 4 fields to follow" in said
    assert "title" not in said
    assert "contacts" not in said.replace("POST /contacts/bulk_create", "")
