"""Questions about searches, custom fields and the form of answers, one function a question."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final

from target_apollo.apollo import CONTACT_ENDPOINTS, JSON, CustomField, RequestRefused, endpoints
from target_apollo.cli.probe.own_records import LOOKS, ONE, TITLE, email_of
from target_apollo.cli.probe.session import NotAsked, Observation, Session, yes_or_no

_CUSTOM: Final = "typed_custom_fields"
_TYPED_NUMBERS: Final = ("number",)
_NO_NUMBER: Final = "no number"
#: Long enough for a server to compress it.
_BYTES_WORTH_COMPRESSING: Final = 1_000


def search_lag(session: Session) -> Observation:
    """How long a search takes to show a change."""
    one = session.one
    title = f"{TITLE} ({uuid.uuid4().hex[:6]})"
    session.change(one, {"title": title})
    waited = 0.0
    for pause in LOOKS:
        session.stop.wait(pause)
        waited += pause
        if _shown(session, one["id"]).get("title") == title:
            session.restore()
            if not waited:
                return Observation("none")
            return Observation("short", f"shown after {waited:g} seconds")
    session.restore()
    return Observation("long", f"not shown after {waited:g} seconds")


def _shown(session: Session, contact_id: str) -> JSON:
    """A contact as a search of the list shows it; empty if it does not."""
    if session.own.contact_list is None:
        session.own.contact_list = next(
            iter(session.read(session.one).get("label_ids") or []), None
        )
    if session.own.contact_list is None:
        raise NotAsked("the probe's record is on no list")
    records = session.client.on_list(CONTACT_ENDPOINTS, session.own.contact_list, 1).records
    return next((one for one in records if one["id"] == contact_id), {})


def keyword_search(session: Session) -> Observation:
    """What a search by an address finds."""
    one, twin = session.one, session.twin
    for pause in LOOKS:
        session.stop.wait(pause)
        if {one["id"], twin["id"]} <= _on_list(session):
            break
    else:
        raise NotAsked("a search does not show the probe's records yet")
    found = {hit["id"] for hit in session.client.search(CONTACT_ENDPOINTS, email_of(ONE))}
    if one["id"] not in found:
        return Observation("nothing")
    return Observation("near_hits" if twin["id"] in found else "every_word")


def _on_list(session: Session) -> set[str]:
    _shown(session, "")
    list_id = session.own.contact_list or ""
    return {one["id"] for one in session.client.on_list(CONTACT_ENDPOINTS, list_id, 1).records}


def _custom_fields(session: Session) -> Sequence[CustomField]:
    """The team's custom fields of contacts."""
    fields = session.step("fields", session.client.custom_fields)
    return [one for one in fields if one.modality == CONTACT_ENDPOINTS.singular]


def _field(session: Session, fits: Callable[[Any], bool], what: str) -> str:
    found = next((one for one in _custom_fields(session) if fits(one)), None)
    if found is None:
        raise NotAsked(f"the team has no custom field of contacts that is {what}")
    return str(found.id)


def _written(session: Session, field_id: str, value: object) -> JSON:
    """The contact after a custom value was sent; the value is taken out again."""
    try:
        return session.change(session.one, {_CUSTOM: {field_id: value}})
    finally:
        session.change(session.one, {_CUSTOM: {field_id: ""}})


def custom_field_errors(session: Session) -> Observation:
    """How a value that does not fit its custom field is reported."""
    number = _field(session, lambda one: one.type in _TYPED_NUMBERS, "a number")
    try:
        record = _written(session, number, _NO_NUMBER)
    except RequestRefused as refusal:
        return Observation("refused", f"status {refusal.status}")
    if (record.get(_CUSTOM) or {}).get(number):
        return Observation("stored")
    errors = record.get("custom_field_errors")
    if not errors:
        return Observation("silent")
    return Observation("list" if isinstance(errors, list) else "mapping")


def custom_values_must_be_strings(session: Session) -> Observation:
    """A number as the value of a custom field."""
    number = _field(session, lambda one: one.type in _TYPED_NUMBERS, "a number")
    try:
        record = _written(session, number, 7)
    except RequestRefused as refusal:
        return Observation("true", f"status {refusal.status}")
    return yes_or_no(not (record.get(_CUSTOM) or {}).get(number))


def options_shown(session: Session) -> Observation:
    """How the options of a custom field with several are shown."""
    several = _field(
        session, lambda one: one.type == "multipicklist" and one.options, "a choice of several"
    )
    option = next(
        next(iter(one.options.values())) for one in _custom_fields(session) if one.id == several
    )
    shown = (_written(session, several, option).get(_CUSTOM) or {}).get(several)
    if not shown:
        raise NotAsked("Apollo did not store the option")
    return Observation("array" if isinstance(shown, list) else "text")


def gzip_answers(session: Session) -> Observation:
    """Whether a long answer is compressed."""
    answer = session.send(endpoints.READ_CONTACT, record_id=session.one["id"])
    if len(str(answer.body)) < _BYTES_WORTH_COMPRESSING:
        raise NotAsked("no answer is long enough to be worth compressing")
    return yes_or_no(answer.headers.get("Content-Encoding") == "gzip")


def rate_headers(session: Session) -> Observation:
    """Whether answers tell the rate limits in the headers that Apollo documents."""
    session.read(session.one)
    windows = session.transport.quota.of(endpoints.READ_CONTACT)
    if not windows.known:
        return Observation("missing")
    limits = (("a minute", windows.minute), ("an hour", windows.hour), ("a day", windows.day))
    told = [f"{window.limit} {per}" for per, window in limits if window.limit is not None]
    return Observation("documented", ", ".join(told))
