"""Questions about updates: how a record is changed and refused, one function a question."""

from __future__ import annotations

from typing import Final

from target_apollo.apollo import CONTACT_ENDPOINTS, JSON, RequestRefused, Stage, endpoints
from target_apollo.cli.probe.asking import (
    Asking,
    NotAsked,
    Seen,
    records_of,
    yes_or_no,
)
from target_apollo.cli.probe.own_records import FIRST_NAME, LINKEDIN, NAME, TITLE

#: An id in Apollo's form that no record has, since ids begin with the time of their creation.
GONE_ID: Final = "0" * 23 + "1"
_PUT_CONTACT: Final = "PUT /contacts/{id}"
_OTHER_TITLE: Final = f"{TITLE}, changed"
_ORDERS: Final = 3


def answer_order(asking: Asking) -> Seen:
    """The order of the records in the answers to three bulk updates."""
    asking.one  # noqa: B018 - it is made or found first
    ids = sorted(asking.own.contacts)
    if len(ids) < 2:
        raise NotAsked("there are too few records to see an order")
    for turn in range(_ORDERS):
        sent = ids[turn:] + ids[:turn] if turn < _ORDERS - 1 else ids[::-1]
        answer = _bulk_update(asking, *({"id": one, "first_name": FIRST_NAME} for one in sent))
        if [one["id"] for one in answer] != sent:
            return Seen("true")
    return Seen("false")


def _bulk_update(asking: Asking, *items: JSON) -> list[JSON]:
    body = {
        CONTACT_ENDPOINTS.attributes_key: list(items),
        **CONTACT_ENDPOINTS.bulk_update_arguments,
    }
    answer = asking.send(endpoints.BULK_UPDATE_CONTACTS, body).body
    return records_of(answer, CONTACT_ENDPOINTS.plural)


def _refused_with_gone(asking: Asking) -> tuple[bool, RequestRefused]:
    """Whether the good record before a bad one was written, and the refusal."""
    one = asking.one
    try:
        _bulk_update(asking, {"id": one["id"], "title": _OTHER_TITLE}, {"id": GONE_ID})
    except RequestRefused as refusal:
        return asking.read(one).get("title") == _OTHER_TITLE, refusal
    raise NotAsked("Apollo refuses no bulk update for an id that no record has")


def bulk_failure(asking: Asking) -> Seen:
    """What is written of a refused bulk update."""
    is_written, _ = asking.step("refused", lambda: _refused_with_gone(asking))
    return Seen("good_before_written" if is_written else "nothing_written")


def gone_in_bulk(asking: Asking) -> Seen:
    """The form of the refusal of a bulk update with an id that no record has."""
    _, refusal = asking.step("refused", lambda: _refused_with_gone(asking))
    return Seen("not_found" if refusal.details else "as_single", f"status {refusal.status}")


def taken_email(asking: Asking) -> Seen:
    """An update with the address of another contact."""
    one, twin = asking.one, asking.twin
    if not one.get("email"):
        raise NotAsked("Apollo did not store the address of the probe's record")
    try:
        record = asking.change(twin, {"email": one["email"]})
    except RequestRefused as refusal:
        return Seen("refused", f"status {refusal.status}")
    is_stored = record.get("email") == one["email"]
    asking.put_right()
    if not is_stored:
        raise NotAsked("Apollo took the update and left the address as it was")
    return Seen("allowed")


def cleared_by(asking: Asking) -> Seen:
    """What the empty text and null do to a title."""
    one = asking.one
    clears = {}
    for name, value in (("empty_string", ""), ("null", None)):
        asking.change(one, {"title": TITLE})
        try:
            clears[name] = not asking.change(one, {"title": value}).get("title")
        except RequestRefused:
            clears[name] = False
    asking.change(one, {"title": TITLE})
    if all(clears.values()):
        return Seen("both")
    return Seen(next((name for name, done in clears.items() if done), "neither"))


