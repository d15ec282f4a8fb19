"""Which class writes which object, besides contacts and accounts, and the syncs of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_apollo.config.settings import ObjectStreamSettings
from target_apollo.model.objects.deal import DEAL
from target_apollo.model.objects.list_member import LIST_MEMBER
from target_apollo.model.objects.sequence_member import SEQUENCE_MEMBER
from target_apollo.model.objects.stream_object import StreamObject
from target_apollo.model.objects.task import TASK
from target_apollo.sync.run import SyncRun

if TYPE_CHECKING:
    from target_apollo.sync.objects.object_sync import ObjectSync


def sync_class(of: StreamObject) -> type[ObjectSync]:
    """The class that writes the rows of an object.

    Each is imported when a stream needs it: most runs write contacts and accounts alone, and would
    keep two megabytes of code that they never call.

    Raises:
        KeyError: No class writes the object.
    """
    if of is LIST_MEMBER:
        from target_apollo.sync.objects.list_members import ListMemberSync

        return ListMemberSync
    if of is DEAL:
        from target_apollo.sync.objects.deals import DealSync

        return DealSync
    if of is SEQUENCE_MEMBER:
        from target_apollo.sync.sequences.members import SequenceMemberSync

        return SequenceMemberSync
    if of is TASK:
        from target_apollo.sync.objects.tasks import TaskSync

        return TaskSync
    raise KeyError(of.name)


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
            kind = sync_class(own.stream_object)
            sibling = next((one for one in self._syncs.values() if type(one) is kind), None)
            self._syncs[stream] = kind(self._run, stream, own, sibling)
        return self._syncs[stream]
