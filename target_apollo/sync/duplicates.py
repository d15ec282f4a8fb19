"""Finds duplicates: rows and accounts that share an e-mail or domain, domains that nobody owns.

A run looks at a flush at a time, which costs nothing; a dry run at the whole input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from target_apollo.model.objects import ObjectKind, ObjectType
from target_apollo.model.rows import Row, key_text
from target_apollo.model.suggestions import FREE_MAIL
from target_apollo.sync.counts import RunCounts
from target_apollo.sync.dry_run.seen_rows import SeenRows
from target_apollo.sync.plan import duplicates

SAME_EMAIL, SAME_DOMAIN = "same_email", "same_domain"
FREE_MAIL_DOMAIN, SEVERAL_ACCOUNTS = "free_mail_domain", "several_accounts"
_SHARED = {ObjectKind.CONTACTS: SAME_EMAIL, ObjectKind.ACCOUNTS: SAME_DOMAIN}


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
            kind = _SHARED[object_type.kind]
            self._counts.count_duplicates(stream, duplicates(rows), kind)
        else:
            shared = [(row.match_key, key_text(row.key)) for row in rows if row.match_key]
            self._seen.note(stream, object_type.kind, shared)
        if object_type.kind is ObjectKind.ACCOUNTS:
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
                self._counts.count_duplicates(stream, groups, _SHARED[kind])
        found = {domain: ids for several in several_accounts for domain, ids in several.items()}
        for domain, ids in sorted(found.items()):
            self._counts.count_duplicates(
                "accounts", [((domain,),)], SEVERAL_ACCOUNTS, apollo_ids=ids
            )
