"""Counts of runs in which this and that happened, and their summaries."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from target_apollo.model.outcomes import Outcome, Reason
from target_apollo.sync.counts import RunCounts
from target_apollo.sync.summary import run_summary

API = {"requests": {"POST /contacts/bulk_create": 3, "GET /labels": 1}}
happenings = st.lists(
    st.tuples(
        st.sampled_from(["contacts", "accounts", "(no stream)"]),
        st.sampled_from([outcome for outcome in Outcome if outcome is not Outcome.REJECTED])
        | st.sampled_from(Reason),
    ),
    max_size=40,
)


def report_of(happened: list[tuple[str, Outcome | Reason]]) -> RunCounts:
    report = RunCounts("run-1")
    for stream, what in happened:
        if isinstance(what, Outcome):
            report.count(stream, what)
        else:
            report.count_rejected(stream, what)
    return report


def summary_of(report: RunCounts, *, received: int | None = None, **own: Any) -> dict[str, Any]:
    report.received = report.settled if received is None else received
    settled: dict[str, Any] = {
        "exit_code": 0,
        "ended_because": "",
        "api": API,
    }
    return run_summary(report, **{**settled, **own})
