"""Finds records that were created for rows by requests whose answers were lost.

For a create without an answer the ledger has the hash of the match key that was sent. If the row
now has another e-mail or domain, it would create a second record. So the records that Apollo has
created since then are searched for that hash.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from target_apollo.apollo import AnotherRecord, ApolloClient, RequestRefused
from target_apollo.ledger import match_hash
from target_apollo.model.match_keys import keys_of_record
from target_apollo.model.objects.registry import Json, ObjectType
from target_apollo.model.rows import Mode, Row
from target_apollo.model.times import moment
from target_apollo.sync.identity.names import compare_names
from target_apollo.sync.identity.verdicts import Name
from target_apollo.sync.links.addresses import first_hashes
from target_apollo.sync.links.recall import RowHistory
from target_apollo.sync.links.stream_links import StreamLinks
from target_apollo.sync.run import SyncRun

CLOCKS_DIFFER_BY = timedelta(minutes=5)
#: The newest 10,000 records are searched.
_MOST_PAGES = 100

_log = logging.getLogger(__name__)


def find_interrupted_creates(
    client: ApolloClient,
    object_type: ObjectType,
    rows: Iterable[Row],
    histories: Mapping[int, RowHistory],
) -> dict[int, Json]:
    """Finds the records that interrupted runs created for rows with a former e-mail or domain.

    If another row of the batch now has that address, the record belongs to the other row, which
    will find it by the address. This happens where keys shift. A record with another name than the
    row's does not belong to the row either.

    Several rows that were sent with one address share a record. It belongs to the first of them: a
    row that still has the address will find it by the address, and it can't belong to two others. A
    warning is logged if the search ends before it has read all records that are new enough.

    Args:
        rows: All rows of the batch.
        histories: Row number -> history, in the order in which the rows are written.

    Returns:
        Row number -> record, for the records that were found.

    Raises:
        ApolloError: Apollo could not be asked.
    """
    by_number = {row.number: row for row in rows}
    carried = {one for row in by_number.values() for one in first_hashes(row)}
    numbers: dict[str, int] = {}
    sent_at: list[datetime] = []
    for number, history in histories.items():
        if history.sent_under in carried:
            continue
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
            for key in keys_of_record(object_type, record):
                first = numbers.get(match_hash(key))
                if first is not None and _may_be_of(object_type, by_number.get(first), record):
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


def _may_be_of(object_type: ObjectType, row: Row | None, record: Json) -> bool:
    return row is not None and compare_names(object_type, row, record) is not Name.OTHER


def read_own_records(
    run: SyncRun,
    object_type: ObjectType,
    rows: Sequence[Row],
    histories: Mapping[int, RowHistory],
) -> dict[int, Json | AnotherRecord]:
    """Row number -> record, for rows that were rejected after their record was created.

    Apollo may have stored such a record without its address, so it can't be found by the address.
    Records that are gone are left out: their rows are created again.

    Raises:
        ApolloError: The run can't go on.
    """
    made = {
        row.number: link.apollo_id
        for row in rows
        if (history := histories.get(row.number)) is not None
        and history.made_record
        and not history.has_other_address
        and (link := history.link) is not None
        and link.apollo_id is not None
    }
    answers = run.read(object_type, list(made.values()))
    return {
        number: answer
        for number, answer in zip(made, answers, strict=True)
        if not isinstance(answer, RequestRefused)
    }


@dataclass(frozen=True)
class OwnRecordCheck:
    """Decides whether a record was created for a row or was in Apollo before.

    Attributes:
        links: None without a ledger; records of other rows are then unknown.
    """

    mode: Mode
    run_started: datetime
    links: StreamLinks | None

    def made(self, answer: Json, history: RowHistory, *, sent_before: bool = False) -> bool:
        """Whether a record was created for this row by an earlier request without an answer.

        Such a record still lacks the values that bulk_create does not take. A record that was in
        Apollo before is older than the request.

        Args:
            sent_before: Whether an earlier request of this run may have created it.
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
        """Whether the ledger links a record to another source key."""
        if self.links is None:
            return False
        return self.links.reader.is_of_another_row(str(answer["id"]), history.source_key)