def unknown_id(asking: Asking) -> Seen:
    """An update of an id that no record has."""
    try:
        asking.send(endpoints.UPDATE_CONTACT, {"title": TITLE}, GONE_ID)
    except RequestRefused as refusal:
        if refusal.status == 404:
            return Seen("not_found")
        return Seen("unprocessable", f"status {refusal.status}")
    raise NotAsked("Apollo answers an update of an id that no record has as done")


def bad_id_names_value(asking: Asking) -> Seen:
    """Reading what is no id."""
    bad = "probe"
    try:
        asking.send(endpoints.READ_CONTACT, record_id=bad)
    except RequestRefused as refusal:
        return yes_or_no(bad in refusal.message.split())
    raise NotAsked("Apollo answers the reading of what is no id as done")


def owners_and_stages_skip_gone(asking: Asking) -> Seen:
    """An update_owners with an id that no record has; the owner stays as it is."""
    one = asking.one
    owner = one.get("owner_id")
    if not owner:
        raise NotAsked("the probe's record has no owner")
    try:
        asking.client.update_owners(CONTACT_ENDPOINTS, [one["id"], GONE_ID], owner)
    except RequestRefused as refusal:
        return Seen("false", f"status {refusal.status}")
    return Seen("true")


def single_takes_owner(asking: Asking) -> Seen:
    """PATCH of one contact with an owner."""
    one, other = asking.one, asking.other_owner
    try:
        record = asking.change(one, {"owner_id": other})
    except RequestRefused as refusal:
        return Seen("false", f"refused with status {refusal.status}")
    is_taken = record.get("owner_id") == other
    asking.put_right()
    return yes_or_no(is_taken)


def _other_stage(asking: Asking) -> Stage:
    """A stage in which the first contact is not."""
    present = asking.one.get("contact_stage_id")
    for stage in asking.client.stages(CONTACT_ENDPOINTS):
        if stage.id != present and "contact" not in stage.name.lower():
            return stage
    raise NotAsked("the team has no second stage, to which the probe's record could be moved")


def bulk_update_takes_stage(asking: Asking) -> Seen:
    """bulk_update of a contact with a stage."""
    one, other = asking.one, _other_stage(asking)
    try:
        _bulk_update(asking, {"id": one["id"], CONTACT_ENDPOINTS.stage_key: other.id})
    except RequestRefused as refusal:
        return Seen("false", f"refused with status {refusal.status}")
    is_taken = asking.read(one).get(CONTACT_ENDPOINTS.stage_key) == other.id
    asking.put_right()
    return yes_or_no(is_taken)


def put_contacts(asking: Asking) -> Seen:
    """PUT of one contact."""
    try:
        asking.send(_PUT_CONTACT, {"first_name": FIRST_NAME}, asking.one["id"])
    except RequestRefused as refusal:
        return _route_answer(refusal)
    asking.read(asking.one)
    asking.put_right()
    return Seen("accepted")


def _update_account_by(asking: Asking, endpoint: str) -> Seen:
    """Whether Apollo takes an update of an account by this endpoint."""
    account = asking.account
    try:
        asking.send(endpoint, {"name": NAME}, account["id"])
    except RequestRefused as refusal:
        return _route_answer(refusal)
    return Seen("accepted")


def _route_answer(refusal: RequestRefused) -> Seen:
    """The answer to whether an endpoint is a route; raises the refusal if it is another one."""
    if refusal.status in (404, 405):
        return Seen("not_found" if refusal.status == 404 else "not_allowed")
    raise refusal


def patch_accounts(asking: Asking) -> Seen:
    """PATCH of one account."""
    return _update_account_by(asking, endpoints.PATCH_ACCOUNT)


def put_accounts(asking: Asking) -> Seen:
    """PUT of one account."""
    return _update_account_by(asking, endpoints.PUT_ACCOUNT)


def rewrites_linkedin(asking: Asking) -> Seen:
    """How a profile address is stored."""
    stored = asking.read(asking.one).get("linkedin_url")
    if not stored:
        raise NotAsked("Apollo did not store the profile address of the probe's record")
    return yes_or_no(stored != LINKEDIN)
