"""Matches the rows of a bulk_create request with the records in Apollo's answer. Pure.

The answer has no index and no promised order, and may leave records out. So a row counts as written
only if a record in the answer can be matched with it. The others are rejected, with the reason.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat

import msgspec

from target_apollo.model.match_keys import (
    address_of,
    addresses,
    called,
    every_key,
    is_address,
    keys,
    keys_of_record,
    shows_kind,
)
from target_apollo.model.objects.registry import Json, ObjectType
from target_apollo.model.outcomes import Reason, Rejection
from target_apollo.model.rows import Row
from target_apollo.model.texts.emails import compared

_LONGEST_TIME = 40


class Match(enum.Enum):
    """What the answer to a bulk_create says about a row."""

    CREATED = enum.auto()
    EXISTING = enum.auto()
    #: Apollo matched the row with a record of the same name or e-mail that has none of its keys.
    CONFLICT = enum.auto()
    #: Apollo created a record for the row, but without its e-mail, domain or other key.
    ALTERED = enum.auto()
    #: No record in the answer belongs to the row.
    UNCONFIRMED = enum.auto()


class RowMatch(msgspec.Struct, frozen=True, gc=False):
    """A row and its record in the answer; None if the row is unconfirmed.

    ``sent_before``: an earlier request of this run may have created the record already.
    """

    row: Row
    match: Match
    answer: Json | None
    sent_before: bool = False


def match_answers(
    object_type: ObjectType, rows: Sequence[Row], created: Sequence[Json], existing: Sequence[Json]
) -> list[RowMatch]:
    """Pairs rows with the records in an answer by their values, never by position.

    First by match keys, then by CRM ids. Contacts are compared by all e-mails of the record,
    accounts by the normalised domain. The remaining rows and records are compared by name. A new
    record whose answer lacks the row's key is the row's own; other records of its name are
    conflicts.
    """
    if not existing and (all_created := _all_created(object_type, rows, created)):
        return all_created
    by_key = _by_key(object_type, rows, created, existing)
    found: list[RowMatch] = []
    named: set[object] = set()
    unmatched: list[Row] = []
    for row in rows:
        # This finds nearly all of them.
        hit = by_key.get(row.match_key) if row.match_key else None
        if hit is None:
            hit = next(
                (by_key[key] for key in _other_keys(object_type, row) if key in by_key), None
            )
        if hit is None:
            unmatched.append(row)
        else:
            named.add(hit[1].get("id"))
            found.append(RowMatch(row, hit[0], hit[1]))
    if unmatched:
        left = [answer for answer in created if answer.get("id") not in named]
        hidden = _with_hidden_keys(object_type, unmatched, left, alone=len(rows) == 1)
        found += hidden
        named.update((one.answer or {}).get("id") for one in hidden)
        matched_now = {one.row.number for one in hidden}
        unmatched = [row for row in unmatched if row.number not in matched_now]
    if unmatched:
        namesakes = {
            _name(object_type, answer): (match, answer)
            for match, answers in ((Match.ALTERED, created), (Match.CONFLICT, existing))
            for answer in answers
            if answer.get("id") not in named
        }
        # The answer to a request with one row is about that row.
        only = next(iter(namesakes.values()), None) if len(rows) == 1 else None
        namesakes.pop("", None)
        left_over: list[Row] = []
        for row in unmatched:
            namesake = namesakes.get(_name(object_type, row.values), only)
            if namesake is None:
                left_over.append(row)
            else:
                named.add(namesake[1].get("id"))
                found.append(RowMatch(row, *namesake))
        found += _match_by_similarity(object_type, left_over, created, named)
    return found


def _match_by_similarity(
    object_type: ObjectType, rows: Sequence[Row], created: Sequence[Json], named: set[object]
) -> list[RowMatch]:
    """Pairs the remaining rows with the remaining new records, by their similarity.

    Apollo may store a record without its address. Each of these records belongs to one of these
    rows. If the rows were sent again, Apollo would create each record once more.
    """
    left = [answer for answer in created if answer.get("id") not in named]
    found: list[RowMatch] = []
    for row in rows:
        if not left:
            found.append(RowMatch(row, Match.UNCONFIRMED, None))
            continue
        most_similar = max(left, key=lambda answer: _equal_values(object_type, row, answer))
        left.remove(most_similar)
        found.append(RowMatch(row, Match.ALTERED, most_similar))
    return found


def _equal_values(object_type: ObjectType, row: Row, answer: Json) -> int:
    return sum(
        value is not None and answer.get(object_type.fields[name].read or "") == value
        for name, value in row.values.items()
    )


def _by_key(
    object_type: ObjectType, rows: Sequence[Row], created: Sequence[Json], existing: Sequence[Json]
) -> dict[str, tuple[Match, Json]]:
    """Match key -> record in the answer, for all keys that rows may have."""
    by_key: dict[str, tuple[Match, Json]] = {}
    has_others = any(row.more_keys or not is_address(row.match_key or "") for row in rows)
    ids = [(name, object_type.fields[name].read or "") for name in object_type.crm_ids]
    for match, answers in ((Match.EXISTING, existing), (Match.CREATED, created)):
        for answer in answers:
            found_here = (match, answer)
            for position, address in enumerate(addresses(object_type, answer)):
                # A first address wins over the same address as an additional one of another record.
                if position == 0 or address not in by_key:
                    by_key[address] = found_here
            if has_others:
                for key in keys_of_record(object_type, answer):
                    if not is_address(key):
                        by_key[key] = found_here
                continue
            for name, read in ids:
                if answer.get(read):
                    by_key[f"{name}:{answer[read]}"] = found_here
    return by_key


def _other_keys(object_type: ObjectType, row: Row) -> Iterable[str]:
    yield from row.more_keys
    for name in object_type.crm_ids:
        value = row.values.get(name)
        if value:
            yield f"{name}:{value}"


def _with_hidden_keys(
    object_type: ObjectType, rows: Sequence[Row], created: Sequence[Json], *, alone: bool
) -> list[RowMatch]:
    """Pairs rows with created records whose answer does not show the rows' match keys.

    Apollo has just created these records for these rows. So any other key that only one row and one
    record share decides, then the name.

    Args:
        alone: Whether the request had only one row.
    """
    found: list[RowMatch] = []
    rows = [row for row in rows if row.match_key and not any(map(is_address, keys(row)))]
    if not rows or not created:
        return found
    left = {id(answer): answer for answer in created}
    for row in rows:
        own, name = every_key(row), _name(object_type, row.values)
        by_key = [a for a in left.values() if own.intersection(keys_of_record(object_type, a))]
        by_name = [a for a in left.values() if name and _name(object_type, a) == name]
        namesakes = sum(_name(object_type, other.values) == name for other in rows)
        if alone and len(left) == 1:
            by_key = list(left.values())
        fitting = by_key if by_key or namesakes > 1 else by_name
        if len(fitting) != 1:
            continue
        (answer,) = fitting
        hides = any(not shows_kind(object_type, answer, key) for key in keys(row))
        found.append(RowMatch(row, Match.CREATED if hides else Match.ALTERED, answer))
        del left[id(answer)]
    return found


def _all_created(
    object_type: ObjectType, rows: Sequence[Row], created: Sequence[Json]
) -> list[RowMatch] | None:
    """Pairs rows with created records by their first e-mail or domain, as is usually possible.

    Returns None unless every row and every record has its counterpart.
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
    return list(map(RowMatch, rows, repeat(Match.CREATED), found))


