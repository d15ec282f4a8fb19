"""Apollo's latest words on records, for later rows of the same flush and for contacts to come."""

from __future__ import annotations

from collections.abc import Iterable

from target_apollo.model.objects import Json, ObjectKind, ObjectType
from target_apollo.model.rows import Row
from target_apollo.sync.directory import Directory


class LatestWords:
    """What Apollo has answered on the records of one stream since the flush began.

    Attributes:
        answers: Records by Apollo id, and by match key where more than the id was answered.
    """

    def __init__(self, target: ObjectType, directory: Directory) -> None:
        """`directory` learns the accounts that are written."""
        self._target = target
        self._directory = directory
        self.answers: dict[str, Json] = {}

    def begin(self) -> None:
        """Forgets the flush before: its records may have changed since."""
        self.answers = {}

    def know(self, row: Row, answer: Json) -> None:
        """Remembers what Apollo answered on the record of a row."""
        apollo_id = str(answer.get("id"))
        self.answers[apollo_id] = answer
        self.know_ids([(row, apollo_id)])
        if row.match_key and len(answer) > 1:
            self.answers[row.match_key] = answer

    def forget(self, apollo_ids: set[str]) -> None:
        """Takes nothing for known of records to which a part of an update may have been written."""
        if apollo_ids:
            kept = self.answers.items()
            self.answers = {key: one for key, one in kept if str(one.get("id")) not in apollo_ids}

    def know_ids(self, rows: Iterable[tuple[Row, str | None]]) -> None:
        """Notes which records rows are, for the contacts that name an account's domain."""
        if self._target.kind is not ObjectKind.ACCOUNTS:
            return
        for row, apollo_id in rows:
            if row.match_key and apollo_id:
                self._directory.learn_account(row.match_key, apollo_id)
