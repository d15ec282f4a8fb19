"""What the ledger notes of an enrolment, and what follows from it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_apollo.ledger import Link, LinkStatus
from target_apollo.sync.sequences.marks import EnrolmentMark, Standing, lasting, may_end

SPRING, AUTUMN, CONTACT = "a" * 24, "b" * 24, "c" * 24
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def link(
    mark: EnrolmentMark | None,
    status: LinkStatus = LinkStatus.CREATED,
    error: str | None = None,
    apollo_id: str | None = CONTACT,
) -> Link:
    text = mark.text if mark is not None else None
    return Link("k", apollo_id, None, status, None, None, error, "run", match_hash=text)


@given(
    st.sampled_from(Standing),
    st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
    st.none() | st.integers(0, 4_000_000_000),
)
def test_a_note_reads_as_it_was_written(standing: Standing, of: str, since: int | None) -> None:
    at = None if since is None else datetime.fromtimestamp(since, timezone.utc)
    mark = EnrolmentMark(standing, of, at)
    assert EnrolmentMark.of(link(mark)) == mark


def test_a_link_without_a_contact_or_with_another_note_has_none() -> None:
    assert EnrolmentMark.of(link(EnrolmentMark(Standing.OURS, SPRING), apollo_id=None)) is None
    assert EnrolmentMark.of(link(None)) is None
    assert EnrolmentMark.of(None) is None


def test_the_time_of_the_first_request_that_is_open_stays() -> None:
    first = EnrolmentMark(Standing.SENT, SPRING, NOW)
    later = NOW + timedelta(days=1)
    assert first.sent(SPRING, later).since == NOW
    assert first.sent(AUTUMN, later).since == later
    assert EnrolmentMark(Standing.OURS, SPRING).sent(AUTUMN, later).since == later


@pytest.mark.parametrize(("hours", "made"), [(-1, False), (0, True), (1, True)])
def test_an_enrolment_is_a_run_s_own_if_it_was_made_after_its_request(
    hours: int, made: bool
) -> None:
    status = {"added_at": (NOW + timedelta(hours=hours)).isoformat()}
    assert EnrolmentMark(Standing.SENT, SPRING, NOW).made(status) is made


@pytest.mark.parametrize("status", [None, False, True, {}, {"added_at": "soon"}])
def test_an_enrolment_of_unknown_time_is_somebody_else_s(status: bool | dict[str, str]) -> None:
    assert not EnrolmentMark(Standing.SENT, SPRING, NOW).made(status)


@pytest.mark.parametrize(
    ("standing", "status", "error", "may"),
    [
        (Standing.OURS, LinkStatus.CREATED, None, True),
        (Standing.OURS, LinkStatus.ERROR, "unknown_name", True),
        (Standing.SENT, LinkStatus.PENDING, None, True),
        (Standing.SENT, LinkStatus.ERROR, "not_confirmed", True),
        (Standing.SENT, LinkStatus.ERROR, "not_enrolled", False),
        (Standing.FOUND, LinkStatus.UNCHANGED, None, False),
        (Standing.LEFT, LinkStatus.EXISTING, None, False),
    ],
)
def test_only_what_a_run_has_made_or_may_have_made_is_ended(
    standing: Standing, status: LinkStatus, error: str | None, may: bool
) -> None:
    mark = EnrolmentMark(standing, SPRING)
    assert may_end(link(mark, status, error), mark) is may


def test_of_several_rows_the_one_that_holds_the_contact_in_the_sequence_counts() -> None:
    marks = {one: EnrolmentMark(one, SPRING) for one in Standing}
    of = {one: link(mark) for one, mark in marks.items()}
    assert lasting([of[Standing.LEFT], of[Standing.OURS]], SPRING) is Standing.OURS
    assert lasting([of[Standing.LEFT], of[Standing.SENT]], SPRING) is Standing.LEFT
    assert lasting([of[Standing.SENT]], SPRING) is None
    assert lasting([of[Standing.OURS]], AUTUMN) is None
    assert lasting([], SPRING) is None


@pytest.mark.parametrize(
    ("standing", "lasts"),
    [
        (Standing.SENT, None),
        (Standing.OURS, Standing.FOUND),
        (Standing.FOUND, Standing.FOUND),
        (Standing.LEFT, Standing.LEFT),
    ],
)
def test_what_is_known_for_good_lasts_without_a_row(
    standing: Standing, lasts: Standing | None
) -> None:
    kept = EnrolmentMark(standing, SPRING).without_row()
    assert (kept.standing if kept is not None else None) is lasts
