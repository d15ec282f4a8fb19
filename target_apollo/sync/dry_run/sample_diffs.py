"""Samples of the changed fields of existing records in a dry run, with both values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from target_apollo.apollo import RequestRefused
from target_apollo.model.compare import CUSTOM_FIELDS, holds, holds_custom, shows_custom, to_update
from target_apollo.model.objects.registry import LABEL_NAMES, Field, Json, ObjectType
from target_apollo.model.outcomes import Outcome
from target_apollo.model.rows import Row, key_text
from target_apollo.sync.dry_run.dry_run import DryRun
from target_apollo.sync.dry_run.simulated_apollo import is_provisional
from target_apollo.sync.team.directory import Directory
from target_apollo.sync.updates.update_plan import PlannedUpdate


@dataclass(frozen=True)
class Diff:
    """A field that would change.

    Attributes:
        apollo: The value in Apollo; None where it is empty or Apollo does not show it.
        new: The value that would be written; None empties the field.
    """

    field: str
    apollo: str | None
    new: str | None


def diffs_of(
    object_type: ObjectType,
    row: Row,
    answer: Json,
    lists: Sequence[str],
    labels: Mapping[str, str],
) -> list[Diff]:
    """The fields of a record that a row would change.

    Args:
        answer: The record as Apollo shows it.
        lists: Names of the lists that the record would be added to.
        labels: Custom field id -> its label.
    """
    diffs = []
    for name, value in to_update(row.values).items():
        place = object_type.fields[name]
        if (place.update or place.bulk) and not holds(place, answer, value):
            diffs.append(Diff(name, _held(place, answer), value))
    for field_id, value in row.custom.items():
        if not (shows_custom(answer) and holds_custom(answer, field_id, value)):
            custom = answer.get(CUSTOM_FIELDS)
            held = custom.get(field_id) if isinstance(custom, dict) else None
            diffs.append(Diff(labels.get(field_id, field_id), _text(held), value))
    return [*diffs, *(Diff(LABEL_NAMES, None, name) for name in lists)]


def _held(place: Field, answer: Json) -> str | None:
    if place.read is not None:
        return _text(answer.get(place.read))
    numbers = answer.get("phone_numbers")
    held = [
        str(number.get("raw_number") or number.get("sanitized_number") or "")
        for number in (numbers if isinstance(numbers, list) else [])
        if isinstance(number, dict) and place.phone_type in (None, number.get("type"))
    ]
    return ", ".join(filter(None, held)) or None


def _text(value: object) -> str | None:
    return None if value is None or value == "" else str(value)


class SampleDiffs:
    """Keeps the first changed fields of the updates of a dry run. For one thread.

    Args:
        most: The most fields to keep, and the most records to read for them.

    Attributes:
        diffs: Entries of the summary: stream, key, apollo_id, field, apollo, new.
    """

    def __init__(self, most: int, dry_run: DryRun, directory: Directory) -> None:
        self._most = most
        self._dry_run = dry_run
        self._directory = directory
        self._reads = 0
        self.diffs: list[dict[str, Any]] = []

    def add(self, object_type: ObjectType, stream: str, updates: Sequence[PlannedUpdate]) -> None:
        """Keeps the changed fields of updates that the run would send now."""
        for update in updates:
            if len(self.diffs) >= self._most:
                return
            if update.outcome is Outcome.UPDATED and not is_provisional(update.apollo_id):
                self._sample(object_type, stream, update)

    def _sample(self, object_type: ObjectType, stream: str, update: PlannedUpdate) -> None:
        answer = update.answer or self._read(object_type, update.apollo_id)
        if answer is None:
            return
        labels = self._directory.custom_labels() if update.row.custom else {}
        for diff in diffs_of(object_type, update.row, answer, update.changes.lists, labels):
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

    def _read(self, object_type: ObjectType, apollo_id: str) -> Json | None:
        # The row was matched by its id alone, so no answer has shown the record yet.
        if self._reads >= self._most:
            return None
        self._reads += 1
        try:
            return self._dry_run.show(object_type, apollo_id)
        except RequestRefused:
            return None
