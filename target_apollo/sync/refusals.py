"""What a refusal by Apollo is about, and what follows for the row.

`subject_of` finds the subject, and the table `CONSEQUENCES` says what follows. If Apollo refuses a
request for many records, only the bad rows are rejected; the others are sent again. If the rows of
both halves are refused with the same words, which name no row and no field, the refusal is not
about them, and the run ends.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from target_apollo.apollo import AllRefusedAlike, RequestRefused
from target_apollo.model.match_keys import LINKEDIN
from target_apollo.model.objects.registry import Json, ObjectType
from target_apollo.model.outcomes import Reason, Rejection
from target_apollo.model.rows import Row

T = TypeVar("T")
#: Key in an answered record that lists the custom fields which could not be stored.
CUSTOM_FIELD_ERRORS = "custom_field_errors"
_RECORD_STATUSES = {400, 409, 413, 422}
_NO_ROUTE = {404, 405}
#: Of fewer rows each is tried alone, since all of them may be bad in the same way.
_FEWEST_ALIKE = 20
_WORD = re.compile(r"[^\s\"',;()\[\]{}]+")


class HasSingular(Protocol):
    """An object, as sentences call one of its records."""

    @property
    def singular(self) -> str: ...  # noqa: D102


class RefusalSubject(enum.Enum):
    """What a refusal is about."""

    #: A record of the request that was deleted in Apollo.
    DELETED_RECORD = enum.auto()
    #: A record that Apollo does not have.
    MISSING_RECORD = enum.auto()
    #: A value of a record, or the id of an owner, stage or account.
    VALUES = enum.auto()
    #: The endpoint: there is none at this address.
    ENDPOINT = enum.auto()
    #: A server between the run and Apollo: a redirect, a proxy.
    ADDRESS = enum.auto()


@dataclass(frozen=True)
class Consequence:
    """What a refusal means for the row of the refused record.

    Attributes:
        reason: The reason of the row's rejection, unless one of the next two applies.
        is_about_rows: Whether Apollo may accept other rows; if not, the run ends.
        record_is_gone: Whether Apollo no longer has the record.
    """

    reason: Reason = Reason.REFUSED
    is_about_rows: bool = True
    record_is_gone: bool = False


CONSEQUENCES: Mapping[RefusalSubject, Consequence] = {
    RefusalSubject.DELETED_RECORD: Consequence(Reason.DELETED, record_is_gone=True),
    RefusalSubject.MISSING_RECORD: Consequence(Reason.GONE, record_is_gone=True),
    RefusalSubject.VALUES: Consequence(),
    RefusalSubject.ENDPOINT: Consequence(is_about_rows=False),
    RefusalSubject.ADDRESS: Consequence(is_about_rows=False),
}


def subject_of(refusal: RequestRefused, apollo_id: str | None = None) -> RefusalSubject:
    """What a refusal is about.

    Args:
        apollo_id: The record that was written or read, if the request was for one record: a 404
            may then mean that it is missing. In a request for several records, a 404 is about a
            record only if it names one.
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
    """What a refusal means for a row; the arguments are those of `subject_of`."""
    return CONSEQUENCES[subject_of(refusal, apollo_id)]


def missing_ids(refusal: RequestRefused, apollo_ids: Collection[str]) -> frozenset[str]:
    """The ids of a request's records that Apollo does not have, according to its refusal.

    A 404 that names no record may be about the endpoint, and gives no ids.
    """
    if not refusal.names_missing_record:
        return frozenset()
    if len(apollo_ids) == 1 and refusal.status != 404 and not refusal.named_ids:
        return frozenset(apollo_ids)
    return frozenset(apollo_ids).intersection(refusal.named_ids)


def says_gone(refusal: RequestRefused, apollo_id: str) -> bool:
    """Whether a refusal says in words that Apollo does not have a record.

    For objects that Apollo makes twice, such as deals: a 404 that does not name the record may be
    about the endpoint, and an id that is not valid may be another one of the request.
    """
    if not refusal.says_missing:
        return False
    named = refusal.named_ids
    if named or refusal.status == 404:
        return apollo_id in named
    return not refusal.calls_an_id_invalid


@dataclass
class SplitRequest(Generic[T]):
    """The result of a request that was sent in parts: their answers, and the refused rows."""

    answered: list[tuple[Sequence[Row], T]] = field(default_factory=list)
    refused: list[tuple[Row, RequestRefused]] = field(default_factory=list)


