"""The records that a sink writes at once, until each of them has its outcome. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from target_apollo.apollo import MAX_BULK
from target_apollo.model.outcomes import Outcome, Rejection
from target_apollo.model.rows import Row
from target_apollo.sync.received import Received


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
