"""The keys of the sandbox's objects equal those in recorded answers of the live API."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import requests

from target_apollo.sandbox import Sandbox
from tests.sandbox.conftest import Client, fresh

FOLDER = Path(
    os.environ.get("APOLLO_RECORDED") or Path(__file__).parents[3] / "shared" / "recorded-answers"
)

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(),
    reason="no recorded answers are there: set APOLLO_RECORDED to their folder",
)


def recorded(name: str, method: str) -> dict[str, Any]:
    calls = json.loads((FOLDER / f"{name}.json").read_text())["calls"]
    (answer,) = [call for call in calls if call["method"] == method and call["status"] == 200]
    return dict(answer)


def bearer(apollo: Sandbox) -> dict[str, str]:
    form = {
        "grant_type": "refresh_token",
        "refresh_token": apollo.oauth.refresh_token,
        "client_id": apollo.oauth.client_id,
        "client_secret": apollo.oauth.client_secret,
    }
    token = requests.post(apollo.token_url, data=form, timeout=20).json()["access_token"]
    return {"authorization": f"Bearer {token}"}


def keys(value: Any) -> Any:
    """The keys of a value at every depth; of a list of objects, those of the first."""
    if isinstance(value, dict):
        return {key: keys(part) for key, part in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [keys(value[0])]
    return None


def test_a_created_contact(client: Client) -> None:
    real = recorded("create-contact", "POST")["response"]
    made = client.post(
        "/contacts", {"first_name": "Test", "last_name": "Contact", "email": fresh()}
    )
    assert keys(made) == keys(real)


def test_a_created_contact_has_the_recorded_values_apart_from_its_own(client: Client) -> None:
    real = recorded("create-contact", "POST")["response"]["contact"]
    made = client.post(
        "/contacts", {"first_name": "Test", "last_name": "Contact", "email": real["email"]}
    )["contact"]
    # Ids and times differ. Apollo also infers the company from the e-mail address.
    own = {
        "id", "owner_id", "creator_id", "contact_stage_id", "created_at", "updated_at",
        "organization_id", "organization_name",
    }  # fmt: skip
    assert {k: v for k, v in made.items() if k not in own} == {
        k: v for k, v in real.items() if k not in own
    }


def test_an_updated_contact(apollo: Sandbox, client: Client) -> None:
    real = recorded("update-contact", "PATCH")["response"]
    contact = apollo.store.add_contact(email=fresh(), first_name="A")
    assert keys(client.patch(f"/contacts/{contact['id']}", {"first_name": "B"})) == keys(real)


def test_a_contact_that_is_read(apollo: Sandbox, client: Client) -> None:
    real = recorded("get-contact", "GET")["response"]
    contact = apollo.store.add_contact(email=fresh())
    assert keys(client.get(f"/contacts/{contact['id']}")) == keys(real)


def test_contacts_that_are_found(apollo: Sandbox, client: Client) -> None:
    real = recorded("list-contacts", "POST")["response"]
    apollo.store.add_contact(email=fresh())
    found = client.post("/contacts/search", {"per_page": 10})
    assert keys(found) == keys(real)
    same = ("breadcrumbs", "partial_results_only", "partial_results_limit", "num_fetch_result")
    assert [found[key] for key in same] == [real[key] for key in same]


def test_a_created_account(client: Client) -> None:
    call = recorded("create-account", "POST")
    made = client.post("/accounts", call["request"]["data"])
    assert keys(made) == keys(call["response"])
    real, own = call["response"]["account"], {"id", "team_id", "created_at"}
    own |= {"account_stage_id", "owner_id", "creator_id"}
    assert {k: v for k, v in made["account"].items() if k not in own} == {
        k: v for k, v in real.items() if k not in own
    }


@pytest.mark.parametrize(
    ("name", "method"),
    [("update-account", "PATCH"), ("delete-account", "PATCH"), ("get-account", "GET")],
)
def test_an_account_with_and_without_phone_and_address(
    client: Client, name: str, method: str
) -> None:
    real = recorded(name, method)["response"]
    sent = {
        "name": "X",
        "phone": real["account"]["phone"] or "",
        "raw_address": real["account"].get("raw_address", ""),
    }
    path = f"/accounts/{client.post('/accounts', sent)['account']['id']}"
    answer = client.get(path) if method == "GET" else client.patch(path, {"name": "Y"})
    assert keys(answer) == keys(real)


def test_accounts_that_are_found(client: Client) -> None:
    real = recorded("list-accounts", "POST")["response"]
    client.post("/accounts", {"name": "Found"})
    found = client.post("/accounts/search", {"q_organization_name": "Found"})
    assert keys(found) == keys(real)


def test_users_that_are_found(client: Client) -> None:
    real = recorded("list-users", "GET")["response"]
    assert keys(client.get("/users/search?page=1")) == keys(real)


def test_the_rate_headers_are_the_recorded_ones(apollo: Sandbox, client: Client) -> None:
    real = recorded("create-contact", "POST")["headers"]
    apollo.set_options(plan="free")
    given = client.call("POST", "/contacts", {"email": fresh()}).headers
    names = [name for name in real if "limit" in name or "usage" in name or "left" in name]
    assert len(names) == 9
    limits = [name for name in names if "limit" in name]
    assert [given[name] for name in limits] == [real[name] for name in limits]
    assert all(name in given for name in names)


def test_a_company_is_filled_where_the_recording_has_one(apollo: Sandbox, client: Client) -> None:
    real = recorded("create-contact", "POST")["response"]["contact"]
    apollo.set_options(fills_company=True)
    sent = {"first_name": "Test", "last_name": "Contact", "email": real["email"]}
    made = client.post("/contacts", sent)["contact"]
    filled = ("organization_name", "organization_id")
    assert [bool(made[name]) for name in filled] == [bool(real[name]) for name in filled]
    told = client.post("/contacts", {**sent, "organization_name": "Own"})["contact"]
    assert told["organization_name"] == "Own"


def test_deleting_is_refused_in_the_recorded_words(apollo: Sandbox, client: Client) -> None:
    calls = json.loads((FOLDER / "delete-contact.json").read_text())["calls"]
    (real,) = [call for call in calls if call["method"] == "DELETE"]
    answer = client.call("DELETE", f"/contacts/{'a' * 24}", headers=bearer(apollo))
    assert (answer.status_code, answer.json()) == (real["status"], real["response"])
    assert "x-minute-usage" not in answer.headers
