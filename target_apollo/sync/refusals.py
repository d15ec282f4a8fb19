"""What a refusal of Apollo's is about, and what the row gets for it.

`subject_of` tells, and `CONSEQUENCES` is the table of what follows. A request for many records that
was refused as a whole costs only the rows that are to blame.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from target_apollo.apollo import RequestRefused
from target_apollo.model.objects import Json, ObjectType
from target_apollo.model.outcomes import Reason, Rejection
from target_apollo.model.rows import Row

T = TypeVar("T")
#: Where an answered record says which of its custom fields could not be stored.
CUSTOM_FIELD_ERRORS = "custom_field_errors"
_RECORD_STATUSES = {400, 409, 413, 422}
_NO_ROUTE = {404, 405}
_WORD = re.compile(r"[^\s\"',;()\[\]{}]+")


class RefusalSubject(enum.Enum):
    """What a refusal is about."""

    #: A record of the request, which was deleted in Apollo.
    DELETED_RECORD = enum.auto()
    #: The record that was written to: Apollo has none with its id.
    MISSING_RECORD = enum.auto()
    #: What else was sent of a record: a value, or the id of another thing.
    VALUES = enum.auto()
    #: The endpoint, which is not at this address.
    ENDPOINT = enum.auto()
    #: Something before Apollo: a redirect, a proxy.
    ADDRESS = enum.auto()


@dataclass(frozen=True)
class Consequence:
    """What a refusal means for the row whose record was refused.

    Attributes:
        reason: Why the row is rejected, unless one of the following says otherwise.
        is_about_rows: Whether other rows may fare better; if not, the run ends.
        record_is_gone: Whether a deleted row has no record left to be moved.
        may_be_recreated: Whether a record may be created in place of the one written to.
    """

    reason: Reason = Reason.REFUSED
    is_about_rows: bool = True
    record_is_gone: bool = False
    may_be_recreated: bool = False


CONSEQUENCES: Mapping[RefusalSubject, Consequence] = {
    RefusalSubject.DELETED_RECORD: Consequence(Reason.DELETED, record_is_gone=True),
    RefusalSubject.MISSING_RECORD: Consequence(
        Reason.GONE, record_is_gone=True, may_be_recreated=True
    ),
    RefusalSubject.VALUES: Consequence(),
    RefusalSubject.ENDPOINT: Consequence(is_about_rows=False),
    RefusalSubject.ADDRESS: Consequence(is_about_rows=False),
}


def subject_of(refusal: RequestRefused, apollo_id: str | None = None) -> RefusalSubject:
    """What a refusal is about.

    Args:
        apollo_id: The record that was written to or read, where the refusal is about one alone: a
            404 may then say that it is missing. Of many records a 404 is about one of them only
            where it names one.
    """
    named, is_404 = refusal.named_ids, refusal.status == 404
    names_it = is_404 or not named or apollo_id in named
    is_missing = bool(apollo_id) and refusal.names_missing_record and names_it
    about_values = refusal.status in _RECORD_STATUSES or bool(is_404 and named)
    if not (refusal.from_apollo and (about_values or is_missing)):
        is_no_route = refusal.status in _NO_ROUTE
        return RefusalSubject.ENDPOINT if is_no_route else RefusalSubject.ADDRESS
    if refusal.deleted_ids:
        return RefusalSubject.DELETED_RECORD
    return RefusalSubject.MISSING_RECORD if is_missing else RefusalSubject.VALUES


def consequence_of(refusal: RequestRefused, apollo_id: str | None = None) -> Consequence:
    """What a refusal means for a row; arguments as of `subject_of`."""
    return CONSEQUENCES[subject_of(refusal, apollo_id)]


def missing_ids(refusal: RequestRefused, apollo_ids: Collection[str]) -> frozenset[str]:
    """Those of a request's records of which a refusal says that Apollo does not have them.

    A 404 that names no record may be about the endpoint, and says that of none.
    """
    if not refusal.names_missing_record:
        return frozenset()
    if len(apollo_ids) == 1 and refusal.status != 404 and not refusal.named_ids:
        return frozenset(apollo_ids)
    return frozenset(apollo_ids).intersection(refusal.named_ids)


@dataclass
class SplitRequest(Generic[T]):
    """What became of a request's rows: the answers to its parts, and the rows that were refused."""

    answered: list[tuple[Sequence[Row], T]] = field(default_factory=list)
    refused: list[tuple[Row, RequestRefused]] = field(default_factory=list)


