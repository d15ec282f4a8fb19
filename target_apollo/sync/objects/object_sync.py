"""Syncs a stream of an object besides contacts and accounts, batch by batch.

What all of them have in common is here: rows of one key become one, unchanged rows end without a
request, and each row's outcome goes to rejects file, ledger and counts, in this order. What is
written, and how, is in a class for each object.
"""

from __future__ import annotations

import abc
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import ClassVar

from msgspec.structs import replace as with_values

from target_apollo.config.settings import ObjectStreamSettings
from target_apollo.ledger import Place
from target_apollo.model.objects.stream_object import Normalise
from target_apollo.model.outcomes import Outcome
from target_apollo.model.policies import Policies
from target_apollo.model.rows import Mode, Row
from target_apollo.sync.batch import Batch
from target_apollo.sync.concurrency import Steps
from target_apollo.sync.deletions.whole_tables import SeenKeys
from target_apollo.sync.exit import RunError
from target_apollo.sync.links.recall import RowHistory
from target_apollo.sync.objects.notices import ObjectNotices
from target_apollo.sync.objects.object_links import ObjectLinks
from target_apollo.sync.records.stream_settings import policies_for
from target_apollo.sync.rejects.refused_rows import NOT_SENT_AGAIN, rejection_before
from target_apollo.sync.run import SyncRun


