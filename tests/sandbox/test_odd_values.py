"""Whatever a client sends, the sandbox answers as Apollo does: it never fails itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_apollo.sandbox import Sandbox, SandboxOptions
from target_apollo.sandbox.checks.request_fields import TAKEN
from target_apollo.sandbox.serving.endpoints import ENDPOINTS
from target_apollo.sandbox.serving.http import Request
from target_apollo.sandbox.serving.pipeline import serve
from target_apollo.sandbox.serving.rate_windows import Plan

ENDPOINT_OF = {endpoint.label: endpoint for endpoint in ENDPOINTS}
#: Words that lead further into the code than text of any kind would.
_WORDS = ("contacts", "accounts", "remove", "call", "scheduled", "string", "contact", "true")

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(_WORDS)
)


class Odd:
    """A sandbox with a record of each kind, and requests with any values for it."""

    def __init__(self) -> None:
        self.sandbox = Sandbox(SandboxOptions(plan=Plan.UNLIMITED, put_accounts="accepted"))  # type: ignore[arg-type]
        store = self.sandbox.store
        account = store.add_account(name="A", domain="a.example")["id"]
        contact = store.add_contact(email="a@a.example", label_names=["L"])["id"]
        self.ids = {
            "contacts": contact,
            "accounts": account,
            "opportunities": store.deals.add(name="D", account_id=account)["id"],
            "emailer_campaigns": store.sequences.add("S")["id"],
            "tasks": store.tasks.add(type="call", contact_id=contact)["id"],
            "labels": store.labels()[0]["id"],
        }
        self.others = [
            store.sequences.add_email_account("m@a.example")["id"],
            store.admin_id,
            "contact." + store.add_custom_field("contact", "F", "picklist", ["x"])["id"],
            "contact." + store.add_custom_field("contact", "G", "string")["id"],
        ]

    def status(self, label: str, query: dict[str, Any], body: Any) -> int:
        endpoint = ENDPOINT_OF[label]
        record_id = self.ids.get(endpoint.path.split("/")[1], "") if "{id}" in label else ""
        request = Request(
            method=endpoint.method,
            path=endpoint.path,
            record_id=record_id,
            query=urlencode(query, doseq=True),
            headers={"x-api-key": self.sandbox.api_key, "content-type": "application/json"},
            body=msgspec.json.encode(body),
            at=1_800_000_000.0,
        )
        return serve(self.sandbox, endpoint, request).status

    def values(self) -> st.SearchStrategy[Any]:
        known = st.sampled_from([*self.ids.values(), *self.others])
        return st.recursive(
            scalars | known,
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.text(max_size=4), inner, max_size=3)
            ),
            max_leaves=6,
        )


@pytest.fixture(scope="module")
def odd() -> Iterator[Odd]:
    made = Odd()
    yield made
    made.sandbox.close()


def bodies(odd: Odd, label: str) -> st.SearchStrategy[Any]:
    """Bodies with any values for the fields that an endpoint takes, and lists of such records."""
    taken, values = TAKEN[label], odd.values()
    fields: dict[str, st.SearchStrategy[Any]] = dict.fromkeys(sorted(taken.body), values)
    for name, names in taken.records.items():
        record = st.fixed_dictionaries({}, optional=dict.fromkeys(sorted(names), values))
        fields[name] = st.lists(record, max_size=3) | values
    return st.fixed_dictionaries({}, optional=fields)


@pytest.mark.parametrize("label", sorted(TAKEN))
@settings(max_examples=40)
@given(data=st.data())
def test_no_value_makes_the_sandbox_itself_fail(odd: Odd, label: str, data: st.DataObject) -> None:
    texts = st.lists(
        st.text(max_size=8) | st.sampled_from([*odd.ids.values(), *_WORDS]), max_size=2
    )
    query = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(TAKEN[label].query, texts)))
    status = odd.status(label, query, data.draw(bodies(odd, label)))
    assert status in (200, 400, 403, 404, 422)


@pytest.mark.parametrize("label", ["POST /contacts", "PATCH /accounts/{id}", "POST /tasks"])
@pytest.mark.parametrize("value", [["x"], {"x": 1}, 7, True])
def test_a_value_that_is_no_id_is_told_as_an_id_that_is_not_valid(
    odd: Odd, label: str, value: Any
) -> None:
    name = {"POST /contacts": "account_id", "POST /tasks": "user_id"}.get(label, "owner_id")
    assert odd.status(label, {}, {name: value, "type": "call", "status": "x", "due_at": "x"}) == 422