def send_in_parts(
    object_type: ObjectType,
    rows: Sequence[Row],
    refusal: RequestRefused,
    send: Callable[[Sequence[Row]], T],
) -> SplitRequest[T]:
    """Sends the rows of a refused request again, without those that are to blame.

    A refusal that names the value or id of a row costs one more request; else the rows are halved
    until the bad ones are alone (about ``2 log n`` requests for each bad row).

    Args:
        refusal: That of the request with all rows.

    Raises:
        ApolloError: Anything but a refusal of these records.
    """
    found: SplitRequest[T] = SplitRequest()
    open_parts = _without_bad_rows(object_type, tuple(rows), refusal, found)
    while open_parts:
        part = open_parts.pop()
        try:
            found.answered.append((part, send(part)))
        except RequestRefused as again:
            open_parts += _without_bad_rows(object_type, part, again, found)
    return found


def _without_bad_rows(
    object_type: ObjectType,
    part: tuple[Row, ...],
    refusal: RequestRefused,
    found: SplitRequest[T],
) -> list[tuple[Row, ...]]:
    """What is sent instead of a refused part; rows that are to blame are added to `found`."""
    if not consequence_of(refusal).is_about_rows:
        raise refusal
    bad = part if len(part) == 1 else named_rows(object_type, part, refusal)
    found.refused += [(row, refusal) for row in bad]
    rest = tuple(row for row in part if row not in bad)
    if not bad:
        middle = len(rest) // 2
        return [rest[middle:], rest[:middle]]
    return [rest] if rest else []


def named_rows(
    object_type: ObjectType, rows: Sequence[Row], refusal: RequestRefused
) -> tuple[Row, ...]:
    """The rows whose ids, e-mail or domain the refusal names."""
    words = _words(refusal.message)
    words |= {str(value).lower() for value in refusal.details.values()}
    words |= set(refusal.named_ids)
    words.discard("")
    return tuple(row for row in rows if words & _telling_values(object_type, row))


def _words(message: str) -> set[str]:
    return {word.rstrip(".").lower() for word in _WORD.findall(message)}


def _telling_values(object_type: ObjectType, row: Row) -> set[str]:
    # Names and titles are left out, and ids of digits alone: an ordinary word of the error, a count
    # or a status would blame innocent rows.
    telling = {
        value.lower()
        for name, value in row.values.items()
        if value
        and (name.endswith("_id") or name == object_type.match_field)
        and not value.isdecimal()
    }
    return telling | ({row.apollo_id} if row.apollo_id else set())


def rejection(object_type: ObjectType, row_id: str | None, refusal: RequestRefused) -> Rejection:
    """The rejects-file entry for a refused row.

    Args:
        row_id: The Apollo id that was written to, if one was.
    """
    reason = consequence_of(refusal, row_id).reason
    if "deleted" in _words(refusal.message):
        # Apollo may say so in words alone, of any record of the request.
        reason = Reason.DELETED
    detail = str(refusal)
    if reason is Reason.DELETED:
        detail = (
            f"the {object_type.singular} {row_id or ''} was deleted in Apollo and can't be "
            "written; take its id out of the record, or leave the row out"
        ).replace("  ", " ")
    elif reason is Reason.GONE:
        detail = f"Apollo knows no {object_type.singular} {row_id}; check the id in the record"
    return Rejection(
        reason,
        detail,
        status=refusal.status,
        endpoint=refusal.endpoint,
        attempts=1,
        apollo_message=refusal.message,
    )


def custom_field_rejection(
    object_type: ObjectType, answer: Json, endpoint: str
) -> Rejection | None:
    """A rejection where Apollo answered 200 but could not store a custom field."""
    errors = answer.get(CUSTOM_FIELD_ERRORS)
    if not errors:
        return None
    names = ", ".join(sorted(errors)) if isinstance(errors, dict) else "of unknown name"
    return Rejection(
        Reason.CUSTOM_FIELD_REFUSED,
        f"Apollo stored {object_type.singular} {answer.get('id')} without its custom fields "
        f"{names}; mend their values",
        status=200,
        endpoint=endpoint,
        attempts=1,
    )
