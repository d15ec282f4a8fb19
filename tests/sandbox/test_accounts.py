from __future__ import annotations

import itertools

import pytest

from target_apollo.sandbox import Sandbox
from tests.sandbox.conftest import Client, fresh

_numbers = itertools.count(1)


def domain() -> str:
    return f"firm{next(_numbers)}.example"


def test_a_create_never_deduplicates(client: Client) -> None:
    ids = {client.post("/accounts", {"name": "Twice Inc"})["account"]["id"] for _ in range(2)}
    assert len(ids) == 2


@pytest.mark.parametrize("body", [{}, {"phone": "555-555-0100"}, {"name": " ", "domain": ""}])
def test_an_account_needs_a_name_or_a_domain(client: Client, body: dict[str, str]) -> None:
    assert client.error("POST", "/accounts", body) == {
        "error": "Please specify at least a name or domain."
    }


def test_phone_and_address_bring_keys_of_their_own(client: Client) -> None:
    plain = client.post("/accounts", {"name": "Plain"})["account"]
    assert "sanitized_phone" not in plain
    assert "raw_address" not in plain
    full = client.post(
        "/accounts",
        {"name": "Full", "phone": "(415) 555-0199", "raw_address": "1 Road, Dublin, Ireland"},
    )["account"]
    assert full["sanitized_phone"] == "+14155550199"
    assert full["country"] == "Ireland"


def test_an_update_overwrites_and_clears(client: Client) -> None:
    made = client.post("/accounts", {"name": "Was", "domain": domain(), "phone": "555 555 0100"})
    path = f"/accounts/{made['account']['id']}"
    answer = client.patch(path, {"name": "Is", "phone": ""})
    assert answer["labels"] == []
    assert (answer["account"]["name"], answer["account"]["phone"]) == ("Is", None)
    assert "sanitized_phone" not in answer["account"]


def test_bulk_create_matches_the_domain_in_any_spelling(client: Client) -> None:
    name = domain()
    first = client.bulk_accounts({"domain": name})["created_accounts"]
    answer = client.bulk_accounts({"domain": f"https://www.{name.upper()}/about", "name": "X"})
    assert [a["id"] for a in answer["existing_accounts"]] == [first[0]["id"]]
    assert answer["existing_accounts"][0]["name"] is None


def test_bulk_create_with_dedupe_matches_by_name_alone(client: Client) -> None:
    name = f"Name {domain()}"
    client.bulk_accounts({"domain": domain(), "name": name})
    answer = client.bulk_accounts({"domain": domain(), "name": name.upper()})
    assert answer["created_accounts"] == []


def test_bulk_create_without_dedupe_matches_by_crm_id_only(client: Client) -> None:
    name = domain()
    client.bulk_accounts({"domain": name, "salesforce_id": "001A"})
    same_domain = client.bulk_accounts({"domain": name}, run_dedupe=False)
    assert len(same_domain["created_accounts"]) == 1
    same_crm = client.bulk_accounts({"domain": domain(), "salesforce_id": "001A"}, run_dedupe=False)
    assert len(same_crm["existing_accounts"]) == 1


def test_an_owner_and_a_stage_are_given_per_account(apollo: Sandbox, client: Client) -> None:
    owner = apollo.store.add_user(email=fresh())["id"]
    stage = apollo.store.account_stages[3]["id"]
    (account,) = client.bulk_accounts(
        {"domain": domain(), "owner_id": owner, "account_stage_id": stage}
    )["created_accounts"]
    assert (account["owner_id"], account["account_stage_id"]) == (owner, stage)


def test_a_bad_owner_refuses_the_whole_request(client: Client) -> None:
    body = client.error(
        "POST",
        "/accounts/bulk_create",
        {"accounts": [{"domain": domain()}, {"domain": domain(), "owner_id": "c" * 24}]},
    )
    assert body == {"error": f"Parameters misconfigured. {'c' * 24} is not a valid ID"}


def test_more_than_100_accounts_are_refused(client: Client) -> None:
    body = client.error("POST", "/accounts/bulk_create", {"accounts": [{"name": "x"}] * 101})
    assert body == {"error": "Please limit your array to 100 accounts or fewer."}


def test_accounts_come_onto_lists_by_bulk_create(apollo: Sandbox, client: Client) -> None:
    client.bulk_accounts({"domain": domain()}, append_label_names=["Targets"])
    label = next(x for x in apollo.store.labels() if x["name"] == "Targets")
    assert (label["modality"], label["cached_count"]) == ("accounts", 1)


