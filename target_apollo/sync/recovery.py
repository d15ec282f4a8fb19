"""Finds records that a cut-off run made of rows whose e-mail or domain has changed since.

The ledger knows a create that was sent and never answered by the hash of what it was sent under. A
row that comes back with another address would make a second record; so the records that Apollo has
created since then are looked through for the hash.

Which records the rows of a flush have made themselves, by tries whose answers were lost.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from target_apollo.apollo import ApolloClient
from target_apollo.ledger import match_hash
from target_apollo.model.objects import Json, ObjectType
from target_apollo.model.rows import Mode, Row
from target_apollo.model.values import moment
from target_apollo.sync.match import Matched, match_keys
from target_apollo.sync.recall import Memory, Strayed

CLOCKS_DIFFER_BY = timedelta(minutes=5)
#: 10,000 records; who creates more between two runs has no row for each of them.
_MOST_PAGES = 100

_log = logging.getLogger(__name__)


def find_strays(
    client: ApolloClient, object_type: ObjectType, strayed: Mapping[int, Strayed]
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
    found: dict[int, Json] = {}
    looked_through = 0
    for page in range(1, _MOST_PAGES + 1):
        records = client.newest(object_type.endpoints, page)
        looked_through += len(records)
        for record in records:
            for key in match_keys(object_type, record):
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
            object_type.kind.value,
            since.strftime("%Y-%m-%d %H:%M:%S"),
        )
    return found


class OwnRecords:
    """What earlier tries have left of the rows of one stream, flush by flush.

    Attributes:
        is_anothers: Whether an Apollo id is known as that of another source key.
        memory: What earlier runs left to say about the rows of the flush.
        strays: By number, records that earlier runs made of rows under another match key.
    """

    def __init__(
        self, mode: Mode, run_started: datetime, is_anothers: Callable[[Row, str], bool]
    ) -> None:
        self._mode = mode
        self._run_started = run_started
        self.is_anothers = is_anothers
        self.memory = Memory()
        self.strays: Mapping[int, Json] = {}

    def begin(self, memory: Memory, strays: Mapping[int, Json]) -> None:
        """Turns to the rows of the next flush."""
        self.memory = memory
        self.strays = strays

    def was_made_by(self, matched: Matched, answer: Json) -> bool:
        """Whether a row finds a record that it made itself by a try whose answer was lost.

        Such a record lacks what bulk_create does not carry. One that was there before is older
        than the try.
        """
        if self._mode is Mode.INSERT and matched.row.number in self.memory.own:
            return not self.is_anothers(matched.row, str(answer["id"]))
        since = self.memory.unfinished.get(matched.row.number)
        if since is None and matched.sent_before:
            since = self._run_started
        if since is None:
            return False
        created_at = moment(answer.get("created_at"))
        return (
            created_at is not None
            and created_at >= since - CLOCKS_DIFFER_BY
            and not self.is_anothers(matched.row, str(answer["id"]))
        )
