"""Each option for a behaviour that Apollo's reference leaves open."""

from __future__ import annotations

from typing import Any

import pytest

from target_apollo.sandbox import Fault, FaultKind, Sandbox, SandboxOptions
from tests.sandbox.conftest import Client, fresh


def test_answers_can_come_shuffled_and_repeat_with_the_seed(
    apollo: Sandbox, client: Client
) -> None:
    apollo.set_options(shuffle_answers=True)
    emails = [fresh() for _ in range(20)]
    answer = client.bulk_create(*({"email": email} for email in emails))
    order = [contact["email"] for contact in answer["created_contacts"]]
    assert order != emails
    assert sorted(order) == sorted(emails)


@pytest.mark.parametrize(
    ("behaviour", "created", "existing"),
    [("both_created", 2, 0), ("second_existing", 1, 1), ("second_dropped", 1, 0)],
)
def test_two_alike_in_one_batch(
    apollo: Sandbox, client: Client, behaviour: str, created: int, existing: int
) -> None:
    apollo.set_options(alike_in_batch=behaviour)
    email = fresh()
    contacts = client.bulk_create({"email": email}, {"email": email})
    assert len(contacts["created_contacts"]) == created
    assert len(contacts["existing_contacts"]) == existing
    domain = fresh().replace("@", ".")
    accounts = client.bulk_accounts({"domain": domain}, {"domain": domain})
    assert len(accounts["created_accounts"]) == created
    assert len(accounts["existing_accounts"]) == existing


@pytest.mark.parametrize("touches", [True, False])
def test_lists_of_a_bulk_create_reach_existing_contacts_or_not(
    apollo: Sandbox, client: Client, touches: bool
) -> None:
    apollo.set_options(labels_touch_existing=touches)
    email = fresh()
    client.bulk_create({"email": email})
    (known,) = client.bulk_create({"email": email}, append_label_names=["Reached"])[
        "existing_contacts"
    ]
    assert bool(known["label_ids"]) is touches


def test_the_owner_of_a_bulk_create_can_reach_existing_contacts(
    apollo: Sandbox, client: Client
) -> None:
    apollo.set_options(owner_touches_existing=True)
    owner = apollo.store.add_user(email=fresh())["id"]
    email = fresh()
    client.bulk_create({"email": email})
    (known,) = client.bulk_create({"email": email}, owner_id=owner)["existing_contacts"]
    assert known["owner_id"] == owner


@pytest.mark.parametrize(
    ("behaviour", "written"), [("nothing_written", False), ("good_before_written", True)]
)
def test_a_refused_bulk_create_has_written_nothing_or_what_stood_before(
    apollo: Sandbox, client: Client, behaviour: str, written: bool
) -> None:
    apollo.set_options(bulk_failure=behaviour)
    good, bad = fresh(), fresh()
    client.error(
        "POST",
        "/contacts/bulk_create",
        {"contacts": [{"email": good}, {"email": bad, "account_id": "b" * 24}]},
    )
    present = {contact["email"] for contact in apollo.store.contacts()}
    assert (good in present, bad in present) == (written, False)


def test_a_refused_bulk_update_can_have_written_what_stood_before(
    apollo: Sandbox, client: Client
) -> None:
    apollo.set_options(bulk_failure="good_before_written")
    contact_id = apollo.store.add_contact(email=fresh())["id"]
    client.error(
        "POST", "/contacts/bulk_update", {"contact_ids": [contact_id, "x"], "title": "Half"}
    )
    assert client.get(f"/contacts/{contact_id}")["contact"]["title"] == "Half"


@pytest.mark.parametrize(
    ("behaviour", "answered"), [("ignored", None), ("accepted", "no address"), ("dropped", ...)]
)
def test_a_malformed_address_in_a_create(
    apollo: Sandbox, client: Client, behaviour: str, answered: Any
) -> None:
    apollo.set_options(invalid_email=behaviour)
    answer = client.bulk_create({"email": "no address", "first_name": fresh()})
    emails = [contact["email"] for contact in answer["created_contacts"]]
    assert emails == ([] if answered is ... else [answered])


def test_a_malformed_address_can_refuse_the_request(apollo: Sandbox, client: Client) -> None:
    apollo.set_options(invalid_email="refused")
    client.error("POST", "/contacts/bulk_create", {"contacts": [{"email": "no address"}]})
    client.error("POST", "/contacts", {"email": "no address"})


