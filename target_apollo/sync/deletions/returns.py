"""Gives records back whose deleted rows have returned: off the list, into their former stage.

A record that `on_delete` moved stays where it is until a row has it again. Before that row is
written, the record is taken off the list, and gets the stage that it had before the move, unless
somebody has changed its stage since. Field policies and protected stages do not count: nothing but
this target's own write is undone. The row's own stage, if it has one, is then written as usual.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from target_apollo.apollo import EndpointForbidden
from target_apollo.model.objects.registry import Json, ObjectType
from target_apollo.sync.batch import Batch
from target_apollo.sync.deletions.marks import DeletionMark
from target_apollo.sync.deletions.missing_rows import MOST_MOVED, DeletionTarget, move
from target_apollo.sync.links.stream_links import StreamLinks
from target_apollo.sync.reading.by_ids import Records, read_records
from target_apollo.sync.run import SyncRun
from target_apollo.sync.team.protected_stages import StageGuard
from target_apollo.sync.updates.comparison import MatchedRecord


class RecordReturns:
    """Gives back the records of one stream; for one thread.

    Args:
        guard: Told the stages of records that are read here.
    """

    def __init__(
        self,
        run: SyncRun,
        object_type: ObjectType,
        stream: str,
        links: StreamLinks | None,
        guard: StageGuard,
    ) -> None:
        self._run = run
        self._object_type = object_type
        self._stream = stream
        self._links = links
        self._guard = guard

    def give_back(self, batch: Batch, matched: Sequence[MatchedRecord]) -> list[MatchedRecord]:
        """The same rows and records, after moved records among them were given back.

        Raises:
            ApolloError, LedgerError: The run can't go on.
        """
        links = self._links
        if links is None:
            return list(matched)
        marks = links.deleted.moves_of({one.apollo_id for one in matched})
        if not marks:
            return list(matched)
        returning = self._allowed([one for one in matched if one.apollo_id in marks])
        off_lists = self._take_off_lists(returning, marks)
        stages = self._restore_stages(returning, marks)
        self._run.record_pages[self._object_type.kind].note_written(stages)
        links.deleted.forget_moves([one.apollo_id for one in returning])
        given_back = off_lists | stages.keys()
        batch.given_back |= {one.row.number for one in returning if one.apollo_id in given_back}
        self._run.counts.count_returned(self._stream, len(given_back))
        return [self._with_stage(one, stages.get(one.apollo_id)) for one in matched]

    def _allowed(self, returning: list[MatchedRecord]) -> list[MatchedRecord]:
        """Those that `max_updates` still allows; the others are not written in this run either."""
        limits = self._run.limits
        if limits.max_updates is None:
            return returning
        return returning[: max(0, limits.max_updates - limits.updated)]

    def _take_off_lists(
        self, returning: Sequence[MatchedRecord], marks: Mapping[str, DeletionMark]
    ) -> set[str]:
        """Ids of the records that were taken off a list. A list that the row names is kept."""
        by_list: dict[str, list[str]] = defaultdict(list)
        for one in returning:
            for name in marks[one.apollo_id].lists:
                if name not in one.row.lists:
                    by_list[name].append(one.apollo_id)
        done: set[str] = set()
        for name, ids in by_list.items():
            for some in _parts(ids):
                try:
                    self._run.client.remove_from_lists(self._object_type.endpoints, some, [name])
                except EndpointForbidden as refusal:
                    self._run.notices.stays_on_list(self._stream, name, refusal)
                    return done
                done.update(some)
        return done

    def _restore_stages(
        self, returning: Sequence[MatchedRecord], marks: Mapping[str, DeletionMark]
    ) -> dict[str, str]:
        """Record id -> the stage that it has got back."""
        moved = {
            one.apollo_id: stage
            for one in returning
            if (stage := marks[one.apollo_id].stage) is not None
        }
        if not moved:
            return {}
        if any(stage.former is None for stage in moved.values()):
            self._run.notices.former_stage_unknown(self._stream)
        wanted = {
            one: stage
            for one, stage in moved.items()
            if stage.former is not None and stage.former != stage.place
        }
        shown = self._shown(returning, wanted)
        by_stage: dict[str, list[str]] = defaultdict(list)
        for apollo_id, stage in wanted.items():
            if shown.get(apollo_id, {}).get(self._guard.field) == stage.place:
                by_stage[stage.former or ""].append(apollo_id)
        restored: dict[str, str] = {}
        for stage_id, ids in by_stage.items():
            target = DeletionTarget({self._guard.field: stage_id}, ())
            for some in _parts(ids):
                done = move(self._run.client, self._object_type, target, some).confirmed
                restored |= dict.fromkeys(done, stage_id)
        self._guard.note(
            {
                one: {**record, self._guard.field: restored.get(one, record.get(self._guard.field))}
                for one, record in shown.items()
            }
        )
        return restored

    def _shown(
        self, returning: Sequence[MatchedRecord], ids: Collection[str]
    ) -> Mapping[str, Json]:
        """Record id -> record with its present stage, as far as it can be read."""
        shown = {
            one.apollo_id: one.answer
            for one in returning
            if one.apollo_id in ids and one.answer and self._guard.field in one.answer
        }
        unread = [one for one in ids if one not in shown]
        read = read_records(self._run, self._object_type, unread) if unread else Records()
        return {**shown, **read.found}

    def _with_stage(self, matched: MatchedRecord, stage_id: str | None) -> MatchedRecord:
        if stage_id is None or matched.answer is None:
            return matched
        return replace(matched, answer={**matched.answer, self._guard.field: stage_id})


def _parts(ids: Sequence[str]) -> list[list[str]]:
    return [list(ids[start : start + MOST_MOVED]) for start in range(0, len(ids), MOST_MOVED)]
