"""Which class writes which object, besides contacts and accounts, and the syncs of a run."""

from __future__ import annotations

from collections.abc import Mapping

from target_apollo.config.settings import ObjectStreamSettings
from target_apollo.model.objects.deal import DEAL
from target_apollo.model.objects.list_member import LIST_MEMBER
from target_apollo.model.objects.sequence_member import SEQUENCE_MEMBER
from target_apollo.model.objects.task import TASK
from target_apollo.sync.objects.deals import DealSync
from target_apollo.sync.objects.list_members import ListMemberSync
from target_apollo.sync.objects.object_sync import ObjectSync
from target_apollo.sync.objects.tasks import TaskSync
from target_apollo.sync.run import SyncRun
from target_apollo.sync.sequences.members import SequenceMemberSync

SYNCS: Mapping[str, type[ObjectSync]] = {
    LIST_MEMBER.name: ListMemberSync,
    DEAL.name: DealSync,
    SEQUENCE_MEMBER.name: SequenceMemberSync,
    TASK.name: TaskSync,
}


class ObjectSyncs:
    """What writes the streams of one run.

    A stream keeps its sync when its SCHEMA changes, since that knows what the run has written.
    """

    def __init__(self, run: SyncRun) -> None:
        self._run = run
        self._syncs: dict[str, ObjectSync] = {}

    def of(self, stream: str, own: ObjectStreamSettings) -> ObjectSync:
        """What writes the rows of a stream."""
        if stream not in self._syncs:
            kind = SYNCS[own.stream_object.name]
            sibling = next((one for one in self._syncs.values() if type(one) is kind), None)
            self._syncs[stream] = kind(self._run, stream, own, sibling)
        return self._syncs[stream]
