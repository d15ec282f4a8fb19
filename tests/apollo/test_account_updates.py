"""Accounts are updated by PATCH, or by PUT where Apollo takes only that."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from target_apollo.apollo import ACCOUNT_ENDPOINTS as ACCOUNTS
from target_apollo.apollo import ApolloClient, EndpointForbidden, RequestRefused
from tests.helpers.client_calls import ID, OTHER, last_request
from tests.helpers.http_server import Received, Reply, Server


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


def test_an_account_is_updated_by_patch_where_patch_is_taken(
    server: Server, client: ApolloClient
) -> None:
    server.default = Accounts("PATCH", "PUT")

    assert client.update(ACCOUNTS, ID, {"name": "A"}) == {"id": ID}
    client.update(ACCOUNTS, OTHER, {"name": "B"})

    assert methods(server) == ["PATCH", "PATCH"]
    assert last_request(server) == ("PATCH", f"/accounts/{OTHER}", {"name": "B"})


@pytest.mark.parametrize("no_route", [404, 405])
def test_where_patch_is_not_taken_this_account_and_all_later_ones_go_by_put(
    server: Server, client: ApolloClient, no_route: int
) -> None:
    server.default = Accounts("PUT", no_route=no_route)

    assert client.update(ACCOUNTS, ID, {"name": "A"}) == {"id": ID}
    client.update(ACCOUNTS, OTHER, {"name": "B"})
    client.update(ACCOUNTS, ID, {"name": "C"})

    assert methods(server) == ["PATCH", "PUT", "PUT", "PUT"]
    assert last_request(server) == ("PUT", f"/accounts/{ID}", {"name": "C"})


@pytest.mark.parametrize("taken", [("PATCH", "PUT"), ("PUT",)])
def test_a_404_that_put_answers_too_is_a_missing_record_and_decides_nothing(
    server: Server, client: ApolloClient, taken: tuple[str, ...]
) -> None:
    server.default = Accounts(*taken, missing=(OTHER,))

    with pytest.raises(RequestRefused) as caught:
        client.update(ACCOUNTS, OTHER, {})
    assert caught.value.names_missing_record
    client.update(ACCOUNTS, ID, {})

    assert methods(server)[:3] == ["PATCH", "PUT", "PATCH"]


def test_a_404_where_put_is_not_allowed_is_a_missing_record(
    server: Server, client: ApolloClient
) -> None:
    server.answers(Reply(404, body={"error": "Record not found."}), Reply(405, body={"error": "x"}))

    with pytest.raises(RequestRefused) as caught:
        client.update(ACCOUNTS, OTHER, {})
    server.default = Accounts("PATCH")
    client.update(ACCOUNTS, ID, {})

    assert caught.value.names_missing_record
    assert methods(server) == ["PATCH", "PUT", "PATCH"]


def test_once_patch_has_worked_a_404_is_a_missing_record_without_asking_put(
    server: Server, client: ApolloClient
) -> None:
    server.default = Accounts("PATCH", "PUT", missing=(OTHER,))

    client.update(ACCOUNTS, ID, {})
    with pytest.raises(RequestRefused):
        client.update(ACCOUNTS, OTHER, {})

    assert methods(server) == ["PATCH", "PATCH"]


def test_a_405_turns_to_put_even_after_patch_has_worked(
    server: Server, client: ApolloClient
) -> None:
    server.default = Accounts("PATCH")
    client.update(ACCOUNTS, ID, {})
    server.default = Accounts("PUT", no_route=405)

    client.update(ACCOUNTS, ID, {})
    client.update(ACCOUNTS, ID, {})

    assert methods(server) == ["PATCH", "PATCH", "PUT", "PUT"]


def test_a_refusal_of_the_values_shows_that_the_route_is_there(
    server: Server, client: ApolloClient
) -> None:
    server.answers(Reply(422, body={"error": "no"}), Reply(404, body={"error": "gone"}))

    for _ in range(2):
        with pytest.raises(RequestRefused):
            client.update(ACCOUNTS, ID, {})

    assert methods(server) == ["PATCH", "PATCH"]


def test_a_refusal_by_put_shows_that_put_is_the_method(
    server: Server, client: ApolloClient
) -> None:
    server.answers(Reply(404, body={"error": "x"}), Reply(422, body={"error": "no"}))
    with pytest.raises(RequestRefused):
        client.update(ACCOUNTS, ID, {})
    server.default = Accounts("PUT")

    client.update(ACCOUNTS, ID, {})

    assert methods(server) == ["PATCH", "PUT", "PUT"]


def test_a_forbidden_update_is_not_tried_by_the_other_method(
    server: Server, client: ApolloClient
) -> None:
    server.answers(Reply(403, body={"error": "no", "error_code": "API_INACCESSIBLE"}))

    with pytest.raises(EndpointForbidden, match="api/v1/accounts/update"):
        client.update(ACCOUNTS, ID, {})

    assert methods(server) == ["PATCH"]


def test_parallel_updates_agree_on_one_method(server: Server, client: ApolloClient) -> None:
    server.default = Accounts("PUT")

    with ThreadPoolExecutor(4) as pool:
        accounts = list(pool.map(lambda _: client.update(ACCOUNTS, ID, {}), range(20)))
    before = len(server.received)
    client.update(ACCOUNTS, ID, {})

    assert accounts == [{"id": ID}] * 20
    assert methods(server)[before:] == ["PUT"]
    assert methods(server).count("PATCH") <= 4


@pytest.mark.parametrize("no_route", [404, 405])
def test_put_that_an_earlier_run_has_found_is_tried_first(
    server: Server, client: ApolloClient, no_route: int
) -> None:
    client.update_endpoints.begin_with(ACCOUNTS, "PUT /accounts/{id}")
    server.default = Accounts("PUT", no_route=no_route)

    client.update(ACCOUNTS, ID, {})
    client.update(ACCOUNTS, OTHER, {})

    assert methods(server) == ["PUT", "PUT"]
    assert client.update_endpoints.taken(ACCOUNTS) == "PUT /accounts/{id}"


@pytest.mark.parametrize("no_route", [404, 405])
def test_put_that_apollo_takes_no_more_gives_way_to_patch(
    server: Server, client: ApolloClient, no_route: int
) -> None:
    client.update_endpoints.begin_with(ACCOUNTS, "PUT /accounts/{id}")
    server.default = Accounts("PATCH", no_route=no_route)

    client.update(ACCOUNTS, ID, {})
    client.update(ACCOUNTS, OTHER, {})

    assert methods(server) == ["PUT", "PATCH", "PATCH"]
    assert client.update_endpoints.taken(ACCOUNTS) == "PATCH /accounts/{id}"


def test_an_endpoint_that_is_none_of_the_two_is_not_used(
    server: Server, client: ApolloClient
) -> None:
    client.update_endpoints.begin_with(ACCOUNTS, "DELETE /accounts/{id}")
    server.default = Accounts("PATCH")

    client.update(ACCOUNTS, ID, {})

    assert methods(server) == ["PATCH"]
