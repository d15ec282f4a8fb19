"""Rows that are gone from their source: Apollo deletes no record by API, so theirs is moved.

A tap tells in two ways. It marks a row (`_sdc_deleted_at`), or it sends a table whole and then
ACTIVATE_VERSION: what did not come then is missing.

A tap that was cut off goes on where it stopped, so that a run may see the end of a table only. It
keeps the table's version then, and taps take the time at which they began to read a table for that
(epoch milliseconds): a version from before the run says that the run did not see all of it.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from target_apollo.apollo import AnswerLost, ApolloClient, ApolloError, RequestRefused
from target_apollo.config.settings import OnDelete
from target_apollo.ledger import Link
from target_apollo.model.objects import ObjectType
from target_apollo.model.outcomes import RecordError
from target_apollo.model.rows import Values
from target_apollo.sync.directory import Directory
from target_apollo.sync.exit import RunError
from target_apollo.sync.protected_stages import StageGuard
from target_apollo.sync.recall import deletion_mark
from target_apollo.sync.refusals import consequence_of, missing_ids
from target_apollo.sync.run import SyncRun
from target_apollo.sync.stream_links import StreamLinks

#: A tap may begin its first table this long before the target is there. A pipe and Meltano start
#: both at once, on one clock, and the target needs seconds; a cut-off run is begun again after
#: minutes. To take a resumed table for a new one moves records that have their row; the other
#: mistake only puts a move off, so the time is short.
TAP_STARTS_WITHIN = timedelta(minutes=1)

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

_MILLISECOND = timedelta(milliseconds=1)
#: Versions that are a time: years 2001 to 2100. Others are counters or in another unit.
_FIRST_VERSION = (datetime(2001, 1, 1, tzinfo=timezone.utc) - _EPOCH) // _MILLISECOND

_END_OF_VERSIONS = (datetime(2101, 1, 1, tzinfo=timezone.utc) - _EPOCH) // _MILLISECOND
#: More rows than this share of a stream gone at once: a broken query is likelier than a clean-up.
_MOST_GONE_SHARE = 0.1

_ALWAYS_ALLOWED = 10


class SeenKeys:
    """Source keys that a run has received, eight bytes each."""

    def __init__(self) -> None:
        self._digests = array("Q")
        self._is_sorted = True
        #: Whether a record came whose key can't be told, so that no row can be called gone.
        self.unsure = False

    def __len__(self) -> int:
        return len(self._digests)

    def add(self, keys: Iterable[str]) -> None:
        """Takes in source keys as the ledger spells them."""
        self._digests.extend(map(_digest, keys))
        self._is_sorted = False

    def __contains__(self, key: str) -> bool:
        if not self._is_sorted:
            self._digests = array("Q", sorted(self._digests))
            self._is_sorted = True
        digest = _digest(key)
        place = bisect_left(self._digests, digest)
        return place < len(self._digests) and self._digests[place] == digest


def _digest(key: str) -> int:
    hashed = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(hashed, "big")


def began_earlier(version: object, started_at: datetime) -> datetime | None:
    """When the reading of a table began, if that was before this run; else None.

    None too for a version that is no time of the years 2001 to 2100 in epoch milliseconds: nobody
    knows then.

    Args:
        version: As ACTIVATE_VERSION has it.
        started_at: When the run began; aware.
    """
    if isinstance(version, bool) or not isinstance(version, (int, Decimal)):
        return None
    if not _FIRST_VERSION <= version < _END_OF_VERSIONS:
        return None
    began = _EPOCH + int(version) * _MILLISECOND
    return began if began < started_at - TAP_STARTS_WITHIN else None


def missing_rows(links: Iterable[Link], seen: SeenKeys, mark: str) -> tuple[list[Link], int]:
    """Links of rows that the table no longer holds and whose record is to be moved.

    Args:
        mark: Payload hash of a record that was moved already.

    Returns:
        The links, and how many of the stream's records are in Apollo at all.
    """
    gone: list[Link] = []
    known = 0
    for link in links:
        if link.apollo_id is None or link.payload_hash == mark:
            continue
        known += 1
        if link.source_key not in seen:
            gone.append(link)
    return gone, known


def are_too_many(gone: int, known: int) -> bool:
    """Whether so many rows are gone at once that somebody should look first."""
    return gone > max(_ALWAYS_ALLOWED, _MOST_GONE_SHARE * known)


#: Records moved in one request.
_BATCH = 100


@dataclass(frozen=True)
class DeletionTarget:
    """Where the records of deleted rows are moved: field values, or a list."""

    values: Values
    lists: tuple[str, ...]

    @classmethod
    def of(
        cls, on_delete: OnDelete, object_type: ObjectType, directory: Directory
    ) -> DeletionTarget:
        """Looks the stage up.

        Raises:
            RunError: Apollo has no such stage.
            ApolloError: Apollo could not be asked.
        """
        if on_delete.list_name:
            return cls({}, (on_delete.list_name,))
        name = object_type.stage_name
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
    run: SyncRun, stream: str, version: object, bookmark_properties: Sequence[str]
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
        run.notices.sends_changes_only(stream)
        return False
    began = began_earlier(version, run.counts.started_at)
    if began is not None:
        run.notices.begun_earlier(stream, began)
    return began is None


def move_missing_rows(
    run: SyncRun,
    object_type: ObjectType,
    stream: str,
    links: StreamLinks | None,
    seen: SeenKeys,
    target: DeletionTarget,
) -> None:
    """Moves the records of rows that a table sent as a whole no longer holds.

    Raises:
        RunError: So many are gone that somebody should look first, or `max_updates` is reached.
        ApolloError, LedgerError: The run can't go on.
    """
    if links is None or seen.unsure or not len(seen):
        run.notices.missing_rows_unknown(stream, has_ledger=links is not None)
        return
    gone, known = missing_rows(links.all_links(), seen, target.mark)
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
    guard = StageGuard(run, object_type)
    for start in range(0, allowed, _BATCH):
        some = gone[start : min(start + _BATCH, allowed)]
        kept = _kept_in_place(guard, target, some)
        if kept:
            # Moved for the ledger, or each run would ask for them again.
            links.record_moves(kept, target.mark)
            run.counts.count_protected(object_type.kind.value, [guard.field] * len(kept))
            some = [link for link in some if link not in kept]
        links.intend_moves(some)
        moved = _move(run.client, object_type, target, [link.apollo_id or "" for link in some])
        done = [link for link in some if link.apollo_id in moved.confirmed]
        if done:
            links.record_moves(done, target.mark)
            run.counts.count_deleted(stream, len(done))
        for apollo_id in moved.gone:
            # Or each run would ask for it again.
            links.drop(apollo_id)
    if allowed < len(gone):
        run.limits.updates_allowed(1)


def _kept_in_place(guard: StageGuard, target: DeletionTarget, links: Sequence[Link]) -> list[Link]:
    """Links to records that are in a stage which none is moved out of."""
    stages = list(target.values.values())
    if not stages or all(map(guard.protects, stages)):
        return []
    kept = guard.kept_among({link.apollo_id for link in links if link.apollo_id})
    return [link for link in links if link.apollo_id in kept]


@dataclass(frozen=True)
class _Moved:
    """Ids of records: those that Apollo moved, and those that it says it does not have.

    What is in neither is tried again by the next run.
    """

    confirmed: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()

    def __or__(self, other: _Moved) -> _Moved:
        return _Moved(self.confirmed | other.confirmed, self.gone | other.gone)


def _move(
    client: ApolloClient, object_type: ObjectType, target: DeletionTarget, ids: list[str]
) -> _Moved:
    if not ids:
        return _Moved()
    try:
        if target.lists:
            return _put_on_lists(client, object_type, target.lists, ids)
        (field, stage_id) = next(iter(target.values.items()))
        of = object_type.endpoints
        if of.update_stages is not None:
            answers = client.update_stages(of, ids, stage_id or "")
        else:
            answers = client.bulk_update(of, [{"id": one, field: stage_id} for one in ids])
    except RequestRefused as refusal:
        if not consequence_of(refusal, ids[0]).is_about_rows:
            raise
        # One of them may be gone from Apollo too: the others are moved all the same.
        gone = missing_ids(refusal, ids)
        if gone:
            left = [one for one in ids if one not in gone]
            return _Moved(gone=gone) | _move(client, object_type, target, left)
        if len(ids) == 1:
            return _Moved()
        middle = len(ids) // 2
        return _move(client, object_type, target, ids[:middle]) | _move(
            client, object_type, target, ids[middle:]
        )
    return _Moved(frozenset(str(answer.get("id")) for answer in answers))


def _put_on_lists(
    client: ApolloClient, object_type: ObjectType, names: tuple[str, ...], ids: list[str]
) -> _Moved:
    """Adds records to lists; all count as moved, as soon as Apollo knows one of them.

    ``POST /labels/add_entity_ids_to_label_names`` ignores ids that it does not know, and answers
    lists, not records: their only number, `cached_count`, is that of a whole list. So an answer
    does not tell which records are on it. If Apollo knows none of them, it names no list, which
    may be a lost answer as well; reading the records tells.
    """
    try:
        client.add_to_lists(object_type.endpoints, ids, names)
    except AnswerLost:
        if any(_may_be_there(client, object_type, one) for one in ids):
            raise
        return _Moved(gone=frozenset(ids))
    return _Moved(frozenset(ids))


def _may_be_there(client: ApolloClient, object_type: ObjectType, apollo_id: str) -> bool:
    try:
        client.read(object_type.endpoints, apollo_id)
    except RequestRefused as refusal:
        return not consequence_of(refusal, apollo_id).record_is_gone
    except ApolloError:
        return True
    return True
