"""Rows that are gone from their source: Apollo deletes no record by API, so theirs is moved.

A tap tells in two ways. It marks a row (`_sdc_deleted_at`), or it sends a table whole and then
ACTIVATE_VERSION (see `vanished`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from target_apollo.api import ApolloClient, RequestRefused
from target_apollo.directory import Directory
from target_apollo.ending import RunError
from target_apollo.linking import StreamLinks, deletion_mark
from target_apollo.objects import ObjectKind, ObjectType
from target_apollo.on_delete import OnDelete
from target_apollo.outcomes import RecordError
from target_apollo.refusals import is_about_record
from target_apollo.rows import Values
from target_apollo.run import Run
from target_apollo.vanished import SeenKeys, are_too_many, vanished

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


def move_vanished(
    run: Run,
    target: ObjectType,
    stream: str,
    links: StreamLinks | None,
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
        confirmed = _move(run.client, target, place, [link.apollo_id or "" for link in some])
        done = [link for link in some if link.apollo_id in confirmed]
        links.note_moves(done, place.mark)
        run.report.count_deleted(stream, len(done))
    if allowed < len(gone):
        run.limits.updates_allowed(1)


def _move(client: ApolloClient, target: ObjectType, place: Place, ids: list[str]) -> set[str]:
    try:
        if place.lists:
            client.add_to_lists(ids, place.lists, target.kind.value)
            return set(ids)
        (field, stage_id) = next(iter(place.values.items()))
        if target.kind is ObjectKind.CONTACTS:
            answers = client.update_contact_stages(ids, stage_id or "")
        else:
            answers = client.bulk_update_accounts([{"id": one, field: stage_id} for one in ids])
    except RequestRefused as refusal:
        if not is_about_record(refusal):
            raise
        # One of them may be gone from Apollo too: the others are moved all the same.
        if len(ids) == 1:
            return set()
        middle = len(ids) // 2
        return _move(client, target, place, ids[:middle]) | _move(
            client, target, place, ids[middle:]
        )
    return {str(answer.get("id")) for answer in answers}
