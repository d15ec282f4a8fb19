"""What earlier runs left to say about the rows of a flush."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime

from target_apollo.model.outcomes import Outcome
from target_apollo.model.rows import Row


@dataclass(frozen=True)
class Strayed:
    """A create that was sent under another e-mail or domain than the row has now.

    Attributes:
        match_hash: Hash of what it was sent under.
        since: When the run began that sent it.
    """

    match_hash: str
    since: datetime


@dataclass(frozen=True)
class Memory:
    """Rows of a flush, sorted by what the ledger knows of them; all by the rows' numbers.

    Attributes:
        open: Rows to be written, with their Apollo id where it is known.
        settled: Rows that need no request, with outcome and Apollo id. Their links stay as they
            are.
        unfinished: Rows whose last write was sent and never confirmed, and when the run that sent
            them began.
        strayed: Those of them whose record may stand in Apollo under a former e-mail or domain.
        own: Rows that were rejected after they had made a record, which is to be completed.
        left_at: Apollo's `updated_at` of the row's record as the last write left it.
        same_match: Rows whose record was last given the e-mail or domain that they still have.
    """

    open: list[Row] = field(default_factory=list)
    settled: list[tuple[Row, Outcome, str | None]] = field(default_factory=list)
    unfinished: Mapping[int, datetime] = field(default_factory=dict)
    strayed: Mapping[int, Strayed] = field(default_factory=dict)
    own: AbstractSet[int] = frozenset()
    left_at: Mapping[int, str] = field(default_factory=dict)
    same_match: AbstractSet[int] = frozenset()
