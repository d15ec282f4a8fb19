"""Rows are recognised by the keys that `match_on` names: an address, a profile, an id, a name."""

from __future__ import annotations

from typing import Any

import pytest

from target_apollo.sandbox import SandboxOptions
from tests.helpers.new_sandbox import new_sandbox
from tests.helpers.worlds import World, names_both, one_fast
from tests.promises.conftest import ACCOUNT_SCHEMA, CONTACT_SCHEMA, Message, Run, record, schema
from tests.promises.identity.people import person

STREAM = {
    "properties": {
        **CONTACT_SCHEMA["properties"],
        **{name: {} for name in ("hubspot_id", "crm_key", "salesforce_contact_id")},
    }
}


def profile(number: int) -> str:
    return f"http://www.linkedin.com/in/p{number}"


def table(*rows: Message) -> list[Message]:
    return [schema("contacts", STREAM), *rows]


def nobody(number: int, key: int, **values: Any) -> Message:
    """A row without an address."""
    return person(number, key, email=None, **values)


def titles(world: World) -> dict[str, object]:
    return {one["first_name"]: one["title"] for one in world.apollo.store.contacts()}


# --- linkedin_url


@pytest.mark.parametrize("match_on", one_fast(["email", "linkedin_url"], ["linkedin_url"]))
@pytest.mark.parametrize("mode", one_fast("upsert", "insert"))
def test_contacts_without_an_address_are_written_by_their_profile(
    world: World, mode: str, match_on: list[str]
) -> None:
    rows = table(*(nobody(n, n, linkedin_url=profile(n)) for n in range(3)))

    done = world.run(rows, mode=mode, match_on=match_on)

    assert done.records == {"received": 3, "created": 3}, done.log
    assert {c["linkedin_url"] for c in world.apollo.store.contacts()} == {
        profile(n) for n in range(3)
    }
    world.stays(rows, mode=mode, match_on=match_on)


@pytest.mark.full
def test_a_contact_of_the_profile_is_updated_by_its_link(world: World) -> None:
    settings = {"match_on": ["linkedin_url"]}
    world.run(table(nobody(1, 1, linkedin_url=profile(1), title="Old")), **settings)
    rows = table(nobody(1, 1, linkedin_url="https://linkedin.com/in/p1/", title="New"))

    done = world.run(rows, **settings)

    assert done.records == {"received": 1, "updated": 1}, done.log
    assert titles(world) == {"Ann1": "New"}
    world.stays(rows, **settings)


@pytest.mark.full
def test_a_row_without_any_of_the_keys_is_rejected(any_world: World) -> None:
    rows = table(nobody(1, 1), person(2, 2))

    done = any_world.run(rows, match_on=["email", "linkedin_url"])

    assert done.records == {"received": 2, "created": 1, "rejected": 1}, done.log
    any_world.stays(rows, match_on=["email", "linkedin_url"])


@pytest.mark.full
def test_a_row_without_an_address_is_rejected_where_only_that_is_a_key(any_world: World) -> None:
    done = any_world.run(table(nobody(1, 1, linkedin_url=profile(1))))

    assert done.reasons == ["missing_email"]


@pytest.mark.full
def test_two_rows_of_one_profile_are_one_contact(world: World) -> None:
    rows = table(
        nobody(1, 1, linkedin_url=profile(1)),
        nobody(1, 2, linkedin_url="https://www.linkedin.com/in/P1/?trk=x"),
    )

    world.run(rows, match_on=["linkedin_url"])

    assert len(world.apollo.store.contacts()) == 1
    world.stays(rows, match_on=["linkedin_url"])


@pytest.mark.full
@pytest.mark.parametrize("mode", one_fast("upsert", "update"))
def test_a_contact_that_somebody_made_is_recognised_by_its_profile(
    any_world: World, mode: str
) -> None:
    made = any_world.apollo.store.add_contact(
        first_name="Ann1", last_name="Lee1", linkedin_url=profile(1)
    )
    rows = table(nobody(1, 1, linkedin_url=profile(1), title="New"))

    done = any_world.run(rows, mode=mode, match_on=["linkedin_url"])

    assert done.records == {"received": 1, "updated": 1}, done.log
    assert [(c["id"], c["title"]) for c in any_world.apollo.store.contacts()] == [
        (made["id"], "New")
    ]
    any_world.stays(rows, mode=mode, match_on=["linkedin_url"], asks=mode == "update")


