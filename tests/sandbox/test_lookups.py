from __future__ import annotations

import json

import pytest

from target_apollo.sandbox import Sandbox
from tests.sandbox.conftest import Client, fresh


def test_stages_come_with_the_team(apollo: Sandbox, client: Client) -> None:
    contact_stages = client.get("/contact_stages")["contact_stages"]
    account_stages = client.get("/account_stages")["account_stages"]
    assert [stage["id"] for stage in contact_stages] == [
        stage["id"] for stage in apollo.store.contact_stages
    ]
    assert {stage["team_id"] for stage in account_stages} == {apollo.store.team_id}


def test_the_profile_names_user_and_team(apollo: Sandbox, client: Client) -> None:
    profile = client.get("/users/api_profile")
    assert (profile["id"], profile["team_id"]) == (apollo.store.admin_id, apollo.store.team_id)
    with_credits = client.get("/users/api_profile", params={"include_credit_usage": "true"})
    assert with_credits["num_credits_remaining"] == 0


def test_users_are_paged_and_the_page_is_text(apollo: Sandbox, client: Client) -> None:
    apollo.store.add_user(email=fresh())
    answer = client.get("/users/search", params={"page": 2, "per_page": 2})
    assert (answer["pagination"]["page"], answer["pagination"]["per_page"]) == ("2", "2")
    assert answer["pagination"]["total_entries"] == len(apollo.store.users())
    assert answer["users"][0]["id"] == apollo.store.users()[2]["id"]


def test_field_ids_are_prefixed_in_one_route_and_bare_in_the_other(
    apollo: Sandbox, client: Client
) -> None:
    field = apollo.store.add_custom_field("account", "Region", "picklist", ["North", "South"])
    listed = client.get("/fields", params={"source": "custom"})["fields"]
    assert f"account.{field['id']}" in {entry["id"] for entry in listed}
    typed = client.get("/typed_custom_fields")["typed_custom_fields"]
    (entry,) = [entry for entry in typed if entry["id"] == field["id"]]
    assert [value["name"] for value in entry["picklist_values"]] == ["North", "South"]


def test_fields_can_be_had_by_source(client: Client) -> None:
    sources = {
        source: {entry["source"] for entry in client.get(f"/fields?source={source}")["fields"]}
        for source in ("system", "crm_synced")
    }
    assert sources == {"system": {"system"}, "crm_synced": set()}


def test_a_field_can_be_created_and_written(client: Client) -> None:
    (made,) = client.post("/fields", {"label": "Note", "modality": "contact", "type": "string"})[
        "typed_custom_fields"
    ]
    contact = client.post(
        "/contacts", {"email": fresh(), "typed_custom_fields": {made["id"]: "hello"}}
    )["contact"]
    assert contact["typed_custom_fields"] == {made["id"]: "hello"}


def test_a_picklist_can_not_be_created(client: Client) -> None:
    client.error("POST", "/fields", {"label": "P", "modality": "contact", "type": "picklist"})


def test_a_field_is_renamed_and_takes_longer_texts(apollo: Sandbox, client: Client) -> None:
    field_id = apollo.store.add_custom_field("contact", "Note", "string")["id"]
    change = {"id": f"contact.{field_id}", "label": "Remark", "meta": {"max_length": 5}}
    (shown,) = client.patch("/fields", {"fields": [change]})["fields"]
    assert (shown["label"], shown["meta"]["max_length"]) == ("Remark", 5)
    body = {"email": fresh(), "typed_custom_fields": {field_id: "too long"}}
    assert client.post("/contacts", body)["contact"]["custom_field_errors"]


def test_an_option_that_loses_its_id_is_another_one(apollo: Sandbox, client: Client) -> None:
    field = apollo.store.add_custom_field("account", "Tier", "picklist", ["Gold", "Tin"])
    gold, tin = field["picklist_values"]
    options = [{"id": gold["id"], "name": "VIP"}, {"name": "Tin"}]
    change = {"id": f"account.{field['id']}", "meta": {"picklist_values": options}}
    client.patch("/fields", {"fields": [change]})
    after = apollo.store.custom_fields()[0]["picklist_values"]
    assert after[0] == {"id": gold["id"], "name": "VIP"}
    assert after[1]["id"] != tin["id"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"id": "account.x"}, "Some fields could not be found"),
        ({"label": "Level"}, "Picklist fields must have at least one option"),
        ({"type": "string"}, "Cannot change field type after creation"),
        ({"label": "powerup_x"}, "Field name with prefix 'powerup_' is not allowed"),
    ],
)
def test_a_change_of_a_field_is_refused_in_apollos_words(
    apollo: Sandbox, client: Client, change: dict[str, str], error: str
) -> None:
    field = apollo.store.add_custom_field("account", "Tier", "picklist", ["Gold"])
    body = {"fields": [{"id": f"account.{field['id']}", **change}]}
    assert client.error("PATCH", "/fields", body)["error"].startswith(error)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("string", "anything", None),
        ("number", "-12.5", "twelve"),
        ("date", "2026-02-28", "2026-02-30"),
        ("datetime", "2026-02-28T10:00:00.000Z", "yesterday"),
        ("boolean", "true", "maybe"),
    ],
)
def test_values_must_fit_their_field_or_are_reported_and_not_stored(
    apollo: Sandbox, client: Client, kind: str, good: str, bad: str | None
) -> None:
    field_id = apollo.store.add_custom_field("contact", f"A {kind}", kind)["id"]
    made = client.post("/contacts", {"email": fresh(), "typed_custom_fields": {field_id: good}})[
        "contact"
    ]
    assert made["typed_custom_fields"] == {field_id: good}
    assert made["custom_field_errors"] == {}
    if bad is not None:
        after = client.patch(f"/contacts/{made['id']}", {"typed_custom_fields": {field_id: bad}})
        assert after["contact"]["typed_custom_fields"] == {field_id: good}
        assert field_id in after["contact"]["custom_field_errors"]


