"""Questions about creations: what a bulk_create does with what exists, one function a question."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from target_apollo.apollo import (
    ACCOUNT_ENDPOINTS,
    CONTACT_ENDPOINTS,
    JSON,
    EndpointForbidden,
    RequestRefused,
)
from target_apollo.cli.probe import own_records
from target_apollo.cli.probe.own_records import (
    DOMAIN,
    MALFORMED,
    MALFORMED_EMAIL,
    NAME,
    NAMESAKE_EMAIL,
    ONE,
    OTHER_DOMAIN,
    TITLE,
    TWIN,
    as_new_contact,
    lists_of,
)
from target_apollo.cli.probe.session import NotAsked, Observation, Session, yes_or_no


@dataclass(frozen=True)
class RepeatedCreate:
    """What a bulk_create did with the first contact, which existed.

    Attributes:
        created, existing: The ids of its answer.
        answered: The record in its answer; empty if there is none.
        before, after: The contact before and after it, as Apollo shows it.
        sent: The values that were sent.
        owner_id: The owner that was sent; None if the team has no second user.
        count_on, count_off: The count of the list, with the contact and just after it was taken
            off.
    """

    created: frozenset[str]
    existing: frozenset[str]
    answered: JSON
    before: JSON
    after: JSON
    sent: JSON
    owner_id: str | None
    count_on: int | None
    count_off: int | None


def _repeated_create(session: Session) -> RepeatedCreate:
    """What a bulk_create does with the first contact, which exists; done once for all questions."""
    return session.step("repeated create", lambda: _create_again(session))


def _create_again(session: Session) -> RepeatedCreate:
    one = session.one
    if any(other.get("email") == one.get("email") for other in session.own.named(ONE)[1:]):
        raise NotAsked("an earlier probe's record is there twice")
    session.check_room()
    count_on, count_off = _take_off_list(session, one)
    before = session.read(one)
    if before.get("email") != own_records.email_of(ONE):
        raise NotAsked("Apollo did not store the address of the probe's record")
    other = session.other_owner_or_none()
    sent = {**own_records.as_new_contact(ONE), "title": f"{TITLE} ({uuid.uuid4().hex[:6]})"}
    created, existing = session.create_contacts([sent], **({"owner_id": other} if other else {}))
    after = session.read(one)
    answered = next((record for record in [*existing, *created]), {})
    session.restore()
    return RepeatedCreate(
        created=frozenset(record["id"] for record in created),
        existing=frozenset(record["id"] for record in existing),
        answered=answered,
        before=before,
        after=after,
        sent=sent,
        owner_id=other,
        count_on=count_on,
        count_off=count_off,
    )


def _take_off_list(session: Session, one: JSON) -> tuple[int | None, int | None]:
    """Take a contact off the list; returns the list's count before and after."""
    try:
        _count_on_list(session)
        before = _count_on_list(session)
        session.client.remove_from_lists(CONTACT_ENDPOINTS, [one["id"]], [NAME])
        return before, _count_on_list(session)
    except (EndpointForbidden, RequestRefused):
        return None, None


def _count_on_list(session: Session) -> int | None:
    label = own_records.own_list(session.client, CONTACT_ENDPOINTS)
    if label is None:
        return None
    session.own.contact_list = label.id
    return label.count


def alike_in_batch(session: Session) -> Observation:
    """Two records of one request that match each other."""
    session.twin  # noqa: B018 - it is made or found first
    if "alike_in_batch" in session.new:
        return session.new["alike_in_batch"]
    if len(session.own.named(TWIN)) > 1:
        return Observation("both_created", "read off the records of an earlier probe")
    raise NotAsked("the records of an earlier probe are there, and asking would make another one")


def invalid_email(session: Session) -> Observation:
    """A malformed address in a creation, asked once; later the record shows the answer."""
    session.find_contacts()
    found = session.own.named(MALFORMED)
    if not found:
        session.check_room()
        try:
            created, _ = session.create_contacts([own_records.as_new_contact(MALFORMED)])
        except RequestRefused as refusal:
            return Observation("refused", f"status {refusal.status}")
        if not created:
            return Observation("dropped")
        found = [session.read(created[0])]
    email = found[0].get("email")
    if not email:
        return Observation("ignored")
    return Observation("accepted" if email == MALFORMED_EMAIL else "respelled")


