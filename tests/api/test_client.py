from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from target_apollo.api import (
    AnswerLost,
    ApolloClient,
    BulkCreated,
    CustomField,
    EndpointForbidden,
    Label,
    Profile,
    RequestRefused,
    Stage,
    User,
    Window,
)

from .server import Received, Reply, Server

if TYPE_CHECKING:
    from collections.abc import Callable

ID = "66e34b81740c50074e3d1bd4"
OTHER = "66e9abf95ac32901b20d1a0d"
OWNER = "66302798d03b9601c7934ebf"
STAGE = "6095a710bd01d100a506d4ae"


def asked(server: Server) -> tuple[str, str, Any]:
    """What the server was asked last: method, path below the API's address, body or query."""
    request = server.received[-1]
    path = request.path.removeprefix("/api/v1")
    return request.method, path, request.body if request.content else request.query


def test_the_profile_names_the_team(server: Server, client: ApolloClient) -> None:
    person = {"id": OWNER, "team_id": "6095a710bd01d100a506d4ac", "first_name": "Jo"}
    server.answers(Reply(body={**person, "last_name": "Doe", "title": None}))

    assert client.profile() == Profile(OWNER, "6095a710bd01d100a506d4ac", "Jo Doe")
    assert asked(server) == ("GET", "/users/api_profile", {})


@pytest.mark.parametrize(("is_logged_in", "healthy"), [(True, True), (False, False), (None, False)])
def test_health_is_judged_by_the_login_and_not_by_the_status(
    server: Server, client: ApolloClient, is_logged_in: bool | None, healthy: bool
) -> None:
    server.answers(Reply(body={"healthy": True, "is_logged_in": is_logged_in}))

    assert client.health() is healthy
    assert asked(server) == ("GET", "/auth/health", {})


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
    assert asked(server)[2]["per_page"] == ["100"]


def test_a_page_that_is_not_the_one_asked_for_ends_the_walk(
    server: Server, client: ApolloClient
) -> None:
    server.default = lambda _: users_page(1, 3, {"id": OWNER})

    with pytest.raises(AnswerLost, match="another page"):
        list(client.users())

    assert len(server.received) == 2


@pytest.mark.parametrize("name", ["contact_stages", "account_stages"])
def test_stages_have_their_names(server: Server, client: ApolloClient, name: str) -> None:
    stage = {"id": STAGE, "name": "New", "display_name": "Brand new", "display_order": 0}
    server.answers(Reply(body={name: [stage]}))

    assert getattr(client, name)() == [Stage(STAGE, "New", "Brand new")]
    assert asked(server) == ("GET", f"/{name}", {})


def test_lists_come_as_a_bare_array(server: Server, client: ApolloClient) -> None:
    server.answers(Reply(body=[{"_id": ID, "id": ID, "name": "Fair", "modality": "contacts"}]))

    assert client.labels() == [Label(ID, "Fair", "contacts")]
    assert asked(server) == ("GET", "/labels", {})


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
    assert asked(server) == ("GET", "/fields", {"source": ["custom"]})


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
    assert asked(server)[1] == "/typed_custom_fields"


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

    assert asked(server) == ("POST", "/usage_stats/api_usage_stats", {})
    assert usage["POST /contacts/search"].minute == Window(200, 10, 190)
    assert usage["POST /contacts/search"].day == Window()
    assert usage["PUT /accounts/{id}"] == usage["PATCH /accounts/{id}"]
    assert usage["api/v1/people/match"].minute.left == 190
    assert "nothing" not in usage


def test_contacts_are_created_with_dedupe_owner_and_lists_for_the_whole_request(
    server: Server, client: ApolloClient
) -> None:
    server.answers(Reply(body={"created_contacts": [{"id": ID}], "existing_contacts": []}))

    made = client.create_contacts([{"email": "a@b.co"}], owner_id=OWNER, label_names=("Fair",))

    assert made == BulkCreated([{"id": ID}], [])
    assert asked(server) == (
        "POST",
        "/contacts/bulk_create",
        {
            "contacts": [{"email": "a@b.co"}],
            "run_dedupe": True,
            "owner_id": OWNER,
            "append_label_names": ["Fair"],
        },
    )


def test_a_creation_says_whether_it_was_sent_more_than_once(
    server: Server, client: ApolloClient
) -> None:
    made = Reply(body={"created_contacts": [], "existing_contacts": [{"id": ID}]})
    server.answers(made, Reply(500), made)

    assert not client.create_contacts([{}]).repeated
    assert client.create_contacts([{}]).repeated


