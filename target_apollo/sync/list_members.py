"""Puts the members that rows name on Apollo's lists.

Lists are written by name, up to 500 records a request, through the endpoints that add and remove;
never by `label_names` of PATCH, which replaces all lists of a contact. Both can be repeated without
harm, so a request whose answer was lost is sent again, and a killed run's rows are written again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property

from target_apollo.apollo import RequestRefused
from target_apollo.ledger import match_hash
from target_apollo.model.list_member import LIST
from target_apollo.model.objects import OBJECTS, ObjectKind
from target_apollo.model.outcomes import Outcome, Reason, Rejection
from target_apollo.model.rows import Row
from target_apollo.sync.batch import Batch
from target_apollo.sync.concurrency import Steps
from target_apollo.sync.members import MemberFinder
from target_apollo.sync.object_sync import ObjectSync
from target_apollo.sync.refusals import consequence_of, missing_ids

#: Apollo does not document how many ids a request takes; those of its other endpoints are 100.
MOST_IDS = 500


class ListMemberSync(ObjectSync):
    """Writes one stream of list members."""

    @cached_property
    def _members(self) -> MemberFinder:
        return MemberFinder(self.run, self.stream, self.own.members_of)

    def write_rows(self, batch: Batch, rows: Sequence[Row]) -> Steps[None]:
        """Adds the members of rows to their lists."""
        found = self._members.find(rows)
        groups: dict[tuple[ObjectKind, str], list[tuple[Row, str]]] = defaultdict(list)
        for row in rows:
            if row.number in found.unknown:
                why = found.unknown[row.number]
                batch.finish(row, Outcome.REJECTED, rejection=why)
            elif row.number in found.ids:
                kind, apollo_id = found.ids[row.number]
                groups[kind, row.values[LIST] or ""].append((row, apollo_id))
        self.intend(batch, [row for group in groups.values() for row, _ in group])
        for (kind, name), group in groups.items():
            for start in range(0, len(group), MOST_IDS):
                self._add(batch, kind, name, group[start : start + MOST_IDS])
                yield
        if found.failure is not None:
            raise found.failure

    def _add(
        self, batch: Batch, kind: ObjectKind, name: str, group: Sequence[tuple[Row, str]]
    ) -> None:
        ids = [apollo_id for _, apollo_id in group]
        missing: frozenset[str] = frozenset()
        try:
            self.run.client.add_to_lists(OBJECTS[kind].endpoints, ids, [name])
        except RequestRefused as refusal:
            missing = missing_ids(refusal, ids)
            if not missing and not consequence_of(refusal).is_about_rows:
                raise
        for row, apollo_id in group:
            if apollo_id in missing:
                why = Rejection(Reason.GONE, f"Apollo has no record {apollo_id} any more")
                batch.finish(row, Outcome.REJECTED, rejection=why)
            else:
                if self.links is not None:
                    self.links.note_detail(batch.history_of(row), match_hash(name.casefold()))
                batch.finish(row, Outcome.CREATED, apollo_id)
