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
from target_apollo.cli.probe.asking import Asking, NotAsked, Seen, yes_or_no
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


def _repeated_create(asking: Asking) -> RepeatedCreate:
    """What a bulk_create does with the first contact, which exists; done once for all questions."""
    return asking.step("repeated create", lambda: _create_again(asking))


def _create_again(asking: Asking) -> RepeatedCreate:
    one = asking.one
    if any(other.get("email") == one.get("email") for other in asking.own.named(ONE)[1:]):
        raise NotAsked("an earlier probe's record is there twice")
    asking.check_room()
    count_on, count_off = _take_off_list(asking, one)
    before = asking.read(one)
    if before.get("email") != own_records.email_of(ONE):
        raise NotAsked("Apollo did not store the address of the probe's record")
    other = asking.other_owner_or_none()
    sent = {**own_records.as_new_contact(ONE), "title": f"{TITLE} ({uuid.uuid4().hex[:6]})"}
    created, existing = asking.create_contacts([sent], **({"owner_id": other} if other else {}))
    after = asking.read(one)
    answered = next((record for record in [*existing, *created]), {})
    asking.put_right()
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


def _take_off_list(asking: Asking, one: JSON) -> tuple[int | None, int | None]:
    """Take a contact off the list; returns the list's count before and after."""
    try:
        _count_on_list(asking)
        before = _count_on_list(asking)
        asking.client.remove_from_lists(CONTACT_ENDPOINTS, [one["id"]], [NAME])
        return before, _count_on_list(asking)
    except (EndpointForbidden, RequestRefused):
        return None, None


def _count_on_list(asking: Asking) -> int | None:
    label = own_records.own_list(asking.client, CONTACT_ENDPOINTS)
    if label is None:
        return None
    asking.own.contact_list = label.id
    return label.count


def alike_in_batch(asking: Asking) -> Seen:
    """Two records of one request that match each other."""
    asking.twin  # noqa: B018 - it is made or found first
    if "alike_in_batch" in asking.new:
        return asking.new["alike_in_batch"]
    if len(asking.own.named(TWIN)) > 1:
        return Seen("both_created", "read off the records of an earlier probe")
    raise NotAsked("the records of an earlier probe are there, and asking would make another one")


def invalid_email(asking: Asking) -> Seen:
    """A malformed address in a creation, asked once; later the record shows the answer."""
    asking.find_contacts()
    found = asking.own.named(MALFORMED)
    if not found:
        asking.check_room()
        try:
            created, _ = asking.create_contacts([own_records.as_new_contact(MALFORMED)])
        except RequestRefused as refusal:
            return Seen("refused", f"status {refusal.status}")
        if not created:
            return Seen("dropped")
        found = [asking.read(created[0])]
    email = found[0].get("email")
    if not email:
        return Seen("ignored")
    return Seen("accepted" if email == MALFORMED_EMAIL else "respelled")


def matched_in_bulk(asking: Asking) -> Seen:
    """A contact that exists, by its address."""
    one, *others = _contacts_named_one(asking)
    if any(other.get("email") == one.get("email") for other in others):
        return Seen("duplicated", "read off the records of an earlier probe")
    repeated = _repeated_create(asking)
    if repeated.created:
        return Seen("duplicated")
    if one["id"] not in repeated.existing:
        raise NotAsked("the answer did not name the record")
    is_changed = repeated.after.get("title") == repeated.sent["title"]
    return Seen("overwritten" if is_changed else "unchanged")


def _contacts_named_one(asking: Asking) -> list[JSON]:
    asking.one  # noqa: B018 - it is made or found first
    return list(asking.own.named(ONE))


def labels_touch_existing(asking: Asking) -> Seen:
    """The lists of the request, and a record that exists."""
    repeated = _repeated_create(asking)
    _check_existing(repeated.created)
    if asking.own.contact_list in lists_of(repeated.before):
        raise NotAsked("the record could not be taken off the probe's list first")
    return yes_or_no(asking.own.contact_list in lists_of(repeated.after))


def owner_touches_existing(asking: Asking) -> Seen:
    """The owner of the request, and a record that exists."""
    repeated = _repeated_create(asking)
    _check_existing(repeated.created)
    if repeated.owner_id is None:
        return yes_or_no(repeated.after.get("owner_id") == asking.other_owner)
    return yes_or_no(repeated.after.get("owner_id") == repeated.owner_id)


def _check_existing(created: frozenset[str]) -> None:
    if created:
        raise NotAsked("Apollo took the record for a new one")


def bulk_answers(asking: Asking) -> Seen:
    """Which fields a record of an answer has."""
    answered = _repeated_create(asking).answered
    if not answered:
        raise NotAsked("the answer did not name the record")
    return Seen("full" if "label_ids" in answered else "documented")


def list_counts_late(asking: Asking) -> Seen:
    """The count of a list after a record was taken off."""
    repeated = _repeated_create(asking)
    if repeated.count_on is None or repeated.count_off is None:
        raise NotAsked("the list's count was not told")
    return yes_or_no(repeated.count_on == repeated.count_off)


def contact_matched_by_name(asking: Asking) -> Seen:
    """A contact of the same name and company with another address."""
    one, *others = _contacts_named_one(asking)
    if any(other.get("email") == NAMESAKE_EMAIL for other in others):
        return Seen("false", "read off the records of an earlier probe")
    if others or _repeated_create(asking).created:
        raise NotAsked("Apollo makes a second record of what exists, whatever its name")
    asking.check_room()
    namesake = {**as_new_contact(ONE), "email": NAMESAKE_EMAIL}
    created, existing = asking.create_contacts([namesake])
    if existing and not created:
        asking.read(one)
    return yes_or_no(existing and not created)


def _create_like_own(asking: Asking, row: JSON) -> tuple[list[JSON], list[JSON]]:
    """What a bulk_create answers for an account that is like the probe's own."""
    asking.account  # noqa: B018 - it is made or found first
    return asking.create_accounts(row)


def _account_after(asking: Asking) -> JSON:
    """The account as Apollo shows it after a request; then it is put right."""
    after = asking.client.read(ACCOUNT_ENDPOINTS, asking.account["id"])
    asking.own.note_account(after)
    own_records.put_account_right(asking.client, asking.own)
    return after


def accounts_matched_in_bulk(asking: Asking) -> Seen:
    """An account that exists, by its domain."""
    same = [one for one in asking.own.accounts.values() if one.get("domain") == DOMAIN]
    if len(same) > 1:
        return Seen("duplicated", "read off the records of an earlier probe")
    created, _ = _create_like_own(asking, {"name": f"{NAME}, renamed", "domain": DOMAIN})
    if created:
        return Seen("duplicated")
    is_renamed = _account_after(asking).get("name") != NAME
    return Seen("overwritten" if is_renamed else "unchanged")


def account_matched_by_name(asking: Asking) -> Seen:
    """An account of the same name with another domain."""
    asking.account  # noqa: B018 - it is made or found first
    domains = [one.get("domain") for one in asking.own.accounts.values()]
    if OTHER_DOMAIN in domains and DOMAIN in domains:
        return Seen("false", "read off the records of an earlier probe")
    if domains.count(DOMAIN) > 1:
        raise NotAsked("Apollo makes a second record of what exists, whatever its name")
    created, existing = _create_like_own(asking, {"name": NAME, "domain": OTHER_DOMAIN})
    if not created:
        _account_after(asking)
    return yes_or_no(existing and not created)