def test_accounts_are_created_with_dedupe(server: Server, client: ApolloClient) -> None:
    server.answers(Reply(body={"created_accounts": [], "existing_accounts": [{"id": ID}]}))

    assert client.create_accounts([{"domain": "b.co"}]) == BulkCreated([], [{"id": ID}])
    assert asked(server) == (
        "POST",
        "/accounts/bulk_create",
        {"accounts": [{"domain": "b.co"}], "run_dedupe": True},
    )


@pytest.mark.parametrize("name", ["contact", "account"])
def test_one_record_is_read_by_its_id(server: Server, client: ApolloClient, name: str) -> None:
    server.answers(Reply(body={name: {"id": ID, "name": "A"}}))

    assert getattr(client, name)(ID) == {"id": ID, "name": "A"}
    assert asked(server) == ("GET", f"/{name}s/{ID}", {})


def test_a_contact_is_updated_by_patch(server: Server, client: ApolloClient) -> None:
    server.answers(Reply(body={"contact": {"id": ID, "title": "VP"}, "labels": []}))

    assert client.update_contact(ID, {"title": "VP"}) == {"id": ID, "title": "VP"}
    assert asked(server) == ("PATCH", f"/contacts/{ID}", {"title": "VP"})


Call = tuple["Callable[[ApolloClient], Any]", str, str, dict[str, Any]]
CHANGES: dict[str, Call] = {
    "bulk_update_contacts": (
        lambda client: client.bulk_update_contacts([{"id": ID, "title": "VP"}]),
        "contacts",
        "/contacts/bulk_update",
        {"contact_attributes": [{"id": ID, "title": "VP"}], "async": False},
    ),
    "bulk_update_accounts": (
        lambda client: client.bulk_update_accounts([{"id": ID, "name": "B"}]),
        "accounts",
        "/accounts/bulk_update",
        {"account_attributes": [{"id": ID, "name": "B"}]},
    ),
    "update_contact_owners": (
        lambda client: client.update_contact_owners([ID], OWNER),
        "contacts",
        "/contacts/update_owners",
        {"contact_ids": [ID], "owner_id": OWNER},
    ),
    "update_account_owners": (
        lambda client: client.update_account_owners([ID], OWNER),
        "accounts",
        "/accounts/update_owners",
        {"account_ids": [ID], "owner_id": OWNER},
    ),
    "update_contact_stages": (
        lambda client: client.update_contact_stages([ID], STAGE),
        "contacts",
        "/contacts/update_stages",
        {"contact_ids": [ID], "contact_stage_id": STAGE},
    ),
    "search_contacts": (
        lambda client: client.search_contacts("a@b.co"),
        "contacts",
        "/contacts/search",
        {"q_keywords": "a@b.co", "page": 1, "per_page": 100},
    ),
    "search_accounts": (
        lambda client: client.search_accounts("Acme", page=2, per_page=5),
        "accounts",
        "/accounts/search",
        {"q_organization_name": "Acme", "page": 2, "per_page": 5},
    ),
}


@pytest.mark.parametrize("call", CHANGES.values(), ids=list(CHANGES))
def test_many_records_at_once_go_by_post_and_come_back_as_a_list(
    server: Server, client: ApolloClient, call: Call
) -> None:
    ask, name, path, body = call
    server.answers(Reply(body={name: [{"id": ID}]}))

    assert ask(client) == [{"id": ID}]
    assert asked(server) == ("POST", path, body)


@pytest.mark.parametrize("call", CHANGES.values(), ids=list(CHANGES))
def test_a_background_job_confirms_nothing(
    server: Server, client: ApolloClient, call: Call
) -> None:
    server.answers(Reply(body={"entity_progress_job": {"id": ID, "status": "pending"}}))

    with pytest.raises(AnswerLost, match=r"not confirmed: .* background job") as caught:
        call[0](client)

    assert caught.value.maybe_written


def test_records_are_added_to_lists_by_name(server: Server, client: ApolloClient) -> None:
    server.answers(Reply(body={"labels": [{"id": STAGE, "name": "Fair"}]}))

    client.add_to_lists([ID, OTHER], ["Fair"], "contacts")

    body = {"entity_ids": [ID, OTHER], "label_names": ["Fair"], "modality": "contacts"}
    path = "/labels/add_entity_ids_to_label_names"
    assert asked(server) == ("POST", path, {**body, "async": False})


