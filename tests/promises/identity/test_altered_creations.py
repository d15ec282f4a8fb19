"""Apollo stores a new contact without its address, or under another one: it is made once."""

from __future__ import annotations

import re
from typing import Any

import pytest

from target_apollo.sandbox.data import formats
from tests.helpers.worlds import World, keys_rejected, one_fast
from tests.promises.conftest import Message, schema
from tests.promises.identity.people import person

#: The target takes this address for valid, and Apollo does not.
ADDRESS = "second+news@a.com"
FORMS = one_fast("ignored", "respelled")


@pytest.fixture(autouse=True)
def apollo_knows_no_plus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "_EMAIL", re.compile(r"[a-z0-9.]+@[a-z0-9.]+\Z"))
    monkeypatch.setattr(formats, "nearest_email", lambda value: value.replace("+news", ""))


def table(**of_second: Any) -> list[Message]:
    return [schema("contacts"), person(1, 1), person(2, 2, email=ADDRESS, **of_second)]


@pytest.mark.parametrize("mode", one_fast("upsert", "insert"))
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("named", one_fast(True, False), ids=["named", "nameless"])
def test_the_row_is_rejected_and_its_contact_is_made_once(
    world: World, mode: str, form: str, *, named: bool
) -> None:
    world.apollo.set_options(invalid_email=form)
    rows = table(**({} if named else {"first_name": None, "last_name": None}))

    done = world.run(rows, mode=mode)

    assert done.records == {"received": 2, "created": 1, "rejected": 1}, done.log
    assert keys_rejected(done) == [2]
    assert len(world.apollo.store.contacts()) == 2
    for _ in range(2):
        before = world.names()
        again = world.run(rows, mode=mode)
        assert (keys_rejected(again) or [2], world.names()) == ([2], before), again.log
        assert again.records.get("created", 0) == 0


@pytest.mark.full
@pytest.mark.parametrize("form", FORMS)
def test_the_reject_names_the_contact_that_was_made(world: World, form: str) -> None:
    world.apollo.set_options(invalid_email=form)

    done = world.run(table())

    (made,) = (one["id"] for one in world.apollo.store.contacts() if one["email"] != "p1@a.com")
    assert made in done.rejects[0]["record"]["_reject"]["detail"]
    assert ADDRESS not in done.log


@pytest.mark.full
def test_no_later_run_sends_the_creation_again(world: World) -> None:
    world.apollo.set_options(invalid_email="ignored")
    world.run(table())

    for title in (None, "Buyer"):
        world.run(table(**({"title": title} if title else {})))
        creations = [r for r in world.apollo.requests if r.endpoint.endswith("bulk_create")]
        assert creations == []
    assert len(world.apollo.store.contacts()) == 2


@pytest.mark.full
@pytest.mark.parametrize("form", FORMS)
def test_a_mended_address_is_written_to_the_contact_that_was_made(world: World, form: str) -> None:
    world.apollo.set_options(invalid_email=form)
    world.run(table())
    rows = [schema("contacts"), person(1, 1), person(2, 2, email="mended@a.com")]

    done = world.run(rows)

    assert done.records == {"received": 2, "updated": 1, "unchanged": 1}, done.log
    assert world.names() == [("mended@a.com", "Ann2"), ("p1@a.com", "Ann1")]
    world.stays(rows)


@pytest.mark.full
def test_an_address_that_somebody_adds_in_apollo_settles_the_row(world: World) -> None:
    world.apollo.set_options(invalid_email="ignored")
    world.run(table())
    world.apollo.set_options(invalid_email="accepted")
    made = next(
        one for one in world.apollo.store.contact_by_id.values() if not one.own.get("email")
    )
    keys = world.apollo.store.keys_of(made)
    made.own["email"] = ADDRESS
    world.apollo.store.changed_contact(made, keys)

    done = world.run(table(title="Buyer"))

    assert done.exit_code == 0, done.log
    assert len(world.apollo.store.contacts()) == 2
    world.stays(table(title="Buyer"))
