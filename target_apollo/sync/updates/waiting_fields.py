"""Decides which values wait: those that need a request for each record, where a limit is near.

One request creates a hundred records, but some of their fields need a request for each record: with
Apollo's limits these take minutes to days. A new record is not held up by them. They are kept in
the ledger (`pending_fields`), and sent after all rows of the run are written, or by later runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from target_apollo.model.objects.registry import ObjectType
from target_apollo.model.outcomes import Outcome
from target_apollo.model.rows import UpdateMethod
from target_apollo.sync.run import SyncRun
from target_apollo.sync.updates.update_plan import PlannedUpdate, UpdateParts, fast_first


@dataclass(frozen=True)
class WaitingFields:
    """Decides for the updates of one stream which of their values wait."""

    run: SyncRun
    object_type: ObjectType
    stream: str
    method: UpdateMethod

    def of(self, updates: Sequence[PlannedUpdate]) -> dict[int, UpdateParts]:
        """Row number -> parts, for the updates of which some values wait."""
        parts: dict[int, UpdateParts] = {}
        created: list[int] = []
        changed: list[int] = []
        for update in updates:
            found = self._parts(update)
            if found is not None:
                number = update.row.number
                parts[number] = found
                (created if update.outcome is Outcome.CREATED else changed).append(number)
        if self.run.dry_run is not None:
            # It sends all of them, to tell how many there are.
            if self.run.has_ledger:
                self.run.counts.may_follow[self._endpoint] += len(parts)
            return {}
        waiting = list(created) if self._has_no_room_for(len(created)) else []
        if changed and len(changed) + (0 if waiting else len(created)) > self._left():
            waiting += changed
        if not self.run.has_ledger:
            if created and len(created) > self._left():
                names = sorted({name for number in created for name in parts[number].later})
                self.run.notices.fields_hold_up(self.stream, names)
            return {}
        if waiting:
            self.run.fields_wait.add(self.object_type.kind)
        return {number: parts[number] for number in waiting}

    def _parts(self, update: PlannedUpdate) -> UpdateParts | None:
        """The parts of an update with the values that may wait; None if it has none."""
        if not update.changes.update or update.row.deleted:
            return None
        is_created = update.outcome is Outcome.CREATED
        if self.method is UpdateMethod.INDIVIDUAL and not is_created:
            # All values of such a record share its one request.
            return None
        parts = fast_first(self.object_type, update.changes)
        bulk_update = self.object_type.endpoints.bulk_update
        if parts is not None and parts.bulk and not self.run.update_routes.is_open(bulk_update):
            return None
        return parts

    @property
    def _endpoint(self) -> str:
        return self.object_type.endpoints.update

    def _has_no_room_for(self, created: int) -> bool:
        """Whether the fields of so many new records wait, rather than hold up their creation.

        Once fields of one record wait, so do those of later records: the oldest are sent first.
        """
        if not created or not self.run.has_ledger:
            return False
        has_begun = self.object_type.kind in self.run.fields_wait
        return has_begun or created > self.run.asked_room(self._endpoint)

    def _left(self) -> float:
        """Requests with one record each that Apollo takes this hour and this day."""
        return self.run.room_without_long_waits(self._endpoint)
