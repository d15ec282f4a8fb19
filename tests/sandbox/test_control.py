"""The control endpoints."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from target_apollo.sandbox import Sandbox
from tests.sandbox.conftest import Client, fresh


def base(apollo: Sandbox) -> str:
    return apollo.url.removesuffix("/api/v1")


def read(apollo: Sandbox, name: str) -> Any:
    return requests.get(f"{base(apollo)}/_sandbox/{name}", timeout=20).json()


def write(apollo: Sandbox, name: str, body: Any) -> requests.Response:
    return requests.post(f"{base(apollo)}/_sandbox/{name}", json=body, timeout=20)


def test_a_seed_fills_the_store(apollo: Sandbox, client: Client) -> None:
    email = fresh()
    answer = write(
        apollo,
        "seed",
        {
            "contacts": [{"email": email, "additional_emails": ["second@x.example"]}],
            "accounts": [{"domain": "seeded.example", "label_names": ["Seeds"]}],
            "users": [{"email": "seed@x.example"}],
            "custom_fields": [
                {
                    "modality": "contact",
                    "label": "Tier",
                    "type": "picklist",
                    "picklist_values": ["Gold"],
                }
            ],
        },
    ).json()
    assert client.get(f"/contacts/{answer['contacts'][0]['id']}")["contact"]["email"] == email
    assert email in {contact["email"] for contact in read(apollo, "contacts")}
    assert "seeded.example" in {account["domain"] for account in read(apollo, "accounts")}
    assert answer["custom_fields"][0]["picklist_values"][0]["name"] == "Gold"


def test_deals_are_seeded_read_and_deleted(apollo: Sandbox) -> None:
    stage = {"name": "Legal review", "probability": 80}
    answer = write(apollo, "seed", {"deal_stages": [stage], "deals": [{"name": "Big"}]}).json()
    assert [deal["name"] for deal in read(apollo, "deals")] == ["Big"]
    assert read(apollo, "deal_stages")[-1]["name"] == "Legal review"
    write(apollo, "delete", {"deals": [answer["deals"][0]["id"]]})
    assert read(apollo, "deals") == []


def test_sequences_mailboxes_and_enrolments_are_seeded_and_read(
    apollo: Sandbox, client: Client
) -> None:
    email = fresh()
    seed = {
        "contacts": [{"email": email}],
        "email_accounts": [{"email": "rep@x.example"}],
        "sequences": [{"name": "Spring"}, {"name": "Old", "archived": True}],
        "enrolments": [{"sequence": "Spring", "contact": email, "status": "paused"}],
    }
    made = write(apollo, "seed", seed).json()
    assert [one["archived"] for one in read(apollo, "sequences")] == [False, True]
    assert [one["email"] for one in read(apollo, "email_accounts")] == ["rep@x.example"]
    (enrolment,) = read(apollo, "enrolments")
    assert (enrolment["contact_id"], enrolment["status"]) == (made["contacts"][0]["id"], "paused")


def test_a_sequence_is_changed_and_a_contact_held_back(apollo: Sandbox) -> None:
    write(apollo, "seed", {"sequences": [{"name": "Spring"}]})
    assert write(apollo, "sequences", {"sequence": "Spring", "active": False}).json()["id"]
    assert [one["active"] for one in read(apollo, "sequences")] == [False]
    reason = "contacts_in_pending_state"
    assert write(apollo, "hold_back", {"f" * 24: reason}).json() == {"held_back": ["f" * 24]}


def test_tasks_are_seeded_read_and_deleted(apollo: Sandbox) -> None:
    made = write(apollo, "seed", {"tasks": [{"note": "Call back"}, {"note": "Wait"}]}).json()
    write(apollo, "delete", {"tasks": [made["tasks"][1]["id"]]})
    assert [task["note"] for task in read(apollo, "tasks")] == ["Call back"]


def test_lists_are_seeded_read_and_changed(apollo: Sandbox) -> None:
    email = fresh()
    seed = {"contacts": [{"email": email}], "lists": [{"name": "Fair", "members": [email]}]}
    made = write(apollo, "seed", seed).json()
    (shown,) = read(apollo, "lists")
    assert shown["members"] == [made["contacts"][0]["id"]]
    write(apollo, "lists", {"what": "rename", "name": "Fair", "to": "Fair 2026"})
    write(apollo, "lists", {"what": "take_off", "name": "Fair 2026", "members": [email]})
    assert read(apollo, "lists") == [{"name": "Fair 2026", "modality": "contacts", "members": []}]


def test_a_fault_can_be_ordered(apollo: Sandbox, client: Client) -> None:
    order = {"endpoint": "GET /labels", "kind": "error_before_write", "status": 502}
    assert write(apollo, "faults", order).json() == {"ordered": True}
    assert client.call("GET", "/labels").status_code == 502


def test_options_change_while_it_runs(apollo: Sandbox) -> None:
    answer = write(apollo, "options", {"shuffle_answers": True, "minute_limit": 9}).json()
    assert (answer["shuffle_answers"], answer["minute_limit"]) == (True, 9)
    assert answer["team_id"] == apollo.store.team_id


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("options", {"colour": "red"}),
        ("options", {"api_keys": {"mine": None}}),
        ("options", {"strict": "yes"}),
        ("options", {"retry_after": "never"}),
        ("options", {"minute_limit": -1}),
        ("faults", {"endpoint": "*", "kind": "meteor"}),
        ("faults", {"kind": "slow"}),
        ("seed", {"leads": []}),
        ("seed", {"deals": [{"colour": "red"}]}),
        ("seed", {"contacts": [{"colour": "red"}]}),
        ("seed", {"sequences": [{"name": "x", "colour": "red"}]}),
        ("seed", {"enrolments": [{"sequence": "none", "contact": "none"}]}),
        ("sequences", {"sequence": "none"}),
        ("lists", {"what": "burn", "name": "x"}),
        ("lists", {"what": "delete", "name": "x"}),
        ("seed", {"lists": [{"name": "x", "members": ["none"]}]}),
        ("hold_back", {"x": "bad mood"}),
        ("reset", {"what": ["everything"]}),
        ("seed", ["x"]),
    ],
)
def test_a_wrong_order_is_told_in_a_sentence(apollo: Sandbox, name: str, body: Any) -> None:
    answer = write(apollo, name, body)
    assert answer.status_code == 422
    assert answer.json()["error"]


def test_requests_are_listed_with_body_and_status(apollo: Sandbox, client: Client) -> None:
    client.call("POST", "/accounts", {"name": "Listed"})
    listed = read(apollo, "requests?last=1")
    (seen,) = listed["requests"]
    assert (seen["endpoint"], seen["status"]) == ("POST /accounts", 200)
    assert seen["body"] == {"name": "Listed"}
    assert listed["counts"] == {"POST /accounts": 1}


def test_the_body_of_a_token_request_is_never_shown(apollo: Sandbox) -> None:
    requests.post(apollo.token_url, data={"client_secret": "hush"}, timeout=20)
    assert "hush" not in str(read(apollo, "requests"))


def test_a_reset_forgets_requests_quota_and_faults(apollo: Sandbox, client: Client) -> None:
    client.get("/labels")
    write(apollo, "faults", {"endpoint": "*", "kind": "error_before_write", "times": None})
    assert "api/v1/labels/index" in read(apollo, "quota")
    write(apollo, "reset", {})
    assert read(apollo, "requests") == {"counts": {}, "requests": []}
    assert read(apollo, "quota") == {}
    assert client.call("GET", "/labels").status_code == 200


def test_the_revision_changes_with_each_request_and_each_deed_of_people(
    apollo: Sandbox, client: Client
) -> None:
    first = read(apollo, "revision")
    assert read(apollo, "revision") == first
    client.get("/labels")
    second = read(apollo, "revision")
    write(apollo, "seed", {"contacts": [{"email": fresh()}]})
    assert len({first, second, read(apollo, "revision")}) == 3
