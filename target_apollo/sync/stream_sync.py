"""Carries rows out: creates, updates, confirms, and gives every row its outcome.

The flow of one flush, wave by wave: create what is not known, match the answers, update what exists
and differs, settle.

Puts the writer of one stream together from what the run shares and what the stream sets.

The policies of one stream: the setting `field_policy`, by the names that the team has.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from msgspec.structs import replace as with_values

from target_apollo.apollo import ApolloClient, ApolloError
from target_apollo.config.settings import Settings, StreamSettings
from target_apollo.model.objects import Json, ObjectType
from target_apollo.model.policies import (
    FieldPolicy,
    Policies,
    clashes,
    policies_of,
    unknown_names,
    unknown_policy,
)
from target_apollo.model.rows import Mode, Row
from target_apollo.sync.batch import Made, Settle, Settling
from target_apollo.sync.concurrency import Flow, finish
from target_apollo.sync.create import CreateAnswers, NewRows
from target_apollo.sync.directory import Directory, find_record
from target_apollo.sync.existing import Comparer, Known, LatestWords
from target_apollo.sync.exit import RunError
from target_apollo.sync.match import Match, Matched
from target_apollo.sync.plan import waves
from target_apollo.sync.recall import Memory
from target_apollo.sync.recovery import OwnRecords
from target_apollo.sync.run import Run
from target_apollo.sync.update import Updater, UpdateRounds
from target_apollo.sync.update_plan import Update


@dataclass
class Writer:
    """Writes the rows of one stream; one instance a sink, used by one thread at a time.

    Attributes:
        intend: Told the rows for which requests are about to go out.
        comparer: Says what existing records need.
    """

    client: ApolloClient
    object_type: ObjectType
    mode: Mode
    intend: Callable[[Sequence[Row]], None]
    comparer: Comparer
    settling: Settling
    latest: LatestWords
    own: OwnRecords
    answers: CreateAnswers
    new_rows: NewRows
    rounds: UpdateRounds
    #: Rows as they came, by number; an update's row lacks what a policy keeps from it.
    _rows: Mapping[int, Row] = field(default_factory=dict)

    def write(self, rows: Sequence[Row], memory: Memory, strays: Mapping[int, Json]) -> Flow[None]:
        """Writes the rows of a flush, collapsed; all are settled at its end.

        Pauses while records are being created.

        Args:
            memory: What earlier runs left to say about the rows.
            strays: By number, records that earlier runs made of rows under another match key.

        Raises:
            ApolloError: The run can't go on. Rows that were confirmed until then are settled, the
                others are not.
        """
        self.latest.begin()
        self.own.begin(memory, strays)
        self._rows = {row.number: row for row in rows}
        for wave in waves(self.object_type, rows):
            yield from self._write_wave(wave)

    def _write_wave(self, wave: Sequence[Row]) -> Flow[None]:
        new: list[Row] = []
        known: list[Known] = []
        updates: list[Update] = []
        for row in wave:
            record = self.own.strays.get(row.number) or self.latest.answers.get(row.match_key or "")
            if row.deleted:
                self._move_deleted(row, record, updates)
                continue
            if self.mode is Mode.INSERT and record is not None:
                existing = Matched(row, Match.EXISTING, record)
                self.answers.leave_or_complete(existing, record, updates)
            elif row.apollo_id and self.mode is not Mode.INSERT:
                known.append(Known(row, row.apollo_id, None))
            elif record is not None and row.number in self.own.strays:
                updates.append(self.comparer.compare_whole(Known(row, str(record["id"]), record)))
            elif record is not None:
                known.append(Known(row, str(record["id"]), record))
            else:
                new.append(row)
        unread = self._compare(known, updates)
        # On disk before anything goes out, so that a killed run is put right by the next.
        self.intend([*self._to_update(updates), *new])
        # Updates first: one of them may give an address free that a new row carries.
        self._update_all(updates, unread)
        updates = []
        failure = yield from self.new_rows.create_all(new, updates, self._compare)
        # Whose record it is must be known once it is written to: the row's address may change.
        self.intend(self._to_update(updates))
        self._update_all(updates, failure)

    def _to_update(self, updates: Sequence[Update]) -> list[Row]:
        """Rows of which the ledger is to note that they change the record of this id.

        None in mode insert, which completes what it made itself: that is found again by what it was
        sent under.
        """
        if self.mode is Mode.INSERT:
            return []
        return [
            with_values(update.row, apollo_id=update.apollo_id)
            for update in updates
            if update.changes
        ]

    def _move_deleted(self, row: Row, record: Json | None, updates: list[Update]) -> None:
        """Moves the record of a deleted row; there is nothing to do where there is none."""
        if self.mode is not Mode.INSERT and row.apollo_id:
            updates.append(self.comparer.compare_whole(Known(row, row.apollo_id, None)))
            return
        if record is not None and row.number not in self.own.strays:
            # Another row of the flush has just been written to it.
            record = None
        elif record is None and row.match_key and self.mode is Mode.UPSERT:
            record = find_record(self.client, self.object_type, row.match_key)
            if record is not None and self.own.is_anothers(row, str(record["id"])):
                record = None
        if record is None or self.mode is Mode.INSERT:
            self.settling.skip(row)
        else:
            known = Known(row, str(record["id"]), record)
            updates.append(self.comparer.compare_whole(known))

    def _compare(self, known: Sequence[Known], updates: list[Update]) -> ApolloError | None:
        """Adds what existing records need to `updates`; returns a failure that ends the run."""
        compared = self.comparer.compare(
            known,
            self.own.memory,
            lambda row, record: self.own.was_made_by(Matched(row, Match.EXISTING, record), record),
        )
        updates += compared.updates
        gone: list[Row] = []
        for row, apollo_id, refusal in compared.refused:
            self.settling.take_refusal(row, apollo_id, refusal, gone)
        if compared.failure is None and gone:
            self._create_anew(gone)
        return compared.failure

    def _update_all(
        self, updates: Sequence[Update], failure: ApolloError | RunError | None
    ) -> None:
        gone = self.rounds.carry_out(updates, failure, self._seen_again)
        if gone:
            self._create_anew(gone)

    def _seen_again(self, updates: Sequence[Update]) -> tuple[list[Update], ApolloError | None]:
        """Updates after other rows of the same Apollo records have been written."""
        seen = [update for update in updates if update.answer is None]
        again = [
            Known(
                self._rows[update.row.number],
                update.apollo_id,
                self.latest.answers.get(update.apollo_id),
            )
            for update in updates
            if update.answer is not None
        ]
        failure = self._compare(again, seen)
        return seen, failure

    def _create_anew(self, gone: Sequence[Row]) -> None:
        """Writes rows whose record is gone from Apollo, without its id."""
        rows = [with_values(self._rows[row.number], apollo_id=None) for row in gone]
        finish(self._write_wave(rows))

    def know_ids(self, rows: Iterable[tuple[Row, str | None]]) -> None:
        """Notes which records rows are, for the contacts that name an account's domain."""
        self.latest.know_ids(rows)


