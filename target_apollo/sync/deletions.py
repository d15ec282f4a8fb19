"""Rows that are gone from their source: Apollo deletes no record by API, so theirs is moved.

A tap tells in two ways. It marks a row (`_sdc_deleted_at`), or it sends a table whole and then
ACTIVATE_VERSION (see `vanished`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from target_apollo.apollo import AnswerLost, ApolloClient, ApolloError, RequestRefused
from target_apollo.config.on_delete import OnDelete
from target_apollo.model.objects import ObjectKind, ObjectType
from target_apollo.model.outcomes import RecordError
from target_apollo.model.rows import Values
from target_apollo.sync.directory import Directory
from target_apollo.sync.exit import RunError
from target_apollo.sync.gone_links import GoneLinks
from target_apollo.sync.refusals import is_about_record, is_gone
from target_apollo.sync.row_keys import deletion_mark
from target_apollo.sync.run import Run
from target_apollo.sync.vanished import SeenKeys, are_too_many, began_earlier, vanished

#: The property by which taps mark a row that was deleted.
DELETED_AT = "_sdc_deleted_at"
#: Records moved in one request.
_BATCH = 100


def is_deleted(record: Mapping[str, object]) -> bool:
    """Whether the tap marks the row as deleted."""
    return bool(record.get(DELETED_AT))


@dataclass(frozen=True)
class Place:
    """Where the records of deleted rows are moved: field values, or a list."""

    values: Values
    lists: tuple[str, ...]

    @classmethod
    def of(cls, on_delete: OnDelete, target: ObjectType, directory: Directory) -> Place:
        """Looks the stage up.

        Raises:
            RunError: Apollo has no such stage.
            ApolloError: Apollo could not be asked.
        """
        if on_delete.list_name:
            return cls({}, (on_delete.list_name,))
        name = f"{target.singular}_stage"
        try:
            stage_id = directory.resolve(name, on_delete.stage or "")
        except RecordError as problem:
            raise RunError(
                f"The setting 'on_delete' can't be followed: {problem.rejection.detail}.",
                exit_code=2,
            ) from None
        return cls({f"{name}_id": stage_id}, ())

    @property
    def mark(self) -> str:
        """Stands in the ledger for the payload of a record that was moved there."""
        return deletion_mark(self.values, self.lists)


def saw_whole_table(
    run: Run, stream: str, version: object, bookmark_properties: Sequence[str]
) -> bool:
    """Whether rows that a table no longer holds are looked for, after its tap called it whole.

    That takes a run that has seen all of the table; it is said why one has not.

    Args:
        version: As ACTIVATE_VERSION has it.
        bookmark_properties: Those of the stream's SCHEMA.
    """
    if not run.settings.on_delete:
        return False
    if bookmark_properties:
        # The tap sends only what changed, whatever version it calls active.
        run.saying.sends_changes_only(stream)
        return False
    began = began_earlier(version, run.report.started_at)
    if began is not None:
        run.saying.begun_earlier(stream, began)
    return began is None


def move_vanished(
    run: Run,
    target: ObjectType,
    stream: str,
    links: GoneLinks | None,
    seen: SeenKeys,
    place: Place,
) -> None:
    """Moves the records of rows that a table sent as a whole no longer holds.

    Raises:
        RunError: So many are gone that somebody should look first, or `max_updates` is reached.
        ApolloError, LedgerError: The run can't go on.
    """
    if links is None or seen.unsure or not len(seen):
        run.saying.vanished_unknown(stream, has_ledger=links is not None)
        return
    gone, known = vanished(links.all(), seen, place.mark)
    held = links.held_by_others(gone)
    gone = [link for link in gone if link.source_key not in held]
    if run.settings.max_updates is None and are_too_many(len(gone), known):
        raise RunError(
            f"{len(gone)} of the {known} records of stream '{stream}' have no row any more, and "
            "'on_delete' would move them all. Look at the source first; if that is right, set "
            "max_updates to at least that number."
        )
    allowed = run.limits.updates_allowed(len(gone))
    run.limits.updated += allowed
    for start in range(0, allowed, _BATCH):
        some = gone[start : min(start + _BATCH, allowed)]
        links.intend_moves(some)
        moved = _move(run.client, target, place, [link.apollo_id or "" for link in some])
        done = [link for link in some if link.apollo_id in moved.confirmed]
        if done:
            links.note_moves(done, place.mark)
            run.report.count_deleted(stream, len(done))
        for apollo_id in moved.gone:
            # Or each run would ask for it again.
            links.drop(apollo_id)
    if allowed < len(gone):
        run.limits.updates_allowed(1)


@dataclass(frozen=True)
class _Moved:
    """Ids of records: those that Apollo moved, and those that it says it does not have.

    What is in neither is tried again by the next run.
    """

    confirmed: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()

    def __or__(self, other: _Moved) -> _Moved:
        return _Moved(self.confirmed | other.confirmed, self.gone | other.gone)


def _move(client: ApolloClient, target: ObjectType, place: Place, ids: list[str]) -> _Moved:
    if not ids:
        return _Moved()
    try:
        if place.lists:
            return _put_on_lists(client, target, place.lists, ids)
        (field, stage_id) = next(iter(place.values.items()))
        if target.kind is ObjectKind.CONTACTS:
            answers = client.update_contact_stages(ids, stage_id or "")
        else:
            answers = client.bulk_update_accounts([{"id": one, field: stage_id} for one in ids])
    except RequestRefused as refusal:
        if not is_about_record(refusal):
            raise
        # One of them may be gone from Apollo too: the others are moved all the same.
        gone = frozenset(one for one in ids if _names_as_gone(refusal, one, alone=len(ids) == 1))
        if gone:
            left = [one for one in ids if one not in gone]
            return _Moved(gone=gone) | _move(client, target, place, left)
        if len(ids) == 1:
            return _Moved()
        middle = len(ids) // 2
        return _move(client, target, place, ids[:middle]) | _move(
            client, target, place, ids[middle:]
        )
    return _Moved(frozenset(str(answer.get("id")) for answer in answers))


def _names_as_gone(refusal: RequestRefused, apollo_id: str, *, alone: bool) -> bool:
    """Whether the refusal of a move says that Apollo does not have this very record.

    A 404 that names no record may be about the endpoint.
    """
    unnamed = alone and refusal.status != 404 and not refusal.named_ids
    return refusal.names_missing_record and (unnamed or apollo_id in refusal.named_ids)


def _put_on_lists(
    client: ApolloClient, target: ObjectType, names: tuple[str, ...], ids: list[str]
) -> _Moved:
    """Adds records to lists; all count as moved, as soon as Apollo knows one of them.

    ``POST /labels/add_entity_ids_to_label_names`` ignores ids that it does not know, and answers
    lists, not records: their only number, `cached_count`, is that of a whole list. So an answer
    does not tell which records are on it. If Apollo knows none of them, it names no list, which
    may be a lost answer as well; reading the records tells.
    """
    try:
        client.add_to_lists(ids, names, target.kind.value)
    except AnswerLost:
        if any(_may_be_there(client, target, one) for one in ids):
            raise
        return _Moved(gone=frozenset(ids))
    return _Moved(frozenset(ids))


def _may_be_there(client: ApolloClient, target: ObjectType, apollo_id: str) -> bool:
    try:
        (client.contact if target.kind is ObjectKind.CONTACTS else client.account)(apollo_id)
    except RequestRefused as refusal:
        return not is_gone(apollo_id, refusal)
    except ApolloError:
        return True
    return True
