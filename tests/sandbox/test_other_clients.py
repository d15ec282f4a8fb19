"""Calls of other clients that were tested live: older routes, and POST where Apollo says GET."""

from __future__ import annotations

import pytest

from target_apollo.sandbox import Sandbox
from tests.sandbox.conftest import Client, fresh


def test_the_older_base_path_has_every_endpoint(apollo: Sandbox, client: Client) -> None:
    assert apollo.url.endswith("/api/v1")
    apollo.url = apollo.url.removesuffix("/api/v1") + "/v1"
    assert client.get("/auth/health") == {"healthy": True, "is_logged_in": True}
    made = client.post("/contacts", {"email": fresh()})["contact"]
    assert client.get(f"/contacts/{made['id']}")["contact"]["id"] == made["id"]
    assert apollo.count("POST /contacts") == 1
    client.error("DELETE", f"/contacts/{made['id']}", status=403)


def test_a_contact_is_updated_by_put_too(apollo: Sandbox, client: Client) -> None:
    contact_id = apollo.store.add_contact(email=fresh())["id"]
    answer = client.call("PUT", f"/contacts/{contact_id}", {"title": "CEO"})
    assert answer.json()["contact"]["title"] == "CEO"


@pytest.mark.parametrize(("route", "status"), [("not_found", 404), ("not_allowed", 405)])
def test_a_contact_may_be_updated_by_patch_only(
    apollo: Sandbox, client: Client, route: str, status: int
) -> None:
    apollo.set_options(put_contacts=route)
    contact_id = apollo.store.add_contact(email=fresh())["id"]
    client.error("PUT", f"/contacts/{contact_id}", {"title": "CEO"}, status=status)
    assert client.patch(f"/contacts/{contact_id}", {"title": "CEO"})["contact"]["title"] == "CEO"


def test_users_are_searched_by_post_too(apollo: Sandbox, client: Client) -> None:
    answer = client.post("/users/search", {"page": 1, "per_page": 1})
    assert [user["id"] for user in answer["users"]] == [apollo.store.users()[0]["id"]]
    assert answer["pagination"]["total_entries"] == len(apollo.store.users())


def test_nothing_that_a_sync_does_costs_a_credit(client: Client) -> None:
    client.post("/contacts", {"email": fresh()})
    stats = client.post("/usage_stats/credit_usage_stats")
    assert {one["consumed"] for one in stats["credit_usage_stats"].values()} == {0}
    cycle = stats["current_credit_cycle"]
    assert cycle["start_date"] < cycle["end_date"]
