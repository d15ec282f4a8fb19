"""The values of a stream's rows that are sent later: which wait, and which newer ones replace them.

Some fields need a request for each record. Where Apollo's limits leave no room for these, a row is
written without them, and they wait in the ledger. A later write of the same fields, by whatever
row, makes the waiting values old: they are taken out before the newer ones are sent.
"""

from __future__ import annotations

from collections.abc import Collection

from target_apollo.ledger import PendingFields, Place
from target_apollo.model.objects.registry import Json
from target_apollo.model.policies import FieldPolicy
from target_apollo.model.rows import Row
from target_apollo.sync.dry_run.ledger import RunLedger
from target_apollo.sync.links.recall import RowHistory
from target_apollo.sync.updates.single_values import SingleValues, by_name


class StreamPendingFields:
    """The changes to the values that wait, until `commit` writes them; a part of `StreamLinks`.

    Args:
        place: Of the stream.
        single_values: What rows carry that costs a request for each record.

    Attributes:
        is_changed: Whether there is anything to commit.
    """

    def __init__(self, ledger: RunLedger, place: Place, single_values: SingleValues) -> None:
        self._ledger = ledger
        self._place = place
        self._single_values = single_values
        #: Apollo id -> values that are still to be sent.
        self._waiting: dict[str, PendingFields] = {}
        #: Apollo id -> fields that have newer values.
        self._superseded: dict[str, set[str]] = {}
        self.is_changed = False

    def add(self, place: Place, row: Row, history: RowHistory, apollo_id: str, body: Json) -> None:
        """Adds what a row leaves to be sent to its record, in place of older values of it.

        Args:
            place: Of the row's link.
            body: Body of the request.
        """
        newer = self._written(row)
        self._supersede(apollo_id, newer)
        self.is_changed = True
        policies = self._single_values.policies
        added = PendingFields(
            place,
            history.source_key,
            apollo_id,
            body,
            tuple(
                key
                for key in body
                if any(policies.of(one) is not FieldPolicy.OVERWRITE for one in newer.get(key, ()))
            ),
            by_name(history.single_hashes, body),
        )
        former = self._waiting.get(apollo_id)
        self._waiting[apollo_id] = added if former is None else former.followed_by(added)

    def replace_by(self, row: Row, apollo_id: str) -> None:
        """Notes that a record gets the values of a row, so that older ones wait no longer."""
        self._supersede(apollo_id, self._written(row))

    def _supersede(self, apollo_id: str, names: Collection[str]) -> None:
        if not names:
            return
        self.is_changed = True
        self._superseded.setdefault(apollo_id, set()).update(names)
        former = self._waiting.pop(apollo_id, None)
        if former is not None and (left := former.without(names)).body:
            self._waiting[apollo_id] = left

    def _written(self, row: Row) -> dict[str, list[str]]:
        """Key in PATCH -> fields of a row, of those that need a request for each record."""
        found: dict[str, list[str]] = {}
        for name in self._single_values.names.intersection(row.values):
            if key := self._single_values.object_type.fields[name].update:
                found.setdefault(key, []).append(name)
        return found

    def commit(self) -> None:
        """Writes the changes to the ledger.

        Raises:
            LedgerError: The ledger can't be written.
        """
        added = list(self._waiting.values())
        self._ledger.change_pending_fields(self._place, self._superseded, added)
        self._superseded, self._waiting = {}, {}
        self.is_changed = False
