from __future__ import annotations

from typing import Any

from target_apollo.reporting.plan import plan_lines
from target_apollo.reporting.terminal import UNBOUNDED, Paint
from target_apollo.sync.dry_run.plan_sentences import plan_sentences

COUNTS = {
    "created": 0,
    "updated": 0,
    "unchanged": 0,
    "existing": 0,
    "skipped": 0,
    "rejected": 0,
}


def estimate(**changes: Any) -> dict[str, Any]:
    fits = {"left": 200, "fits": True}
    return {
        "requests": {"POST /contacts/bulk_create": 3},
        "limits_from": "statistics",
        "endpoints": {
            "POST /contacts/bulk_create": {
                "requests": 3,
                "minute": fits,
                "hour": fits,
                "day": {"left": None, "fits": True},
                "seconds": 0.0,
            }
        },
        "seconds": 1.2,
        "done_at": "2026-11-21T09:30:00+00:00",
        "takes_several_runs": False,
        "looked_up": 1,
        "not_looked_up": {},
        "not_looked_up_because": "",
        **changes,
    }


def summary(**changes: Any) -> dict[str, Any]:
    return {
        "ended_because": "",
        "records": {"received": 3, **COUNTS, "created": 3},
        "streams": {"contacts": {**COUNTS, "created": 3, "rejected_because": {}}},
        "protected": {},
        "duplicates": {"found": 0, "listed": []},
        "estimate": estimate(),
        **changes,
    }


def told(**changes: Any) -> str:
    return " ".join(plan_sentences(summary(estimate=estimate(**changes))))


def shown(**changes: Any) -> list[str]:
    lines = plan_lines(summary(**changes), UNBOUNDED, Paint())
    return [" ".join(line.split()) for line in lines]


def test_requests_that_fit_all_windows_are_said_to_fit() -> None:
    assert told() == (
        "3 requests to POST /contacts/bulk_create. The run would send 3 requests, which fit what "
        "is left of this minute, this hour and this day; begun now they take about 1.2 s, until "
        "2026-11-21 09:30 UTC."
    )


def test_requests_that_take_next_to_no_time_take_less_than_a_second() -> None:
    assert "begun now they take less than a second, until" in told(seconds=0.02)


def test_the_windows_that_are_too_small_are_named() -> None:
    tight = {"left": 2, "fits": False}
    endpoints = {"PATCH /contacts/{id}": {"requests": 3, "minute": tight, "hour": tight}}

    assert "more than what is left of this minute and this hour at some endpoint" in told(
        endpoints=endpoints
    )


def test_a_wait_longer_than_a_run_waits_is_told() -> None:
    assert "ends with exit code 3" in told(takes_several_runs=True)


def test_a_limit_of_nothing_is_told() -> None:
    assert "some of them never, since a limit is 0" in told(seconds=None, done_at=None)


def test_limits_that_nobody_told_are_said_to_be_unknown() -> None:
    text = told(limits_from="unknown", seconds=None, done_at=None, endpoints={})

    assert "is not known: the key may not read the usage statistics" in text


def test_a_plan_that_writes_nothing_says_so() -> None:
    text = told(limits_from="not asked", requests={"GET /fields": 1}, endpoints={})

    assert "The run would send 1 request, and none of them writes." in text


def test_a_plan_without_colour_has_no_escape_signs() -> None:
    assert not any("\x1b" in line for line in shown())


def test_outcomes_that_did_not_occur_take_no_column() -> None:
    assert "stream created" in shown()


def test_what_apollo_does_not_know_is_counted_by_property() -> None:
    lines = shown(unresolved={"contacts": {"account_domain": 1200, "owner_email": 3}})
    at = lines.index("Written without what Apollo does not know")
    assert lines[at + 1].strip() == "contacts: account_domain 1,200, owner_email 3"


def test_rows_that_are_not_those_of_their_records_any_more_are_told_with_their_keys() -> None:
    lines = shown(identity={"contacts": {"address_changed": {"count": 1, "keys": ["7"]}}})
    at = lines.index("Identity changes")
    assert lines[at + 1].strip() == (
        "1 row carries another address than the record it is linked to: 7 (stream 'contacts')."
    )
    assert "Identity changes" not in shown()


def test_protected_values_are_counted_by_field() -> None:
    lines = shown(protected={"contacts": {"title": 180, "phone_number": 34}, "accounts": {}})

    assert "214 values of contacts: title 180, phone_number 34" in lines


def test_accounts_that_share_a_domain_are_named() -> None:
    group = {
        "stream": "accounts",
        "keys": ["firm.com"],
        "kind": "several_accounts",
        "apollo_ids": ["a1", "a2"],
    }

    lines = shown(duplicates={"found": 12, "listed": [group]})

    assert any(line.endswith("accounts: firm.com (accounts a1, a2)") for line in lines)
    assert "and 11 more, in the summary" in lines


def test_a_sampled_value_can_not_move_the_cursor_and_is_cut() -> None:
    diff = {"stream": "contacts", "key": "1", "apollo_id": "a", "field": "title"}
    lines = shown(diffs=[{**diff, "apollo": "a\x1b[2Jb", "new": "x" * 100}])

    (row,) = [line for line in lines if line.startswith("contacts 1 title")]
    assert "\x1b" not in row
    assert row.endswith("x…")
    assert len(row) < 80


def test_why_a_plan_stopped_stands_at_its_head() -> None:
    assert shown(ended_because="The run has come to max_creates (5).")[1] == (
        "The run has come to max_creates (5)."
    )
