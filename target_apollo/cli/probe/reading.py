"""Questions about searches, custom fields and the form of answers, one function a question."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final

from target_apollo.apollo import CONTACT_ENDPOINTS, JSON, CustomField, RequestRefused, endpoints
from target_apollo.cli.probe.asking import Asking, NotAsked, Seen, yes_or_no
from target_apollo.cli.probe.own_records import LOOKS, ONE, TITLE, email_of

_CUSTOM: Final = "typed_custom_fields"
_TYPED_NUMBERS: Final = ("number",)
_NO_NUMBER: Final = "no number"
#: Long enough for a server to compress it.
_BYTES_WORTH_COMPRESSING: Final = 1_000


def search_lag(asking: Asking) -> Seen:
    """How long a search takes to show a change."""
    one = asking.one
    title = f"{TITLE} ({uuid.uuid4().hex[:6]})"
    asking.change(one, {"title": title})
    waited = 0.0
    for pause in LOOKS:
        asking.stop.wait(pause)
        waited += pause
        if _shown(asking, one["id"]).get("title") == title:
            asking.put_right()
            if not waited:
                return Seen("none")
            return Seen("short", f"shown after {waited:g} seconds")
    asking.put_right()
    return Seen("long", f"not shown after {waited:g} seconds")


def _shown(asking: Asking, contact_id: str) -> JSON:
    """A contact as a search of the list shows it; empty if it does not."""
    if asking.own.contact_list is None:
        asking.own.contact_list = next(iter(asking.read(asking.one).get("label_ids") or []), None)
    if asking.own.contact_list is None:
        raise NotAsked("the probe's record is on no list")
    records = asking.client.on_list(CONTACT_ENDPOINTS, asking.own.contact_list, 1).records
    return next((one for one in records if one["id"] == contact_id), {})


def keyword_search(asking: Asking) -> Seen:
    """What a search by an address finds."""
    one, twin = asking.one, asking.twin
    for pause in LOOKS:
        asking.stop.wait(pause)
        if {one["id"], twin["id"]} <= _on_list(asking):
            break
    else:
        raise NotAsked("a search does not show the probe's records yet")
    found = {hit["id"] for hit in asking.client.search(CONTACT_ENDPOINTS, email_of(ONE))}
    if one["id"] not in found:
        return Seen("nothing")
    return Seen("near_hits" if twin["id"] in found else "every_word")


def _on_list(asking: Asking) -> set[str]:
    _shown(asking, "")
    list_id = asking.own.contact_list or ""
    return {one["id"] for one in asking.client.on_list(CONTACT_ENDPOINTS, list_id, 1).records}


def _custom_fields(asking: Asking) -> Sequence[CustomField]:
    """The team's custom fields of contacts."""
    fields = asking.step("fields", asking.client.custom_fields)
    return [one for one in fields if one.modality == CONTACT_ENDPOINTS.singular]


def _field(asking: Asking, fits: Callable[[Any], bool], what: str) -> str:
    found = next((one for one in _custom_fields(asking) if fits(one)), None)
    if found is None:
        raise NotAsked(f"the team has no custom field of contacts that is {what}")
    return str(found.id)


def _written(asking: Asking, field_id: str, value: object) -> JSON:
    """The contact after a custom value was sent; the value is taken out again."""
    try:
        return asking.change(asking.one, {_CUSTOM: {field_id: value}})
    finally:
        asking.change(asking.one, {_CUSTOM: {field_id: ""}})


def custom_field_errors(asking: Asking) -> Seen:
    """How a value that does not fit its custom field is reported."""
    number = _field(asking, lambda one: one.type in _TYPED_NUMBERS, "a number")
    try:
        record = _written(asking, number, _NO_NUMBER)
    except RequestRefused as refusal:
        return Seen("refused", f"status {refusal.status}")
    if (record.get(_CUSTOM) or {}).get(number):
        return Seen("stored")
    errors = record.get("custom_field_errors")
    if not errors:
        return Seen("silent")
    return Seen("list" if isinstance(errors, list) else "mapping")


def custom_values_must_be_strings(asking: Asking) -> Seen:
    """A number as the value of a custom field."""
    number = _field(asking, lambda one: one.type in _TYPED_NUMBERS, "a number")
    try:
        record = _written(asking, number, 7)
    except RequestRefused as refusal:
        return Seen("true", f"status {refusal.status}")
    return yes_or_no(not (record.get(_CUSTOM) or {}).get(number))


def options_shown(asking: Asking) -> Seen:
    """How the options of a custom field with several are shown."""
    several = _field(
        asking, lambda one: one.type == "multipicklist" and one.options, "a choice of several"
    )
    option = next(
        next(iter(one.options.values())) for one in _custom_fields(asking) if one.id == several
    )
    shown = (_written(asking, several, option).get(_CUSTOM) or {}).get(several)
    if not shown:
        raise NotAsked("Apollo did not store the option")
    return Seen("array" if isinstance(shown, list) else "text")


def gzip_answers(asking: Asking) -> Seen:
    """Whether a long answer is compressed."""
    answer = asking.send(endpoints.READ_CONTACT, record_id=asking.one["id"])
    if len(str(answer.body)) < _BYTES_WORTH_COMPRESSING:
        raise NotAsked("no answer is long enough to be worth compressing")
    return yes_or_no(answer.headers.get("Content-Encoding") == "gzip")


def rate_headers(asking: Asking) -> Seen:
    """Whether answers tell the rate limits in the headers that Apollo documents."""
    asking.read(asking.one)
    windows = asking.transport.quota.of(endpoints.READ_CONTACT)
    if not windows.known:
        return Seen("missing")
    limits = (("a minute", windows.minute), ("an hour", windows.hour), ("a day", windows.day))
    told = [f"{window.limit} {per}" for per, window in limits if window.limit is not None]
    return Seen("documented", ", ".join(told))
