"""Rows deleted at their source: their records are moved, since Apollo's API can't delete records.

A tap reports deletions in two ways: it marks a row (`_sdc_deleted_at`), or it sends the whole table
and then ACTIVATE_VERSION, so that rows which were not sent are missing.

A tap that was interrupted may continue where it stopped, and a run then sees only the end of the
table. In that case the tap keeps the table's version. Taps use the time at which they began to read
the table as version (epoch milliseconds), so a version from before the run means that the run did
not see the whole table.
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

#: A tap may begin its first table this long before the run starts. A pipe or Meltano starts tap and
#: target together, and the target needs seconds to start; an interrupted run is repeated after
#: minutes. The time is short, since the two possible mistakes differ: if a resumed table counts as
#: a new one, records are moved whose rows exist; in the other case a move only comes later.
TAP_STARTS_WITHIN = timedelta(minutes=1)

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

_MILLISECOND = timedelta(milliseconds=1)
#: Versions in the years 2001 to 2100 are times. Others are counters or times in another unit.
_FIRST_VERSION = (datetime(2001, 1, 1, tzinfo=timezone.utc) - _EPOCH) // _MILLISECOND

_END_OF_VERSIONS = (datetime(2101, 1, 1, tzinfo=timezone.utc) - _EPOCH) // _MILLISECOND
#: If more than this share of a stream's rows is missing at once, its query is probably broken.
_MOST_GONE_SHARE = 0.1

_ALWAYS_ALLOWED = 10


class SeenKeys:
    """Source keys that a run has received, eight bytes each."""

    def __init__(self) -> None:
        self._digests = array("Q")
        self._is_sorted = True
        #: Whether a record without a readable key came: then no row counts as missing.
        self.unsure = False

    def __len__(self) -> int:
        return len(self._digests)

    def add(self, keys: Iterable[str]) -> None:
        """Adds source keys as the ledger spells them."""
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
    """When the tap began to read a table, if that was before this run; else None.

    Also None if the version is not a time in the years 2001 to 2100, in epoch milliseconds.

    Args:
        version: The version in ACTIVATE_VERSION.
        started_at: When the run began; aware.
    """
    if isinstance(version, bool) or not isinstance(version, (int, Decimal)):
        return None
    if not _FIRST_VERSION <= version < _END_OF_VERSIONS:
        return None
    began = _EPOCH + int(version) * _MILLISECOND
    return began if began < started_at - TAP_STARTS_WITHIN else None


def missing_rows(links: Iterable[Link], seen: SeenKeys, mark: str) -> tuple[list[Link], int]:
    """Links of rows that are missing in the table and whose record has not been moved yet.

    Args:
        mark: Payload hash in the link of a record that was moved.

    Returns:
        The links, and the number of the stream's records in Apollo.
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
    """Whether so many rows are missing at once that the run must stop."""
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
        """Looks up the id of the stage.

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
        """The payload hash in the link of a record that was moved there."""
        return deletion_mark(self.values, self.lists)


def saw_whole_table(
    run: SyncRun, stream: str, version: object, bookmark_properties: Sequence[str]
) -> bool:
    """Whether the run has seen the whole table, so that rows which were not sent are missing.

    If it has not, the reason is logged.

    Args:
        version: The version in ACTIVATE_VERSION.
        bookmark_properties: The bookmark properties in the stream's SCHEMA.
    """
    if not run.settings.on_delete:
        return False
    if bookmark_properties:
        # The tap sends only changed rows, whatever the version is.
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
    """Moves the records of rows that are missing in a table that was sent as a whole.

    Raises:
        RunError: Too many rows are missing (`are_too_many`), or `max_updates` is reached.
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
            # They count as moved in the ledger; otherwise each run would look at them again.
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
            # Otherwise each run would look for it again.
            links.drop(apollo_id)
    if allowed < len(gone):
        run.limits.updates_allowed(1)


def _kept_in_place(guard: StageGuard, target: DeletionTarget, links: Sequence[Link]) -> list[Link]:
    """The links to records that are in a protected stage and therefore not moved."""
    stages = list(target.values.values())
    if not stages or all(map(guard.protects, stages)):
        return []
    kept = guard.kept_among({link.apollo_id for link in links if link.apollo_id})
    return [link for link in links if link.apollo_id in kept]


@dataclass(frozen=True)
class _Moved:
    """Ids of records that Apollo has moved, and of records that it says it does not have.

    The next run tries again to move a record that is in neither.
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
        # One record may be gone from Apollo: the others are moved in a second request.
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
    confirmed = frozenset(str(answer.get("id")) for answer in answers)
    # Apollo leaves out of its answer a record that it does not have.
    unconfirmed = [one for one in ids if one not in confirmed]
    missing = [one for one in unconfirmed if not _may_be_there(client, object_type, one)]
    return _Moved(confirmed, frozenset(missing))


def _put_on_lists(
    client: ApolloClient, object_type: ObjectType, names: tuple[str, ...], ids: list[str]
) -> _Moved:
    """Adds records to lists; all of them count as moved unless Apollo knows none of them.

    ``POST /labels/add_entity_ids_to_label_names`` ignores unknown ids and answers with lists, not
    with records, so its answer does not show which records are on the lists. If Apollo knows none
    of the records, the answer names no list. A lost answer looks the same, so the records are then
    read.
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
