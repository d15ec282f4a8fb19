"""Mapper and target together: new leads, leads that are known, and addresses that stay out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from target_apollo.sandbox import Sandbox
from tests.helpers.leads import pipeline
from tests.promises.conftest import Message, Run, TargetRun, lines_of, record, schema, state

PROPERTIES = (
    *("id", "email", "email_status", "first_name", "last_name", "title", "contact_stage"),
    *("linkedin_url", "updated_at", "_sdc_deleted_at"),
)
SCHEMA = schema("leads", {"properties": {name: {} for name in PROPERTIES}})
ADA = {
    "id": 1,
    "email": "ada@engines.com",
    "email_status": "verified",
    "first_name": "Ada",
    "last_name": "Lovelace",
    "title": "Countess",
    "contact_stage": "Interested",
}
UNVERIFIED = {"email_status": "unverified"}

Leads = Callable[..., TargetRun]


def off(*rules: str) -> dict[str, bool]:
    return dict.fromkeys(rules, False)


@pytest.fixture
def leads(sync: Run, tmp_path: Path) -> Leads:
    """Sends rows of leads through the mapper, with these rules, into the target."""
    ledger = f"sqlite:///{tmp_path}/ledger.db"
    company_rules = off("company_only", "not_customer", "icp_fit", "stage", "not_quarantined")
    others = off("valid_company", "owner_mapped", "not_synced", "settled")

    def run(
        *rows: Message | dict[str, Any],
        rules: dict[str, Any],
        always: list[object] | None = None,
        **settings: Any,
    ) -> TargetRun:
        asking = {name: {**options, "ledger_url": ledger} for name, options in rules.items()}
        mapper = pipeline(
            {
                "streams": ["leads"],
                "output_stream": "contacts",
                "verdicts_path": str(tmp_path / "verdicts.jsonl"),
                "rules": {**company_rules, **others, **asking},
                "always": always,
            }
        )
        sent = [row if "type" in row else record("leads", **row) for row in rows]
        lines = lines_of([SCHEMA, *sent, state({"at": 1})]).splitlines()
        return sync(b"\n".join(mapper.process_lines(lines)), **settings)

    return run


def verdict(tmp_path: Path) -> dict[str, Any]:
    last: dict[str, Any] = json.loads((tmp_path / "verdicts.jsonl").read_text().splitlines()[-1])
    return last


# --- stage_selected: {applies_to: new}

CHOSEN = {
    "stage_selected": {"field": "contact_stage", "allow": ["Interested"], "applies_to": "new"}
}


def test_a_new_lead_at_another_stage_waits_and_a_known_one_moves_on(
    leads: Leads, apollo: Sandbox
) -> None:
    cold = {"id": 2, "email": "bob@b.com", "first_name": "Bob", "contact_stage": "Approaching"}
    assert leads(ADA, cold, rules=CHOSEN).records == {"received": 1, "created": 1}

    done = leads({**ADA, "contact_stage": "Approaching", "title": "Lady"}, cold, rules=CHOSEN)

    assert done.records == {"received": 1, "updated": 1}, done.log
    (contact,) = apollo.store.contacts()
    assert contact["title"] == "Lady"


@pytest.mark.full
def test_a_known_lead_stays_known_after_its_last_update_was_refused(leads: Leads) -> None:
    leads(ADA, rules=CHOSEN)
    refused = leads({**ADA, "contact_stage": "No such stage"}, rules=CHOSEN)
    assert refused.records == {"received": 1, "rejected": 1}

    done = leads({**ADA, "contact_stage": "Approaching"}, rules=CHOSEN)

    assert done.records == {"received": 1, "updated": 1}, done.log


def test_the_deletion_of_a_known_lead_arrives_whatever_its_stage(leads: Leads) -> None:
    leads(ADA, rules=CHOSEN)
    gone = {**ADA, "contact_stage": "Approaching", "_sdc_deleted_at": "2026-11-20T08:00:00Z"}

    done = leads(gone, rules=CHOSEN, on_delete="stage:Do Not Contact")

    assert done.summary["deleted"] == {"contacts": 1}, done.log


# --- email_status

VERIFIED: dict[str, Any] = {"email_status": {}}


@pytest.mark.parametrize("null_policy", ["ignore", "clear"])
def test_an_address_that_is_no_longer_verified_stays_as_it_is_in_apollo(
    leads: Leads, apollo: Sandbox, null_policy: str
) -> None:
    leads(ADA, rules=VERIFIED)
    unsure = {**ADA, **UNVERIFIED, "email": "lovelace@guess.com", "title": "Lady"}

    done = leads(unsure, rules=VERIFIED, null_policy=null_policy)

    assert done.records == {"received": 1, "updated": 1}, done.log
    (contact,) = apollo.store.contacts()
    assert (contact["email"], contact["title"]) == ("ada@engines.com", "Lady")


def test_an_address_goes_once_it_is_verified_and_makes_no_second_contact(
    leads: Leads, apollo: Sandbox
) -> None:
    leads(ADA, rules=VERIFIED)
    changed = {**ADA, "email": "lovelace@engines.com", "title": "Lady"}
    leads({**changed, **UNVERIFIED}, rules=VERIFIED)

    done = leads(changed, rules=VERIFIED)

    assert done.records == {"received": 1, "updated": 1}, done.log
    (contact,) = apollo.store.contacts()
    assert contact["email"] == "lovelace@engines.com"
    assert leads(changed, rules=VERIFIED).records == {"received": 1, "unchanged": 1}


def test_a_lead_without_its_address_is_not_sent_again_while_nothing_changes(
    leads: Leads, apollo: Sandbox
) -> None:
    leads(ADA, rules=VERIFIED)
    leads({**ADA, **UNVERIFIED}, rules=VERIFIED)
    apollo.reset_log()

    done = leads({**ADA, **UNVERIFIED}, rules=VERIFIED)

    assert done.records == {"received": 1, "unchanged": 1}
    assert not [one for one in apollo.requests if one.method in ("PATCH", "PUT")]


def test_a_new_lead_is_not_rejected_for_the_address_that_was_withheld(
    leads: Leads, apollo: Sandbox, tmp_path: Path
) -> None:
    done = leads({**ADA, **UNVERIFIED}, rules=VERIFIED)
    assert not done.records
    assert not apollo.store.contacts()
    assert verdict(tmp_path)["verdict"] == "dropped"


def test_a_new_lead_goes_by_another_key_that_the_target_matches_on(
    leads: Leads, apollo: Sandbox
) -> None:
    rules = {"email_status": {"match_on": ["linkedin_url"]}}
    unsure = {**ADA, **UNVERIFIED, "linkedin_url": "http://www.linkedin.com/in/ada"}
    match_on = ["email", "linkedin_url"]

    assert leads(unsure, rules=rules, match_on=match_on).records == {"received": 1, "created": 1}
    (contact,) = apollo.store.contacts()
    assert not contact["email"]

    later = leads({**unsure, **ADA}, rules=rules, match_on=match_on)
    assert later.records == {"received": 1, "updated": 1}, later.log
    (contact,) = apollo.store.contacts()
    assert contact["email"] == "ada@engines.com"


def test_the_deletion_of_a_known_lead_arrives_without_its_address(leads: Leads) -> None:
    leads(ADA, rules=VERIFIED)
    gone = {**ADA, **UNVERIFIED, "_sdc_deleted_at": "2026-11-20T08:00:00Z"}

    done = leads(gone, rules=VERIFIED, on_delete="stage:Do Not Contact")

    assert done.summary["deleted"] == {"contacts": 1}, done.log


def test_a_deleted_contact_of_such_a_lead_is_left_alone(leads: Leads, apollo: Sandbox) -> None:
    leads(ADA, rules=VERIFIED)
    (contact,) = apollo.store.contacts()
    apollo.store.delete_contact(contact["id"])

    done = leads({**ADA, **UNVERIFIED, "title": "Lady"}, rules=VERIFIED)

    assert done.records == {"received": 1, "skipped": 1}, done.log
    assert not apollo.store.contacts()


# --- always


def test_a_named_lead_is_created_though_rules_hold_against_it(
    leads: Leads, apollo: Sandbox, tmp_path: Path
) -> None:
    cold = {**ADA, **UNVERIFIED, "contact_stage": "Approaching"}

    done = leads(cold, rules={**CHOSEN, **VERIFIED}, always=["1"])

    assert done.records == {"received": 1, "created": 1}, done.log
    (contact,) = apollo.store.contacts()
    assert contact["email"] == "ada@engines.com"
    assert verdict(tmp_path)["always"] is True
    assert {one["rule"] for one in verdict(tmp_path)["failing"]} == {
        "email_status",
        "stage_selected",
    }
