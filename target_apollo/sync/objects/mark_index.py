"""Finds the records of rows by the marks that they carry: what deals and tasks have in common.

Each record that is made for a row carries a mark: a deal in a custom field, a task in its note.
Apollo has no filter by either, so a pass reads all records, a hundred a request. The ledger keeps
the ids by their marks, and how far a pass has come: a later run goes on there, or needs no pass.
"""

from __future__ import annotations

import abc
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta, timezone

from target_apollo.ledger import Walk, match_hash
from target_apollo.model.objects.registry import Json
from target_apollo.sync.run import SyncRun

#: A search may not show a record at once. A pass for rows whose answer was lost begins this long
#: after the start of the run, and so after the run that lost it.
SHOWN_AFTER = timedelta(seconds=10)


class MarkIndex(abc.ABC):
    """The records of one object by their marks; for one thread, for the length of a run."""

    def __init__(self, run: SyncRun) -> None:
        self._run = run
        #: Mark -> ids of the records that have it, of those that this run has read or made.
        self._ids: dict[str, list[str]] = {}
        #: Records with a mark by id, as this run last saw them.
        self._records: dict[str, Json] = {}

    @property
    @abc.abstractmethod
    def _place(self) -> str:
        """The name under which the ledger keeps the marks and the pass."""

    @property
    def _trusts_ledger(self) -> bool:
        return not self._run.settings.full_resync

    def record(self, apollo_id: str) -> Json | None:
        """A record as this run last saw it; None if it has not."""
        return self._records.get(apollo_id)

    def _known_ids(self, marks: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Mark -> ids, by what this run has read, else by the ledger; without unknown marks."""
        found = {mark: tuple(self._ids[mark]) for mark in marks if mark in self._ids}
        hashes = {match_hash(mark): mark for mark in marks if mark not in found}
        if self._run.ledger is not None and self._trusts_ledger and hashes:
            kept = self._run.ledger.company_ids(self._place, list(hashes))
            found |= {hashes[hashed]: tuple(ids.split()) for hashed, ids in kept.items()}
        return found

    def _note_id(self, mark: str, apollo_id: str) -> None:
        """Notes that a record has a mark."""
        ids = self._ids.setdefault(mark, [])
        if apollo_id not in ids:
            ids.append(apollo_id)

    def _save_ids(self, marks: Iterable[str]) -> None:
        """Keeps in the ledger which records have these marks.

        Raises:
            LedgerError: The ledger can't be written.
        """
        hashed = {match_hash(mark): " ".join(self._ids[mark]) for mark in marks}
        if self._run.ledger is not None and hashed:
            self._run.ledger.save_companies(self._place, hashed)

    def _kept_walk(self) -> Walk | None:
        """How far earlier runs have read; None where that is not known, or does not count.

        Raises:
            LedgerError: The ledger can't be read.
        """
        if self._run.ledger is None or not self._trusts_ledger:
            return None
        return self._run.ledger.walk(self._place)

    def _save_walk(self, walk: Walk) -> None:
        if self._run.ledger is not None:
            self._run.ledger.save_walk(self._place, walk)

    def _wait_until_shown(self) -> None:
        """Waits until a search shows what an earlier run made last."""
        passed = datetime.now(timezone.utc) - self._run.counts.started_at
        self._run.stop.wait(max(timedelta(), SHOWN_AFTER - passed).total_seconds())


def first_known(
    found: Mapping[str, tuple[str, ...]], marks: Iterable[str]
) -> tuple[str, tuple[str, ...]]:
    """The first of a row's marks that records have, and their ids; both are empty if none has.

    Args:
        found: As `find` gives it.
    """
    return next(((mark, found[mark]) for mark in marks if mark in found), ("", ()))
