"""Gives each row its outcome, by what Apollo answered on its record or why it refused it.

A record as it came in.

The records that a sink writes at once, until each of them has its outcome. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from target_apollo.apollo import MAX_BULK, RequestRefused
from target_apollo.model.objects import Json, ObjectType
from target_apollo.model.outcomes import Outcome, Reason, Rejection
from target_apollo.model.rows import Mode, Row, key_text
from target_apollo.sync.refusals import is_gone, rejection
from target_apollo.sync.rejects_file import Former
from target_apollo.sync.update_plan import Update

Settle = Callable[[Row, Outcome, "str | None", "Rejection | None", "str | None"], None]
#: A row that made a record, the record's Apollo id, and Apollo's `updated_at` of it.
Made = tuple[Row, str, "str | None"]


@dataclass(frozen=True)
class Settling:
    """Gives the rows of one stream their outcomes.

    Attributes:
        settle: Called once for each row with outcome, Apollo id, why where it is rejected, and
            Apollo's `updated_at` of the record where its answer told.
        settle_created: Called instead for rows that made a record, with those of a request.
        note_unwritable: Told the names of fields that can't be written to an existing record.
    """

    object_type: ObjectType
    mode: Mode
    settle: Settle
    settle_created: Callable[[Sequence[Made]], None]
    note_unwritable: Callable[[Sequence[str]], None]

    def finish(self, update: Update, answer: Json | None) -> None:
        """Settles the row of an update whose parts are all carried out.

        Args:
            answer: What Apollo answered on the record, if something was sent.
        """
        if update.refused is not None:
            self.reject_record(update.row, update.apollo_id, update.refused)
            return
        outcome = update.outcome
        if not update.changes and outcome is Outcome.UPDATED:
            outcome = Outcome.UNCHANGED
        if update.changes.unwritable:
            self.note_unwritable(update.changes.unwritable)
        # A row older than its record stays so: this write has not made their times the same.
        when = None if update.is_older else updated_at(answer)
        self.settle(update.row, outcome, update.apollo_id, None, when)

    def leave(self, row: Row, outcome: Outcome, answer: Json) -> None:
        """Settles a row whose record, as Apollo answered it, needs nothing more."""
        self.settle(row, outcome, str(answer.get("id")), None, updated_at(answer))

    def skip(self, row: Row) -> None:
        """Settles a deleted row that there is no record to be moved of."""
        self.settle(row, Outcome.SKIPPED, None, None, None)

    def reject(self, row: Row, why: Rejection) -> None:
        """Rejects a row of which no record is known."""
        self.settle(row, Outcome.REJECTED, None, why, None)

    def reject_record(self, row: Row, apollo_id: str, why: Rejection) -> None:
        """Rejects a row that was to be written to a record."""
        # The record stays the row's own, or a changed e-mail would make a second one.
        is_there = why.reason not in (Reason.GONE, Reason.DELETED)
        self.settle(row, Outcome.REJECTED, apollo_id if is_there else None, why, None)

    def take_refusal(
        self, row: Row, apollo_id: str, refusal: RequestRefused, gone: list[Row]
    ) -> None:
        """Settles a row whose record Apollo refused.

        Args:
            gone: Gets the row instead if the record is gone and may be created again.
        """
        can_recreate = (
            self.mode is Mode.UPSERT
            and row.match_key is not None
            and row.apollo_id is not None
            and not row.deleted
            and not refusal.deleted_ids
            and is_gone(apollo_id, refusal)
        )
        if row.deleted and (refusal.deleted_ids or is_gone(apollo_id, refusal)):
            self.skip(row)
        elif can_recreate:
            gone.append(row)
        else:
            self.reject_record(row, apollo_id, rejection(self.object_type, apollo_id, refusal))


def updated_at(answer: Json | None) -> str | None:
    """Apollo's time of a record's last change, where its answer tells."""
    told = (answer or {}).get("updated_at")
    return told if isinstance(told, str) else None


class Received(msgspec.Struct, frozen=True):
    """A record as it came in, kept until it has its outcome.

    Attributes:
        stream: The stream as the tap calls it, before stream maps.
        record: The record before stream maps; what the rejects file holds.
        former: What an earlier run said of it, where it was rejected before.
        length: Bytes of its line, of which what it takes in memory is a multiple.
        deleted: Whether the tap marks its row as deleted.
    """

    number: int
    stream: str
    record: Mapping[str, Any]
    schema: Mapping[str, Any] | None
    key_properties: tuple[str, ...]
    former: Former | None = None
    length: int = 0
    deleted: bool = False

    @property
    def key(self) -> str:
        """The source key as it may be logged."""
        return key_text([self.record.get(name) for name in self.key_properties]) or "(no key)"


@dataclass
class Flush:
    """The records of a flush.

    Attributes:
        open: Those that have no outcome yet, by number.
        done: Those that were not rejected, by outcome; counted at its end.
        unreadable: Keys of those that were rejected as they were read.
    """

    open: dict[int, Received]
    done: dict[Outcome, list[Received]] = field(default_factory=lambda: defaultdict(list))
    unreadable: list[tuple[list[object], Rejection]] = field(default_factory=list)

    def settle(self, row: Row, outcome: Outcome) -> None:
        """Gives a row's records their outcome: earlier ones of its source key were skipped."""
        for number in row.supersedes:
            self.done[Outcome.SKIPPED].append(self.open.pop(number))
        self.done[outcome].append(self.open.pop(row.number))


def flush_size(batch_size: int, parallel_requests: int) -> int:
    """Records per flush: all parallel requests are busy, four times over where they are full ones.

    A flush ends with writes of the ledger that wait for the disk, so few large ones are faster.
    Whoever asks for smaller requests than Apollo takes gets STATE in smaller steps, too.
    """
    rounds = 4 if batch_size >= MAX_BULK else 1
    return batch_size * parallel_requests * rounds
