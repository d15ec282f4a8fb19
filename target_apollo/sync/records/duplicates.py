"""Rows that share a source key, an Apollo record or a match key.

Rows with the same source key become one row. Rows with the same record are written one after
another. The summary lists rows that share a match key, accounts with a free mail domain, and
domains with several accounts. A run compares the rows of each flush, a dry run those of all input.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter

from msgspec.structs import replace as with_values

from target_apollo.model.match_keys import CUSTOM, keys, keys_of_row, kind_of
from target_apollo.model.objects.registry import OBJECTS, ObjectType
from target_apollo.model.rows import Row, key_text
from target_apollo.model.texts.domains import FREE_MAIL
from target_apollo.sync.counts import RunCounts
from target_apollo.sync.dry_run.known_records import SeenRows
from target_apollo.sync.identity.names import compare_names
from target_apollo.sync.identity.verdicts import Name

FREE_MAIL_DOMAIN, SEVERAL_ACCOUNTS = "free_mail_domain", "several_accounts"


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
    rows = list(rows)
    if len({row.key for row in rows}) == len(rows):
        return rows
    found: dict[int, Row] = {}
    latest: dict[tuple[object, ...], Row] = {}
    writers: dict[str, tuple[object, ...]] = {}
    for row in rows:
        before = latest.get(row.key)
        if before is not None:
            merged = _merged(object_type, before, row, match_on)
            shared = set(_identities(before)).intersection(_identities(merged))
            if all(writers[identity] == row.key for identity in shared):
                del found[before.number]
                row = merged
        found[row.number] = latest[row.key] = row
        for identity in _identities(row):
            writers[identity] = row.key
    return list(found.values())


def _identities(row: Row) -> list[str]:
    return [identity for identity in (row.apollo_id, row.match_key, *row.more_keys) if identity]


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


def waves(object_type: ObjectType, rows: Sequence[Row]) -> list[list[Row]]:
    """Splits rows into waves in which no Apollo record can occur twice; they are written in order.

    Rows that share a match key, an Apollo id or a CRM id have the same record. They are written in
    the order in which they came, so that the last one wins.
    """
    if _share_no_record(object_type, rows):
        return [list(rows)] if rows else []
    groups: list[list[Row]] = []
    next_wave: dict[object, int] = {}
    for row in rows:
        identities = _record_identities(object_type, row)
        place = max([next_wave.get(identity, 0) for identity in identities])
        for identity in identities:
            next_wave[identity] = place + 1
        if place == len(groups):
            groups.append([])
        groups[place].append(row)
    return groups


def _record_identities(object_type: ObjectType, row: Row) -> list[object]:
    """Rows of one record have one of these in common."""
    values = row.values
    crm_ids = [(name, values[name]) for name in object_type.crm_ids if values.get(name)]
    return [row.key, *_identities(row), *crm_ids]


def age(row: Row) -> int:
    """The number of the oldest record that gets its outcome with a row."""
    return row.numbers[0]


def oldest_first(object_type: ObjectType, rows: Sequence[Row]) -> list[Row]:
    """Rows by their age; those that can have the same record keep their order."""
    ages: list[tuple[int, Row]] = []
    latest: dict[object, int] = {}
    for row in rows:
        identities = _record_identities(object_type, row)
        own = max([age(row), *(latest.get(identity, 0) for identity in identities)])
        latest.update(dict.fromkeys(identities, own))
        ages.append((own, row))
    return [row for _, row in sorted(ages, key=itemgetter(0))]


def _share_no_record(object_type: ObjectType, rows: Sequence[Row]) -> bool:
    """Whether no two rows can have the same record.

    This is true for most flushes, and takes a seventh of the time of splitting them into waves.
    """
    shared_by_none: list[list[object]] = [
        [row.key for row in rows],
        [key for row in rows for key in keys(row)]
        if any(row.more_keys for row in rows)
        else [row.match_key for row in rows if row.match_key],
        [row.apollo_id for row in rows if row.apollo_id],
    ]
    shared_by_none += [
        [value for row in rows if (value := row.values.get(name))] for name in object_type.crm_ids
    ]
    return all(len(set(values)) == len(values) for values in shared_by_none)


def duplicates(rows: Iterable[Row]) -> dict[str, tuple[tuple[object, ...], ...]]:
    """Match key -> source keys, for rows that share their first match key."""
    rows = list(rows)
    match_keys = [row.match_key for row in rows if row.match_key]
    if len(set(match_keys)) == len(match_keys):
        return {}
    found: dict[str, dict[tuple[object, ...], None]] = defaultdict(dict)
    for row in rows:
        if row.match_key:
            found[row.match_key][row.key] = None
    return {match_key: tuple(held) for match_key, held in found.items() if len(held) > 1}


def shared_by(object_type: ObjectType, match_key: str) -> str:
    """The name in the summary for rows that share a match key, such as "same_email"."""
    kind = kind_of(object_type, match_key)
    return "same_custom_field" if kind.startswith(CUSTOM) else f"same_{kind}"


class DuplicateAudit:
    """Finds the duplicates of one run, for the summary.

    Args:
        seen: Stores the rows of a dry run; None if only the rows of a flush are compared.
    """

    def __init__(self, counts: RunCounts, seen: SeenRows | None) -> None:
        self._counts = counts
        self._seen = seen

    def note(self, stream: str, object_type: ObjectType, rows: Sequence[Row]) -> None:
        """Counts the duplicates among the rows of a flush, or stores the rows."""
        if self._seen is None:
            by_kind: dict[str, list[tuple[tuple[object, ...], ...]]] = defaultdict(list)
            for match_key, group in duplicates(rows).items():
                by_kind[shared_by(object_type, match_key)].append(group)
            for kind, groups in by_kind.items():
                self._counts.count_duplicates(stream, groups, kind)
        else:
            shared = [(row.match_key, key_text(row.key)) for row in rows if row.match_key]
            self._seen.note(stream, object_type.kind, shared)
        if object_type.is_matched_by_domain:
            free = [(row.key,) for row in rows if row.match_key in FREE_MAIL]
            self._counts.count_duplicates(stream, free, FREE_MAIL_DOMAIN)

    def finish(self, *several_accounts: Mapping[str, Sequence[str]]) -> None:
        """Counts the duplicates that are known only at the end of the run.

        Args:
            several_accounts: Domain -> Apollo ids of the accounts that share it.
        """
        if self._seen is not None:
            for stream, kind, match_key, source_keys in self._seen.shared():
                shared = [[(key,) for key in source_keys]]
                why = shared_by(OBJECTS[kind], match_key)
                self._counts.count_duplicates(stream, shared, why)
        found = {domain: ids for several in several_accounts for domain, ids in several.items()}
        for domain, ids in sorted(found.items()):
            self._counts.count_duplicates(
                "accounts", [((domain,),)], SEVERAL_ACCOUNTS, apollo_ids=ids
            )
