"""Which values a record may have after a run: the rules of modes and field policies."""

from __future__ import annotations

from tests.helpers.world_facts import ADDRESS, Case, Sent, text_of

Allowed = set[str | None]

#: Values without which a record can't be.
_NEVER_CLEARED = frozenset({"email", "domain", "name", "first_name", "last_name"})

#: Fields that only a request for one record writes. What a row has had there before is not sent
#: again, and what somebody has written over it in Apollo stays.
_WRITTEN_ALONE = {
    "contacts": frozenset({"phone_number", "mobile_phone", "website_url"}),
    "accounts": frozenset({"phone_number", "phone", "raw_address"}),
}


def allowed_values(case: Case, name: str) -> Allowed:
    """The values that the one record of a person or firm may have in a field."""
    entity = case.entity
    is_address = name == ADDRESS[entity.kind]
    if is_address and (entity.merged or entity.shared or not case.before):
        return {*entity.addresses}
    return _kept_or_written(case, name) if case.before else _created(case, name)


def is_due(case: Case, one: Sent) -> bool:
    """Whether the row surely differs from what it last gave, so that all of it is compared."""
    run, link = case.run, case.link_of(one)
    if not case.has_ledger or run.full_resync:
        return True
    if link is None or not link.settled or link.given is None:
        return False
    return any(
        value is not None
        and run.policy(name) == "overwrite"
        and name in link.given
        and text_of(link.given[name]) != text_of(value)
        for name, value in one.values.items()
    )


def is_quiet(case: Case, one: Sent) -> bool:
    """Whether nothing of the row and of the settings changed, so that it costs no request."""
    run, link = case.run, case.link_of(one)
    return (
        case.has_ledger
        and not run.full_resync
        and not case.entity.shared
        and link is not None
        and link.settled
        and not link.deleted
        and link.given == one.values
        and link.policies == run.policies
    )


def _created(case: Case, name: str) -> Allowed:
    """Values of a record that the run has created."""
    run = case.run
    if run.policy(name) == "never":
        return {None}
    sent: Allowed = {text_of(one.values.get(name)) for one in case.live}
    sure = [one for one in case.live if case.is_sure(one)]
    if len(case.live) == 1:
        # A run that was cut off may not have written what creations do not take.
        return sent if sure else sent | {None}
    if run.mode == "upsert" and run.policy(name) == "overwrite" and sure and not case.entity.shared:
        value = text_of(sure[-1].values.get(name))
        if value is not None:
            later = [one for one in case.live if one.number > sure[-1].number]
            return {value, *(text_of(one.values.get(name)) for one in later)}
    return sent | {None}


def _kept_or_written(case: Case, name: str) -> Allowed:
    """Values of a record that was there before the run."""
    allowed: Allowed = {text_of(case.before[0].values[name])}
    for one in case.live:
        if name not in one.values:
            continue
        value = text_of(one.values[name])
        if value is not None or (case.clears and name not in _NEVER_CLEARED):
            allowed = _after_row(case, one, name, value, allowed)
    return allowed


def _after_row(case: Case, one: Sent, name: str, value: str | None, held: Allowed) -> Allowed:
    run, entity = case.run, case.entity
    policy, link = run.policy(name), case.link_of(one)
    is_unfinished = link is not None and not link.settled
    if policy == "never":
        # By its address Apollo recognises a record, so that it is given once all the same.
        return held | {value} if name == ADDRESS[entity.kind] else held
    if run.mode == "insert":
        # A run that was cut off may have created the record.
        return held | {value} if is_unfinished else held
    if policy == "create_only":
        return held | {value} if is_unfinished and None in held else held
    if policy == "fill_if_empty" and None not in held:
        return held
    if not case.is_sure(one):
        return held | {value}
    if _is_left_alone(case, one, name, value):
        return held | {value}
    if policy == "newest":
        return _newest(case, one, value, held)
    if is_due(case, one):
        return held | {value} if entity.shared else {value}
    if is_quiet(case, one):
        return held
    if name in entity.edited or entity.shared:
        return held | {value}
    return {value}


def _is_left_alone(case: Case, one: Sent, name: str, value: str | None) -> bool:
    """Whether a value that somebody changed in Apollo may stay, since its row has what it had."""
    entity, link = case.entity, case.link_of(one)
    if not case.has_ledger or case.run.full_resync or link is None or link.given is None:
        return False
    is_single = name in _WRITTEN_ALONE[entity.kind] or case.run.policy(name) != "overwrite"
    is_same = name in link.given and text_of(link.given[name]) == value
    return is_single and is_same and (name in entity.edited or entity.merged or entity.shared)


def _newest(case: Case, one: Sent, value: str | None, held: Allowed) -> Allowed:
    (before,) = case.before
    edited, link = case.entity.edited_at, case.link_of(one)
    is_older = edited is not None and edited > one.changed_at
    if case.entity.kind == "accounts":
        # Of accounts, most answers do not tell when they changed, and some do.
        return held if is_older else held | {value}
    if before.updated_at is None or case.entity.shared:
        return held | {value}
    if one.changed_at > before.updated_at:
        return held | {value} if is_quiet(case, one) else {value}
    if is_older and link is not None and link.settled and link.known:
        return held
    return held | {value}
