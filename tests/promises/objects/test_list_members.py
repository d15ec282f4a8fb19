"""What a stream of list members does to Apollo's lists."""

from __future__ import annotations

from collections.abc import Callable

from target_apollo.sandbox import Sandbox
from tests.promises.conftest import Message, TargetRun, contact, record, schema

Run = Callable[..., TargetRun]

ADD = "POST /labels/add_entity_ids_to_label_names"
COLUMNS = ("list", "email", "domain", "apollo_id", "member_key", "object")


def members(*rows: Message) -> list[Message]:
    properties = {"properties": {name: {} for name in COLUMNS}}
    return [
        schema("list_members", properties, key=None),
        *(record("list_members", **row) for row in rows),
    ]


def on_list(apollo: Sandbox, name: str) -> set[str]:
    ids = {label["id"] for label in apollo.store.labels() if label["name"] == name}
    return {str(c["email"]) for c in apollo.store.contacts() if ids & set(c["label_ids"])}


def test_contacts_are_put_on_lists_by_their_addresses_in_one_request(
    apollo: Sandbox, sync: Run
) -> None:
    people = [contact(n) for n in range(90)]
    assert sync([schema("contacts"), *people]).exit_code == 0
    rows = [{"list": "Hot", "email": one["record"]["email"]} for one in people]

    done = sync(members(*rows))

    assert done.exit_code == 0, done.log
    assert done.records == {"received": 90, "created": 90}
    assert len(on_list(apollo, "Hot")) == 90
    assert apollo.count(ADD) == 1
    assert apollo.count("POST /contacts/search") == 0


def test_an_unchanged_member_costs_no_request(apollo: Sandbox, sync: Run) -> None:
    sync([schema("contacts"), contact(1)])
    rows = members({"list": "Hot", "email": "p1@a.com"})
    sync(rows)

    again = sync(rows)

    assert again.records == {"received": 1, "unchanged": 1}
    assert apollo.count(ADD) == 1


def test_a_member_that_apollo_does_not_have_is_rejected_with_a_sentence(
    apollo: Sandbox, sync: Run
) -> None:
    done = sync(members({"list": "Hot", "email": "nobody@a.com"}, {"list": "Hot"}))

    assert sorted(done.reasons) == ["missing_match_key", "unknown_name"]
    assert apollo.count(ADD) == 0


def test_rows_of_a_run_may_name_the_contacts_of_the_same_run(apollo: Sandbox, sync: Run) -> None:
    done = sync(
        [
            *members({"list": "Hot", "email": "p1@a.com"}),
            schema("contacts"),
            contact(1),
        ]
    )

    assert done.records == {"received": 2, "created": 2}
    assert on_list(apollo, "Hot") == {"p1@a.com"}


def test_a_dry_run_says_what_would_be_added_and_adds_nothing(apollo: Sandbox, sync: Run) -> None:
    sync([schema("contacts"), contact(1)])

    done = sync(members({"list": "Hot", "email": "p1@a.com"}), dry_run=True)

    assert done.records == {"received": 1, "created": 1}
    assert done.summary["estimate"]["requests"][ADD] == 1
    assert on_list(apollo, "Hot") == set()


def test_a_row_of_another_stream_is_a_member_by_its_key(apollo: Sandbox, sync: Run) -> None:
    done = sync(
        [schema("contacts"), contact(7), *members({"list": "Hot", "member_key": 7})],
        streams={"list_members": {"members_of": "contacts"}},
    )

    assert done.records == {"received": 2, "created": 2}, done.log
    assert on_list(apollo, "Hot") == {"p7@a.com"}