class ObjectSync(abc.ABC):
    """Writes the batches of one stream; used by one thread, one batch at a time.

    Args:
        own: The settings of this stream.
        sibling: The sync of another stream of the run with the same object, if there is one: what
            it knows of Apollo is shared.
    """

    #: Reasons for which a rejected row is not tried again before it changes.
    not_sent_again: ClassVar[Collection[str]] = NOT_SENT_AGAIN
    #: Rows that are written together where `batch_size` is not smaller than usual; None: as many as
    #: contacts and accounts.
    flush_size: ClassVar[int | None] = None

    def __init__(
        self,
        run: SyncRun,
        stream: str,
        own: ObjectStreamSettings,
        sibling: ObjectSync | None = None,
    ) -> None:
        self.run = run
        self.stream = stream
        self.own = own
        self.mode = own.mode
        self.object = own.stream_object
        self.sibling = sibling
        self.notices = ObjectNotices(run.logger, stream)
        run.streams.add(stream)

    @cached_property
    def links(self) -> ObjectLinks | None:
        """The stream's links in the ledger, with the stream's lock; None without a ledger.

        Raises:
            RunError, LedgerError: The ledger can't be opened, or another run writes the stream.
        """
        run = self.run
        if run.ledger is None:
            return None
        place = Place(run.connection, self.object.name[:-1], self.stream, run.settings.source)
        return ObjectLinks(
            run.ledger,
            place,
            run_id=run.run_id,
            mode=self.mode,
            full_resync=run.settings.full_resync,
            today=run.counts.started_at.date(),
            not_sent_again=self.not_sent_again,
            policies=self.policies,
            outlives_rows=bool(self.object.fields),
        )

    @cached_property
    def policies(self) -> Policies:
        """Who owns which field; no policy for an object without fields.

        Raises:
            RunError: A policy is for an unknown field, or the field can't have it.
            ApolloError: Apollo could not be asked for its custom fields.
        """
        return self.read_policies() if self.object.fields else Policies()

    def read_policies(self) -> Policies:
        """The policies by the settings; errors as from `policies`."""
        settings = self.run.settings
        # Apollo does not tell when such a record changed, so no row needs a time: the policy
        # `newest` protects.
        properties = (settings.updated_at_field,)
        return policies_for(settings, self.run.directory, self.object, self.stream, properties)

    def custom_field(self, name: str) -> tuple[str, Normalise] | None:
        """Id and normaliser of the custom field for a property, for objects that have fields.

        Raises:
            ApolloError: Apollo could not be asked for its custom fields.
        """
        return self.run.directory.custom_value(self.object, name) if self.object.fields else None

    @property
    def moves_missing(self) -> bool:
        """Whether rows that are missing in a whole table change anything in Apollo."""
        return self.mode is Mode.MIRROR

    def note_unread(self) -> None:  # noqa: B027 - for the classes that it concerns
        """Notes that a record could not be read as a row, so that nobody knows what it means."""

    def check(self) -> None:
        """Checks settings and ledger, once, before anything of the stream is written.

        Raises:
            RunError, LedgerError: The stream can't be written so, or another run writes it.
            ApolloError: Apollo could not be asked.
        """
        self.check_settings()
        _ = self.links

    def check_settings(self) -> None:
        """Checks what can be checked without opening the ledger.

        Raises:
            RunError: The stream can't be written with these settings.
            ApolloError: Apollo could not be asked.
        """
        _ = self.policies

    def write(self, batch: Batch, rows: Sequence[Row]) -> Steps[None]:
        """Writes the rows of a batch; all of its records have their outcome at the end.

        Pauses while requests are under way.

        Raises:
            ApolloError, LedgerError, RunError: The run can't go on. Rows that were confirmed before
                have their outcome, the others have none.
        """
        links = self.links
        rows = last_of_each_key(rows)
        try:
            left = list(rows)
            if links is not None:
                histories = links.recall(rows, batch.formers)
                batch.use_ledger(links, histories, rows)
            try:
                batch.reject_unread()
                if links is not None:
                    left = self._finish_known(batch, rows)
                if left:
                    yield from self.write_rows(batch, left)
            finally:
                self.save(batch)
            batch.check_complete()
        finally:
            batch.count()
        if self.run.counts.rejected:
            try:
                self.run.check_limits()
            except RunError:
                batch.hold_back()
                raise

    def _finish_known(self, batch: Batch, rows: Sequence[Row]) -> list[Row]:
        """Finishes rows that need no request; returns the others, with the ids of their records."""
        left = []
        for row in rows:
            history = batch.history_of(row)
            if history.outcome is Outcome.REJECTED and history.link is not None:
                why = rejection_before(history.link)
                batch.finish(row, Outcome.REJECTED, history.apollo_id, rejection=why)
            elif (
                history.outcome is not None
                and not row.deleted
                and (history.outcome is not Outcome.UNCHANGED or self.is_still_there(history))
            ):
                batch.finish(row, history.outcome, history.apollo_id)
            else:
                left.append(with_values(row, apollo_id=row.apollo_id or history.apollo_id))
        return left

    def is_still_there(self, history: RowHistory) -> bool:  # noqa: ARG002 - for the classes that look
        """Whether Apollo still has what the ledger knows of an unchanged row; else it is written.

        Raises:
            ApolloError: Apollo could not be asked.
        """
        return True

    def save(self, batch: Batch) -> None:
        """Puts the outcomes so far on disk, so that STATE may pass behind their records.

        Raises:
            LedgerError, RunError: They can't be written.
        """
        # A rejected row must be in its file before the ledger has its outcome.
        if self.run.rejects.has_unsaved:
            self.run.rejects.keep()
        if self.links is not None:
            self.links.commit()
        batch.note_saved()

    def intend(self, batch: Batch, rows: Sequence[Row]) -> None:
        """Notes on disk that requests for these rows are about to be sent.

        Raises:
            LedgerError: The ledger can't be written.
        """
        if self.links is not None:
            self.links.intend(rows, batch.histories)

    @abc.abstractmethod
    def write_rows(self, batch: Batch, rows: Sequence[Row]) -> Steps[None]:
        """Writes rows that may need requests; gives each its outcome.

        Raises:
            ApolloError, LedgerError, RunError: The run can't go on.
        """

    def write_missing(self, seen: SeenKeys) -> None:  # noqa: ARG002 - for the classes that have it
        """Does what follows from rows that are missing, if `moves_missing`.

        Args:
            seen: Keys of the rows that came; the whole table was sent.

        Raises:
            ApolloError, LedgerError, RunError: The run can't go on.
        """
        raise LookupError(self.stream)


def last_of_each_key(rows: Sequence[Row]) -> list[Row]:
    """The rows, of which a later one replaces those before it with its key."""
    latest: dict[tuple[object, ...], Row] = {}
    for row in rows:
        before = latest.pop(row.key, None)
        latest[row.key] = row if before is None else with_values(row, supersedes=before.numbers)
    return list(latest.values())
