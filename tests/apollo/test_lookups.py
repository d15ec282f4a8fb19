"""The client reads the team, stages, lists, custom fields and the usage of rate limits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from target_apollo.apollo import (
    ACCOUNT_ENDPOINTS,
    CONTACT_ENDPOINTS,
    AnswerLost,
    ApolloClient,
    CustomField,
    Label,
    ObjectEndpoints,
    Profile,
    Stage,
    User,
    Window,
)
from tests.helpers.client_calls import ID, OTHER, OWNER, STAGE, last_request
from tests.helpers.http_server import Reply, Server


def test_the_profile_names_the_team(server: Server, client: ApolloClient) -> None:
    person = {"id": OWNER, "team_id": "6095a710bd01d100a506d4ac", "first_name": "Jo"}
    server.answers(Reply(body={**person, "last_name": "Doe", "title": None}))

    assert client.profile() == Profile(OWNER, "6095a710bd01d100a506d4ac", "Jo Doe")
    assert last_request(server) == ("GET", "/users/api_profile", {})


@pytest.mark.parametrize(("is_logged_in", "healthy"), [(True, True), (False, False), (None, False)])
def test_health_is_judged_by_the_login_and_not_by_the_status(
    server: Server, client: ApolloClient, is_logged_in: bool | None, healthy: bool
) -> None:
    server.answers(Reply(body={"healthy": True, "is_logged_in": is_logged_in}))

    assert client.health() is healthy
    assert last_request(server) == ("GET", "/auth/health", {})


def users_page(page: int | str, total_pages: int, *users: dict[str, Any]) -> Reply:
    pagination = {"page": page, "per_page": 100, "total_entries": 9, "total_pages": total_pages}
    return Reply(body={"pagination": pagination, "users": list(users)})


def test_users_come_from_all_pages_deleted_ones_included(
    server: Server, client: ApolloClient
) -> None:
    server.answers(
        users_page(
            "1", 2, {"id": OWNER, "email": "jo@example.com", "name": "Jo", "deleted": False}
        ),
        users_page(2, 2, {"id": ID, "email": None, "first_name": "Al", "deleted": True}),
    )

    assert list(client.users()) == [
        User(OWNER, "jo@example.com", "Jo", deleted=False),
        User(ID, "", "Al", deleted=True),
    ]
    assert [request.query["page"] for request in server.received] == [["1"], ["2"]]
    assert last_request(server)[2]["per_page"] == ["100"]


def test_a_page_that_is_not_the_one_asked_for_ends_the_walk(
    server: Server, client: ApolloClient
) -> None:
    server.default = lambda _: users_page(1, 3, {"id": OWNER})

    with pytest.raises(AnswerLost, match="another page"):
        list(client.users())

    assert len(server.received) == 2


@pytest.mark.parametrize("of", [CONTACT_ENDPOINTS, ACCOUNT_ENDPOINTS], ids=lambda of: of.singular)
def test_stages_have_their_names(server: Server, client: ApolloClient, of: ObjectEndpoints) -> None:
    name = f"{of.singular}_stages"
    stage = {"id": STAGE, "name": "New", "display_name": "Brand new", "display_order": 0}
    server.answers(Reply(body={name: [stage]}))

    assert client.stages(of) == [Stage(STAGE, "New", "Brand new")]
    assert last_request(server) == ("GET", f"/{name}", {})


def test_lists_come_as_a_bare_array(server: Server, client: ApolloClient) -> None:
    server.answers(Reply(body=[{"_id": ID, "id": ID, "name": "Fair", "modality": "contacts"}]))

    assert client.labels() == [Label(ID, "Fair", "contacts")]
    assert last_request(server) == ("GET", "/labels", {})


def field(id_: str, label: str, type_: str, **more: Any) -> dict[str, Any]:
    return {"id": id_, "label": label, "modality": id_.split(".")[0], "type": type_, **more}


def test_custom_fields_lose_the_modality_in_front_of_their_ids(
    server: Server, client: ApolloClient
) -> None:
    custom = field(f"account.{ID}", "Tier", "string", source="custom")
    system = field("contact.attr2", "First name", "string", source="system")
    odd = field("contact.attr3", "Odd", "string", source="custom")
    server.answers(Reply(body={"fields": [custom, system, odd]}))

    assert client.custom_fields() == [CustomField(ID, "Tier", "account", "string", {})]
    assert last_request(server) == ("GET", "/fields", {"source": ["custom"]})


def test_picklists_get_their_options_from_the_older_endpoint(
    server: Server, client: ApolloClient
) -> None:
    options = [{"id": OWNER, "_id": OWNER, "key": OWNER, "name": "Gold"}]
    server.answers(
        Reply(
            body={
                "fields": [
                    field(f"contact.{ID}", "Tier", "picklist", source="custom"),
                    field(f"contact.{OTHER}", "Age", "number", source="custom"),
                ]
            }
        ),
        Reply(
            body={
                "typed_custom_fields": [
                    {"id": ID, "name": "Tier", "type": "picklist", "picklist_values": options},
                    {"id": OTHER, "name": "Age", "type": "number"},
                ]
            }
        ),
    )

    tier, age = client.custom_fields()

    assert (tier.options, age.options) == ({"Gold": OWNER}, {})
    assert last_request(server)[1] == "/typed_custom_fields"


def test_usage_is_told_per_endpoint(server: Server, client: ApolloClient) -> None:
    minute = {"limit": 200, "consumed": 10, "left_over": 190}
    stats = {
        json.dumps(["api/v1/contacts", "search"]): {"minute": minute, "day": {"limit": None}},
        json.dumps(["api/v1/accounts", "update"]): {"hour": minute},
        json.dumps(["api/v1/people", "match"]): {"minute": minute},
        "no array": {"minute": minute},
        json.dumps([1, 2]): {},
        "nothing": None,
    }
    server.answers(Reply(body=stats))

    usage = client.usage()

    assert last_request(server) == ("POST", "/usage_stats/api_usage_stats", {})
    assert usage["POST /contacts/search"].minute == Window(200, 10, 190)
    assert usage["POST /contacts/search"].day == Window()
    assert usage["PUT /accounts/{id}"] == usage["PATCH /accounts/{id}"]
    assert usage["api/v1/people/match"].minute.left == 190
    assert "nothing" not in usage
