from __future__ import annotations

import stat
from pathlib import Path

from target_apollo.sandbox import Sandbox, SandboxOptions
from target_apollo.sandbox.serving.rate_windows import Plan
from tests.helpers.new_sandbox import new_sandbox
from tests.sandbox.conftest import Client


def options(path: Path) -> SandboxOptions:
    return SandboxOptions(strict=True, plan=Plan.UNLIMITED, store=str(path))


def everything(apollo: Sandbox) -> dict[str, object]:
    store = apollo.store
    return {
        "team": store.team_id,
        "contacts": store.contacts(),
        "accounts": store.accounts(),
        "users": store.users(),
        "labels": store.labels(),
        "fields": store.custom_fields(),
        "deals": store.deals.all(),
        "deal_stages": store.deals.stages,
        "sequences": store.sequences.all(),
        "email_accounts": store.sequences.email_accounts(),
        "enrolments": store.sequences.enrolments(),
        "tasks": store.tasks.all(),
        "stages": (store.contact_stages, store.account_stages),
        "refresh_token": apollo.oauth.refresh_token,
    }


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "apollo.db"
    with new_sandbox(options(path)) as apollo:
        client = Client(apollo)
        field = apollo.store.add_custom_field("contact", "Tier", "picklist", ["Gold", "Tin"])
        owner = apollo.store.add_user(email="rep@x.example", first_name="Rep")["id"]
        account = apollo.store.add_account(domain="x.example", merged_crm_ids=["001M"])
        made = client.bulk_create(
            {
                "email": "a@x.example",
                "account_id": account["id"],
                "salesloft_id": "s1",
                "contact_emails": [{"email": "b@x.example", "position": 1}],
                "typed_custom_fields": {field["id"]: field["picklist_values"][0]["id"]},
            },
            owner_id=owner,
            append_label_names=["Kept"],
        )["created_contacts"]
        client.patch(f"/contacts/{made[0]['id']}", {"title": "CEO"})
        client.post("/opportunities", {"name": "Kept", "amount": "5"})
        apollo.store.sequences.add_email_account("rep@x.example")
        apollo.store.sequences.add("Spring")
        apollo.store.sequences.enrol("Spring", "a@x.example")
        apollo.store.tasks.add(note="Call back", contact_id=made[0]["id"])
        gone = apollo.store.add_contact(email="gone@x.example")["id"]
        apollo.store.delete_contact(gone)
        before = everything(apollo)
    with new_sandbox(options(path)) as apollo:
        client = Client(apollo)
        assert everything(apollo) == before
        assert len(client.bulk_create({"email": "b@x.example"})["existing_contacts"]) == 1
        assert len(client.bulk_accounts({"domain": "x.example"})["existing_accounts"]) == 1
        assert client.error("GET", f"/contacts/{gone}")["error"].endswith("has been deleted.")
        known = {contact["id"] for contact in apollo.store.contacts()}
        new = client.post("/contacts", {"email": "c@x.example"})["contact"]["id"]
        assert new not in known


def test_each_new_store_is_a_new_team(tmp_path: Path) -> None:
    teams = set()
    for store in (None, None, str(tmp_path / "a.db"), str(tmp_path / "b.db")):
        sandbox = Sandbox(SandboxOptions(store=store))
        teams.add(sandbox.store.team_id)
        sandbox.close()
    assert len(teams) == 4


def test_an_old_refresh_token_stays_revoked_after_a_restart(tmp_path: Path) -> None:
    sandbox = Sandbox(options(tmp_path / "apollo.db"))
    oauth = sandbox.oauth
    old = oauth.refresh_token
    form = {
        "grant_type": "refresh_token",
        "refresh_token": old,
        "client_id": oauth.client_id,
        "client_secret": oauth.client_secret,
    }
    new = oauth.exchange(form, 0.0, 60)["refresh_token"]
    sandbox.close()
    again = Sandbox(options(tmp_path / "apollo.db"))
    assert again.oauth.refresh_token == new
    assert old not in again.store.tokens
    again.close()


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "apollo.db"
    Sandbox(options(path)).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