def send_in_parts(
    object_type: ObjectType,
    rows: Sequence[Row],
    refusal: RequestRefused,
    send: Callable[[Sequence[Row]], T],
) -> SplitRequest[T]:
    """Sends the rows of a refused request again without the bad rows.

    If the refusal names a value or id of a row, this needs one more request. Otherwise the rows are
    halved until each bad row is alone (about ``2 log n`` requests for each bad row).

    Args:
        refusal: Apollo's answer to the request with all rows.

    Raises:
        AllRefusedAlike: All rows that were tried are refused alike, and no row is named.
        ApolloError: Any other error except a refusal of these records.
    """
    found: SplitRequest[T] = SplitRequest()
    open_parts = _without_bad_rows(object_type, tuple(rows), refusal, found)
    halves = open_parts[::-1] if _may_be_alike(object_type, rows, refusal) else []
    for part in halves:
        again = _send_part(part, send, found)
        if again is not None:
            open_parts += _without_bad_rows(object_type, part, again, found)
        open_parts.remove(part)
        if again is None or not _is_alike(again, refusal):
            break
    else:
        if halves:
            tried = _try_ends(halves, refusal, send, found)
            open_parts = [tuple(row for row in part if row not in tried) for part in open_parts]
    while open_parts:
        part = open_parts.pop()
        if part and (again := _send_part(part, send, found)) is not None:
            open_parts += _without_bad_rows(object_type, part, again, found)
    return found


def _send_part(
    part: tuple[Row, ...], send: Callable[[Sequence[Row]], T], found: SplitRequest[T]
) -> RequestRefused | None:
    try:
        found.answered.append((part, send(part)))
    except RequestRefused as refusal:
        return refusal
    return None


def _try_ends(
    halves: Sequence[tuple[Row, ...]],
    refusal: RequestRefused,
    send: Callable[[Sequence[Row]], T],
    found: SplitRequest[T],
) -> tuple[Row, ...]:
    """Sends the first and the last row of each half alone, up to one that is not refused alike.

    Returns:
        The rows that were sent, which are in `found` now.

    Raises:
        AllRefusedAlike: All of them are refused alike.
        ApolloError: Any error except a refusal of these records.
    """
    tried: list[Row] = []
    for row in [half[0] for half in halves] + [half[-1] for half in halves]:
        again = _send_part((row,), send, found)
        tried.append(row)
        if again is not None:
            if not consequence_of(again).is_about_rows:
                raise again
            found.refused.append((row, again))
        if again is None or not _is_alike(again, refusal):
            return tuple(tried)
    raise AllRefusedAlike(refusal.endpoint, status=refusal.status, words=refusal.words)


def _is_alike(one: RequestRefused, other: RequestRefused) -> bool:
    return (one.status, one.code, one.words) == (other.status, other.code, other.words)


def _may_be_alike(object_type: ObjectType, rows: Sequence[Row], refusal: RequestRefused) -> bool:
    """Whether a refusal of many rows names no record, no value and no field."""
    return (
        len(rows) >= _FEWEST_ALIKE
        and subject_of(refusal) is RefusalSubject.VALUES
        and not refusal.details
        and not refusal.named_ids
        and not refusal.names_missing_record
        and not named_rows(object_type, rows, refusal)
        and not _names_a_field(object_type, refusal.words)
    )


def _names_a_field(object_type: ObjectType, words: str) -> bool:
    text = f" {' '.join(re.findall(r'[a-z]+', words.lower()))} "
    return " field" in text or any(
        f" {name.replace('_', ' ').removesuffix(' id')} " in text for name in object_type.fields
    )


def _without_bad_rows(
    object_type: ObjectType,
    part: tuple[Row, ...],
    refusal: RequestRefused,
    found: SplitRequest[T],
) -> list[tuple[Row, ...]]:
    """The parts that are sent instead of a refused part; its bad rows are added to `found`."""
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
    """The rows with an id, e-mail, domain or profile that the refusal names."""
    words = _words(refusal.message)
    words |= {str(value).lower() for value in refusal.details.values()}
    words |= set(refusal.named_ids)
    words.discard("")
    return tuple(row for row in rows if words & _telling_values(object_type, row))


def _words(message: str) -> set[str]:
    return {word.rstrip(".").lower() for word in _WORD.findall(message)}


def _telling_values(object_type: ObjectType, row: Row) -> set[str]:
    # Without names, titles and ids of digits only: an ordinary word, a count or a status in the
    # error could be equal to them, and good rows would be rejected.
    telling = {
        value.lower()
        for name, value in row.values.items()
        if value
        and (name.endswith("_id") or name in (object_type.match_field, LINKEDIN))
        and not value.isdecimal()
    }
    return telling | ({row.apollo_id} if row.apollo_id else set())


def rejection(object_type: HasSingular, row_id: str | None, refusal: RequestRefused) -> Rejection:
    """The rejects-file entry for a refused row.

    Args:
        row_id: The Apollo id that was written to, if one was.
    """
    reason = consequence_of(refusal, row_id).reason
    if "deleted" in _words(refusal.message):
        # Only the text of the answer says so, and it may be about any record of the request.
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
    """The rejection of a row if Apollo answered 200 but could not store a custom field."""
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
