"""Questions about creations: what a bulk_create does with what exists, one function a question."""

from __future__ import annotations

from target_apollo.apollo import JSON
from target_apollo.cli.probe.asking import Asking, NotAsked, Seen, yes_or_no
from target_apollo.cli.probe.own_records import (
    DOMAIN,
    NAME,
    NAMESAKE_EMAIL,
    ONE,
    OTHER_DOMAIN,
    TWIN,
    as_new_contact,
    lists_of,
)


def alike_in_batch(asking: Asking) -> Seen:
    """Two records of one request that match each other."""
    asking.twin  # noqa: B018 - it is made or found first
    if "alike_in_batch" in asking.new:
        return asking.new["alike_in_batch"]
    if len(asking.own.named(TWIN)) > 1:
        return Seen("both_created", "read off the records of an earlier probe")
    raise NotAsked("the records of an earlier probe are there, and asking would make another one")


def invalid_email(asking: Asking) -> Seen:
    """A malformed address in a creation."""
    return asking.malformed()


def matched_in_bulk(asking: Asking) -> Seen:
    """A contact that exists, by its address."""
    one, *others = _contacts_named_one(asking)
    if any(other.get("email") == one.get("email") for other in others):
        return Seen("duplicated", "read off the records of an earlier probe")
    touched = asking.touched
    if touched.created:
        return Seen("duplicated")
    if one["id"] not in touched.existing:
        raise NotAsked("the answer did not name the record")
    is_changed = touched.after.get("title") == touched.sent["title"]
    return Seen("overwritten" if is_changed else "unchanged")


def _contacts_named_one(asking: Asking) -> list[JSON]:
    asking.one  # noqa: B018 - it is made or found first
    return list(asking.own.named(ONE))


def labels_touch_existing(asking: Asking) -> Seen:
    """The lists of the request, and a record that exists."""
    touched = asking.touched
    _check_existing(touched.created)
    if asking.own.contact_list in lists_of(touched.before):
        raise NotAsked("the record could not be taken off the probe's list first")
    return yes_or_no(asking.own.contact_list in lists_of(touched.after))


def owner_touches_existing(asking: Asking) -> Seen:
    """The owner of the request, and a record that exists."""
    touched = asking.touched
    _check_existing(touched.created)
    if touched.owner_id is None:
        return yes_or_no(touched.after.get("owner_id") == asking.other_owner)
    return yes_or_no(touched.after.get("owner_id") == touched.owner_id)


def _check_existing(created: frozenset[str]) -> None:
    if created:
        raise NotAsked("Apollo took the record for a new one")


def bulk_answers(asking: Asking) -> Seen:
    """Which fields a record of an answer has."""
    answered = asking.touched.answered
    if not answered:
        raise NotAsked("the answer did not name the record")
    return Seen("full" if "label_ids" in answered else "documented")


def list_counts_late(asking: Asking) -> Seen:
    """The count of a list after a record was taken off."""
    touched = asking.touched
    if touched.count_on is None or touched.count_off is None:
        raise NotAsked("the list's count was not told")
    return yes_or_no(touched.count_on == touched.count_off)


def contact_matched_by_name(asking: Asking) -> Seen:
    """A contact of the same name and company with another address."""
    one, *others = _contacts_named_one(asking)
    if any(other.get("email") == NAMESAKE_EMAIL for other in others):
        return Seen("false", "read off the records of an earlier probe")
    if others or asking.touched.created:
        raise NotAsked("Apollo makes a second record of what exists, whatever its name")
    asking.check_room()
    namesake = {**as_new_contact(ONE), "email": NAMESAKE_EMAIL}
    created, existing = asking.create_contacts([namesake])
    if existing and not created:
        asking.read(one)
    return yes_or_no(existing and not created)


def accounts_matched_in_bulk(asking: Asking) -> Seen:
    """An account that exists, by its domain."""
    same = [one for one in asking.own.accounts.values() if one.get("domain") == DOMAIN]
    if len(same) > 1:
        return Seen("duplicated", "read off the records of an earlier probe")
    created, _ = asking.accounts_matched({"name": f"{NAME}, renamed", "domain": DOMAIN})
    if created:
        return Seen("duplicated")
    is_renamed = asking.account_after().get("name") != NAME
    return Seen("overwritten" if is_renamed else "unchanged")


def account_matched_by_name(asking: Asking) -> Seen:
    """An account of the same name with another domain."""
    asking.account  # noqa: B018 - it is made or found first
    domains = [one.get("domain") for one in asking.own.accounts.values()]
    if OTHER_DOMAIN in domains and DOMAIN in domains:
        return Seen("false", "read off the records of an earlier probe")
    if domains.count(DOMAIN) > 1:
        raise NotAsked("Apollo makes a second record of what exists, whatever its name")
    created, existing = asking.accounts_matched({"name": NAME, "domain": OTHER_DOMAIN})
    if not created:
        asking.account_after()
    return yes_or_no(existing and not created)