# --- CRM ids, and an id of one's own


@pytest.mark.parametrize("mode", one_fast("upsert", "insert", "update"))
def test_a_contact_is_recognised_by_its_hubspot_id(any_world: World, mode: str) -> None:
    made = any_world.apollo.store.add_contact(
        first_name="Ann1", last_name="Lee1", hubspot_vid="4711", title="Old"
    )
    rows = table(nobody(1, 1, hubspot_id="4711", title="New"))

    done = any_world.run(rows, mode=mode, match_on=["hubspot_id"])

    outcome = "existing" if mode == "insert" else "updated"
    assert done.records == {"received": 1, outcome: 1}, done.log
    (one,) = any_world.apollo.store.contacts()
    assert (one["id"], one["title"]) == (made["id"], "Old" if mode == "insert" else "New")
    any_world.stays(rows, mode=mode, match_on=["hubspot_id"], asks=mode == "update")


@pytest.mark.full
def test_contacts_without_an_address_are_written_by_their_hubspot_id(any_world: World) -> None:
    rows = table(*(nobody(n, n, hubspot_id=str(n)) for n in range(1, 4)))

    done = any_world.run(rows, match_on=["email", "hubspot_id"])

    assert done.records == {"received": 3, "created": 3}, done.log
    any_world.stays(rows, match_on=["email", "hubspot_id"])


@pytest.mark.parametrize("mode", one_fast("upsert", "update"))
def test_a_contact_is_recognised_by_an_id_of_ones_own(world: World, mode: str) -> None:
    field = world.apollo.store.add_custom_field("contact", "CRM key", "string")["id"]
    made = world.apollo.store.add_contact(
        first_name="Ann1", last_name="Lee1", typed_custom_fields={field: "K-1"}, title="Old"
    )
    rows = table(nobody(1, 1, crm_key="K-1", title="New"))
    settings = {"match_on": ["custom:CRM key"], "mode": mode}

    done = world.run(rows, **settings)

    assert done.records == {"received": 1, "updated": 1}, done.log
    assert [(c["id"], c["title"]) for c in world.apollo.store.contacts()] == [(made["id"], "New")]
    world.stays(rows, **settings)


@pytest.mark.full
def test_contacts_without_an_address_are_written_by_an_id_of_ones_own(world: World) -> None:
    world.apollo.store.add_custom_field("contact", "CRM key", "string")
    rows = table(*(nobody(n, n, crm_key=f"K-{n}") for n in range(3)))

    done = world.run(rows, match_on=["custom:CRM key"])

    assert done.records == {"received": 3, "created": 3}, done.log
    world.stays(rows, match_on=["custom:CRM key"])


# --- names


@pytest.mark.parametrize("mode", one_fast("upsert", "insert"))
def test_a_contact_is_recognised_by_name_and_company(any_world: World, mode: str) -> None:
    made = any_world.apollo.store.add_contact(
        first_name="Ann1", last_name="Lee1", organization_name="Acme", title="Old"
    )
    rows = table(
        nobody(1, 1, organization_name="Acme", title="New"),
        nobody(2, 2, organization_name="Acme", title="New"),
    )

    done = any_world.run(rows, mode=mode, match_on=["name"])

    outcome = "existing" if mode == "insert" else "updated"
    assert done.records == {"received": 2, "created": 1, outcome: 1}, done.log
    assert titles(any_world) == {"Ann1": "Old" if mode == "insert" else "New", "Ann2": "New"}
    assert made["id"] in {c["id"] for c in any_world.apollo.store.contacts()}
    any_world.stays(rows, mode=mode, match_on=["name"])


