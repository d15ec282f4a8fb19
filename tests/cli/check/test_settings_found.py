"""What a check finds wrong with the settings, with the name that may be meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from target_apollo.ledger import Ledger
from target_apollo.ledger.tables import VERSION, apollo_ledger_version
from target_apollo.model.objects.registry import ObjectKind
from target_apollo.sandbox import Sandbox, SandboxOptions
from tests.helpers.checking import Team, faults, said, warnings
from tests.helpers.new_sandbox import new_sandbox

CONTACTS = (ObjectKind.CONTACTS,)


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"field_policy": {"titel": "never"}}, "did you mean 'title' for 'titel'?"),
        ({"field_policy": {"Led Score": "never"}}, "did you mean 'Lead Score' for 'Led Score'?"),
        ({"match_on": ["custom:Led Score"]}, "(did you mean 'custom:Lead Score'?)"),
        ({"protected_stages": ["Do Not Contat"]}, "(did you mean 'Do Not Contact'?)"),
        ({"on_delete": "stage:Intrested"}, "did you mean 'Interested'?"),
        ({"default_owner": "robin.rep@team.example"}, "no active Apollo user has that e-mail"),
        (
            {"streams": {"x": {"object": "deals"}}, "deal_key_field": "Row key"},
            "no custom field of deals called 'Row key'",
        ),
        (
            {"streams": {"x": {"object": "tasks"}}, "ledger_url": ""},
            "Stream 'x' holds tasks, and without a ledger",
        ),
        (
            {"streams": {"sequence_members": {}}, "ledger_url": ""},
            "Stream 'sequence_members' enrols contacts into sequences, and without a ledger",
        ),
        (
            {"streams": {"list_members": {"mode": "mirror"}}, "ledger_url": ""},
            "Stream 'list_members' mirrors lists, and without a ledger",
        ),
        ({"streams": {"x-contacts": {"mode": "mirror"}}}, "contacts can't be written so"),
        (
            {"streams": {"x-contacts": {"match_on": ["custom:Teir"]}}},
            "of stream 'x-contacts' names 'custom:Teir'",
        ),
    ],
)
def test_what_would_end_a_run_is_a_fault(team: Team, settings: dict[str, Any], fault: str) -> None:
    (found,) = faults(team.check(kinds=CONTACTS, **settings))
    assert fault in found


@pytest.mark.parametrize(
    ("settings", "warning"),
    [
        ({"custom_fields": {"score": "Led Score"}}, "did you mean 'Lead Score'?"),
        ({"lists": ["Custumers"]}, "did you mean 'Customers'?"),
        ({"on_delete": "list:Custumers"}, "did you mean 'Customers'?"),
        ({"allow_sequences": ["Sprng"]}, "did you mean 'Spring'?"),
        ({"unresolved": {"owner_emial": "drop"}}, "(did you mean 'owner_email'?)"),
        ({"null_policy_per_field": {"titel": "clear"}}, "(did you mean 'title'?)"),
        (
            {"stream_maps": {"__else__": "__NULL__"}},
            "The setting 'stream_maps' leaves out every stream, so a run would write nothing",
        ),
        (
            {"stream_maps": {"crm-log": None, "__else__": None}},
            "The setting 'stream_maps' leaves out every stream, so a run would write nothing",
        ),
        (
            {"streams": {"crm-*": {}, "crm-contacts": {"mode": "insert"}}},
            "The entry 'crm-contacts' of the setting 'streams' has no effect: the entry 'crm-*'",
        ),
    ],
)
def test_what_a_run_would_go_on_with_is_a_warning(
    team: Team, settings: dict[str, Any], warning: str
) -> None:
    found = team.check(**settings)
    assert faults(found) == []
    assert warning in "\n".join(warnings(found))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"field_policy": {"title": "never", "Lead Score": "create_only", "*": "overwrite"}},
        {"custom_fields": {"score": "Lead Score"}, "unknown_fields": "fail"},
        {"match_on": ["email", "custom:Tier"], "streams": {"crm-contacts": {}}},
        {"on_delete": "stage:Interested"},
        {"on_delete": "list:Gone"},
        {"lists": ["Customers", "A new one"]},
        {"protected_stages": ["Do Not Contact", "Interested"]},
        {"default_owner": "robin.repp@team.example"},
        {"allow_sequences": ["Spring"]},
        {
            "unresolved": {"owner_email": "drop", "score": "drop"},
            "custom_fields": {"score": "Tier"},
        },
        {"null_policy_per_field": {"First Name": "clear", "Lead Score": "clear"}},
        {"streams": {"crm-contacts": {"mode": "insert"}, "crm-*": {}, "archive-*": False}},
        {"streams": {"list_members": {"mode": "add"}, "todo": {"object": "tasks"}}},
        {"ledger_url": ""},
        {"stream_maps": {"crm-contacts": {}, "__else__": None}},
        {"stream_maps": {"crm-log": None}},
    ],
)
def test_nothing_is_said_of_right_settings(team: Team, settings: dict[str, Any]) -> None:
    assert said(team.check(kinds=CONTACTS, **settings)) == ""


def test_entries_of_custom_fields_without_a_field_are_faults_where_a_run_would_fail(
    team: Team,
) -> None:
    found = team.check(custom_fields={"score": "Led Score"}, unknown_fields="fail")
    assert "names the label 'Led Score', which no custom field has" in faults(found)[0]


def test_a_team_without_custom_fields_lacks_each_label(tmp_path: Path) -> None:
    with new_sandbox(SandboxOptions(strict=True)) as empty:
        found = Team(empty, tmp_path).check(custom_fields={"score": "Lead Score"})
    assert "names the label 'Lead Score', which no custom field has" in warnings(found)[0]


def test_a_profile_that_no_run_can_read_is_a_fault(team: Team) -> None:
    path = team.write("no profile")
    assert f"The profile {path}" in faults(team.check(profile_path=path))[0]


def test_a_stage_that_one_object_has_is_a_fault_only_where_the_other_is_sure_to_come(
    team: Team,
) -> None:
    wanted = {"on_delete": "stage:Interested"}
    (warning,) = warnings(team.check(**wanted))
    assert "account_stage" in warning
    assert len(faults(team.check(kinds=(ObjectKind.ACCOUNTS,), **wanted))) == 1
    assert said(team.check(kinds=CONTACTS, **wanted)) == ""


def test_no_address_of_a_person_is_shown(team: Team) -> None:
    found = said(team.check(default_owner="robin.rep@team.example"))
    assert "@" not in found
    assert "nearest is that of user" in found


def test_everything_is_found_at_once(team: Team) -> None:
    found = team.check(
        field_policy={"titel": "never"}, match_on=["custom:Teir"], on_delete="stage:Intrested"
    )
    told = "\n".join(faults(found))
    assert [one for one in ("titel", "custom:Teir", "Intrested") if one not in told] == []


def test_a_list_of_apollo_is_read_once_however_many_settings_need_it(
    team: Team, crm: Sandbox
) -> None:
    before = crm.count("GET /fields"), crm.count("GET /contact_stages")
    team.check(
        kinds=CONTACTS,
        field_policy={"Lead Score": "never"},
        custom_fields={"score": "Lead Score"},
        match_on=["custom:Tier"],
        on_delete="stage:Interested",
        protected_stages=["Interested"],
    )
    assert (crm.count("GET /fields"), crm.count("GET /contact_stages")) == (
        before[0] + 1,
        before[1] + 1,
    )


# --- files and the ledger


@pytest.mark.parametrize("setting", ["rejects_path", "summary_path"])
def test_a_file_that_can_not_be_made_is_a_fault(team: Team, tmp_path: Path, setting: str) -> None:
    (tmp_path / "taken").write_text("")
    (fault,) = faults(team.check(**{setting: str(tmp_path / "taken" / "file")}))
    assert f"The setting {setting} can't be" in fault
    assert "is no folder" in fault


def test_a_file_in_folders_that_a_run_makes_is_no_fault(team: Team, tmp_path: Path) -> None:
    assert said(team.check(rejects_path=str(tmp_path / "new" / "er" / "rejects"))) == ""
    assert not (tmp_path / "new").exists()


def test_a_ledger_of_a_later_release_is_a_fault(team: Team, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with Ledger.open(url) as ledger:
        ledger._database.execute(apollo_ledger_version.update().values(version=VERSION + 1))
        ledger._database.commit()
    found = team.check(ledger_url=url)
    assert f"has version {VERSION + 1}" in faults(found)[0]
    assert found.ledger == ""


def test_the_ledger_is_told_with_its_version_and_neither_made_nor_brought_up_to_date(
    team: Team, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.db"
    assert "which the first run makes" in team.check().ledger
    assert not path.exists()
    with Ledger.open(f"sqlite:///{path}") as ledger:
        ledger._database.execute(apollo_ledger_version.update().values(version=VERSION - 1))
        ledger._database.commit()
    before = path.read_bytes()
    told = team.check().ledger
    assert f"version {VERSION - 1}, brought up to {VERSION} by the next run" in told
    assert path.read_bytes() == before


def test_files_and_ledger_are_checked_where_apollo_does_not_answer(
    team: Team, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("")
    found = team.check(
        asks_apollo=False,
        rejects_path=str(tmp_path / "taken" / "file"),
        field_policy={"titel": "never"},
    )
    assert len(faults(found)) == 1
    assert "titel" not in said(found)
