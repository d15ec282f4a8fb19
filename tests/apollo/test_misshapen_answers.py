"""An answer whose shape is not the documented one confirms nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from target_apollo.apollo import AnswerLost, ApolloClient
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