@pytest.mark.full
def test_an_account_is_recognised_by_its_name(any_world: World) -> None:
    made = any_world.apollo.store.add_account(name="Acme Works")
    rows = [
        schema("accounts"),
        record("accounts", id=1, name="Acme Works", phone_number="+49301"),
        record("accounts", id=2, name="Other Works"),
    ]

    done = any_world.run(rows, match_on=["domain", "name"])

    assert done.records == {"received": 2, "created": 1, "updated": 1}, done.log
    phones = {one["id"]: one.get("phone") for one in any_world.apollo.store.accounts()}
    assert phones[made["id"]] == "+49301"
    any_world.stays(rows, match_on=["domain", "name"])


# --- mode update


@pytest.mark.parametrize("match_on", one_fast(["email"], ["email", "linkedin_url"]))
def test_mode_update_writes_by_the_address_and_never_creates(
    any_world: World, match_on: list[str]
) -> None:
    any_world.apollo.store.add_contact(email="p1@a.com", first_name="Ann1", title="Old")
    rows = table(person(1, 1, title="New"), person(2, 2, title="New"))
    settings = {"mode": "update", "match_on": match_on}

    done = any_world.run(rows, **settings)

    assert done.records == {"received": 2, "updated": 1, "rejected": 1}, done.log
    assert done.reasons == ["update_needs_id"]
    assert titles(any_world) == {"Ann1": "New"}
    assert not any("bulk_create" in label for label in any_world.sent())
    any_world.stays(rows, asks=True, **settings)


@pytest.mark.full
def test_mode_update_writes_accounts_by_their_domain_and_never_creates(any_world: World) -> None:
    any_world.apollo.store.add_account(domain="a.com", name="a.com Works", phone="+49300")
    stream = schema("accounts", ACCOUNT_SCHEMA)
    rows = [
        stream,
        record("accounts", id=1, domain="a.com", phone_number="+49301"),
        record("accounts", id=2, domain="b.com", phone_number="+49302"),
    ]
    settings = {"mode": "update", "match_on": ["domain"]}

    done = any_world.run(rows, **settings)

    assert done.records == {"received": 2, "updated": 1, "rejected": 1}, done.log
    assert len(any_world.apollo.store.accounts()) == 1
    any_world.stays(rows, asks=True, **settings)


# --- namesakes


def namesake(world: World) -> list[Message]:
    world.apollo.store.add_contact(
        email="other@b.com", first_name="Ann1", last_name="Lee1", organization_name="Acme"
    )
    return table(person(1, 1, organization_name="Acme"), person(2, 2, organization_name="Acme"))


@pytest.mark.full
def test_a_namesake_is_rejected_by_default(any_world: World) -> None:
    rows = namesake(any_world)

    done = any_world.run(rows)

    assert done.records == {"received": 2, "created": 1, "rejected": 1}, done.log
    assert done.reasons == ["identity_conflict"]
    any_world.stays(rows, asks=True)


@pytest.mark.parametrize("mode", one_fast("upsert", "insert"))
def test_a_namesake_is_created_where_that_is_wanted(any_world: World, mode: str) -> None:
    rows = namesake(any_world)
    settings = {"on_identity_conflict": "create", "mode": mode}

    done = any_world.run(rows, **settings)

    assert done.records == {"received": 2, "created": 2}, done.log
    assert any_world.names() == [
        ("other@b.com", "Ann1"), ("p1@a.com", "Ann1"), ("p2@a.com", "Ann2")
    ]  # fmt: skip
    any_world.stays(rows, **settings)


@pytest.mark.full
def test_two_firms_of_one_name_are_created_where_that_is_wanted(any_world: World) -> None:
    any_world.apollo.store.add_account(domain="other.com", name="Works1")
    rows = [schema("accounts"), record("accounts", id=1, domain="firm1.com", name="Works1")]

    done = any_world.run(rows, on_identity_conflict="create")

    assert done.records == {"received": 1, "created": 1}, done.log
    assert any_world.firms() == [("firm1.com", "Works1"), ("other.com", "Works1")]
    any_world.stays(rows, on_identity_conflict="create")


def test_a_row_of_two_records_is_no_namesake_and_is_never_created(any_world: World) -> None:
    add = any_world.apollo.store.add_contact
    add(email="first@b.com", first_name="Ulla", last_name="Berg", hubspot_vid="4711")
    add(email="p1@a.com", first_name="Otto", last_name="Falk")
    before = any_world.records()
    rows = table(person(1, 1, hubspot_id="4711"))

    done = any_world.run(rows, on_identity_conflict="create")

    assert (done.reasons, any_world.records()) == (["identity_conflict"], before), done.log


