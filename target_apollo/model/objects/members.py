"""Whom a row of a list or sequence names as its member. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass

from target_apollo.model import values
from target_apollo.model.objects.object_type import ObjectKind
from target_apollo.model.objects.stream_object import Column, columns
from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.model.rows import Values
from target_apollo.model.texts import domains, emails

APOLLO_ID, EMAIL, DOMAIN, MEMBER_KEY, OBJECT = (
    "apollo_id",
    "email",
    "domain",
    "member_key",
    "object",
)


def _object(name: str, value: object) -> str | None:
    written = values.typed_text(name, value)
    if written is None:
        return None
    kind = written.lower().rstrip("s") + "s"
    if kind not in {one.value for one in ObjectKind}:
        raise RecordError(Reason.WRONG_TYPE, f"'{name}' must be contacts or accounts")
    return kind


def _row_key(name: str, value: object) -> str | None:
    """The source key of a row of another stream, as a JSON array of its parts.

    A key of several properties is an array, or JSON of one.
    """
    parts: object = value
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            parts = json.loads(value)
        except ValueError:
            parts = value
    if isinstance(parts, str):
        parts = values.text(name, parts)
    if parts is None or parts == []:
        return None
    listed = parts if isinstance(parts, list) else [parts]
    if not all(isinstance(one, (str, int)) for one in listed):
        raise RecordError(
            Reason.WRONG_TYPE, f"'{name}' must be the key of a row, or an array of its parts"
        )
    return json.dumps(listed)


#: The columns of which a row fills one to name its member, the surest first; and `object`.
CONTACT_COLUMNS = columns(
    Column(APOLLO_ID, values.apollo_id),
    Column(MEMBER_KEY, _row_key),
    Column(EMAIL, emails.email),
)
MEMBER_COLUMNS = {
    **CONTACT_COLUMNS,
    **columns(Column(DOMAIN, domains.domain), Column(OBJECT, _object)),
}


@dataclass(frozen=True)
class Member:
    """A record as a row names it.

    Attributes:
        kind: The object that it is.
        by: The column that names it.
        value: What the column has.
    """

    kind: ObjectKind
    by: str
    value: str


def member_of(row_values: Values) -> Member:
    """The member that a row names; of several columns the surest one counts.

    Raises:
        RecordError: No column names one, or they contradict `object`.
    """
    named = [(name, row_values[name]) for name in MEMBER_COLUMNS if row_values.get(name)]
    given = next((value for name, value in named if name == OBJECT), None)
    for name, value in named:
        if name == OBJECT or value is None:
            continue
        usual = {EMAIL: ObjectKind.CONTACTS, DOMAIN: ObjectKind.ACCOUNTS}.get(name)
        kind = ObjectKind(given) if given else usual or _kind_beside(row_values)
        if usual not in (None, kind):
            raise RecordError(
                Reason.MISSING_MATCH_KEY,
                f"'{name}' names a record of {usual.value if usual else ''}, and '{OBJECT}' says "
                f"{kind.value}",
            )
        return Member(kind, name, value)
    raise RecordError(
        Reason.MISSING_MATCH_KEY,
        "the row names no member: fill in one of "
        + ", ".join(name for name in MEMBER_COLUMNS if name != OBJECT),
    )


def _kind_beside(row_values: Values) -> ObjectKind:
    """The object of a member that is named by an id or key: that of its other columns."""
    is_account = bool(row_values.get(DOMAIN)) and not row_values.get(EMAIL)
    return ObjectKind.ACCOUNTS if is_account else ObjectKind.CONTACTS
