"""In which stage and on which lists a record may be after a run: the rules of `on_delete`."""

from __future__ import annotations

from tests.helpers.world_facts import ADDRESS, PROTECTED_STAGE, Case, Link, LinkKey, Record

#: A stage and lists.
Spot = tuple[str | None, frozenset[str]]


def allowed_places(case: Case) -> set[Spot]:
    """Stage and lists that the one record of a person or firm may have."""
    (before,) = case.before
    stays = (before.stage, before.lists)
    allowed = _after_return(case, before)
    moved = _moved(case, before)
    if moved is None or moved == stays:
        return allowed
    must = _must_move(case)
    if must is None:
        return allowed | {moved}
    return {moved} if must else allowed


def _moved(case: Case, before: Record) -> Spot | None:
    """Where the record is if the run has moved it; None if it can't have moved it."""
    place = case.run.place
    if place is None or case.run.mode == "insert":
        return None
    if not case.marks and not case.missing and not (case.entity.left and not case.live):
        return None
    if place.list_name:
        return before.stage, before.lists | {place.list_name}
    return None if before.stage == PROTECTED_STAGE else (place.stage, before.lists)


def _must_move(case: Case) -> bool | None:
    """Whether the run must move the record (True), must not (False), or may (None)."""
    gone: set[LinkKey] = {
        *case.missing,
        *((case.run.source, one.stream, one.key) for one in case.marks),
    }
    others = {
        key: link
        for key, link in case.links.items()
        if link.entity == case.entity.number
        and link.known
        and key not in gone
        and key not in case.given_away
    }
    if any(case.is_sure(one) for one in case.live):
        return False
    if any(link.settled and not link.deleted for link in others.values()):
        return False
    if case.live or case.entity.merged or len(gone) != 1:
        return None
    if case.entity.left:
        # A record whose key was given to somebody else is left alone, or is without a row.
        return None
    if not all(link.deleted for link in others.values()):
        return None
    if case.run.policy(f"{case.entity.kind[:-1]}_stage") != "overwrite":
        return None
    (key,) = gone
    link = case.links.get(key)
    return _must_move_alone(case, link if link and link.entity == case.entity.number else None)


def _must_move_alone(case: Case, link: Link | None) -> bool | None:
    """The same for a record whose only row is deleted."""
    if case.marks:
        mark = case.marks[-1]
        if not case.is_sure(mark):
            return None
        if not case.has_ledger:
            # Apollo searches accounts by their names only.
            is_contact = case.entity.kind == "contacts"
            is_found = mark.values.get(ADDRESS[case.entity.kind]) in case.before[0].addresses
            return True if is_found and is_contact else None
    elif not case.run.finished:
        return None
    if link is None or not link.known or not link.settled:
        return None
    # It may have been moved before: to another place, or by somebody back from there.
    return None if link.moved is not None or (link.deleted and case.marks) else True


def _after_return(case: Case, before: Record) -> set[Spot]:
    """Where a record is whose row came back; where it was, if none did."""
    stays = (before.stage, before.lists)
    for one in case.live:
        link = case.link_of(one)
        if link is None or link.moved is None or case.run.mode == "insert":
            continue
        back: Spot = (before.stage, before.lists - {link.moved.list_name or ""})
        if link.moved.stage:
            back = (link.stage_before, before.lists)
        is_there = link.moved.stage in (None, before.stage)
        is_sure = case.is_sure(one) and link.settled and not case.entity.shared
        if is_there and is_sure:
            return {back}
        return {stays, back}
    return {stays}
