"""Questions about updates: how a record is changed and refused, one function a question."""

from __future__ import annotations

from typing import Final

from target_apollo.apollo import CONTACT_ENDPOINTS, JSON, RequestRefused, Stage, endpoints
from target_apollo.cli.probe.own_records import FIRST_NAME, LINKEDIN, NAME, TITLE
from target_apollo.cli.probe.session import (
    NotAsked,
    Observation,
    Session,
    records_of,
    yes_or_no,
)

#: An id in Apollo's form that no record has, since ids begin with the time of their creation.
GONE_ID: Final = "0" * 23 + "1"
_PUT_CONTACT: Final = "PUT /contacts/{id}"
_OTHER_TITLE: Final = f"{TITLE}, changed"
_ORDERS: Final = 3


def answer_order(session: Session) -> Observation:
    """The order of the records in the answers to three bulk updates."""
    session.one  # noqa: B018 - it is made or found first
    ids = sorted(session.own.contacts)
    if len(ids) < 2:
        raise NotAsked("there are too few records to see an order")
    for turn in range(_ORDERS):
        sent = ids[turn:] + ids[:turn] if turn < _ORDERS - 1 else ids[::-1]
        answer = _bulk_update(session, *({"id": one, "first_name": FIRST_NAME} for one in sent))
        if [one["id"] for one in answer] != sent:
            return Observation("true")
    return Observation("false")


def _bulk_update(session: Session, *items: JSON) -> list[JSON]:
    body = {
        CONTACT_ENDPOINTS.attributes_key: list(items),
        **CONTACT_ENDPOINTS.bulk_update_arguments,
    }
    answer = session.send(endpoints.BULK_UPDATE_CONTACTS, body).body
    return records_of(answer, CONTACT_ENDPOINTS.plural)


def _refused_with_gone(session: Session) -> tuple[bool, RequestRefused]:
    """Whether the good record before a bad one was written, and the refusal."""
    one = session.one
    try:
        _bulk_update(session, {"id": one["id"], "title": _OTHER_TITLE}, {"id": GONE_ID})
    except RequestRefused as refusal:
        return session.read(one).get("title") == _OTHER_TITLE, refusal
    raise NotAsked("Apollo refuses no bulk update for an id that no record has")


def bulk_failure(session: Session) -> Observation:
    """What is written of a refused bulk update."""
    is_written, _ = session.step("refused", lambda: _refused_with_gone(session))
    return Observation("good_before_written" if is_written else "nothing_written")


def gone_in_bulk(session: Session) -> Observation:
    """The form of the refusal of a bulk update with an id that no record has."""
    _, refusal = session.step("refused", lambda: _refused_with_gone(session))
    return Observation("not_found" if refusal.details else "as_single", f"status {refusal.status}")


def taken_email(session: Session) -> Observation:
    """An update with the address of another contact."""
    one, twin = session.one, session.twin
    if not one.get("email"):
        raise NotAsked("Apollo did not store the address of the probe's record")
    try:
        record = session.change(twin, {"email": one["email"]})
    except RequestRefused as refusal:
        return Observation("refused", f"status {refusal.status}")
    is_stored = record.get("email") == one["email"]
    session.restore()
    if not is_stored:
        raise NotAsked("Apollo took the update and left the address as it was")
    return Observation("allowed")


def cleared_by(session: Session) -> Observation:
    """What the empty text and null do to a title."""
    one = session.one
    clears = {}
    for name, value in (("empty_string", ""), ("null", None)):
        session.change(one, {"title": TITLE})
        try:
            clears[name] = not session.change(one, {"title": value}).get("title")
        except RequestRefused:
            clears[name] = False
    session.change(one, {"title": TITLE})
    if all(clears.values()):
        return Observation("both")
    return Observation(next((name for name, done in clears.items() if done), "neither"))


