"""The task: what a user of the team is to do about a contact, and when. Pure.

Apollo recognises no task: two requests make two. At most once: an intent is on disk before a task
is made, and each task has a mark in its note that tells which row it is of (`task_values`). A row
whose request may have made one is looked for by that mark; if it is not found, the row is rejected
as `outcome_unknown` and never sent again by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

from target_apollo.model import times, values
from target_apollo.model.objects.members import CONTACT_COLUMNS, EMAIL, MEMBER_KEY
from target_apollo.model.objects.object_type import Field
from target_apollo.model.objects.stream_object import APOLLO_ID, Column, StreamObject, columns
from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.model.rows import RECORD_MODES, Mode
from target_apollo.model.texts.spelling import folded, no_such

CONTACT_ID, OWNER_ID, TYPE, DUE_AT, PRIORITY, STATUS, TITLE, NOTE = (
    "contact_id",
    "owner_id",
    "type",
    "due_at",
    "priority",
    "status",
    "title",
    "note",
)
OWNER_EMAIL = "owner_email"

#: All that Apollo documents.
TYPES = (
    "call",
    "outreach_manual_email",
    "linkedin_step_connect",
    "linkedin_step_message",
    "linkedin_step_view_profile",
    "linkedin_step_interact_post",
    "action_item",
)
PRIORITIES = ("high", "medium", "low")
SCHEDULED, COMPLETED, SKIPPED = "scheduled", "completed", "skipped"
STATUSES = (SCHEDULED, COMPLETED, SKIPPED)
USUAL_PRIORITY = "medium"

#: The hour, in UTC, at which a task is due whose row has a date only: it is then the same day for
#: users from Alaska to New Zealand.
_HOUR_OF_DATE = 12
_LENGTH_OF_DATE = len("2026-12-31")


def _one_of(what: str, known: tuple[str, ...]) -> Callable[[str, object], str | None]:
    by_folded = {folded(one): one for one in known}

    def normalise(name: str, value: object) -> str | None:
        written = values.typed_text(name, value)
        if written is None:
            return None
        found = by_folded.get(folded(written))
        if found is None:
            raise RecordError(Reason.UNKNOWN_NAME, no_such(what, name, written, known))
        return found

    return normalise


def _due(name: str, value: object) -> str | None:
    """A moment in UTC as ``2026-12-31T10:00:00Z``; without a zone it is UTC, as Apollo reads it."""
    written = times.date_time(name, value)
    moment = None if written is None else times.moment(written)
    if moment is None:
        return None
    if len(written or "") == _LENGTH_OF_DATE:
        moment = moment.replace(hour=_HOUR_OF_DATE)
    return spelled(moment)


def spelled(moment: datetime) -> str:
    """A moment as rows and requests have it."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


_FIELDS = (
    Field(CONTACT_ID, create=CONTACT_ID, update=CONTACT_ID, read=CONTACT_ID),
    Field(OWNER_ID, create="user_id", update="user_id", read="user_id"),
    Field(TYPE, create=TYPE, update=TYPE, read=TYPE),
    Field(DUE_AT, create=DUE_AT, update=DUE_AT, read=DUE_AT),
    Field(PRIORITY, create=PRIORITY, update=PRIORITY, read=PRIORITY),
    Field(TITLE, create=TITLE, update=TITLE, read=TITLE),
    Field(NOTE, create=NOTE, update=NOTE, read=NOTE),
    Field(STATUS, create=STATUS, read=STATUS),
)

#: Fields without which no task can be made.
NEEDED = (CONTACT_ID, OWNER_ID, TYPE, DUE_AT)

TASK = StreamObject(
    name="tasks",
    singular="task",
    columns=columns(
        Column(CONTACT_ID, values.apollo_id),
        CONTACT_COLUMNS[MEMBER_KEY],
        CONTACT_COLUMNS[EMAIL],
        Column(OWNER_EMAIL),
        Column(OWNER_ID, values.apollo_id),
        Column(TYPE, _one_of("type of tasks", TYPES), is_required=True),
        Column(DUE_AT, _due, is_required=True),
        Column(PRIORITY, _one_of("priority of tasks", PRIORITIES)),
        Column(STATUS, _one_of("status of tasks", STATUSES)),
        Column(TITLE),
        Column(NOTE),
        Column(APOLLO_ID, values.apollo_id),
    ),
    modes=RECORD_MODES,
    default_mode=Mode.INSERT,
    fields={field.name: field for field in _FIELDS},
    named_fields={OWNER_EMAIL: OWNER_ID},
    needed_field=TYPE,
    clearable=frozenset({NOTE}),
)