def test_bulk_answers_can_have_the_documented_fields_only(apollo: Sandbox, client: Client) -> None:
    apollo.set_options(bulk_answers="documented")
    (contact,) = client.bulk_create({"email": fresh(), "title": "CEO"})["created_contacts"]
    assert set(contact) <= {
        "id", "first_name", "last_name", "email", "title", "organization_name", "linkedin_url",
        "team_id", "owner_id", "contact_stage_id", "created_at", "updated_at",
    }  # fmt: skip
    (account,) = client.bulk_accounts({"domain": fresh().replace("@", ".")})["created_accounts"]
    assert "typed_custom_fields" not in account
    assert account["team_id"] == apollo.store.team_id


@pytest.mark.parametrize(
    ("shape", "kind"), [("mapping", dict), ("list", list), ("silent", type(None))]
)
def test_errors_of_custom_fields_have_a_shape_of_choice(
    apollo: Sandbox, client: Client, shape: str, kind: type
) -> None:
    apollo.set_options(custom_field_errors=shape)
    field_id = apollo.store.add_custom_field("contact", "Age", "number")["id"]
    contact = client.post(
        "/contacts", {"email": fresh(), "typed_custom_fields": {field_id: "old"}}
    )["contact"]
    assert isinstance(contact["custom_field_errors"] or None, kind)
    assert contact["typed_custom_fields"] == {}


def test_values_that_are_no_text_are_converted_or_refused(apollo: Sandbox, client: Client) -> None:
    field_id = apollo.store.add_custom_field("contact", "Age", "number")["id"]
    body = {"email": fresh(), "typed_custom_fields": {field_id: 41}}
    apollo.set_options(strict=False)
    contact = client.post("/contacts", body)["contact"]
    assert contact["typed_custom_fields"] == {field_id: "41"}
    apollo.set_options(custom_values_must_be_strings=True)
    client.error("POST", "/contacts", body)


@pytest.mark.parametrize(("behaviour", "status"), [("unprocessable", 422), ("not_found", 404)])
def test_an_unknown_id_on_an_update(
    apollo: Sandbox, client: Client, behaviour: str, status: int
) -> None:
    apollo.set_options(unknown_id=behaviour)
    for kind in ("contacts", "accounts"):
        client.error("PATCH", f"/{kind}/{'c' * 24}", {}, status=status)


@pytest.mark.parametrize(
    ("behaviour", "status"), [("not_found", 404), ("not_allowed", 405), ("accepted", 200)]
)
def test_put_of_an_account(apollo: Sandbox, client: Client, behaviour: str, status: int) -> None:
    apollo.set_options(put_accounts=behaviour)
    account = apollo.store.add_account(name="Before")
    answer = client.call("PUT", f"/accounts/{account['id']}", {"name": "After"})
    assert answer.status_code == status
    assert apollo.count("PUT /accounts/{id}") == 1
    after = client.get(f"/accounts/{account['id']}")["account"]["name"]
    assert after == ("After" if status == 200 else "Before")


@pytest.mark.parametrize(
    ("behaviour", "status"), [("not_found", 404), ("not_allowed", 405), ("accepted", 200)]
)
def test_patch_of_an_account(apollo: Sandbox, client: Client, behaviour: str, status: int) -> None:
    apollo.set_options(patch_accounts=behaviour)
    account = apollo.store.add_account(name="Before")
    answer = client.call("PATCH", f"/accounts/{account['id']}", {"name": "After"})
    assert answer.status_code == status


def test_a_search_can_lag_behind_the_writes(apollo: Sandbox, client: Client) -> None:
    apollo.set_options(search_lag_seconds=600)
    email = fresh("laggard", "lag.example")
    made = client.post("/contacts", {"email": email})["contact"]
    assert client.post("/contacts/search", {"q_keywords": email})["contacts"] == []
    assert client.get(f"/contacts/{made['id']}")["contact"]["email"] == email
    answer = client.bulk_create({"email": email})
    assert [c["id"] for c in answer["existing_contacts"]] == [made["id"]]


@pytest.mark.parametrize("kind", ["contact", "account"])
def test_a_search_can_show_old_values_for_a_while(
    apollo: Sandbox, client: Client, kind: str
) -> None:
    added = {"contact": apollo.store.add_contact, "account": apollo.store.add_account}[kind]
    made = added(
        **{"email": fresh("laggard", "lag.example")} if kind == "contact" else {"name": "A"}
    )
    field = "title" if kind == "contact" else "name"
    apollo.set_options(search_lag_seconds=600)
    client.call("PATCH", f"/{kind}s/{made['id']}", {field: "After"})
    found = {one["id"]: one for one in client.post(f"/{kind}s/search", {})[f"{kind}s"]}
    assert found[made["id"]][field] != "After"
    assert client.get(f"/{kind}s/{made['id']}")[kind][field] == "After"


