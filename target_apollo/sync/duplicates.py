"""Rows that are about one thing: of one source key, of one Apollo record, with one match key.

Rows of a source key become one row, and rows of a record are written one after another. Rows that
share an e-mail or domain are told in the summary, and so are domains that no company owns or that
several accounts have: a run looks at a flush at a time, which costs nothing; a dry run at the
whole input.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace as with_values

from target_apollo.model.objects import OBJECTS, ObjectType
from target_apollo.model.rows import Row, key_text
from target_apollo.model.suggestions import FREE_MAIL
from target_apollo.sync.counts import RunCounts
from target_apollo.sync.dry_run.seen_rows import SeenRows

FREE_MAIL_DOMAIN, SEVERAL_ACCOUNTS = "free_mail_domain", "several_accounts"


def collapse(rows: Iterable[Row]) -> list[Row]:
    """One row for the rows of a source key, holding what one-by-one writing would leave behind.

    A later row's values win; a field that only the earlier row carries is kept, because writing
    the later one alone would not have touched it. Rows between which another key writes the same
    Apollo record stay apart, since it would be written too early or too late otherwise.
    """
    rows = list(rows)
    if len({row.key for row in rows}) == len(rows):
        # No two share a source key, which is the rule: nothing to look for.
        return rows
    found: dict[int, Row] = {}
    latest: dict[tuple[object, ...], Row] = {}
    writers: dict[str, tuple[object, ...]] = {}
    for row in rows:
        before = latest.get(row.key)
        if before is not None:
            merged = _merged(before, row)
            shared = set(_identities(before)).intersection(_identities(merged))
            if all(writers[identity] == row.key for identity in shared):
                del found[before.number]
                row = merged
        found[row.number] = latest[row.key] = row
        for identity in _identities(row):
            writers[identity] = row.key
    return list(found.values())


def _identities(row: Row) -> list[str]:
    return [identity for identity in (row.apollo_id, row.match_key) if identity]


def _merged(before: Row, after: Row) -> Row:
    if before.deleted and not after.deleted:
        # What it was moved to for its deletion is over.
        return with_values(after, supersedes=before.numbers)
    if after.deleted:
        # What a row held before its deletion is written no more, past what policies protect.
        return with_values(
            after,
            match_key=after.match_key or before.match_key,
            apollo_id=after.apollo_id or before.apollo_id,
            supersedes=before.numbers,
        )
    values, names = {**before.values, **after.values}, {**before.names, **after.names}
    for name in before.names.keys() & after.values.keys():
        del names[name]
    for name in after.names.keys() & before.values.keys():
        del values[name]
    return with_values(
        after,
        match_key=after.match_key or before.match_key,
        values=values,
        names=names,
        custom={**before.custom, **after.custom},
        lists=tuple(dict.fromkeys((*before.lists, *after.lists))),
        apollo_id=after.apollo_id or before.apollo_id,
        supersedes=before.numbers,
    )


def waves(object_type: ObjectType, rows: Sequence[Row]) -> list[list[Row]]:
    """Rows in groups in which no Apollo record can occur twice, to be written one after another.

    Rows with one match key, Apollo id or CRM id by which Apollo recognises records describe the
    same record: they are applied in the order in which they came, so that the last one wins.
    """
    if _stand_apart(object_type, rows):
        return [list(rows)] if rows else []
    groups: list[list[Row]] = []
    next_wave: dict[object, int] = {}
    for row in rows:
        identities: list[object] = [row.key, *_identities(row)]
        values = row.values
        identities += [(name, values[name]) for name in object_type.crm_ids if values.get(name)]
        place = max([next_wave.get(identity, 0) for identity in identities])
        for identity in identities:
            next_wave[identity] = place + 1
        if place == len(groups):
            groups.append([])
        groups[place].append(row)
    return groups


def _stand_apart(object_type: ObjectType, rows: Sequence[Row]) -> bool:
    """Whether no two rows share anything that may make them one record.

    That is so of most flushes; finding it takes a seventh of the time of sorting them into waves.
    """
    shared_by_none: list[list[object]] = [
        [row.key for row in rows],
        [row.match_key for row in rows if row.match_key],
        [row.apollo_id for row in rows if row.apollo_id],
    ]
    shared_by_none += [
        [value for row in rows if (value := row.values.get(name))] for name in object_type.crm_ids
    ]
    return all(len(set(values)) == len(values) for values in shared_by_none)


def duplicates(rows: Iterable[Row]) -> list[tuple[tuple[object, ...], ...]]:
    """Source keys that share one match key, a tuple for each such match key."""
    rows = list(rows)
    match_keys = [row.match_key for row in rows if row.match_key]
    if len(set(match_keys)) == len(match_keys):
        return []
    keys: dict[str, dict[tuple[object, ...], None]] = defaultdict(dict)
    for row in rows:
        if row.match_key:
            keys[row.match_key][row.key] = None
    return [tuple(found) for found in keys.values() if len(found) > 1]


def shared_by(object_type: ObjectType) -> str:
    """What rows with one match key are called in the summary: "same_email", "same_domain"."""
    return f"same_{object_type.match_field}"


class DuplicateAudit:
    """The audit of one run.

    Args:
        seen: Remembers all rows of a dry run; None where a flush at a time is looked at.
    """

    def __init__(self, counts: RunCounts, seen: SeenRows | None) -> None:
        self._counts = counts
        self._seen = seen

    def note(self, stream: str, object_type: ObjectType, rows: Sequence[Row]) -> None:
        """Looks at the rows of a flush."""
        if self._seen is None:
            found = duplicates(rows)
            if found:
                self._counts.count_duplicates(stream, found, shared_by(object_type))
        else:
            shared = [(row.match_key, key_text(row.key)) for row in rows if row.match_key]
            self._seen.note(stream, object_type.kind, shared)
        if object_type.is_matched_by_domain:
            free = [(row.key,) for row in rows if row.match_key in FREE_MAIL]
            self._counts.count_duplicates(stream, free, FREE_MAIL_DOMAIN)

    def finish(self, *several_accounts: Mapping[str, Sequence[str]]) -> None:
        """Adds what is known at the end only.

        Args:
            several_accounts: Domains and the Apollo ids of the accounts that share them.
        """
        if self._seen is not None:
            for stream, kind, keys in self._seen.shared():
                groups = [[(key,) for key in keys]]
                self._counts.count_duplicates(stream, groups, shared_by(OBJECTS[kind]))
        found = {domain: ids for several in several_accounts for domain, ids in several.items()}
        for domain, ids in sorted(found.items()):
            self._counts.count_duplicates(
                "accounts", [((domain,),)], SEVERAL_ACCOUNTS, apollo_ids=ids
            )