@pytest.mark.parametrize(
    "body",
    [
        {"message": "No Models or Lists provided"},
        {"labels": []},
        {"entity_progress_job": {"id": ID}},
    ],
)
def test_lists_that_are_not_named_in_the_answer_were_not_confirmed(
    server: Server, client: ApolloClient, body: Any
) -> None:
    server.answers(Reply(body=body))

    with pytest.raises(AnswerLost, match="not confirmed"):
        client.add_to_lists([ID], ["Fair"], "contacts")


METHODS: dict[str, Callable[[ApolloClient], Any]] = {
    **{name: call[0] for name, call in CHANGES.items()},
    "profile": lambda client: client.profile(),
    "health": lambda client: client.health(),
    "users": lambda client: list(client.users()),
    "contact_stages": lambda client: client.contact_stages(),
    "account_stages": lambda client: client.account_stages(),
    "labels": lambda client: client.labels(),
    "custom_fields": lambda client: client.custom_fields(),
    "usage": lambda client: client.usage(),
    "create_contacts": lambda client: client.create_contacts([{}]),
    "create_accounts": lambda client: client.create_accounts([{}]),
    "contact": lambda client: client.contact(ID),
    "account": lambda client: client.account(ID),
    "update_contact": lambda client: client.update_contact(ID, {}),
    "update_account": lambda client: client.update_account(ID, {}),
    "add_to_lists": lambda client: client.add_to_lists([ID], ["Fair"], "contacts"),
}
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
LOST = [
    pytest.param(METHODS[method], body, id=f"{method}: {shape}")
    for method in METHODS
    for shape, body in MISSHAPEN.items()
    if method not in LENIENT or not isinstance(body, dict)
]


@pytest.mark.parametrize(("ask", "body"), LOST)
def test_an_answer_of_another_shape_is_lost_and_never_an_empty_success(
    server: Server, client: ApolloClient, ask: Callable[[ApolloClient], Any], body: Any
) -> None:
    server.answers(Reply(body=body))

    with pytest.raises(AnswerLost, match="not confirmed"):
        ask(client)


@pytest.mark.parametrize("count", [0, 101])
def test_a_bulk_request_takes_1_to_100_records(
    server: Server, client: ApolloClient, count: int
) -> None:
    for ask in (
        lambda: client.create_contacts([{}] * count),
        lambda: client.create_accounts([{}] * count),
        lambda: client.bulk_update_contacts([{}] * count),
        lambda: client.bulk_update_accounts([{}] * count),
        lambda: client.update_contact_owners([ID] * count, OWNER),
        lambda: client.update_account_owners([ID] * count, OWNER),
        lambda: client.update_contact_stages([ID] * count, STAGE),
    ):
        with pytest.raises(ValueError, match="1 to 100"):
            ask()

    assert server.received == []


@pytest.mark.parametrize(("ids", "names"), [([], ["Fair"]), ([ID], [])])
def test_lists_need_a_record_and_a_name(
    server: Server, client: ApolloClient, ids: list[str], names: list[str]
) -> None:
    with pytest.raises(ValueError, match="at least one"):
        client.add_to_lists(ids, names, "contacts")

    assert server.received == []


@pytest.mark.parametrize("odd", ["", ".", "..", "../labels", "a/b", "a?b", "a#b", "a b", "%2e"])
def test_an_id_that_would_lead_elsewhere_is_not_sent(
    server: Server, client: ApolloClient, odd: str
) -> None:
    for ask in (client.contact, client.account):
        with pytest.raises(ValueError, match="no id"):
            ask(odd)
    for update in (client.update_contact, client.update_account):
        with pytest.raises(ValueError, match="no id"):
            update(odd, {})

    assert server.received == []


class Accounts:
    """Answers updates of accounts: the record exists or not, by the methods that are taken."""

    def __init__(self, *taken: str, missing: tuple[str, ...] = (), no_route: int = 404) -> None:
        self.taken = taken
        self.missing = missing
        self.no_route = no_route

    def __call__(self, request: Received) -> Reply:
        account_id = request.path.rpartition("/")[2]
        if request.method not in self.taken:
            return Reply(self.no_route, body={"error": "Not Found"})
        if account_id in self.missing:
            return Reply(404, body={"error": "Record not found."})
        return Reply(body={"account": {"id": account_id}, "labels": []})