def unknown_id(session: Session) -> Observation:
    """An update of an id that no record has."""
    try:
        session.send(endpoints.UPDATE_CONTACT, {"title": TITLE}, GONE_ID)
    except RequestRefused as refusal:
        if refusal.status == 404:
            return Observation("not_found")
        return Observation("unprocessable", f"status {refusal.status}")
    raise NotAsked("Apollo answers an update of an id that no record has as done")


def bad_id_names_value(session: Session) -> Observation:
    """Reading what is no id."""
    bad = "probe"
    try:
        session.send(endpoints.READ_CONTACT, record_id=bad)
    except RequestRefused as refusal:
        return yes_or_no(bad in refusal.message.split())
    raise NotAsked("Apollo answers the reading of what is no id as done")


def owners_and_stages_skip_gone(session: Session) -> Observation:
    """An update_owners with an id that no record has; the owner stays as it is."""
    one = session.one
    owner = one.get("owner_id")
    if not owner:
        raise NotAsked("the probe's record has no owner")
    try:
        session.client.update_owners(CONTACT_ENDPOINTS, [one["id"], GONE_ID], owner)
    except RequestRefused as refusal:
        return Observation("false", f"status {refusal.status}")
    return Observation("true")


def single_takes_owner(session: Session) -> Observation:
    """PATCH of one contact with an owner."""
    one, other = session.one, session.other_owner
    try:
        record = session.change(one, {"owner_id": other})
    except RequestRefused as refusal:
        return Observation("false", f"refused with status {refusal.status}")
    is_taken = record.get("owner_id") == other
    session.restore()
    return yes_or_no(is_taken)


def _other_stage(session: Session) -> Stage:
    """A stage in which the first contact is not."""
    present = session.one.get("contact_stage_id")
    for stage in session.client.stages(CONTACT_ENDPOINTS):
        if stage.id != present and "contact" not in stage.name.lower():
            return stage
    raise NotAsked("the team has no second stage, to which the probe's record could be moved")


def bulk_update_takes_stage(session: Session) -> Observation:
    """bulk_update of a contact with a stage."""
    one, other = session.one, _other_stage(session)
    try:
        _bulk_update(session, {"id": one["id"], CONTACT_ENDPOINTS.stage_key: other.id})
    except RequestRefused as refusal:
        return Observation("false", f"refused with status {refusal.status}")
    is_taken = session.read(one).get(CONTACT_ENDPOINTS.stage_key) == other.id
    session.restore()
    return yes_or_no(is_taken)


def put_contacts(session: Session) -> Observation:
    """PUT of one contact."""
    try:
        session.send(_PUT_CONTACT, {"first_name": FIRST_NAME}, session.one["id"])
    except RequestRefused as refusal:
        return _route_answer(refusal)
    session.read(session.one)
    session.restore()
    return Observation("accepted")


def _update_account_by(session: Session, endpoint: str) -> Observation:
    """Whether Apollo takes an update of an account by this endpoint."""
    account = session.account
    try:
        session.send(endpoint, {"name": NAME}, account["id"])
    except RequestRefused as refusal:
        return _route_answer(refusal)
    return Observation("accepted")


def _route_answer(refusal: RequestRefused) -> Observation:
    """The answer to whether an endpoint is a route; raises the refusal if it is another one."""
    if refusal.status in (404, 405):
        return Observation("not_found" if refusal.status == 404 else "not_allowed")
    raise refusal


def patch_accounts(session: Session) -> Observation:
    """PATCH of one account."""
    return _update_account_by(session, endpoints.PATCH_ACCOUNT)


def put_accounts(session: Session) -> Observation:
    """PUT of one account."""
    return _update_account_by(session, endpoints.PUT_ACCOUNT)


def rewrites_linkedin(session: Session) -> Observation:
    """How a profile address is stored."""
    stored = session.read(session.one).get("linkedin_url")
    if not stored:
        raise NotAsked("Apollo did not store the profile address of the probe's record")
    return yes_or_no(stored != LINKEDIN)
