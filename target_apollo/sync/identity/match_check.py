"""Checks whether rows may be written to the records that bulk_create matched with them.

Apollo recognises a record by CRM ids before the address, and by additional addresses as well as the
first one. So a row may fit two records, or the record of another row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from target_apollo.apollo import ApolloError
from target_apollo.ledger import Link
from target_apollo.model.match_keys import addresses, by_address
from target_apollo.model.objects.registry import ObjectType
from target_apollo.model.outcomes import Rejection
from target_apollo.model.rows import Row
from target_apollo.sync.batch import Batch
from target_apollo.sync.creates.match import RowMatch
from target_apollo.sync.identity.finder import FoundRecords
from target_apollo.sync.identity.names import compare_names
from target_apollo.sync.identity.verdicts import (
    Address,
    Evidence,
    Holder,
    LinkedRecord,
    Name,
    Verdict,
    conflict,
    unasked,
    verdict_of,
)
from target_apollo.sync.links.addresses import first_hashes, hashes, keeps_address
from target_apollo.sync.links.stream_links import StreamLinks


class Finder(Protocol):
    """Finds records by keys, as `RecordFinder` does by searches."""

    def find(self, rows: Sequence[Row]) -> FoundRecords:
        """The records that have the rows' match keys."""


@dataclass
class CheckedMatches:
    """The result of the check.

    Attributes:
        conflicts: Row number -> why the row may not be written to the record that it matched.
        unchecked: Numbers of rows that could not be checked; they get no outcome.
        failure: The error that prevented their check, and ends the run.
    """

    conflicts: dict[int, Rejection] = field(default_factory=dict)
    unchecked: set[int] = field(default_factory=set)
    failure: ApolloError | None = None


@dataclass(frozen=True)
class MatchCheck:
    """Checks the matches of one stream.

    Attributes:
        links: None without a ledger; records of other rows are then unknown.
    """

    object_type: ObjectType
    links: StreamLinks | None
    finder: Finder

    def check(self, batch: Batch, matched: Sequence[RowMatch]) -> CheckedMatches:
        """Checks rows with existing records that are about to be compared and updated.

        A search costs a request for each row that Apollo recognised by another key than its
        address; the others cost none.

        Raises:
            LedgerError: The ledger can't be read.
        """
        checked = CheckedMatches()
        owners = self._owners(matched)
        by_other_keys: dict[int, Row] = {}
        for one in matched:
            answer, row = one.answer or {}, one.row
            if self._is_of_another_row(batch, one, owners.get(str(answer.get("id")), ())):
                self._judge(checked, one, Holder.TAKEN, ())
                continue
            # A record with the row's address would get a duplicate, also if `match_on` does not
            # name the address.
            asked = by_address(self.object_type, row)
            held = addresses(self.object_type, answer)
            if asked and asked.match_key not in held:
                by_other_keys[row.number] = asked
            elif asked and held[0] != asked.match_key:
                name = compare_names(self.object_type, row, answer)
                self._judge(checked, one, Holder.LINKED, (), name)
        found = self.finder.find(list(by_other_keys.values()))
        checked.failure = found.failure
        for one in matched:
            if one.row.number not in by_other_keys:
                continue
            record_id = str((one.answer or {}).get("id"))
            ids = found.ids.get(one.row.number)
            if ids is None and found.forbidden is not None:
                checked.conflicts[one.row.number] = unasked(
                    self.object_type, record_id, found.forbidden
                )
            elif ids is None:
                checked.unchecked.add(one.row.number)
            elif not ids or record_id in ids:
                self._judge(checked, one, Holder.LINKED if ids else Holder.NOBODY, ())
            else:
                holder = Holder.FREE if len(ids) == 1 else Holder.SEVERAL
                self._judge(checked, one, holder, ids)
        return checked

    def _owners(self, matched: Sequence[RowMatch]) -> Mapping[str, Sequence[Link]]:
        if self.links is None or not matched:
            return {}
        return self.links.of_records(str((one.answer or {}).get("id")) for one in matched)

    def _is_of_another_row(self, batch: Batch, one: RowMatch, owners: Sequence[Link]) -> bool:
        """Whether the ledger links the record to another row with another address."""
        if self.links is None:
            return False
        rows = self.links.rows_of(batch.rows_by_key)
        own = first_hashes(one.row)
        return any(
            owner.address_of_row is not None
            and owner.address_of_row not in own
            and owner.address_of_row not in hashes(one.row)
            # A row of the batch may have left the address that its link has.
            and (owner.row not in rows or keeps_address(owner, rows))
            for owner in owners
        )

    def _judge(
        self,
        checked: CheckedMatches,
        one: RowMatch,
        holder: Holder,
        others: Sequence[str],
        name: Name = Name.UNKNOWN,
    ) -> None:
        evidence = Evidence(LinkedRecord.MATCHED, Address.OTHER, holder, name)
        if verdict_of(evidence) is not Verdict.SAME:
            record_id = str((one.answer or {}).get("id"))
            checked.conflicts[one.row.number] = conflict(
                self.object_type, evidence, record_id, others
            )
