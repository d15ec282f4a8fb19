"""Samples of what a dry run would change in existing records, with their values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from target_apollo.apollo import RequestRefused
from target_apollo.model.objects import Json, ObjectType
from target_apollo.model.outcomes import Outcome
from target_apollo.model.rows import key_text
from target_apollo.sync.dry_run.sample_diffs import diffs_of
from target_apollo.sync.dry_run.simulated_apollo import is_provisional
from target_apollo.sync.pending_updates import Update

#: Fetches a record by its Apollo id.
Show = Callable[[ObjectType, str], Json]


class Sampler:
    """Keeps the first changed fields that it is shown. For one thread.

    Args:
        most: Fields to keep, and records to read for it.
        labels: Gives label by custom field id.

    Attributes:
        diffs: As the summary lists them: stream, key, apollo_id, field, apollo, new.
    """

    def __init__(self, most: int, show: Show, labels: Callable[[], Mapping[str, str]]) -> None:
        self._most = most
        self._show = show
        self._labels = labels
        self._reads = 0
        self.diffs: list[dict[str, Any]] = []

    def take(self, target: ObjectType, stream: str, updates: Sequence[Update]) -> None:
        """Looks at updates that are about to be carried out."""
        for update in updates:
            if len(self.diffs) >= self._most:
                return
            if update.outcome is Outcome.UPDATED and not is_provisional(update.apollo_id):
                self._sample(target, stream, update)

    def _sample(self, target: ObjectType, stream: str, update: Update) -> None:
        answer = update.answer or self._read(target, update.apollo_id)
        if answer is None:
            return
        labels = self._labels() if update.row.custom else {}
        for diff in diffs_of(target, update.row, answer, update.changes.lists, labels):
            if len(self.diffs) < self._most:
                self.diffs.append(
                    {
                        "stream": stream,
                        "key": key_text(update.row.key),
                        "apollo_id": update.apollo_id,
                        "field": diff.field,
                        "apollo": diff.apollo,
                        "new": diff.new,
                    }
                )

    def _read(self, target: ObjectType, apollo_id: str) -> Json | None:
        # The row came by its id alone: nothing has shown the record yet.
        if self._reads >= self._most:
            return None
        self._reads += 1
        try:
            return self._show(target, apollo_id)
        except RequestRefused:
            return None
