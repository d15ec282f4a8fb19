"""Names in rows to the ids that Apollo writes: owners, stages and accounts.

A row is told to be unchanged before its names are looked up, so that an owner who has left the team
costs an unchanged row nothing. What is left of a batch after that is resolved here, all at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace as with_values

from target_apollo.model.outcomes import Outcome, RecordError
from target_apollo.model.policies import Policies
from target_apollo.model.rows import Row, Values
from target_apollo.sync.batch import Batch
from target_apollo.sync.directory import Directory
from target_apollo.sync.recall import RowHistory, payload_hash_of


@dataclass(frozen=True)
class NameResolver:
    """Resolves the names of one stream's rows.

    Attributes:
        policies: None where none of them keeps anything from being written.
    """

    directory: Directory
    policies: Policies | None

    def resolve(self, batch: Batch, rows: Sequence[Row]) -> list[Row]:
        """The rows with ids in place of names, without those that get their outcome here.

        A row is rejected for a name that Apollo does not know. It is unchanged where Apollo holds
        its ids, as the ledger of an earlier version says.

        Raises:
            ApolloError: Apollo could not be asked.
            InvalidRecord, RunError: As `Batch.finish`.
        """
        left: list[Row] = []
        #: Records that a row of the batch changes: what the ledger holds of them is outdated.
        changing: set[str | None] = set()
        for row in rows:
            resolved = self._resolve_one(batch, row, changing) if row.names else row
            if resolved is not None:
                changing.update({row.match_key, row.apollo_id} - {None})
                left.append(resolved)
        return left

    def _resolve_one(self, batch: Batch, row: Row, changing: set[str | None]) -> Row | None:
        history = batch.history_of(row)
        may_be_unchanged = history.link is not None and changing.isdisjoint(
            (row.match_key, row.apollo_id)
        )
        try:
            ids = {
                name: self.directory.resolve(prop, text) for name, (prop, text) in row.names.items()
            }
        except RecordError as problem:
            if may_be_unchanged and self._holds(history, self._with_former_owner(row)):
                self._finish_unchanged(batch, row, history)
            else:
                batch.finish(row, Outcome.REJECTED, rejection=problem.rejection)
            return None
        resolved = _with_ids(row, ids)
        if may_be_unchanged and self._holds(history, resolved):
            self._finish_unchanged(batch, row, history)
            return None
        return resolved

    def _holds(self, history: RowHistory, resolved: Row | None) -> bool:
        """Whether Apollo holds the row, by a ledger that knows the hash of its ids."""
        link = history.link
        if link is None or resolved is None:
            return False
        policies = (self.policies, None) if self.policies else (None,)
        return any(link.holds(payload_hash_of(resolved, one)) for one in policies)

    def _with_former_owner(self, row: Row) -> Row | None:
        """The row as it was written while its owner was in the team; None if others are unknown."""
        ids: Values = {}
        for name, (prop, text) in row.names.items():
            try:
                ids[name] = self.directory.former_owner(prop, text) or self.directory.resolve(
                    prop, text
                )
            except RecordError:
                return None
        return _with_ids(row, ids)

    def _finish_unchanged(self, batch: Batch, row: Row, history: RowHistory) -> None:
        apollo_id = history.link.apollo_id if history.link else None
        batch.finish(row, Outcome.UNCHANGED, apollo_id, updated_at=history.updated_at)
        batch.cache.remember_named(row, apollo_id)


def _with_ids(row: Row, ids: Mapping[str, str | None]) -> Row:
    return with_values(row, values={**row.values, **ids}, names={})
