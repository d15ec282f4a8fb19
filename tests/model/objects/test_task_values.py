"""Tasks: how values are read, what the mark of a row is, and what a row changes of its task."""

from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_apollo.model.objects.task import DUE_AT, PRIORITIES, STATUSES, TASK, TYPE
from target_apollo.model.objects.task_changes import RowOfTask
from target_apollo.model.objects.task_values import (
    creation_body,
    digests,
    held_by,
    marker_of,
    markers_in,
    unconfirmed,
    with_marker,
)
from target_apollo.model.outcomes import RecordError
from target_apollo.model.policies import FieldPolicy, Policies
from target_apollo.model.rows import Row, Values

MARKER = "[wh:crm/calls/1]"
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=40)
KEYS = st.lists(st.one_of(TEXTS, st.integers()), min_size=1, max_size=3)


def row(**values: str | None) -> Row:
    return Row(1, (1,), None, values)


def task(**values: object) -> dict[str, object]:
    return {"id": "t", "status": "scheduled", "priority": "low", "creator_id": "c", **values}


@pytest.mark.parametrize(
    ("written", "due"),
    [
        ("2027-03-01", "2027-03-01T12:00:00Z"),
        ("2027-03-01T10:00:00", "2027-03-01T10:00:00Z"),
        ("2027-03-01 10:00:00+02", "2027-03-01T08:00:00Z"),
        ("2027-03-01T23:30:00-05:00", "2027-03-02T04:30:00Z"),
        (1803895200, "2027-03-01T10:00:00Z"),
        (None, None),
        ("n/a", None),
    ],
)
def test_a_due_time_is_sent_in_utc(written: object, due: str | None) -> None:
    assert TASK.columns[DUE_AT].normalise(DUE_AT, written) == due


@pytest.mark.parametrize(
    ("written", "kind"), [("Call", "call"), ("ACTION ITEM", "action_item"), ("", None)]
)
def test_a_type_may_be_spelled_with_blanks_and_capitals(written: str, kind: str | None) -> None:
    assert TASK.columns[TYPE].normalise(TYPE, written) == kind


def test_the_nearest_type_is_in_the_sentence() -> None:
    with pytest.raises(RecordError, match="did you mean 'outreach_manual_email'"):
        TASK.columns[TYPE].normalise(TYPE, "outreach_manual_emial")


@given(KEYS, KEYS, TEXTS.filter(bool), TEXTS, TEXTS)
def test_a_mark_is_found_in_any_note_and_is_of_one_row(
    key: list[object], other: list[object], stream: str, source: str, note: str
) -> None:
    marker = marker_of(source, stream, key)
    written = with_marker(note, marker)

    assert markers_in({"note": written}) >= {marker}
    assert markers_in({"note": f"<p>{html.escape(written)}</p>"}) >= {marker}
    assert len(marker) <= 70
    if [str(one) for one in key] != [str(one) for one in other]:
        assert marker_of(source, stream, other) != marker


def test_a_key_with_an_address_shows_none_in_the_note() -> None:
    marker = marker_of("crm", "calls", ("ann@a.com",))
    assert "ann" not in marker
    assert marker == marker_of("crm", "calls", ("ann@a.com",))


def test_a_note_keeps_one_mark() -> None:
    once = with_marker("Ask", MARKER)
    assert once == f"Ask\n\n{MARKER}"
    assert with_marker(once, MARKER) == once
    assert with_marker(None, MARKER) == MARKER


def test_a_new_task_always_has_a_priority_a_status_and_the_mark() -> None:
    body = creation_body(row(owner_id="u", type="call", note=None), MARKER)
    assert body == {
        "user_id": "u",
        "type": "call",
        "priority": "medium",
        "status": "scheduled",
        "note": MARKER,
    }


def test_an_update_keeps_the_priority_and_the_creator_that_the_task_has() -> None:
    change = RowOfTask(row(title="New"), (MARKER,)).change_of(task())
    assert change.body == {"title": "New", "priority": "low", "creator_id": "c"}


@given(
    st.dictionaries(
        st.sampled_from(("title", "note", "due_at", "type", "owner_id")), TEXTS, max_size=5
    ),
    st.sampled_from(("completed", "skipped")),
    st.sampled_from((*STATUSES, None)),
)
def test_nothing_is_sent_to_a_task_that_is_done(
    values: Values, ended: str, status: str | None
) -> None:
    change = RowOfTask(row(**values, status=status), (MARKER,)).change_of(task(status=ended))
    assert not change.is_needed


@given(TEXTS.filter(bool), st.sampled_from(PRIORITIES))
def test_what_the_row_did_not_change_is_not_sent(note: str, priority: str) -> None:
    before: Values = {"note": note, "priority": priority, "title": "Old"}
    after: Values = {**before, "title": "New"}
    held = held_by(digests(before), after)
    shown = task(note="Sales wrote this", priority="medium", title="Old")

    change = RowOfTask(row(**after), (MARKER,), held).change_of(shown)

    assert change.body == {"title": "New", "priority": "medium", "creator_id": "c"}


def test_policies_keep_a_field() -> None:
    policies = Policies({"title": FieldPolicy.FILL_IF_EMPTY})
    change = RowOfTask(row(title="New"), (MARKER,), policies=policies).change_of(task(title="Old"))
    assert (change.body, change.protected) == ({}, ("title",))


def test_an_adopted_task_gets_the_mark_and_keeps_its_note() -> None:
    change = RowOfTask(row(), (MARKER,), is_adopted=True).change_of(task(note="By hand"))
    assert change.body["note"] == f"By hand\n\n{MARKER}"


@pytest.mark.parametrize(
    ("shown", "is_confirmed"),
    [
        ({"due_at": "2027-03-01T10:00:00.000+00:00", "note": "<p>Ask</p> [wh:x]"}, True),
        ({"due_at": "2027-03-01T11:00:00.000+00:00", "note": "Ask [wh:x]"}, False),
        ({"due_at": "2027-03-01T10:00:00Z", "note": "Ask"}, False),
        ({"note": "Ask [wh:x]"}, False),
    ],
)
def test_an_answer_confirms_what_it_shows(shown: dict[str, object], is_confirmed: bool) -> None:
    sent = {"due_at": "2027-03-01T10:00:00Z", "note": "Ask [wh:x]"}
    refused = unconfirmed(sent, {"id": "t", **shown}, "POST /tasks")
    assert (refused is None) is is_confirmed
