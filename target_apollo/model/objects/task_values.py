"""What is sent of a task's row, how its task is recognised, and what an answer confirms. Pure.

The mark of a row stands at the end of its task's note, in brackets: ``[wh:crm/calls/4711]``. It has
no character that a note in HTML spells in another way; where the key of a row has such characters,
or is long, the mark is a digest: ``[wh:~9f86d081884c7d659a2feaa0]``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from target_apollo.model.compare import holds
from target_apollo.model.objects.registry import Json
from target_apollo.model.objects.task import (
    DUE_AT,
    NOTE,
    PRIORITY,
    SCHEDULED,
    STATUS,
    TASK,
    USUAL_PRIORITY,
)
from target_apollo.model.outcomes import Reason, Rejection
from target_apollo.model.row_marks import mark_of
from target_apollo.model.rows import Row, Values
from target_apollo.model.times import moment

_PLAIN = re.compile(r"[A-Za-z0-9_./,%-]{1,60}")
_MARK = re.compile(r"\[wh:([A-Za-z0-9_./,%~-]+)\]")
_TAG = re.compile(r"<[^<>]*>")
#: Hex digits of a digest in a mark.
_DIGITS = 24
_DIGEST_SIZE = 6


def marker_of(source: str, stream: str, key: Sequence[object]) -> str:
    """The mark of a row.

    >>> marker_of("crm", "calls", (4711,))
    '[wh:crm/calls/4711]'
    """
    text = mark_of(source, stream, key)
    if not _PLAIN.fullmatch(text):
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        text = f"~{digest[:_DIGITS]}"
    return f"[wh:{text}]"


def markers_in(task: Json) -> frozenset[str]:
    """The marks in the note of a task."""
    note = task.get(NOTE)
    # In a plain note, signs that look like a tag may stand around it.
    both = f"{note}\n{_plain(note)}" if isinstance(note, str) else ""
    return frozenset(f"[wh:{found}]" for found in _MARK.findall(both))


def with_marker(note: object, marker: str) -> str:
    """A note with a mark at its end."""
    text = note if isinstance(note, str) else ""
    return text if marker in markers_in({NOTE: text}) else f"{text}\n\n{marker}".lstrip()


def creation_body(row: Row, marker: str) -> Json:
    """The body of the request that makes a row's task.

    Args:
        row: With the ids of its contact and owner.
    """
    body = {TASK.fields[name].create or name: one for name, one in row.values.items() if one}
    return {
        **body,
        STATUS: row.values.get(STATUS) or SCHEDULED,
        PRIORITY: row.values.get(PRIORITY) or USUAL_PRIORITY,
        NOTE: with_marker(row.values.get(NOTE), marker),
    }


def holds_value(name: str, task: Json, value: str | None, marker: str = "") -> bool:
    """Whether a task has a value in a field."""
    if name == DUE_AT:
        due = moment(task.get(DUE_AT))
        return due is not None and due == moment(value)
    if name == NOTE:
        return _words(task.get(NOTE), marker) == _words(value, marker)
    return holds(TASK.fields[name], task, value)


def unconfirmed(sent: Json, answer: Json, endpoint: str) -> Rejection | None:
    """Why an answer does not confirm the values that were sent; None if it does."""
    names = {place.create: name for name, place in TASK.fields.items()}
    differing = [
        name
        for name in sent
        if name in names
        and not holds_value(names[name], answer, None if sent[name] is None else str(sent[name]))
    ]
    if not differing:
        return None
    return Rejection(
        Reason.NOT_CONFIRMED,
        f"Apollo stored task {answer.get('id')}, and its answer has other values of "
        f"{', '.join(differing)} than were sent; look at the task, and mend the row",
        status=200,
        endpoint=endpoint,
        attempts=1,
    )


def digests(values: Values) -> str:
    """A digest of each value, as the row's link keeps them."""
    return ";".join(f"{name}={_digest(value)}" for name, value in sorted(values.items()))


def held_by(known: str | None, values: Values) -> frozenset[str]:
    """Names of the fields whose values are those of the digests in a row's link."""
    parts = dict(part.split("=", 1) for part in (known or "").split(";") if "=" in part)
    return frozenset(name for name, one in values.items() if parts.get(name) == _digest(one))


def is_scheduled(task: Json) -> bool:
    """Whether nobody has completed or skipped a task."""
    return task.get(STATUS) == SCHEDULED


def _digest(value: str | None) -> str:
    text = "\0" if value is None else value
    encoded = text.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(encoded, digest_size=_DIGEST_SIZE).hexdigest()


def _plain(note: object) -> str:
    """The text of a note, which may be HTML."""
    # Imported here, since its table of entities takes a third of a megabyte, for few runs.
    import html

    return html.unescape(_TAG.sub(" ", note)) if isinstance(note, str) else ""


def _words(note: object, marker: str) -> list[str]:
    text = _plain(note)
    return (text.replace(marker, " ") if marker else text).split()