def _name(object_type: ObjectType, answer: Mapping[str, object]) -> str:
    if "name" in object_type.fields:
        return str(answer.get("name") or "").strip().casefold()
    parts = (answer.get("first_name"), answer.get("last_name"))
    return " ".join(str(part).strip() for part in parts if part).casefold()


def updated_at(answer: Json | None) -> str | None:
    """Apollo's time of a record's last change, if its answer shows it."""
    told = (answer or {}).get("updated_at")
    # The ledger keeps it, and PostgreSQL takes no NUL in a text.
    if isinstance(told, str) and len(told) <= _LONGEST_TIME and told.isprintable():
        return told
    return None


# --- why a row is rejected though Apollo answered its creation


def has_address(object_type: ObjectType, matched: RowMatch) -> bool:
    """Whether the answered record has the row's e-mail or domain, although no match key agrees."""
    address = address_of(object_type, matched.row)
    return address is not None and address in addresses(object_type, matched.answer or {})


def why_unmatched(object_type: ObjectType, matched: RowMatch) -> Rejection:
    """The rejection of a row that Apollo matched with another record, or did not answer."""
    answer_id = matched.answer.get("id") if matched.answer else None
    # "e-mail" instead of "e-mail address", since users may filter for the older sentences.
    other = called(object_type, matched.row.match_key).removesuffix(" address")
    if matched.match is Match.CONFLICT:
        same = called(object_type, None) if has_address(object_type, matched) else "name"
        return Rejection(
            Reason.IDENTITY_CONFLICT,
            f"Apollo takes it for {object_type.singular} {answer_id}, which has the same {same} "
            f"but another {other}; it was left alone. Merge or rename one of them in Apollo, or "
            "write that record by its id in mode update",
            status=200,
            endpoint=object_type.endpoints.create,
            attempts=1,
        )
    if matched.match is Match.ALTERED:
        detail = (
            f"not confirmed by Apollo: it created {object_type.singular} {answer_id} without this "
            f"{other}; look at that record in Apollo"
        )
    else:
        detail = "not confirmed by Apollo: no answered record names it, also when it was sent alone"
    return Rejection(
        Reason.NOT_CONFIRMED, detail, status=200, endpoint=object_type.endpoints.create, attempts=2
    )


def taken_by_another(object_type: ObjectType, matched: RowMatch) -> Rejection:
    """The rejection of a row that Apollo answered with the record of another row."""
    answer_id = (matched.answer or {}).get("id")
    return Rejection(
        Reason.NOT_CONFIRMED,
        f"not confirmed by Apollo: the answer gives it {object_type.singular} {answer_id}, which "
        "is another row's; look at that record in Apollo",
        status=200,
        endpoint=object_type.endpoints.create,
        attempts=1,
    )