def stream_writer(
    run: Run,
    object_type: ObjectType,
    stream: str,
    own: StreamSettings,
    *,
    policies: Callable[[], Policies],
    settle: Settle,
    settle_created: Callable[[Sequence[Made]], None],
    intend: Callable[[Sequence[Row]], None],
    is_anothers: Callable[[Row, str], bool],
) -> Writer:
    """The writer of a stream.

    Args:
        own: The settings of this stream.
        policies: See `Comparer`.
        settle, settle_created: See `Settling`.
        intend: See `Writer`.
        is_anothers: See `OwnRecords`.
    """
    kind = object_type.kind.value
    comparer = Comparer(
        client=run.client,
        object_type=object_type,
        parallel=run.parallel,
        directory=run.directory,
        policies=policies,
        note_protected=partial(run.report.count_protected, kind),
    )
    settling = Settling(
        object_type, own.mode, settle, settle_created, partial(run.saying.unwritable, kind)
    )
    latest = LatestWords(object_type, run.directory)
    records = OwnRecords(own.mode, run.report.started_at, is_anothers)
    answers = CreateAnswers(
        object_type=object_type,
        mode=own.mode,
        limits=run.limits,
        comparer=comparer,
        settling=settling,
        latest=latest,
        own=records,
    )
    return Writer(
        client=run.client,
        object_type=object_type,
        mode=own.mode,
        intend=intend,
        comparer=comparer,
        settling=settling,
        latest=latest,
        own=records,
        answers=answers,
        new_rows=NewRows(
            client=run.client,
            object_type=object_type,
            mode=own.mode,
            batch_size=run.settings.batch_size,
            parallel=run.parallel,
            limits=run.limits,
            reckon=run.reckoner.reckon,
            answers=answers,
        ),
        rounds=UpdateRounds(
            updater=lambda: Updater(
                run.client,
                object_type,
                run.parallel,
                own.update_method,
                run.update_routes,
                run.reckoner.reckon,
            ),
            limits=run.limits,
            sample=partial(run.sample, object_type, stream),
            settling=settling,
            latest=latest,
        ),
    )


def updated_at_field(settings: Settings) -> str | None:
    """The property that tells when a row changed, where a policy asks for it."""
    asked_for = FieldPolicy.NEWEST in settings.field_policy.values()
    return settings.updated_at_field if asked_for else None


def stream_policies(
    settings: Settings,
    object_type: ObjectType,
    directory: Directory,
    stream: str,
    properties: Container[str],
) -> Policies:
    """The policies for the rows of a stream.

    Args:
        properties: Properties of the stream's schema.

    Raises:
        RunError: A policy is for a field that there is not, or can't be followed.
        ApolloError: Apollo could not be asked for its custom fields.
    """
    named = settings.field_policy
    if not named:
        return Policies()
    unknown = unknown_names(named, directory.custom_field_by_name)
    if unknown:
        raise RunError(unknown_policy(unknown), exit_code=2)
    for sentence in clashes(named, directory.custom_field_by_name):
        raise RunError(sentence, exit_code=2)
    field = updated_at_field(settings)
    if field is not None and field not in properties:
        raise RunError(
            f"Stream '{stream}' has no property '{field}' (setting updated_at_field), and the "
            "policy 'newest' asks when a row changed: add it to the stream, name another, or "
            "choose another policy.",
            exit_code=2,
        )
    return policies_of(named, object_type, directory.custom_field_by_name)