def methods(server: Server) -> list[str]:
    return [request.method for request in server.received]


def test_an_account_is_updated_by_put_where_put_is_taken(
    server: Server, client: ApolloClient
) -> None:
    server.default = Accounts("PUT", "PATCH")

    assert client.update_account(ID, {"name": "A"}) == {"id": ID}
    client.update_account(OTHER, {"name": "B"})

    assert methods(server) == ["PUT", "PUT"]
    assert asked(server) == ("PUT", f"/accounts/{OTHER}", {"name": "B"})


@pytest.mark.parametrize("no_route", [404, 405])
def test_where_put_is_not_taken_this_account_and_all_later_ones_go_by_patch(
    server: Server, client: ApolloClient, no_route: int
) -> None:
    server.default = Accounts("PATCH", no_route=no_route)

    assert client.update_account(ID, {"name": "A"}) == {"id": ID}
    client.update_account(OTHER, {"name": "B"})
    client.update_account(ID, {"name": "C"})

    assert methods(server) == ["PUT", "PATCH", "PATCH", "PATCH"]
    assert asked(server) == ("PATCH", f"/accounts/{ID}", {"name": "C"})


@pytest.mark.parametrize("taken", [("PUT", "PATCH"), ("PATCH",)])
def test_a_404_that_patch_answers_too_is_a_missing_record_and_decides_nothing(
    server: Server, client: ApolloClient, taken: tuple[str, ...]
) -> None:
    server.default = Accounts(*taken, missing=(OTHER,))

    with pytest.raises(RequestRefused) as caught:
        client.update_account(OTHER, {})
    assert caught.value.names_missing_record
    client.update_account(ID, {})

    assert methods(server)[:3] == ["PUT", "PATCH", "PUT"]


def test_once_put_has_worked_a_404_is_a_missing_record_without_asking_patch(
    server: Server, client: ApolloClient
) -> None:
    server.default = Accounts("PUT", "PATCH", missing=(OTHER,))

    client.update_account(ID, {})
    with pytest.raises(RequestRefused):
        client.update_account(OTHER, {})

    assert methods(server) == ["PUT", "PUT"]


def test_a_405_turns_to_patch_even_after_put_has_worked(
    server: Server, client: ApolloClient
) -> None:
    server.default = Accounts("PUT")
    client.update_account(ID, {})
    server.default = Accounts("PATCH", no_route=405)

    client.update_account(ID, {})
    client.update_account(ID, {})

    assert methods(server) == ["PUT", "PUT", "PATCH", "PATCH"]


def test_a_refusal_of_the_values_shows_that_the_route_is_there(
    server: Server, client: ApolloClient
) -> None:
    server.answers(Reply(422, body={"error": "no"}), Reply(404, body={"error": "gone"}))

    for _ in range(2):
        with pytest.raises(RequestRefused):
            client.update_account(ID, {})

    assert methods(server) == ["PUT", "PUT"]


def test_a_refusal_by_patch_shows_that_patch_is_the_method(
    server: Server, client: ApolloClient
) -> None:
    server.answers(Reply(404, body={"error": "x"}), Reply(422, body={"error": "no"}))
    with pytest.raises(RequestRefused):
        client.update_account(ID, {})
    server.default = Accounts("PATCH")

    client.update_account(ID, {})

    assert methods(server) == ["PUT", "PATCH", "PATCH"]


def test_a_forbidden_update_is_not_tried_by_the_other_method(
    server: Server, client: ApolloClient
) -> None:
    server.answers(Reply(403, body={"error": "no", "error_code": "API_INACCESSIBLE"}))

    with pytest.raises(EndpointForbidden, match="api/v1/accounts/update"):
        client.update_account(ID, {})

    assert methods(server) == ["PUT"]


def test_parallel_updates_agree_on_one_method(server: Server, client: ApolloClient) -> None:
    server.default = Accounts("PATCH")

    with ThreadPoolExecutor(4) as pool:
        accounts = list(pool.map(lambda _: client.update_account(ID, {}), range(20)))
    before = len(server.received)
    client.update_account(ID, {})

    assert accounts == [{"id": ID}] * 20
    assert methods(server)[before:] == ["PATCH"]
    assert methods(server).count("PUT") <= 4