def test_a_picklist_takes_the_id_of_an_option_and_not_its_name(
    apollo: Sandbox, client: Client
) -> None:
    field = apollo.store.add_custom_field("account", "Tier", "picklist", ["Gold"])
    option = field["picklist_values"][0]["id"]
    made = client.post("/accounts", {"name": "P", "typed_custom_fields": {field["id"]: "Gold"}})
    assert made["account"]["typed_custom_fields"] == {}
    assert made["account"]["custom_field_errors"]
    after = client.patch(
        f"/accounts/{made['account']['id']}", {"typed_custom_fields": {field["id"]: option}}
    )["account"]
    assert after["typed_custom_fields"] == {field["id"]: option}
    assert after["custom_field_errors"] == {}


def test_an_empty_value_clears_a_custom_field(apollo: Sandbox, client: Client) -> None:
    field_id = apollo.store.add_custom_field("contact", "Clearable", "string")["id"]
    made = client.post("/contacts", {"email": fresh(), "typed_custom_fields": {field_id: "x"}})[
        "contact"
    ]
    after = client.patch(f"/contacts/{made['id']}", {"typed_custom_fields": {field_id: ""}})
    assert after["contact"]["typed_custom_fields"] == {}


def test_custom_fields_as_an_array_are_refused(client: Client) -> None:
    body = {"email": fresh(), "typed_custom_fields": [{"id": "x", "value": "y"}]}
    assert client.error("POST", "/contacts", body) == {
        "error": "There is something wrong with your request."
    }


def test_usage_is_keyed_by_a_json_array_in_text(client: Client) -> None:
    client.get("/labels")
    stats = client.post("/usage_stats/api_usage_stats")
    keys = {tuple(json.loads(key)): value for key, value in stats.items()}
    assert keys["api/v1/labels", "index"]["minute"]["consumed"] >= 1
    assert set(keys["api/v1/contacts", "bulk_create"]) == {"minute", "hour", "day"}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("date", "20260228"),
        ("date", "2026-W09-6"),
        ("datetime", "20260228T100000"),
        ("datetime", "2026-02-28T25:00:00Z"),
        ("number", "١٢"),
    ],
)
def test_a_value_in_a_form_that_only_python_reads_is_reported(
    apollo: Sandbox, client: Client, kind: str, value: str
) -> None:
    field_id = apollo.store.add_custom_field("contact", kind, kind)["id"]
    body = {"email": fresh(), "typed_custom_fields": {field_id: value}}
    made = client.post("/contacts", body)["contact"]
    assert (made["typed_custom_fields"], [*made["custom_field_errors"]]) == ({}, [field_id])


@pytest.mark.parametrize(
    "value",
    [
        "2026-02-28",
        "2026-02-28T10:00",
        "2026-02-28T10:00:00.1234567Z",
        "2026-02-28T10:00:00+0530",
        "2026-02-28 10:00:00",
    ],
)
def test_a_time_is_taken_in_the_forms_of_iso_8601(
    apollo: Sandbox, client: Client, value: str
) -> None:
    field_id = apollo.store.add_custom_field("contact", "At", "datetime")["id"]
    body = {"email": fresh(), "typed_custom_fields": {field_id: value}}
    assert client.post("/contacts", body)["contact"]["typed_custom_fields"] == {field_id: value}


def test_strict_mode_changes_one_field_a_request(apollo: Sandbox, client: Client) -> None:
    ids = [apollo.store.add_custom_field("contact", name, "string")["id"] for name in "ab"]
    changes = [{"id": f"contact.{field_id}", "label": "x"} for field_id in ids]
    assert "more than one field" in client.error("PATCH", "/fields", {"fields": changes})["error"]


def test_a_field_has_only_the_options_and_the_length_of_its_type(
    apollo: Sandbox, client: Client
) -> None:
    text = apollo.store.add_custom_field("contact", "Note", "string")["id"]
    number = apollo.store.add_custom_field("contact", "Age", "number")["id"]
    meta = {"max_length": 5, "picklist_values": [{"name": "x"}]}
    for field_id in (text, number):
        client.patch("/fields", {"fields": [{"id": f"contact.{field_id}", "meta": meta}]})
    after = {field["id"]: field for field in apollo.store.custom_fields()}
    assert [after[text]["picklist_values"], after[number]["picklist_values"]] == [[], []]
    lengths = [after[one]["text_field_max_length"] for one in (text, number)]
    assert lengths == [5, None]
