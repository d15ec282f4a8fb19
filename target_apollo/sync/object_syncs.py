"""Which class writes which object, besides contacts and accounts."""

from __future__ import annotations

from collections.abc import Mapping

from target_apollo.config.settings import ObjectStreamSettings
from target_apollo.model.deal import DEAL
from target_apollo.model.list_member import LIST_MEMBER
from target_apollo.model.object_rows import ObjectRowParser
from target_apollo.model.sequence_member import SEQUENCE_MEMBER
from target_apollo.model.task import TASK
from target_apollo.sync.deals import DealSync
from target_apollo.sync.list_members import ListMemberSync
from target_apollo.sync.object_sync import ObjectSync
from target_apollo.sync.run import SyncRun
from target_apollo.sync.sequences.members import SequenceMemberSync
from target_apollo.sync.tasks import TaskSync

SYNCS: Mapping[str, type[ObjectSync]] = {
    LIST_MEMBER.name: ListMemberSync,
    DEAL.name: DealSync,
    SEQUENCE_MEMBER.name: SequenceMemberSync,
    TASK.name: TaskSync,
}


def sync_of(
    run: SyncRun, stream: str, own: ObjectStreamSettings, parser: ObjectRowParser
) -> ObjectSync:
    """What writes the rows of a stream."""
    return SYNCS[own.stream_object.name](run, stream, own, tuple(parser.columns.values()))
