"""Which answered record is which row of a bulk_create request. Pure.

Apollo's answer carries no index and promises no order, and leaves records out at times: a row
counts as written only when an answered record names it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat

import msgspec

from target_apollo.model import values
from target_apollo.model.compare import more_addresses
from target_apollo.model.emails import compared
from target_apollo.model.objects import Json, ObjectType
from target_apollo.model.rows import Row


class Match(enum.Enum):
    """What the answer to a bulk_create says of a row."""

    CREATED = enum.auto()
    EXISTING = enum.auto()
    #: Apollo took it for a record with the same name and another e-mail or domain.
    CONFLICT = enum.auto()
    #: Apollo created it, but not under the row's e-mail or domain.
    ALTERED = enum.auto()
    #: No answered record names the row.
    UNCONFIRMED = enum.auto()


class Matched(msgspec.Struct, frozen=True):
    """A row and the answered record that names it; none where it is unconfirmed.

    ``sent_before`` says that an earlier request of this run may have created the record already.
    """

    row: Row
    match: Match
    answer: Json | None
    sent_before: bool = False


def match_answers(
    object_type: ObjectType, rows: Sequence[Row], created: Sequence[Json], existing: Sequence[Json]
) -> list[Matched]:
    """Pairs rows with answered records by what both say, never by position.

    Contacts: any e-mail of the answer, accounts: the normalised domain; then a CRM id that both
    carry. What is left over is compared by name, only to tell a conflict from a silence.
    """
    if not existing and (all_created := _all_created(object_type, rows, created)):
        return all_created
    by_identity: dict[tuple[str, str], tuple[Match, Json]] = {}
    ids = [(name, object_type.fields[name].read or "") for name in object_type.crm_ids]
    for match, answers in ((Match.EXISTING, existing), (Match.CREATED, created)):
        for answer in answers:
            found_here = (match, answer)
            for position, address in enumerate(match_keys(object_type, answer)):
                identity = (object_type.match_field, address)
                # An additional address of one contact may be another's own, which counts more.
                if position == 0 or identity not in by_identity:
                    by_identity[identity] = found_here
            for name, read in ids:
                if answer.get(read):
                    by_identity[name, str(answer[read])] = found_here
    found: list[Matched] = []
    named: set[object] = set()
    silent: list[Row] = []
    for row in rows:
        # The first look is enough for nearly all.
        hit = by_identity.get((object_type.match_field, row.match_key)) if row.match_key else None
        if hit is None:
            hit = next(
                (by_identity[i] for i in _row_identities(object_type, row) if i in by_identity),
                None,
            )
        if hit is None:
            silent.append(row)
        else:
            named.add(hit[1].get("id"))
            found.append(Matched(row, hit[0], hit[1]))
    if silent:
        namesakes = {
            _name(object_type, answer): (match, answer)
            for match, answers in ((Match.ALTERED, created), (Match.CONFLICT, existing))
            for answer in answers
            if answer.get("id") not in named
        }
        # A request of one row leaves no doubt about whom its answer means.
        only = next(iter(namesakes.values()), None) if len(rows) == 1 else None
        namesakes.pop("", None)
        for row in silent:
            namesake = namesakes.get(_name(object_type, row.values), only)
            if namesake is None:
                found.append(Matched(row, Match.UNCONFIRMED, None))
            else:
                found.append(Matched(row, *namesake))
    return found


def _all_created(
    object_type: ObjectType, rows: Sequence[Row], created: Sequence[Json]
) -> list[Matched] | None:
    """Pairs rows with created records by first e-mail or domain alone, which is the rule.

    Returns None unless that names every row and every record.
    """
    by_address: dict[str | None, Json] = {
        compared(address): answer
        for answer in created
        if isinstance(address := answer.get(object_type.match_field), str)
    }
    if len(by_address) != len(rows) or len(created) != len(rows):
        return None
    found = [by_address.get(row.match_key) for row in rows]
    if None in found:
        return None
    return list(map(Matched, rows, repeat(Match.CREATED), found))


def _row_identities(object_type: ObjectType, row: Row) -> Iterable[tuple[str, str]]:
    for name in (object_type.match_field, *object_type.crm_ids):
        value = row.values.get(name)
        if value:
            yield name, value


def match_keys(object_type: ObjectType, answer: Json) -> list[str]:
    """The match keys of an answered record: all its e-mails, or its domain, normalised."""
    written = answer.get(object_type.match_field)
    if object_type.is_matched_by_domain:
        host = values.bare_host(written) if isinstance(written, str) else None
        return [host] if host else []
    first = [compared(written)] if isinstance(written, str) else []
    return list(dict.fromkeys([*first, *more_addresses(answer)]))


def _name(object_type: ObjectType, answer: Mapping[str, object]) -> str:
    if "name" in object_type.fields:
        return str(answer.get("name") or "").strip().casefold()
    parts = (answer.get("first_name"), answer.get("last_name"))
    return " ".join(str(part).strip() for part in parts if part).casefold()


def updated_at(answer: Json | None) -> str | None:
    """Apollo's time of a record's last change, where its answer tells."""
    told = (answer or {}).get("updated_at")
    return told if isinstance(told, str) else None
