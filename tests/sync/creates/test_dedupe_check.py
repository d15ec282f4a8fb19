"""One search tells whether Apollo still recognises the records that exist."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from target_apollo.apollo import ApiKeyAuth, ApolloClient, Transport
from target_apollo.model.objects.registry import ACCOUNT, CONTACT, ObjectType
from target_apollo.model.rows import Row
from target_apollo.sync.creates.dedupe_check import DedupeCheck
from target_apollo.sync.creates.match import Match, RowMatch
from target_apollo.sync.exit import RunError
from tests.helpers.http_server import Reply, Server

MADE, OTHER = "a" * 24, "b" * 24


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def client(server: Server) -> Iterator[ApolloClient]:
    transport = Transport(
        api_url=server.url,
        auth=ApiKeyAuth("key"),
        max_retries=0,
        request_timeout_seconds=5,
        max_wait_seconds=5,
        parallel_requests=1,
        stop=threading.Event(),
    )
    yield ApolloClient(transport)
    transport.close()


def row(number: int, key: str | None, **values: str | None) -> Row:
    return Row(number, (number,), key, values)


def check_of(client: ApolloClient, object_type: ObjectType = CONTACT) -> DedupeCheck:
    return DedupeCheck(client, object_type, logging.getLogger("test"), is_dry_run=False)


def created(number: int = 1, key: str | None = "a@b.com", apollo_id: str = MADE) -> RowMatch:
    return RowMatch(row(number, key), Match.CREATED, {"id": apollo_id})


def hits(*records: dict[str, Any]) -> Reply:
    return Reply(body={"contacts": list(records)})


HERS = {"id": OTHER, "email": "a@b.com"}


def test_a_second_record_with_the_address_stops_the_run(
    server: Server, client: ApolloClient
) -> None:
    check = check_of(client)
    check.note([created()], known=())
    server.answers(hits(HERS, {"id": MADE, "email": "a@b.com"}), Reply(body={"contact": HERS}))

    with pytest.raises(RunError, match=f"{MADE}.*{OTHER}.*e-mail address") as caught:
        check.look(100)

    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "read",
    [
        Reply(422, body={"error": "This contact has been deleted."}),
        Reply(404, body={"error": "Record not found."}),
        Reply(body={"contact": {"id": OTHER, "email": "moved@b.com"}}),
    ],
    ids=["deleted", "missing", "has another address"],
)
def test_a_search_that_shows_what_is_no_longer_so_stops_nothing(
    server: Server, client: ApolloClient, read: Reply
) -> None:
    check = check_of(client)
    check.note([created()], known=())
    server.answers(hits(HERS), read)

    check.look(100)

    assert check.is_settled
    assert len(server.received) == 2


def test_hits_that_only_look_like_the_address_stop_nothing(
    server: Server, client: ApolloClient
) -> None:
    check = check_of(client)
    check.note([created()], known=())
    server.answers(hits({"id": OTHER, "email": "aa@b.com"}, {"id": "c" * 24, "email": None}))

    check.look(100)

    assert len(server.received) == 1


def test_nothing_is_searched_where_the_limit_leaves_no_room(
    server: Server, client: ApolloClient, caplog: pytest.LogCaptureFixture
) -> None:
    check = check_of(client)
    check.note([created()], known=())

    check.look(0)

    assert check.is_settled
    assert server.received == []
    assert "rate limit" in caplog.text


def test_an_existing_record_settles_the_check(client: ApolloClient) -> None:
    check = check_of(client)

    check.note([created(), RowMatch(row(2, "x@b.com"), Match.EXISTING, HERS)], known=())

    assert (check.is_settled, check.is_due) == (True, False)


def test_a_row_that_equals_another_row_of_its_request_proves_nothing(client: ApolloClient) -> None:
    check = check_of(client)

    check.note([created(), RowMatch(row(2, "x@b.com"), Match.EXISTING, {"id": MADE})], known=())

    assert (check.is_settled, check.is_due) == (False, True)


def test_a_known_record_is_looked_for_first(server: Server, client: ApolloClient) -> None:
    check = check_of(client)
    check.note([created(1, "new@b.com", OTHER), created(2, "known@b.com")], known={2})
    server.answers(hits())

    check.look(100)

    assert server.received[0].body["q_keywords"] == "known@b.com"


def test_a_request_that_created_nothing_leaves_the_check_open(client: ApolloClient) -> None:
    check = check_of(client)

    check.note([RowMatch(row(1, "a@b.com"), Match.UNCONFIRMED, None)], known=())

    assert (check.is_settled, check.is_due) == (False, False)


def test_a_record_without_an_address_can_not_be_looked_for(client: ApolloClient) -> None:
    check = check_of(client)

    check.note([created(1, "linkedin_url:linkedin.com/in/ann")], known=())

    assert (check.is_settled, check.is_due) == (True, False)


def test_an_account_whose_domain_is_spelled_in_another_way_stops_nothing(
    server: Server, client: ApolloClient
) -> None:
    # Apollo compares domains as they are stored.
    check = check_of(client, ACCOUNT)
    check.note([created(1, "firm.com")], known=())
    server.answers(Reply(body={"accounts": [{"id": OTHER, "domain": "https://www.firm.com/de"}]}))

    check.look(100)

    assert server.received[0].body["q_organization_name"] == "firm"
