"""Rows with the same source key in one batch become one row. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace as with_values

from target_apollo.model.match_keys import keys_of_row
from target_apollo.model.objects.registry import ObjectType
from target_apollo.model.rows import Row
from target_apollo.sync.identity.names import compare_names
from target_apollo.sync.identity.verdicts import Name
from target_apollo.sync.records.plan import record_keys


def collapse(
    object_type: ObjectType, rows: Iterable[Row], match_on: Sequence[str] = ()
) -> list[Row]:
    """Merges rows with the same source key into one, with the result of writing them in order.

    A later row's values win; fields that only the earlier row has are kept, unless the key was
    given to somebody else, whose row replaces the earlier one. Two rows are not merged
    if a row with another key writes to the same Apollo record between them, since the merged row
    would be written too early or too late.

    Args:
        match_on: Kinds of keys by which rows are recognised; empty for the e-mail or domain alone.
    """
    found: dict[int, Row] = {}
    latest: dict[tuple[object, ...], Row] = {}
    writers: dict[str, tuple[object, ...]] = {}
    for row in rows:
        before = latest.get(row.key)
        if before is not None:
            merged = _merged(object_type, before, row, match_on)
            shared = set(record_keys(before)).intersection(record_keys(merged))
            if all(writers[identity] == row.key for identity in shared):
                del found[before.number]
                row = merged
        found[row.number] = latest[row.key] = row
        for identity in record_keys(row):
            writers[identity] = row.key
    return list(found.values())


def _is_somebody_else(object_type: ObjectType, before: Row, after: Row) -> bool:
    """Whether a key means another person: neither address nor name is that of the earlier row.

    A company that changes its domain often changes its name with it.
    """
    if object_type.is_matched_by_domain or before.match_key == after.match_key:
        return False
    if not before.match_key or not after.match_key:
        return False
    if before.apollo_id and before.apollo_id == after.apollo_id:
        return False
    return compare_names(object_type, after, {**before.values}) is Name.OTHER


def _merged(object_type: ObjectType, before: Row, after: Row, match_on: Sequence[str]) -> Row:
    is_back = before.deleted and not after.deleted
    if is_back or _is_somebody_else(object_type, before, after):
        # The stage or lists of a deletion are dropped, and so are another person's values.
        return with_values(after, supersedes=before.numbers)
    if after.deleted:
        # The row's values from before its deletion are dropped: policies may protect their fields.
        return with_values(
            after,
            match_key=after.match_key or before.match_key,
            more_keys=after.more_keys if after.match_key else before.more_keys,
            apollo_id=after.apollo_id or before.apollo_id,
            supersedes=before.numbers,
        )
    values, names = {**before.values, **after.values}, {**before.names, **after.names}
    for name in before.names.keys() & after.values.keys():
        del names[name]
    for name in after.names.keys() & before.values.keys():
        del values[name]
    custom = {**before.custom, **after.custom}
    match_key, more_keys = after.match_key or before.match_key, after.more_keys
    if match_on and (found := keys_of_row(match_on, values, custom)):
        match_key, more_keys = found[0], found[1:]
    return with_values(
        after,
        match_key=match_key,
        more_keys=more_keys,
        values=values,
        names=names,
        custom=custom,
        lists=tuple(dict.fromkeys((*before.lists, *after.lists))),
        apollo_id=after.apollo_id or before.apollo_id,
        supersedes=before.numbers,
    )
