"""Finds records that a cut-off run made of rows whose e-mail or domain has changed since.

The ledger knows a create that was sent and never answered by the hash of what it was sent under. A
row that comes back with another address would make a second record; so the records that Apollo has
created since then are looked through for the hash.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta

from target_apollo.apollo import ApolloClient
from target_apollo.ledger import match_hash
from target_apollo.model.moments import moment
from target_apollo.model.objects import Json, ObjectKind, ObjectType
from target_apollo.sync.match import match_keys
from target_apollo.sync.memory import Strayed

CLOCKS_DIFFER_BY = timedelta(minutes=5)
#: 10,000 records; who creates more between two runs has no row for each of them.
_MOST_PAGES = 100

_log = logging.getLogger(__name__)


def find_strays(
    client: ApolloClient, target: ObjectType, strayed: Mapping[int, Strayed]
) -> dict[int, Json]:
    """The records of rows, by their numbers, as far as there are any.

    Rows that were sent under one address share a record. It goes to the first of them: if the
    others still have its address they meet the record there, and if they have left it, the record
    can't be theirs too. A warning says that the record may be older than those looked through.

    Args:
        strayed: By number, in the order in which the rows are written.

    Raises:
        ApolloError: Apollo can't be asked, so that nobody knows.
    """
    numbers: dict[str, int] = {}
    for number, stray in strayed.items():
        numbers.setdefault(stray.match_hash, number)
    if not numbers:
        return {}
    since = min(stray.since for stray in strayed.values()) - CLOCKS_DIFFER_BY
    contacts = target.kind is ObjectKind.CONTACTS
    newest: Callable[[int], list[Json]] = (
        client.newest_contacts if contacts else client.newest_accounts
    )
    found: dict[int, Json] = {}
    looked_through = 0
    for page in range(1, _MOST_PAGES + 1):
        records = newest(page)
        looked_through += len(records)
        for record in records:
            for key in match_keys(target, record):
                first = numbers.get(match_hash(key))
                if first is not None:
                    found[first] = record
        oldest = moment(records[-1].get("created_at")) if records else None
        if not records or len(found) == len(numbers) or (oldest is not None and oldest < since):
            break
    else:
        _log.warning(
            "Rows whose creation was cut off have another e-mail or domain now (%d of them), and "
            "their records are not among the newest %d %s, all made since %s UTC: the rows are "
            "written as new. Look for second records of them under the former address in Apollo.",
            len(numbers) - len(found),
            looked_through,
            target.kind.value,
            since.strftime("%Y-%m-%d %H:%M:%S"),
        )
    return found
