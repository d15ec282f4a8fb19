"""Records that rows have made by tries whose answers were lost.

The ledger knows a create that was sent and never answered by the hash of what it was sent under. A
row that comes back with another e-mail or domain would make a second record; so the records that
Apollo has created since then are looked through for the hash.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from target_apollo.apollo import ApolloClient
from target_apollo.ledger import match_hash
from target_apollo.model.objects import Json, ObjectType
from target_apollo.model.rows import Mode
from target_apollo.model.values import moment
from target_apollo.sync.match import match_keys
from target_apollo.sync.recall import RowHistory
from target_apollo.sync.stream_links import StreamLinks

CLOCKS_DIFFER_BY = timedelta(minutes=5)
#: 10,000 records; who creates more between two runs has no row for each of them.
_MOST_PAGES = 100

_log = logging.getLogger(__name__)


def find_interrupted_creates(
    client: ApolloClient, object_type: ObjectType, histories: Mapping[int, RowHistory]
) -> dict[int, Json]:
    """The records that interrupted runs made of rows which have another e-mail or domain now.

    Rows that were sent under one address share a record. It goes to the first of them: if the
    others still have its address they meet the record there, and if they have left it, the record
    can't be theirs too. A warning says that the record may be older than those looked through.

    Args:
        histories: By number, in the order in which the rows are written.

    Returns:
        The records by the number of their row, as far as there are any.

    Raises:
        ApolloError: Apollo can't be asked, so that nobody knows.
    """
    numbers: dict[str, int] = {}
    sent_at: list[datetime] = []
    for number, history in histories.items():
        if history.sent_under is not None and history.sent_at is not None:
            numbers.setdefault(history.sent_under, number)
            sent_at.append(history.sent_at)
    if not numbers:
        return {}
    since = min(sent_at) - CLOCKS_DIFFER_BY
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


@dataclass(frozen=True)
class OwnRecordCheck:
    """Tells records that a row has made itself from those that were there before.

    Attributes:
        links: None without a ledger, which alone knows the records of other rows.
    """

    mode: Mode
    run_started: datetime
    links: StreamLinks | None

    def made(self, answer: Json, history: RowHistory, *, sent_before: bool = False) -> bool:
        """Whether a row meets a record that it made itself by a try whose answer was lost.

        Such a record lacks what bulk_create does not carry. One that was there before is older
        than the try.

        Args:
            sent_before: Whether an earlier request of this run may have made it.
        """
        if self.mode is Mode.INSERT and history.made_record:
            return not self.is_of_another_row(answer, history)
        since = history.sent_at
        if since is None and sent_before:
            since = self.run_started
        if since is None:
            return False
        created_at = moment(answer.get("created_at"))
        return (
            created_at is not None
            and created_at >= since - CLOCKS_DIFFER_BY
            and not self.is_of_another_row(answer, history)
        )

    def is_of_another_row(self, answer: Json, history: RowHistory) -> bool:
        """Whether the ledger knows a record as that of another source key."""
        if self.links is None:
            return False
        return self.links.is_of_another_row(str(answer["id"]), history.source_key)
