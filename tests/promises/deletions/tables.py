"""Messages of taps that send whole tables, and the people whom a run has moved."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from tests.helpers.worlds import World
from tests.promises.conftest import Message, record, schema, state

STAGE = "Bad Data"
TO_STAGE = {"on_delete": f"stage:{STAGE}"}
TO_LIST = {"on_delete": "list:Gone"}
DELETED_AT = "2026-01-01T00:00:00Z"


def row(number: int, stream: str = "contacts", **values: Any) -> Message:
    return record(stream, **{"id": number, "email": f"p{number}@a.com", **values})


def rows(numbers: Iterable[int], stream: str = "contacts", **values: Any) -> list[Message]:
    return [row(number, stream, **values) for number in numbers]


def activate(stream: str = "contacts", version: object = 1) -> Message:
    return {"type": "ACTIVATE_VERSION", "stream": stream, "version": version}


def whole(numbers: Iterable[int], stream: str = "contacts", **values: Any) -> list[Message]:
    """A whole table as singer-python's taps send it: the version comes after the rows."""
    return [columns(stream), *rows(numbers, stream, **values), activate(stream), state({"at": 1})]


def whole_of_sdk(
    numbers: Iterable[int], stream: str = "contacts", version: object = 0, **values: Any
) -> list[Message]:
    """A whole table as taps of the Meltano SDK send it: the version first, in epoch seconds."""
    version = version or int(time.time())
    found = [{**one, "version": version} for one in rows(numbers, stream, **values)]
    return [columns(stream), activate(stream, version), *found, state({"at": 1})]


def columns(stream: str = "contacts", **more: Any) -> Message:
    return {**schema("contacts"), "stream": stream, **more}


def deleted(number: int, stream: str = "contacts", **values: Any) -> Message:
    """What a tap that reads the log sends: the key and the time."""
    return record(stream, id=number, _sdc_deleted_at=DELETED_AT, **values)


def stages(world: World) -> dict[str, str]:
    """E-mail address -> name of the stage."""
    store = world.apollo.store
    names = {one["id"]: str(one["name"]) for one in store.contact_stages}
    return {str(one["email"]): names[one["contact_stage_id"]] for one in store.contacts()}


def moved(world: World, stage: str = STAGE) -> list[int]:
    """The numbers of the people in the stage of `on_delete`, or on its list."""
    store = world.apollo.store
    labels = {one["id"] for one in store.labels() if one["name"] == "Gone"}
    return sorted(
        int(one["email"].removeprefix("p").partition("@")[0])
        for one in store.contacts()
        if stages(world)[str(one["email"])] == stage or labels & {*one["label_ids"]}
    )


def set_stage(world: World, number: int, name: str) -> None:
    """What a person does in Apollo."""
    store = world.apollo.store
    stage = next(one["id"] for one in store.contact_stages if one["name"] == name)
    with store.lock:
        found = store.contact_by_id[str(world.contact(f"p{number}@a.com")["id"])]
        found.own["contact_stage_id"] = stage
        store.changed_contact(found, store.keys_of(found))