# --- settings


@pytest.mark.full
def test_a_stream_has_keys_of_its_own(world: World) -> None:
    rows = table(nobody(1, 1, linkedin_url=profile(1)))

    done = world.run(rows, streams={"contacts": {"match_on": ["linkedin_url"]}})

    assert done.records == {"received": 1, "created": 1}, done.log
    world.stays(rows, streams={"contacts": {"match_on": ["linkedin_url"]}})


# --- two records, several, and what can't be looked for


def test_a_row_whose_address_and_profile_are_of_two_records_is_written_to_neither(
    any_world: World,
) -> None:
    add = any_world.apollo.store.add_contact
    ids = [
        add(email="p1@a.com", first_name="Ann1", last_name="Lee1")["id"],
        add(email="x@b.com", first_name="Ann1", last_name="Lee1", linkedin_url=profile(1))["id"],
    ]
    before = any_world.records()
    rows = table(person(1, 1, linkedin_url=profile(1), title="New"))

    done = any_world.run(rows, match_on=["email", "linkedin_url"])

    assert (done.reasons, any_world.records()) == (["identity_conflict"], before), done.log
    assert names_both(done, ids)


@pytest.mark.parametrize("mode", ["upsert", "update", "insert"])
def test_a_profile_that_several_records_have_is_nobody_s(any_world: World, mode: str) -> None:
    ids = [
        any_world.apollo.store.add_contact(
            email=f"x{n}@b.com", first_name="Ann1", last_name="Lee1", linkedin_url=profile(1)
        )["id"]
        for n in range(2)
    ]
    before = any_world.records()

    done = any_world.run(
        table(nobody(1, 1, linkedin_url=profile(1))), mode=mode, match_on=["linkedin_url"]
    )

    assert (done.reasons, any_world.records()) == (["identity_conflict"], before), done.log
    assert names_both(done, ids)


@pytest.mark.parametrize("mode", ["upsert", "update"])
def test_an_address_that_no_key_names_makes_no_record_the_row_s(
    any_world: World, mode: str
) -> None:
    any_world.apollo.store.add_contact(
        email="p1@a.com", first_name="Otto", last_name="Falk", linkedin_url=profile(9)
    )
    before = any_world.records()
    settings = {"match_on": ["linkedin_url"], "mode": mode, "on_identity_conflict": "create"}

    done = any_world.run(table(person(1, 1, linkedin_url=profile(1))), **settings)

    assert any_world.records() == before, done.log
    assert done.reasons == ["update_needs_id" if mode == "update" else "identity_conflict"]


@pytest.mark.full
def test_many_new_rows_cost_one_reading_of_all_records(world: World) -> None:
    made = world.apollo.store.add_contact(
        first_name="Old", last_name="Name", linkedin_url=profile(7)
    )
    rows = table(*(nobody(n, n, linkedin_url=profile(n)) for n in range(150)))

    done = world.run(rows, match_on=["linkedin_url"])

    assert done.records == {"received": 150, "created": 149, "updated": 1}, done.log
    assert world.sent()["POST /contacts/search"] <= 3
    (one,) = (c for c in world.apollo.store.contacts() if c["id"] == made["id"])
    assert one["first_name"] == "Ann7"
    world.stays(rows, match_on=["linkedin_url"])


def test_another_choice_of_keys_leaves_unchanged_rows_alone(world: World) -> None:
    rows = table(*(person(n, n, linkedin_url=profile(n)) for n in range(30)))
    world.run(rows)

    for match_on in (["linkedin_url"], ["linkedin_url", "email"], ["email", "linkedin_url"]):
        done = world.run(rows, match_on=match_on)
        assert done.records == {"received": 30, "unchanged": 30}, done.log
        assert world.sent() == {}


