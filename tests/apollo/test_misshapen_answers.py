"""An answer whose shape is not the documented one confirms nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from target_apollo.apollo import CONTACT_ENDPOINTS, AnswerLost, ApolloClient
from tests.helpers.client_calls import ID, METHODS, OTHER
from tests.helpers.http_server import Reply, Server

LISTS = (
    *("contacts", "created_contacts", "existing_contacts", "contact_stages"),
    *("accounts", "created_accounts", "existing_accounts", "account_stages"),
    *("users", "fields", "labels"),
)
MISSHAPEN: dict[str, Any] = {
    "null": None,
    "a text": '"ok"',
    "a list of texts": ["ok"],
    "another list": [{"no": "id"}],
    "an empty object": {},
    "nulls": dict.fromkeys([*LISTS, "contact", "account", "id", "team_id"]),
    "another record": {"contact": {"id": OTHER}, "account": {"id": OTHER}},
    "only the created ones": {"created_contacts": [], "created_accounts": []},
    "only the existing ones": {"existing_contacts": [], "existing_accounts": []},
    "users without pages": {"users": []},
    "users on odd pages": {"users": [], "pagination": {"page": "one", "total_pages": True}},
    "records without ids": {name: [{"id": ID}, {"name": "x"}] for name in LISTS},
    "records without names": {
        name: [{"id": f"contact.{ID}"}] for name in ["fields", "contact_stages", "account_stages"]
    },
}
# These two promise an object and nothing about what is in it.
LENIENT = ("health", "usage")
# Their records that have an id are confirmed; the others count as not answered.
PARTLY = (
    *("create_contacts", "create_accounts", "bulk_update_contacts", "bulk_update_accounts"),
    *("update_contact_owners", "update_account_owners", "update_contact_stages"),
)
PARTLY_LOST = [(method, "records without ids") for method in PARTLY]
LOST = [
    pytest.param(METHODS[method], body, id=f"{method}: {shape}")
    for method in METHODS
    for shape, body in MISSHAPEN.items()
    if method not in LENIENT or not isinstance(body, dict)
    if (method, shape) not in PARTLY_LOST
]


@pytest.mark.parametrize(("ask", "body"), LOST)
def test_an_answer_of_another_shape_is_lost_and_never_an_empty_success(
    server: Server, client: ApolloClient, ask: Callable[[ApolloClient], Any], body: Any
) -> None:
    server.answers(Reply(body=body))

    with pytest.raises(AnswerLost, match="not confirmed"):
        ask(client)


ODD_IDS = {
    "null": None,
    "a number": 17,
    "empty": "",
    "a blank": " ",
    "a blank at its end": f"{ID} ",
    "a line break at its end": f"{ID}\n",
    "200 kB": "a" * 200_000,
    "a path": "../labels",
    "a path of two parts": "a/b",
    "a query": "a?b=c",
    "a percent sign": "%2e%2e",
    "an address": "ann@acme.com",
    "a control character": "a\u0000b",
    "another alphabet": "\u0661\u0662",
    "a list": [ID],
}
ASKED_BY_ID = {
    "users": lambda value: {
        "users": [{"id": value, "email": "a@b.co"}],
        "pagination": {"page": 1, "total_pages": 1},
    },
    "contact_stages": lambda value: {"contact_stages": [{"id": value, "name": "Cold"}]},
    "labels": lambda value: [{"id": value, "name": "Leads", "modality": "contacts"}],
    "search_contacts": lambda value: {"contacts": [{"id": ID}, {"id": value}]},
    "search_accounts": lambda value: {"accounts": [{"id": ID}, {"id": value}]},
    "profile": lambda value: {"id": ID, "team_id": value},
}


@pytest.mark.parametrize("odd", ODD_IDS.values(), ids=list(ODD_IDS))
@pytest.mark.parametrize("method", ASKED_BY_ID)
def test_an_answer_with_an_odd_id_is_lost(
    server: Server, client: ApolloClient, method: str, odd: Any
) -> None:
    server.answers(Reply(body=ASKED_BY_ID[method](odd)))

    with pytest.raises(AnswerLost, match="not confirmed"):
        METHODS[method](client)


@pytest.mark.parametrize("odd", ODD_IDS.values(), ids=list(ODD_IDS))
def test_a_record_with_an_odd_id_is_not_among_the_created(
    server: Server, client: ApolloClient, odd: Any
) -> None:
    server.answers(
        Reply(body={"created_contacts": [{"id": odd}, {"id": ID}], "existing_contacts": [odd]})
    )

    answer = client.create(CONTACT_ENDPOINTS, [{}, {}])

    assert (answer.created, answer.existing) == ([{"id": ID}], [])


@pytest.mark.parametrize("odd", ODD_IDS.values(), ids=list(ODD_IDS))
def test_a_custom_field_or_option_with_an_odd_id_is_never_written(
    server: Server, client: ApolloClient, odd: Any
) -> None:
    field = {"id": f"contact.{ID}", "label": "Size", "modality": "contact", "type": "picklist"}
    options = {"id": ID, "picklist_values": [{"id": odd, "name": "Big"}]}
    server.answers(Reply(body={"fields": [field]}), Reply(body={"typed_custom_fields": [options]}))

    with pytest.raises(AnswerLost, match="not confirmed"):
        client.custom_fields()


def test_different_records_with_one_id_confirm_neither(
    server: Server, client: ApolloClient
) -> None:
    ann, bob = {"id": ID, "email": "ann@a.com"}, {"id": ID, "email": "bob@a.com"}
    cid = {"id": OTHER, "email": "cid@a.com"}
    server.answers(Reply(body={"created_contacts": [ann, cid], "existing_contacts": [bob, cid]}))

    answer = client.create(CONTACT_ENDPOINTS, [{}, {}, {}])

    assert (answer.created, answer.existing) == ([cid], [cid])

    server.answers(Reply(body={"contacts": [ann, bob]}))
    with pytest.raises(AnswerLost, match="gives several records one id"):
        client.search(CONTACT_ENDPOINTS, "a.com")


def test_a_name_is_one_line_of_a_sane_length(server: Server, client: ApolloClient) -> None:
    name = "Hot\u001b[2J\r\nlead" + "s" * 200_000
    server.answers(Reply(body={"contact_stages": [{"id": ID, "name": name}]}))

    (stage,) = client.stages(CONTACT_ENDPOINTS)

    assert stage.name.startswith("Hot [2J leads")
    assert len(stage.name) <= 500
