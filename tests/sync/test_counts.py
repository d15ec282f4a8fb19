from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_apollo.model.outcomes import Outcome, Reason
from target_apollo.model.rows import Row
from target_apollo.sync.counts import RunCounts, duplicates
from tests.helpers.run_counts import happenings, report_of, summary_of

quick = settings(deadline=None, max_examples=30)


# --- counts


@quick
@given(happenings, st.integers(0, 5))
def test_every_record_that_was_received_is_accounted_for(
    happened: list[tuple[str, Outcome | Reason]], open_: int
) -> None:
    records = summary_of(report_of(happened), received=len(happened) + open_)["records"]
    assert records.pop("received") == sum(records.values())
    assert records["without_outcome"] == open_


@quick
@given(happenings)
def test_the_streams_add_up_to_the_whole(happened: list[tuple[str, Outcome | Reason]]) -> None:
    summary = summary_of(report_of(happened))
    for outcome in Outcome:
        assert summary["records"][outcome.value] == sum(
            stream[outcome.value] for stream in summary["streams"].values()
        )


@quick
@given(happenings)
def test_every_rejected_record_has_its_reason(
    happened: list[tuple[str, Outcome | Reason]],
) -> None:
    for stream, found in summary_of(report_of(happened))["streams"].items():
        reasons = Counter(
            what.value for name, what in happened if name == stream and isinstance(what, Reason)
        )
        assert found["rejected_because"] == dict(reasons)
        assert found["rejected"] == reasons.total()


@quick
@given(happenings)
def test_the_share_of_rejects_is_that_among_the_records_with_an_outcome(
    happened: list[tuple[str, Outcome | Reason]],
) -> None:
    bad = sum(isinstance(what, Reason) for _, what in happened)
    share = report_of(happened).rejected_percent
    assert share == pytest.approx(100 * bad / len(happened) if happened else 0)


def test_a_run_without_records_rejected_none() -> None:
    assert RunCounts("run-1").rejected_percent == 0


def test_two_reports_share_nothing() -> None:
    RunCounts("run-1").count("contacts", Outcome.CREATED)
    assert RunCounts("run-2").settled == 0


# --- duplicates


def test_all_duplicates_are_counted_and_the_first_hundred_listed() -> None:
    report = RunCounts("run-1")
    report.count_duplicates("contacts", [[(n,), (n + 1000,)] for n in range(150)], "same_email")
    report.count_duplicates("contacts", [[(1,), (2,), (3,)]], "same_email")
    found = summary_of(report)["duplicates"]
    assert found["found"] == 151
    assert len(found["listed"]) == 100
    assert found["listed"][0] == {
        "stream": "contacts",
        "keys": ["0", "1000"],
        "kind": "same_email",
    }


def test_an_e_mail_address_among_the_duplicates_is_not_shown() -> None:
    report = RunCounts("run-1")
    report.count_duplicates("contacts", [[("ada@example.com",), ("eu", 7)]], "same_email")
    assert "ada@example.com" not in json.dumps(summary_of(report))
    assert "eu/7" in json.dumps(summary_of(report))


rows_of_few_keys = st.lists(
    st.builds(
        Row,
        number=st.just(1),
        key=st.tuples(st.integers(1, 5)),
        match_key=st.sampled_from([None, "ada@example.com", "bob@example.com"]),
        values=st.just({}),
    ),
    max_size=10,
)


@quick
@given(rows_of_few_keys)
def test_the_audit_lists_the_keys_that_share_a_match_key(rows: list[Row]) -> None:
    shared: dict[str, list[tuple[object, ...]]] = {}
    for row in rows:
        if row.match_key:
            shared.setdefault(row.match_key, []).append(row.key)
    expected = [tuple(dict.fromkeys(keys)) for keys in shared.values() if len(set(keys)) > 1]
    assert list(duplicates(rows).values()) == expected