@pytest.mark.full
@pytest.mark.parametrize("match_on", [["linkedin_url"], ["linkedin_url", "email"]])
def test_rows_that_change_with_another_choice_of_keys_keep_their_records(
    world: World, match_on: list[str]
) -> None:
    world.run(table(*(person(n, n, linkedin_url=profile(n)) for n in range(30))))
    rows = table(*(person(n, n, linkedin_url=profile(n), title="New") for n in range(30)))

    done = world.run(rows, match_on=match_on)

    assert done.records == {"received": 30, "updated": 30}, done.log
    assert len(world.apollo.store.contacts()) == 30
    assert "POST /contacts/search" not in world.sent()
    world.stays(rows, match_on=match_on)


@pytest.mark.parametrize("mode", ["upsert", "insert"])
def test_a_row_that_gets_an_address_later_stays_one_contact(world: World, mode: str) -> None:
    settings = {"match_on": ["email", "linkedin_url"], "mode": mode}
    world.run(table(nobody(1, 1, linkedin_url=profile(1))), **settings)
    rows = table(person(1, 1, linkedin_url=profile(1)))

    done = world.run(rows, **settings)

    outcome = "existing" if mode == "insert" else "updated"
    assert done.records == {"received": 1, outcome: 1}, done.log
    assert len(world.apollo.store.contacts()) == 1
    world.stays(rows, **settings)


@pytest.mark.full
def test_an_end_of_the_quota_in_the_middle_costs_no_row_that_was_found(
    sync: Run,
) -> None:
    with new_sandbox(SandboxOptions(strict=True, hour_limit=12)) as sandbox:
        for n in range(20):
            sandbox.store.add_contact(email=f"p{n}@a.com", first_name=f"Ann{n}", title="Old")
        # More pages than rows, so that each row is searched for.
        for n in range(2_000):
            sandbox.store.add_contact(email=f"other{n}@b.com", first_name="Ulla")
        world = World(sandbox, sync, {"update_method": "bulk", "sandbox": sandbox})
        rows = table(*(person(n, n, title="New") for n in range(20)))
        settings = {"mode": "update", "max_wait_seconds": 0, "parallel_requests": 1}

        first = world.run(rows, **settings)

        assert first.exit_code == 3, first.log
        assert 0 < first.records["updated"] < 20
        assert first.records.get("rejected", 0) == 0
        sandbox.reset_quota()
        second = world.run(rows, **settings)
        assert second.records["updated"] + first.records["updated"] == 20, second.log


# --- wrong settings


def test_a_custom_field_that_the_team_lacks_ends_the_run_before_it_writes(world: World) -> None:
    done = world.run(table(person(1, 1)), match_on=["email", "custom:No such field"])

    assert done.exit_code == 2
    assert "'custom:No such field', and the team has no custom field of contacts" in done.log
    assert world.apollo.store.contacts() == []


def test_a_key_of_accounts_is_none_of_a_stream_of_contacts(sync: Run) -> None:
    done = sync(table(person(1, 1)), streams={"contacts": {"match_on": ["domain"]}})

    assert done.exit_code == 2
    assert "'streams.contacts.match_on' has an entry 'domain', which is no key of con" in done.log


# --- a dry run


@pytest.mark.parametrize("mode", ["upsert", "insert", "update"])
def test_a_plan_recognises_rows_as_the_run_does(world: World, mode: str) -> None:
    world.apollo.store.add_contact(first_name="Ann1", last_name="Lee1", linkedin_url=profile(1))
    before = world.records()
    rows = table(*(nobody(n, n, linkedin_url=profile(n), title="New") for n in (1, 2)))
    settings = {"match_on": ["linkedin_url"], "mode": mode}

    planned = world.run(rows, dry_run=True, **settings)
    assert world.records() == before
    done = world.run(rows, **settings)

    assert planned.records == done.records, planned.log


def test_two_rows_of_one_profile_are_told_as_sharing_it(world: World) -> None:
    rows = table(*(nobody(1, key, linkedin_url=profile(1)) for key in (1, 2)))

    for is_dry in (True, False):
        done = world.run(rows, match_on=["linkedin_url"], dry_run=is_dry)
        assert done.summary["duplicates"]["listed"] == [
            {"stream": "contacts", "keys": ["1", "2"], "kind": "same_linkedin_url"}
        ]