def matched_in_bulk(session: Session) -> Observation:
    """A contact that exists, by its address."""
    one, *others = _contacts_named_one(session)
    if any(other.get("email") == one.get("email") for other in others):
        return Observation("duplicated", "read off the records of an earlier probe")
    repeated = _repeated_create(session)
    if repeated.created:
        return Observation("duplicated")
    if one["id"] not in repeated.existing:
        raise NotAsked("the answer did not name the record")
    is_changed = repeated.after.get("title") == repeated.sent["title"]
    return Observation("overwritten" if is_changed else "unchanged")


def _contacts_named_one(session: Session) -> list[JSON]:
    session.one  # noqa: B018 - it is made or found first
    return list(session.own.named(ONE))


def labels_touch_existing(session: Session) -> Observation:
    """The lists of the request, and a record that exists."""
    repeated = _repeated_create(session)
    _check_existing(repeated.created)
    if session.own.contact_list in lists_of(repeated.before):
        raise NotAsked("the record could not be taken off the probe's list first")
    return yes_or_no(session.own.contact_list in lists_of(repeated.after))


def owner_touches_existing(session: Session) -> Observation:
    """The owner of the request, and a record that exists."""
    repeated = _repeated_create(session)
    _check_existing(repeated.created)
    if repeated.owner_id is None:
        return yes_or_no(repeated.after.get("owner_id") == session.other_owner)
    return yes_or_no(repeated.after.get("owner_id") == repeated.owner_id)


def _check_existing(created: frozenset[str]) -> None:
    if created:
        raise NotAsked("Apollo took the record for a new one")


def bulk_answers(session: Session) -> Observation:
    """Which fields a record of an answer has."""
    answered = _repeated_create(session).answered
    if not answered:
        raise NotAsked("the answer did not name the record")
    return Observation("full" if "label_ids" in answered else "documented")


def list_counts_late(session: Session) -> Observation:
    """The count of a list after a record was taken off."""
    repeated = _repeated_create(session)
    if repeated.count_on is None or repeated.count_off is None:
        raise NotAsked("the list's count was not told")
    return yes_or_no(repeated.count_on == repeated.count_off)


def contact_matched_by_name(session: Session) -> Observation:
    """A contact of the same name and company with another address."""
    one, *others = _contacts_named_one(session)
    if any(other.get("email") == NAMESAKE_EMAIL for other in others):
        return Observation("false", "read off the records of an earlier probe")
    if others or _repeated_create(session).created:
        raise NotAsked("Apollo makes a second record of what exists, whatever its name")
    session.check_room()
    namesake = {**as_new_contact(ONE), "email": NAMESAKE_EMAIL}
    created, existing = session.create_contacts([namesake])
    if existing and not created:
        session.read(one)
    return yes_or_no(existing and not created)


def _create_like_own(session: Session, row: JSON) -> tuple[list[JSON], list[JSON]]:
    """What a bulk_create answers for an account that is like the probe's own."""
    session.account  # noqa: B018 - it is made or found first
    return session.create_accounts(row)


def _account_after(session: Session) -> JSON:
    """The account as Apollo shows it after a request; then its values are restored."""
    after = session.client.read(ACCOUNT_ENDPOINTS, session.account["id"])
    session.own.note_account(after)
    own_records.restore_account(session.client, session.own)
    return after


def accounts_matched_in_bulk(session: Session) -> Observation:
    """An account that exists, by its domain."""
    same = [one for one in session.own.accounts.values() if one.get("domain") == DOMAIN]
    if len(same) > 1:
        return Observation("duplicated", "read off the records of an earlier probe")
    created, _ = _create_like_own(session, {"name": f"{NAME}, renamed", "domain": DOMAIN})
    if created:
        return Observation("duplicated")
    is_renamed = _account_after(session).get("name") != NAME
    return Observation("overwritten" if is_renamed else "unchanged")


def account_matched_by_name(session: Session) -> Observation:
    """An account of the same name with another domain."""
    session.account  # noqa: B018 - it is made or found first
    domains = [one.get("domain") for one in session.own.accounts.values()]
    if OTHER_DOMAIN in domains and DOMAIN in domains:
        return Observation("false", "read off the records of an earlier probe")
    if domains.count(DOMAIN) > 1:
        raise NotAsked("Apollo makes a second record of what exists, whatever its name")
    created, existing = _create_like_own(session, {"name": NAME, "domain": OTHER_DOMAIN})
    if not created:
        _account_after(session)
    return yes_or_no(existing and not created)