def test_bulk_update_writes_name_owner_and_stage(apollo: Sandbox, client: Client) -> None:
    account = apollo.store.add_account(domain=domain())
    stage = apollo.store.account_stages[1]["id"]
    answer = client.post(
        "/accounts/bulk_update",
        {
            "account_attributes": [
                {"id": account["id"], "name": "Renamed", "account_stage_id": stage}
            ]
        },
    )
    assert answer == {"accounts": [{"id": account["id"], "account_stage_id": stage}]}
    assert client.get(f"/accounts/{account['id']}")["account"]["name"] == "Renamed"


def test_only_account_ids_may_be_updated_asynchronously(apollo: Sandbox, client: Client) -> None:
    account_id = apollo.store.add_account(domain=domain())["id"]
    body = client.error(
        "POST",
        "/accounts/bulk_update",
        {"account_attributes": [{"id": account_id, "name": "x"}], "async": True},
    )
    assert body == {"error": "Async processing is not permitted."}
    answer = client.post(
        "/accounts/bulk_update", {"account_ids": [account_id], "name": "x", "async": True}
    )
    assert answer["entity_progress_job"]["entity_ids"] == [account_id]


def test_owners_are_changed_for_many(apollo: Sandbox, client: Client) -> None:
    owner = apollo.store.add_user(email=fresh())["id"]
    account_id = apollo.store.add_account(domain=domain())["id"]
    answer = client.post(
        "/accounts/update_owners", params={"account_ids[]": [account_id], "owner_id": owner}
    )
    assert answer == {"accounts": [{"id": account_id, "owner_id": owner, "crm_owner_id": None}]}


def test_an_unknown_account_is_422_on_reading_and_writing(client: Client) -> None:
    oops = {"error": "Oops! This account does not exist in Apollo."}
    assert client.error("GET", f"/accounts/{'d' * 24}") == oops
    assert client.error("PATCH", f"/accounts/{'d' * 24}", {"name": "x"}) == oops


def test_a_search_finds_a_part_of_the_name_and_knows_no_domain(client: Client) -> None:
    name = domain()
    client.bulk_accounts({"name": f"Searchable {name} GmbH", "domain": f"other-{name}"})
    found = client.post("/accounts/search", {"q_organization_name": f"able {name}"})
    assert len(found["accounts"]) == 1
    by_domain = client.post("/accounts/search", {"q_organization_name": f"other-{name}"})
    assert by_domain["accounts"] == []


def test_a_search_refuses_unknown_sort_fields_and_stages(client: Client) -> None:
    assert client.error("POST", "/accounts/search", {"sort_by_field": "name"}) == {
        "error": "Invalid sort criteria",
        "skip_alert_dialog": True,
    }
    body = client.error("POST", "/accounts/search", {"account_stage_ids": ["nope"]})
    assert body["error"].startswith("Your search parameters are entered incorrectly.")


def test_put_is_not_there(client: Client) -> None:
    assert client.error("PUT", f"/accounts/{'d' * 24}", {"name": "x"}, status=404) == {
        "status": 404,
        "error": "Not Found",
    }


def test_the_malformed_id_of_a_path_is_told_by_its_parameter(client: Client) -> None:
    assert client.error("PATCH", "/accounts/5234234", {"name": "x"}) == {
        "error": "Parameters misconfigured. account_id is not a valid ID"
    }
    assert client.error("GET", "/accounts/5234234") == {
        "error": "Parameters misconfigured. id is not a valid ID"
    }
    in_bulk = {"account_ids": ["5234234"], "name": "x"}
    assert client.error("POST", "/accounts/bulk_update", in_bulk) == {
        "error": "Parameters misconfigured. 5234234 is not a valid ID"
    }


@pytest.mark.parametrize("kind", ["contacts", "accounts"])
def test_an_ascending_order_needs_a_field_to_sort_by(
    apollo: Sandbox, client: Client, kind: str
) -> None:
    apollo.set_options(strict=False)
    for name in "abc":
        apollo.store.add_account(name=name)
        apollo.store.add_contact(first_name=name)
    plain = client.post(f"/{kind}/search", {})[kind]
    assert client.post(f"/{kind}/search", {"sort_ascending": True})[kind] == plain
    field = f"{kind[:-1]}_created_at"
    ascending = client.post(f"/{kind}/search", {"sort_ascending": True, "sort_by_field": field})
    assert [one["id"] for one in ascending[kind]] == [one["id"] for one in reversed(plain)]


@pytest.mark.parametrize("path", ["/accounts/update_owners", "/contacts/update_owners"])
def test_ids_of_the_query_have_brackets(apollo: Sandbox, client: Client, path: str) -> None:
    apollo.set_options(strict=False)
    name = f"{path[1:].partition('s/')[0]}_ids"
    query = {name: "a" * 24, "owner_id": apollo.store.admin_id}
    answer = client.call("POST", path, params=query)
    assert answer.json() == {"error": f"Required parameter '{name}' missing"}
