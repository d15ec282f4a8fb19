"""Rows deleted at their source: their records are moved, since Apollo's API can't delete records.

A tap reports deletions in two ways: it marks a row (`_sdc_deleted_at`), or it sends the whole table
and says so, and rows which were not sent are missing (`whole_tables`). Missing rows are looked for
once, at the end of a run, since a record may have rows in several tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from msgspec.structs import replace as with_values

from target_apollo.apollo import AnswerLost, ApolloClient, ApolloError, RequestRefused
from target_apollo.config.settings import OnDelete
from target_apollo.ledger import Link
from target_apollo.model.objects.registry import ObjectType
from target_apollo.model.outcomes import RecordError
from target_apollo.model.rows import Values
from target_apollo.sync.creates.lost_creates import find_lost_creates
from target_apollo.sync.deletions.marks import HELD, DeletionMark, digits_of
from target_apollo.sync.deletions.whole_tables import SeenKeys
from target_apollo.sync.exit import RunError
from target_apollo.sync.links.recall import is_interrupted
from target_apollo.sync.links.stream_links import StreamLinks
from target_apollo.sync.reading.by_ids import Records, read_records
from target_apollo.sync.refusals import consequence_of, missing_ids
from target_apollo.sync.run import SyncRun
from target_apollo.sync.team.directory import Directory
from target_apollo.sync.team.protected_stages import StageGuard
from target_apollo.sync.words import ended

#: If more than this share of a stream's rows is missing at once, its query is probably broken.
_MOST_GONE_SHARE = 0.1

_ALWAYS_ALLOWED = 10


#: Records moved in one request.
MOST_MOVED = 100


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
                f"The setting 'on_delete' can't be followed: {ended(problem.rejection.detail)}",
                exit_code=2,
            ) from None
        return cls({f"{name}_id": stage_id}, ())

    @property
    def place(self) -> str:
        """The id of the stage, or the name of the list."""
        return next((place for place in (*self.values.values(), *self.lists) if place), "")


@dataclass(frozen=True)
class WholeTable:
    """A table that a run has seen whole.

    Attributes:
        seen: Keys of the rows that came.
        left: Links of records that rows of this run had and have no longer, since their keys mean
            somebody else now.
    """

    object_type: ObjectType
    stream: str
    links: StreamLinks
    seen: SeenKeys
    target: DeletionTarget
    left: Sequence[Link] = ()


@dataclass
class _Missing:
    """The links of rows that are missing in a table, and the number of its records in Apollo."""

    table: WholeTable
    gone: list[Link] = field(default_factory=list)
    known: int = 0


def missing_rows(
    links: Iterable[Link], seen: SeenKeys, place: str, protected: str
) -> tuple[list[Link], int]:
    """Links of rows that are missing in a table and whose record has not been moved yet.

    Args:
        place: Where records are moved.
        protected: `digits_of` the protected stages.

    Returns:
        The links, and the number of the stream's records in Apollo.
    """
    gone: list[Link] = []
    known = 0
    for link in links:
        if link.apollo_id is None:
            continue
        if link.is_deleted:
            mark = DeletionMark.of(link.payload_hash)
            if mark is not None and mark.is_at(place, protected):
                continue
        known += 1
        if link.source_key not in seen:
            gone.append(link)
    return gone, known


def are_too_many(gone: int, known: int) -> bool:
    """Whether so many rows are missing at once that the run must stop."""
    return gone > max(_ALWAYS_ALLOWED, _MOST_GONE_SHARE * known)


def move_missing_rows(run: SyncRun, tables: Sequence[WholeTable]) -> None:
    """Moves the records of rows that are missing in tables that were sent as a whole.

    A record moves only if no other row has it, in whatever stream or source, and if no row of the
    run that could not be written has its address.

    Raises:
        RunError: Too many rows are missing (`are_too_many`), or `max_updates` is reached.
        ApolloError, LedgerError: The run can't go on.
    """
    found = [_missing(run, table) for table in tables]
    moving: list[tuple[WholeTable, list[Link]]] = []
    moved: set[str] = set()
    for missing in found:
        table = missing.table
        alike = [link for one in found if _alike(one, missing) for link in one.gone]
        links = _to_move(run, table, missing.gone, alike, moved)
        if run.settings.max_updates is None and are_too_many(len(links), missing.known):
            raise RunError(
                f"{len(links)} of the {missing.known} records of stream '{table.stream}' have no "
                "row any more, and 'on_delete' would move them all. Look at the source first; if "
                "that is right, set max_updates to at least that number."
            )
        moving.append((table, links))
    for table, links in moving:
        allowed = run.limits.updates_allowed(len(links))
        run.limits.updated += allowed
        guard = StageGuard(run, table.object_type)
        for start in range(0, allowed, MOST_MOVED):
            _move_some(run, table, guard, links[start : min(start + MOST_MOVED, allowed)])
        if allowed < len(links):
            run.limits.updates_allowed(1)


def _missing(run: SyncRun, table: WholeTable) -> _Missing:
    links = table.links
    open_links: list[Link] = []
    with_record = _with_record(links, table.seen, open_links)
    protected = digits_of(run.settings.protected_stages)
    gone, known = missing_rows(with_record, table.seen, table.target.place, protected)
    more = links.deleted.without_row(table.left)
    if open_links:
        lost = find_lost_creates(run, table.object_type, links, open_links)
        more += lost.found
        for link in lost.never_made:
            links.forget(link.source_key)
        if lost.unknown:
            run.notices.lost_creates(table.stream, len(lost.unknown))
    return _Missing(table, [*gone, *more], known + len(more))


def _with_record(links: StreamLinks, seen: SeenKeys, open_links: list[Link]) -> Iterator[Link]:
    """The links of a table that have a record.

    Those of missing rows for which a killed run may have created one are added to `open_links`.
    """
    for link in links.all_links():
        if link.apollo_id is not None:
            yield link
        elif link.match_hash and is_interrupted(link) and link.source_key not in seen:
            open_links.append(link)


def _alike(one: _Missing, other: _Missing) -> bool:
    return one.table.object_type is other.table.object_type


def _to_move(
    run: SyncRun,
    table: WholeTable,
    gone: Sequence[Link],
    all_gone: Sequence[Link],
    moved: set[str],
) -> list[Link]:
    """The links, one for each record that is to be moved; notes in the others that they are gone.

    Args:
        all_gone: Links of missing rows of all tables.
        moved: Ids of the records that are moved for earlier tables; it gets those of this one.
    """
    held = table.links.deleted.held_records(all_gone)
    moves = table.links.deleted.moves_of({link.apollo_id for link in gone if link.apollo_id})
    protected = digits_of(run.settings.protected_stages)
    chosen: list[Link] = []
    others: list[Link] = []
    for link in gone:
        apollo_id = link.apollo_id or ""
        mark = moves.get(apollo_id, HELD)
        is_kept = apollo_id in held or link.match_hash in run.unwritten_addresses
        if is_kept or apollo_id in moved or mark.is_at(table.target.place, protected):
            others.append(link)
        else:
            moved.add(apollo_id)
            chosen.append(with_values(link, payload_hash=mark.text) if mark.moves else link)
    unmarked = [
        link for link in others if not link.is_deleted and link.source_key not in table.seen
    ]
    if unmarked:
        # A later run of another stream or source then knows that this row has not kept the record.
        table.links.deleted.record_gone(unmarked)
    return chosen


def _move_some(run: SyncRun, table: WholeTable, guard: StageGuard, some: Sequence[Link]) -> None:
    target, links = table.target, table.links
    before = Records()
    if target.values:
        before = read_records(run, table.object_type, [link.apollo_id or "" for link in some])
        guard.note(before.found)
    kept = _kept_in_place(guard, target, [one for one in some if one.apollo_id not in before.gone])
    if kept:
        # Otherwise each run would look at them again, and not only after the setting has changed.
        protected = digits_of(run.settings.protected_stages)
        links.deleted.record_moves(
            [(link, _mark_of(link).left_at(target.place, protected).text) for link in kept]
        )
        run.counts.count_protected(table.object_type.kind.value, [guard.field] * len(kept))
    left = [link for link in some if link not in kept and link.apollo_id not in before.gone]
    there = [link for link in left if _is_there(before, guard.field, target, link)]
    links.deleted.record_moves(
        [(link, _mark_of(link).left_at(target.place).text) for link in there]
    )
    to_send = [link for link in left if link not in there]
    marks = {
        link.apollo_id: _mark_of(link).moved_to(target.place, _stage_of(before, guard.field, link))
        for link in to_send
    }
    links.deleted.intend_moves(
        [(link, replace(marks[link.apollo_id], is_open=True).text) for link in to_send]
    )
    moved = move(run.client, table.object_type, target, [one.apollo_id or "" for one in to_send])
    done = [link for link in to_send if link.apollo_id in moved.confirmed]
    if done:
        links.deleted.record_moves([(link, marks[link.apollo_id].text) for link in done])
        run.counts.count_deleted(table.stream, len(done))
    for apollo_id in before.gone | moved.gone:
        # Otherwise each run would look for it again.
        links.drop(apollo_id)


def _mark_of(link: Link) -> DeletionMark:
    return DeletionMark.of(link.payload_hash) or HELD


def _stage_of(records: Records, stage_field: str, link: Link) -> str | None:
    stage = records.found.get(link.apollo_id or "", {}).get(stage_field)
    return str(stage) if stage else None


def _is_there(records: Records, stage_field: str, target: DeletionTarget, link: Link) -> bool:
    """Whether a record is in the stage already: somebody else has moved it there."""
    return _stage_of(records, stage_field, link) == target.place


def _kept_in_place(guard: StageGuard, target: DeletionTarget, links: Sequence[Link]) -> list[Link]:
    """The links to records that are in a protected stage and therefore not moved."""
    stages = list(target.values.values())
    if not stages or all(map(guard.protects, stages)):
        return []
    kept = guard.kept_among({link.apollo_id for link in links if link.apollo_id})
    return [link for link in links if link.apollo_id in kept]


@dataclass(frozen=True)
class MoveResult:
    """Ids of records that Apollo has moved, and of records that it says it does not have.

    The next run tries again to move a record that is in neither.
    """

    confirmed: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()

    def __or__(self, other: MoveResult) -> MoveResult:
        return MoveResult(self.confirmed | other.confirmed, self.gone | other.gone)


def move(
    client: ApolloClient, object_type: ObjectType, target: DeletionTarget, ids: list[str]
) -> MoveResult:
    """Moves records to a stage or puts them on a list; at most a hundred.

    Raises:
        ApolloError: The run can't go on.
    """
    if not ids:
        return MoveResult()
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
            return MoveResult(gone=gone) | move(client, object_type, target, left)
        if len(ids) == 1:
            return MoveResult()
        middle = len(ids) // 2
        return move(client, object_type, target, ids[:middle]) | move(
            client, object_type, target, ids[middle:]
        )
    confirmed = frozenset(str(answer.get("id")) for answer in answers)
    # Apollo leaves out of its answer a record that it does not have.
    unconfirmed = [one for one in ids if one not in confirmed]
    missing = [one for one in unconfirmed if not _may_be_there(client, object_type, one)]
    return MoveResult(confirmed, frozenset(missing))


def _put_on_lists(
    client: ApolloClient, object_type: ObjectType, names: tuple[str, ...], ids: list[str]
) -> MoveResult:
    """Adds records to lists; all of them count as moved unless Apollo knows none of them.

    ``POST /labels/add_entity_ids_to_label_names`` ignores unknown ids and answers with lists, not
    with records, so its answer does not show which records are on the lists. After a lost answer
    the records are read.
    """
    try:
        client.add_to_lists(object_type.endpoints, ids, names)
    except RequestRefused as refusal:
        if missing_ids(refusal, ids) == frozenset(ids):
            return MoveResult(gone=frozenset(ids))
        raise
    except AnswerLost:
        if any(_may_be_there(client, object_type, one) for one in ids):
            raise
        return MoveResult(gone=frozenset(ids))
    return MoveResult(frozenset(ids))


def _may_be_there(client: ApolloClient, object_type: ObjectType, apollo_id: str) -> bool:
    try:
        client.read(object_type.endpoints, apollo_id)
    except RequestRefused as refusal:
        return not consequence_of(refusal, apollo_id).record_is_gone
    except ApolloError:
        return True
    return True
