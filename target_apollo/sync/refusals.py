"""Costs only the bad rows of a request that Apollo refused as a whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from target_apollo.apollo import RequestRefused
from target_apollo.model.objects import Json, ObjectType
from target_apollo.model.outcomes import Reason, Rejection
from target_apollo.model.rows import Row

T = TypeVar("T")
_RECORD_STATUSES = {400, 409, 413, 422}
_WORD = re.compile(r"[^\s\"',;()\[\]{}]+")


@dataclass
class TakenApart(Generic[T]):
    """What became of a request's rows: the answers to the parts, and the rows that were refused."""

    answered: list[tuple[Sequence[Row], T]] = field(default_factory=list)
    refused: list[tuple[Row, RequestRefused]] = field(default_factory=list)


def take_apart(
    object_type: ObjectType, rows: Sequence[Row], send: Callable[[Sequence[Row]], T]
) -> TakenApart[T]:
    """Sends rows in one request; where it is refused, without the rows that are to blame.

    A refusal that names the value or id of a row costs one more request; else the rows are halved
    until the bad ones are alone (about ``2 log n`` requests for each bad row).

    Raises:
        ApolloError: Anything but a refusal of these records.
    """
    found: TakenApart[T] = TakenApart()
    open_parts = [tuple(rows)]
    while open_parts:
        part = open_parts.pop()
        try:
            found.answered.append((part, send(part)))
            continue
        except RequestRefused as refusal:
            if not is_about_records(refusal):
                raise
            bad = part if len(part) == 1 else named_rows(object_type, part, refusal)
            found.refused += [(row, refusal) for row in bad]
        rest = tuple(row for row in part if row not in bad)
        if not bad:
            middle = len(rest) // 2
            open_parts += [rest[middle:], rest[:middle]]
        elif rest:
            open_parts.append(rest)
    return found


def is_about_records(refusal: RequestRefused) -> bool:
    """Whether other records may fare better: not so at a wrong address or a missing route.

    A 404 is about a record only where it names one.
    """
    about = refusal.status in _RECORD_STATUSES or (refusal.status == 404 and refusal.named_ids)
    return refusal.from_apollo and bool(about)


def is_about_record(refusal: RequestRefused) -> bool:
    """The same of a request for one record, of which a 404 may say that it is missing."""
    return is_about_records(refusal) or (refusal.status == 404 and refusal.names_missing_record)


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
    if refusal.deleted_ids or "deleted" in _words(refusal.message):
        reason = Reason.DELETED
        detail = (
            f"the {object_type.singular} {row_id or ''} was deleted in Apollo and can't be "
            "written; take its id out of the record, or leave the row out"
        ).replace("  ", " ")
    elif is_gone(row_id, refusal):
        reason = Reason.GONE
        detail = f"Apollo knows no {object_type.singular} {row_id}; check the id in the record"
    else:
        reason = Reason.REFUSED
        detail = str(refusal)
    return Rejection(
        reason,
        detail,
        status=refusal.status,
        endpoint=refusal.endpoint,
        attempts=1,
        apollo_message=refusal.message,
    )


def is_gone(row_id: str | None, refusal: RequestRefused) -> bool:
    """Whether a refusal says that the very record written to does not exist."""
    if not row_id:
        return False
    return refusal.names_missing_record and (
        refusal.status == 404 or row_id in refusal.named_ids or not refusal.named_ids
    )


def custom_field_rejection(
    object_type: ObjectType, answer: Json, endpoint: str
) -> Rejection | None:
    """A rejection where Apollo answered 200 but could not store a custom field."""
    errors = answer.get("custom_field_errors")
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