def test_the_error_for_a_bad_id_can_say_nothing_useful(apollo: Sandbox, client: Client) -> None:
    apollo.set_options(bad_id_names_value=False)
    body = client.error("PATCH", "/contacts/nonsense", {})
    assert body == {"error": "There is something wrong with your request."}


def test_server_errors_can_be_html(apollo: Sandbox, client: Client) -> None:
    apollo.set_options(server_error_html=True)
    apollo.inject(Fault("GET /labels", FaultKind.ERROR_BEFORE_WRITE, status=500))
    answer = client.call("GET", "/labels")
    assert answer.status_code == 500
    assert answer.headers["content-type"].startswith("text/html")


def test_the_plan_can_be_full(apollo: Sandbox, client: Client) -> None:
    apollo.set_options(max_contacts=len(apollo.store.contacts()))
    body = client.error("POST", "/contacts/bulk_create", {"contacts": [{"email": fresh()}]})
    assert "limit" in body["error"]
    assert "limit" in client.error("POST", "/contacts", {"email": fresh()})["error"]


def test_single_routes_can_take_an_owner(apollo: Sandbox, client: Client) -> None:
    apollo.set_options(single_takes_owner=True)
    owner = apollo.store.add_user(email=fresh())["id"]
    contact = client.post("/contacts", {"email": fresh(), "owner_id": owner})["contact"]
    assert contact["owner_id"] == owner


def test_bulk_update_can_take_a_stage(apollo: Sandbox, client: Client) -> None:
    apollo.set_options(bulk_update_takes_stage=True)
    stage = apollo.store.contact_stages[1]["id"]
    contact = apollo.store.add_contact(email=fresh())
    answer = client.post(
        "/contacts/bulk_update", {"contact_ids": [contact["id"]], "contact_stage_id": stage}
    )
    assert answer["contacts"][0]["contact_stage_id"] == stage


@pytest.mark.parametrize(
    ("behaviour", "null_clears", "empty_clears"),
    [("both", True, True), ("null", True, False), ("empty_string", False, True)],
)
def test_fields_are_cleared_by_null_or_by_the_empty_string_or_both(
    apollo: Sandbox, client: Client, behaviour: str, null_clears: bool, empty_clears: bool
) -> None:
    apollo.set_options(cleared_by=behaviour)
    for value, clears in ((None, null_clears), ("", empty_clears)):
        contact = apollo.store.add_contact(email=fresh(), title="CEO")
        after = client.patch(f"/contacts/{contact['id']}", {"title": value})["contact"]
        assert after["title"] == (None if clears else "CEO")
        account = apollo.store.add_account(name=fresh(), domain=fresh().replace("@", "."))
        changed = client.patch(f"/accounts/{account['id']}", {"domain": value})["account"]
        assert changed["domain"] == (None if clears else account["domain"])


def test_profile_addresses_can_be_rewritten(apollo: Sandbox, client: Client) -> None:
    apollo.set_options(rewrites_linkedin=True)
    (contact,) = client.bulk_create(
        {"email": fresh(), "linkedin_url": "https://linkedin.com/in/ann/"}
    )["created_contacts"]
    assert contact["linkedin_url"] == "http://www.linkedin.com/in/ann"


def test_the_limit_of_bulk_update_can_be_999(apollo: Sandbox, client: Client) -> None:
    apollo.set_options(bulk_update_limit=999)
    client.error("POST", "/contacts/bulk_update", {"contact_ids": ["a" * 24] * 1000})


def test_options_take_enums_by_their_values_and_refuse_others() -> None:
    assert SandboxOptions(plan="free").schedule().limits.minute == 50  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`plan` must be one of"):
        SandboxOptions(plan="gold")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["contacts", "accounts"])
def test_records_can_move_between_the_pages_of_a_search_that_sorts_by_nothing(
    apollo: Sandbox, client: Client, kind: str
) -> None:
    apollo.set_options(unsorted_moves=True)
    for number in range(40):
        apollo.store.add_account(name=f"A{number}")
        apollo.store.add_contact(first_name=f"C{number}")

    def ids(**search: Any) -> list[str]:
        return [one["id"] for one in client.post(f"/{kind}/search", search)[kind]]

    assert ids(per_page=40) != ids(per_page=40)
    by = f"{kind[:-1]}_created_at"
    assert ids(per_page=40, sort_by_field=by) == ids(per_page=40, sort_by_field=by)
