"""A request that Apollo refuses is not sent again, except with a renewed token."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from requests import PreparedRequest
from requests.auth import AuthBase

from target_apollo.apollo import (
    CredentialsRefused,
    EndpointForbidden,
    ForbiddenBy,
    Request,
    RequestRefused,
    Transport,
)
from tests.apollo.conftest import Connect
from tests.helpers.exchanges import CREATE, READ, WRITE
from tests.helpers.http_server import Reply, Server


@pytest.mark.parametrize("status", [400, 404, 405, 409, 413, 415, 422, 451])
def test_a_refused_request_is_not_sent_again(
    server: Server, transport: Transport, status: int
) -> None:
    server.answers(Reply(status, body={"error": "no"}))

    with pytest.raises(RequestRefused) as caught:
        transport.send(WRITE)

    assert (caught.value.status, caught.value.message) == (status, "no")
    assert len(server.received) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("request_", [READ, WRITE], ids=["read", "write"])
def test_a_redirect_is_not_followed_and_names_the_setting(
    server: Server, transport: Transport, status: int, request_: Request
) -> None:
    elsewhere = Server()
    try:
        server.answers(Reply(status, headers={"Location": elsewhere.url + "/labels"}))
        with pytest.raises(RequestRefused, match="api_url") as caught:
            transport.send(request_)
    finally:
        elsewhere.close()

    assert caught.value.status == status
    assert elsewhere.received == []
    assert len(server.received) == 1


def test_a_wrong_key_stops_at_once_and_names_the_setting(
    server: Server, transport: Transport
) -> None:
    server.answers(Reply(401, body="Invalid API key. See …", content_type="text/plain"))

    with pytest.raises(CredentialsRefused, match="setting api_key"):
        transport.send(WRITE)

    assert len(server.received) == 1


@pytest.mark.parametrize(
    ("body", "by"),
    [
        (
            {
                "error": "This API key is not authorized to access api/v1/contacts/bulk_create.",
                "error_code": "API_INACCESSIBLE",
            },
            ForbiddenBy.SCOPE,
        ),
        (
            {"message": "This endpoint is only available to Apollo users on paid plans."},
            ForbiddenBy.PLAN,
        ),
        (
            {
                "error": "… is not accessible with this api_key on a free plan. Please upgrade …",
                "error_code": "API_INACCESSIBLE",
            },
            ForbiddenBy.PLAN,
        ),
        ({"error": "You do not have permission to access lists. …"}, ForbiddenBy.PERMISSION),
        ("<html>blocked</html>", ForbiddenBy.PERMISSION),
    ],
)
def test_a_403_says_what_the_credentials_need(
    server: Server, transport: Transport, body: Any, by: ForbiddenBy
) -> None:
    server.answers(Reply(403, body=body))

    with pytest.raises(EndpointForbidden) as caught:
        transport.send(WRITE)

    assert caught.value.by is by
    assert len(server.received) == 1
    for named in (CREATE, "api/v1/contacts/bulk_create", "contacts_bulk_create", "master key"):
        assert named in str(caught.value)


# --- tokens that are renewed


class RotatingToken(AuthBase):
    """A bearer token with successors; `refresh` moves on to the next unless that was done."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)
        self.refreshed = 0
        self._lock = threading.Lock()

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        r.headers["Authorization"] = f"Bearer {self.tokens[0]}"
        return r

    def refresh(self, refused: PreparedRequest) -> bool:
        with self._lock:
            if refused.headers["Authorization"] == f"Bearer {self.tokens[0]}":
                if len(self.tokens) == 1:
                    return False
                self.tokens.pop(0)
                self.refreshed += 1
            return True


def accept(token: str) -> Callable[[Any], Reply]:
    return lambda request: Reply(
        200 if request.headers.get("authorization") == f"Bearer {token}" else 401, body={}
    )


def test_an_expired_token_is_renewed_once_and_the_request_sent_again(
    server: Server, connect: Connect
) -> None:
    server.default = accept("new")
    token = RotatingToken("old", "new")

    assert connect(auth=token).send(WRITE).attempts == 2
    assert token.refreshed == 1


def test_parallel_requests_renew_an_expired_token_once(server: Server, connect: Connect) -> None:
    server.default = accept("new")
    token = RotatingToken("old", "new", "never")
    transport = connect(auth=token)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(transport.send, [WRITE] * 8))

    assert {answer.status for answer in answers} == {200}
    assert token.refreshed == 1


@pytest.mark.parametrize("tokens", [("old", "bad too", "never"), ("old",)])
def test_a_token_that_stays_refused_ends_with_the_setting(
    server: Server, connect: Connect, tokens: tuple[str, ...]
) -> None:
    server.default = accept("new")

    with pytest.raises(CredentialsRefused, match="setting refresh_token"):
        connect(auth=RotatingToken(*tokens)).send(WRITE)

    assert len(server.received) == min(2, len(tokens))
