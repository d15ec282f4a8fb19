"""Deals, which Apollo calls opportunities."""

from __future__ import annotations

from typing import Any

import pytest

from target_apollo.sandbox import Sandbox
from tests.helpers.sales_objects import deals_by
from tests.sandbox.conftest import Client


def create(client: Client, **fields: Any) -> dict[str, Any]:
    deal: dict[str, Any] = client.post("/opportunities", {"name": "Deal", **fields})["opportunity"]
    return deal


def test_a_new_deal_is_in_the_first_stage_unless_it_names_one(
    apollo: Sandbox, client: Client
) -> None:
    first, *_, lost = apollo.store.deals.stages
    assert create(client)["opportunity_stage_id"] == first["id"]
    closed = create(client, opportunity_stage_id=lost["id"])
    assert (closed["is_closed"], closed["is_won"], closed["deal_probability"]) == (True, False, 0)


def test_a_deal_needs_a_name(client: Client) -> None:
    for name in ("", " ", None):
        answer = client.error("POST", "/opportunities", {"name": name, "amount": "1"})
        assert answer == {"error": "Name is required"}


def test_the_same_deal_sent_twice_makes_two(apollo: Sandbox, client: Client) -> None:
    assert create(client)["id"] != create(client)["id"]
    assert [deal["name"] for deal in apollo.store.deals.all()] == ["Deal", "Deal"]


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("55123478", 55123478),
        ("12.50", 12.5),
        ("1,000", None),
        ("$5", None),
        ("1e3", None),
        ("9" * 400, None),
    ],
)
def test_an_amount_other_than_plain_digits_is_left_blank_without_a_word(
    apollo: Sandbox, client: Client, sent: str, stored: float | None
) -> None:
    apollo.set_options(strict=False)
    made = create(client, amount="7")
    after = client.patch(f"/opportunities/{made['id']}", {"amount": sent})["opportunity"]
    assert after["amount"] == after["amount_in_team_currency"] == stored


def test_an_amount_with_decimals_may_be_left_blank_too(apollo: Sandbox, client: Client) -> None:
    apollo.set_options(strict=False, decimal_amounts=False)
    assert create(client, amount="12.50")["amount"] is None


@pytest.mark.parametrize(
    "odd",
    [{"amount": "1,000"}, {"closed_date": "2026-12-31 noon"}, {"opportunity_pipeline_id": "x"}],
)
def test_strict_mode_refuses_what_apollo_ignores(client: Client, odd: dict[str, str]) -> None:
    (name,) = odd
    assert name in client.error("POST", "/opportunities", {"name": "Deal", **odd})["error"]


def test_the_account_of_a_deal_is_set_by_its_creation_only(apollo: Sandbox, client: Client) -> None:
    one, other = (apollo.store.add_account(name=name)["id"] for name in "ab")
    deal_id = create(client, account_id=one)["id"]
    client.error("PATCH", f"/opportunities/{deal_id}", {"account_id": other})
    apollo.set_options(strict=False)
    after = client.patch(f"/opportunities/{deal_id}", {"account_id": other})["opportunity"]
    assert after["account_id"] == one


def test_an_update_overwrites_what_it_sends_and_nothing_else(
    apollo: Sandbox, client: Client
) -> None:
    field_id = apollo.store.add_custom_field("opportunity", "External id", "string")["id"]
    made = create(client, amount="5", typed_custom_fields={field_id: "D-1"})
    assert [deal["id"] for deal in deals_by(apollo, field_id)["D-1"]] == [made["id"]]
    after = client.patch(f"/opportunities/{made['id']}", {"closed_date": "2026-12-31"})
    assert after["opportunity"]["closed_date"] == "2026-12-31T00:00:00.000+00:00"
    assert after["opportunity"]["amount"] == 5
    assert after["opportunity"]["typed_custom_fields"] == {field_id: "D-1"}


def test_strict_mode_refuses_a_field_of_another_kind_of_record(
    apollo: Sandbox, client: Client
) -> None:
    field_id = apollo.store.add_custom_field("account", "Tier", "string")["id"]
    body = {"name": "Deal", "typed_custom_fields": {field_id: "x"}}
    assert "no opportunity field" in client.error("POST", "/opportunities", body)["error"]


def test_a_deal_that_is_not_there_is_told_in_two_ways(client: Client) -> None:
    path = f"/opportunities/{'f' * 24}"
    assert client.error("GET", path, status=404) == {"status": 404, "error": "Not Found"}
    answer = client.error("PATCH", path, {"name": "x"})
    assert answer == {"error": "Opportunity does not exist."}


def test_the_walk_through_all_deals_takes_a_sort_and_a_page(
    apollo: Sandbox, client: Client
) -> None:
    for amount in (2, 3, 1):
        apollo.store.deals.add(name=f"D{amount}", amount=amount)
    page = client.get("/opportunities/search", params={"sort_by_field": "amount", "per_page": 2})
    assert [deal["name"] for deal in page["opportunities"]] == ["D3", "D2"]
    assert page["pagination"]["total_pages"] == 2
    client.error("GET", "/opportunities/search?q_opportunity_name=D1")


def test_only_a_search_by_post_takes_a_name(apollo: Sandbox, client: Client) -> None:
    apollo.store.deals.add(name="North wind")
    wanted = apollo.store.deals.add(name="South wind")["id"]
    answer = client.post("/opportunities/search", {"q_opportunity_name": "south", "per_page": 10})
    assert [deal["id"] for deal in answer["opportunities"]] == [wanted]


def test_a_search_may_find_a_deal_late(apollo: Sandbox, client: Client) -> None:
    apollo.set_options(search_lag_seconds=3600)
    deal_id = create(client)["id"]
    assert client.get("/opportunities/search")["opportunities"] == []
    assert client.get(f"/opportunities/{deal_id}")["opportunity"]["id"] == deal_id


def test_the_deals_of_a_contact_are_those_it_takes_part_in(apollo: Sandbox, client: Client) -> None:
    contact = apollo.store.add_contact(email="a@x.example")["id"]
    apollo.store.deals.add(name="Not hers")
    deal_id = apollo.store.deals.add(name="Hers", contact_ids=[contact])["id"]
    (deal,) = client.post(f"/contacts/{contact}/opportunities", {})["opportunities"]
    assert (deal["id"], deal["num_contacts"]) == (deal_id, 1)
    assert client.post(f"/contacts/{'f' * 24}/opportunities")["opportunities"] == []


def test_a_key_needs_the_entries_of_deals(apollo: Sandbox, client: Client) -> None:
    apollo.options.api_keys["scoped"] = ["deals/api/v1/opportunities/search"]
    client.use("scoped")
    client.get("/opportunities/search")
    refused = client.error("POST", "/opportunities", {"name": "x"}, status=403)
    assert "deals/api/v1/opportunities/create" in refused["error"]
