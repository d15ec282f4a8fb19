"""A stream of contacts or accounts: its policies, keys and links, and what compares its records.

All of this is loaded when it is first needed, since it takes requests or opens the ledger. A run
writes the stream by it (`stream_sync`), an adoption links its rows by it (`adopt/stream`).
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property

from target_apollo.config.settings import StreamSettings
from target_apollo.model.objects.registry import ObjectType
from target_apollo.model.policies import Policies
from target_apollo.model.rows import Mode, OnApolloDelete, Row, key_text
from target_apollo.sync.creates.recovery import OwnRecordCheck
from target_apollo.sync.identity.verdicts import Verdict
from target_apollo.sync.links.stream_links import StreamLinks
from target_apollo.sync.records.stream_settings import match_on_for, policies_for
from target_apollo.sync.run import SyncRun
from target_apollo.sync.team.names import NameResolver
from target_apollo.sync.team.protected_stages import StageGuard
from target_apollo.sync.updates.comparison import RecordComparer
from target_apollo.sync.updates.single_values import SingleValues


class RecordStream:
    """One stream of a run; used by one thread.

    Args:
        own: The settings of this stream.
        properties: The properties of the stream's schema.
    """

    def __init__(
        self,
        run: SyncRun,
        object_type: ObjectType,
        name: str,
        own: StreamSettings,
        properties: Collection[str],
    ) -> None:
        self.run = run
        self.object_type = object_type
        self.name = name
        self.own = own
        self.mode = own.mode
        self._properties = properties
        run.streams.add(name)

    @cached_property
    def policies(self) -> Policies:
        """The policies for the rows of the stream.

        Raises:
            RunError: A policy is for an unknown field, or the field can't have it.
            ApolloError: Apollo could not be asked for its custom fields.
        """
        run = self.run
        return policies_for(
            run.settings, run.directory, self.object_type, self.name, self._properties
        )

    @cached_property
    def match_on(self) -> tuple[str, ...]:
        """Kinds of keys by which the rows of the stream are recognised, from `match_on_for`.

        Raises:
            RunError, ApolloError: As `match_on_for`.
        """
        return match_on_for(self.own, self.run.directory, self.object_type, self.name)

    @cached_property
    def links(self) -> StreamLinks | None:
        """The stream's links in the ledger, with the stream's lock; None without a ledger.

        Raises:
            RunError, LedgerError: The ledger can't be opened, or another run writes the stream.
        """
        run = self.run
        if run.ledger is None:
            return None
        return StreamLinks(
            run.ledger,
            self.object_type,
            self.name,
            connection=run.connection,
            source=run.settings.source,
            run_id=run.run_id,
            mode=self.mode,
            full_resync=run.settings.full_resync,
            policies=self.policies,
            protected=run.settings.protected_stages,
            today=run.counts.started_at.date(),
            leaves_gone=(
                run.settings.on_apollo_delete is OnApolloDelete.LEAVE or self.mode is Mode.UPDATE
            ),
        )

    def count_verdict(self, verdict: Verdict, row: Row) -> None:
        """Counts a row about whose record a verdict was given."""
        self.run.counts.count_identity(self.name, verdict.value, key_text(row.key))

    @cached_property
    def names(self) -> NameResolver:
        """Looks up the names in rows: owners, stages, accounts."""
        policies = self.policies if self.policies.protect else None
        return NameResolver(self.run, self.name, self.mode, policies)

    @cached_property
    def own_records(self) -> OwnRecordCheck:
        """Tells records that were created for a row from those that were in Apollo before."""
        return OwnRecordCheck(self.mode, self.run.counts.started_at, self.links)

    @cached_property
    def stages(self) -> StageGuard:
        """Keeps the stages that the setting `protected_stages` names."""
        return StageGuard(self.run, self.object_type)

    @cached_property
    def comparer(self) -> RecordComparer:
        """Compares rows with their records, and plans updates."""
        return RecordComparer(
            self.run,
            self.object_type,
            self.policies,
            self.own_records,
            self.stages,
            SingleValues(self.object_type, self.policies),
        )
