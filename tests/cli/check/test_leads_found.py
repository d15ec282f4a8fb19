"""What a check finds wrong with the settings of map-apollo-leads, where a source is given."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from target_apollo.config.settings import SettingsError
from target_apollo.demo.meltano import ROOT
from tests.helpers.checking import Message, Team, faults, row, said, stream, warnings

LEADS = stream("crm-leads", "id", "name", "domain", "is_customer", "user_id")
OFF = dict.fromkeys(
    ["company_only", "icp_fit", "stage", "not_quarantined", "not_synced", "settled"], False
)


def mapper(**more: Any) -> Message:
    rules = {**OFF, "owner_mapped": False, **more.pop("rules", {})}
    return {"streams": ["crm-leads"], "output_stream": "accounts", "rules": rules, **more}


def test_leads_are_checked_as_what_the_mapper_makes_of_them(team: Team) -> None:
    found = team.check(LEADS, leads=mapper(), unknown_fields="ignore")
    assert said(found) == ""
    assert [(one.name, one.object) for one in found.streams] == [("accounts", "accounts")]


def test_without_the_mapper_leads_are_a_stream_without_an_object(team: Team) -> None:
    assert "Stream 'crm-leads' fits neither" in faults(team.check(LEADS))[0]


def test_each_rule_that_names_a_property_which_the_stream_lacks_is_a_fault(team: Team) -> None:
    rules = {"not_customer": {"field": "is_custmer"}, "icp_fit": {}}
    found = faults(team.check(LEADS, leads=mapper(rules=rules)))
    assert len(found) == 2
    assert "The rule not_customer names the property 'is_custmer'" in "\n".join(found)
    assert "did you mean 'is_customer'?" in "\n".join(found)
    assert "The rule icp_fit names the property 'icp_fit'" in "\n".join(found)


def test_such_a_rule_is_a_warning_where_the_mapper_skips_it(team: Team) -> None:
    leads = mapper(rules={"icp_fit": {}}, on_missing_field="skip")
    found = team.check(LEADS, leads=leads, unknown_fields="ignore")
    assert faults(found) == []
    assert "which the SCHEMA of stream 'crm-leads' lacks: the rule is skipped" in said(found)


def test_a_mapper_without_leads_is_a_fault(team: Team) -> None:
    (fault,) = faults(team.check(stream("crm-contacts", "id", "email"), leads=mapper()))
    assert "Setting streams matches no stream of this run (crm-contacts came)" in fault


@pytest.mark.parametrize("streams", [True, False])
def test_users_of_the_mapping_that_the_team_does_not_have_are_told(
    team: Team, *, streams: bool
) -> None:
    owners = {"7": "robin.repp@team.example", "8": "gone@team.example", "9": "0" * 24}
    leads = mapper(rules={"owner_mapped": {"map": owners}})
    found = team.check(*([LEADS] if streams else []), leads=leads, unknown_fields="ignore")
    (warning,) = warnings(found)
    assert "names nobody in the team for 2 users (8, 9)" in warning
    assert "@" not in warning


def test_wrong_settings_of_the_mapper_end_the_check(team: Team) -> None:
    with pytest.raises(SettingsError, match="map-apollo-leads: Unknown rule 'icp_fitt'"):
        team.check(LEADS, leads=mapper(rules={"icp_fitt": {}}))


def test_records_of_leads_are_not_judged(team: Team) -> None:
    found = team.check(
        LEADS, row("crm-leads", id="1", name="x"), leads=mapper(), unknown_fields="ignore"
    )
    assert said(found) == ""


def test_the_project_s_own_mapping_and_tables_raise_no_fault(team: Team) -> None:
    project = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))
    (mapping,) = project["plugins"]["mappers"][0]["mappings"]
    whole = {"type": ["integer", "null"]}
    at = {"type": ["string", "null"], "format": "date-time"}
    leads = stream(
        "crm-leads",
        *("record_type", "name", "domain", "icp_fit", "stage", "quarantine_status"),
        "phone_number",
        id=whole,
        user_id=whole,
        is_customer={"type": ["boolean", "null"]},
        updated_at=at,
    )
    accounts = stream(
        "crm-accounts",
        *("domain", "name", "phone_number", "industry", "raw_address", "owner_email"),
        "account_stage",
        id=whole,
        lifetime_value={"type": ["number", "null"]},
        created_at=at,
        updated_at=at,
    )
    found = team.check(
        {**leads, "bookmark_properties": ["updated_at"]}, accounts, leads=mapping["config"]
    )
    assert faults(found) == []
    # The sandbox' users are those of the mapping; what is left are columns without a field.
    assert all("(unknown_fields)" in one for one in warnings(found))
