from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_apollo.mapper.rules import RULES, WithholdField
from target_apollo.mapper.verdicts import Judgement, Outcome, VerdictFile, earlier
from target_apollo.reporting.funnel import Funnel, Period, Step, read_funnels, receiving_stream
from target_apollo.reporting.past_runs import merged
from target_apollo.reporting.summaries import Stream
from tests.helpers.past_runs import AT, past_run, row

ALWAYS = Period(datetime(2000, 1, 1, tzinfo=timezone.utc), None)
Judged = tuple[str, Outcome, list[str]]


def judge(path: Path, leads: Iterable[Judged], at: datetime = AT) -> Path:
    """Writes verdicts as the mapper does."""
    file = VerdictFile(str(path))
    for number, (stream, outcome, rules) in enumerate(leads):
        failures = [(rule, "a reason") for rule in rules]
        judgement = Judgement(outcome, failures, is_named=outcome is Outcome.PASSED)
        file.add(at.isoformat(timespec="seconds"), stream, str(number), judgement, {})
    file.close()
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "verdicts.jsonl"


def test_leads_fall_at_the_first_rule_that_they_fail(path: Path) -> None:
    judge(
        path,
        [
            ("leads", Outcome.PASSED, []),
            ("leads", Outcome.DROPPED, ["icp_fit", "stage"]),
            ("leads", Outcome.DROPPED, ["company_only"]),
            ("leads", Outcome.HELD, ["settled"]),
            ("leads", Outcome.DROPPED, ["stage"]),
        ],
    )
    assert read_funnels(path, ALWAYS) == [
        Funnel(
            "leads",
            5,
            (
                Step("company_only", 1, 0, 4),
                Step("icp_fit", 1, 0, 3),
                Step("stage", 1, 0, 2),
                Step("settled", 0, 1, 1),
            ),
        )
    ]


def test_leads_that_pass_by_their_names_or_without_a_property_fall_nowhere(path: Path) -> None:
    file = VerdictFile(str(path))
    at, why = AT.isoformat(timespec="seconds"), WithholdField("a reason", "email", None)
    judgements = (
        Judgement(Outcome.PASSED, [("stage", "a reason")], is_named=True),
        Judgement(Outcome.PASSED, withheld=[("email_status", why)]),
        Judgement(Outcome.DROPPED, [("stage", "a reason")]),
    )
    for judgement in judgements:
        file.add(at, "leads", None, judgement, {})
    file.close()
    (funnel,) = read_funnels(path, ALWAYS)
    assert funnel == Funnel("leads", 3, (Step("stage", 1, 0, 2),), named=1, withheld=1)
    assert funnel.passed == 2


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["leads", "others"]),
            st.just(Outcome.DROPPED) | st.just(Outcome.HELD),
            st.lists(st.sampled_from([*RULES, "a_rule_of_tomorrow"]), max_size=3, unique=True),
        ),
        max_size=30,
    )
)
def test_every_lead_that_was_read_passed_or_fell_at_one_rule(
    tmp_path_factory: pytest.TempPathFactory, leads: list[Judged]
) -> None:
    judged = [lead if lead[2] else (lead[0], Outcome.PASSED, []) for lead in leads]
    path = judge(tmp_path_factory.mktemp("verdicts") / "file", judged)
    funnels = {funnel.stream: funnel for funnel in read_funnels(path, ALWAYS)}
    assert {name: funnel.read for name, funnel in funnels.items()} == Counter(
        stream for stream, _, _ in judged
    )
    for name, funnel in funnels.items():
        fell = sum(step.dropped + step.held for step in funnel.steps)
        assert funnel.passed == funnel.read - fell
        assert funnel.passed == sum(s == name and o is Outcome.PASSED for s, o, _ in judged)
        assert all(step.remaining >= 0 for step in funnel.steps)


def test_only_verdicts_of_the_run_are_counted(path: Path) -> None:
    for minutes, count in ((-60, 1), (0, 10), (60, 100)):
        at = AT + timedelta(minutes=minutes)
        judge(path, [("leads", Outcome.PASSED, [])] * count, at)
    run = past_run()
    (funnel,) = read_funnels(path, Period.of(run, None))
    assert funnel.read == 10


def test_a_verdict_of_the_second_in_which_the_run_began_is_of_it(path: Path) -> None:
    started = AT + timedelta(milliseconds=700)
    judge(path, [("leads", Outcome.PASSED, [])], started)
    before = past_run("before", AT - timedelta(seconds=5))
    period = Period.of(past_run(at=started), before)
    assert [funnel.read for funnel in read_funnels(path, period)] == [1]


def test_the_mapper_may_have_judged_before_the_target_began(path: Path) -> None:
    judge(path, [("leads", Outcome.PASSED, [])], AT - timedelta(seconds=20))
    assert read_funnels(path, Period.of(past_run(), None))
    before = past_run("before", AT - timedelta(seconds=30))  # It ended 17.5 s before this one.
    assert not read_funnels(path, Period.of(past_run(), before))


def test_a_run_without_an_end_has_all_verdicts_since_its_begin(path: Path) -> None:
    judge(path, [("leads", Outcome.PASSED, [])], AT + timedelta(hours=5))
    (killed,) = merged([], [row()])
    assert [funnel.read for funnel in read_funnels(path, Period.of(killed, None))] == [1]


def test_verdicts_that_were_moved_aside_for_their_size_count_too(path: Path) -> None:
    judge(path, [("leads", Outcome.PASSED, [])])
    path.replace(earlier(path))
    judge(path, [("leads", Outcome.PASSED, [])])
    period = Period.of(past_run(), None)
    assert [funnel.read for funnel in read_funnels(path, period)] == [2]
    old = AT.timestamp() - 3600
    os.utime(earlier(path), (old, old))
    assert [funnel.read for funnel in read_funnels(path, period)] == [1]


def test_a_line_that_was_cut_off_costs_only_itself(path: Path) -> None:
    judge(path, [("leads", Outcome.PASSED, [])])
    with path.open("ab") as file:
        file.write(b'{"at":"2026-11-20T09:30:00+00:00","stream":"lea\n\xff\n{}\n')
        file.write(json.dumps({"at": "yesterday", "stream": "a", "verdict": "passed"}).encode())
    assert [funnel.read for funnel in read_funnels(path, ALWAYS)] == [1]


def test_a_file_that_is_not_there_is_an_os_error(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_funnels(path, ALWAYS)


PASSED = Funnel("leads", 4, (Step("stage", 1, 0, 3),))


@pytest.mark.parametrize(
    ("streams", "funnels", "found"),
    [
        ({"leads": Stream(created=3), "accounts": Stream(created=3)}, 1, "leads"),
        ({"accounts": Stream(created=2)}, 1, "accounts"),
        ({"accounts": Stream(created=2, rejected=1), "contacts": Stream()}, 1, "accounts"),
        ({"accounts": Stream(created=3), "contacts": Stream(unchanged=3)}, 1, None),
        ({"accounts": Stream(created=9), "contacts": Stream()}, 1, None),
        ({"accounts": Stream(created=2)}, 2, None),
        ({}, 1, None),
    ],
    ids=[
        "same name",
        "only stream",
        "same number",
        "two alike",
        "none alike",
        "two funnels",
        "none",
    ],
)
def test_the_stream_in_which_leads_went_on_is_told_where_it_is_sure(
    streams: dict[str, Stream], funnels: int, found: str | None
) -> None:
    assert receiving_stream(PASSED, funnels, streams) == found
