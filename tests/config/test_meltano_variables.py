"""What Meltano puts into the environment of a command, read as the run would have it.

The variables are those that Meltano 4.4 sets; `tests/promises/test_meltano_commands.py` compares
with Meltano itself.
"""

from __future__ import annotations

import pytest

from target_apollo.config.meltano_variables import loader_of_command, nested, read_variables
from target_apollo.config.schema import SCHEMA
from target_apollo.config.settings import SettingsError
from target_apollo.config.typed_values import with_types

VARIABLES = {
    "MELTANO_LOADER_NAME": "target-apollo-eu",
    "MELTANO_LOAD_API_KEY": "eu",
    "MELTANO_LOAD_LEDGER_URL": "",
    "MELTANO_LOAD_QUOTA_SHARE": "0.5",
    "MELTANO_LOAD_MATCH_ON": '["email", "linkedin_url"]',
    "MELTANO_LOAD_STREAMS": '{"crm-contacts.object": "contacts", "crm-contacts.key": ["id"], '
    '"x*": false}',
    "MELTANO_LOAD_STREAMS_CRM_CONTACTS_KEY": '["id"]',
    "MELTANO_LOAD_STREAMS_CRM_CONTACTS_OBJECT": "contacts",
    "MELTANO_LOAD_STREAMS_X_": "false",
    "MELTANO_LOAD_FIELD_POLICY": '{"title": "never"}',
    "MELTANO_LOAD_FIELD_POLICY_TITLE": "never",
    # Those of the loader that this one inherits from.
    "TARGET_APOLLO_API_KEY": "eu",
}


def test_objects_are_whole_again() -> None:
    assert with_types(read_variables(SCHEMA, VARIABLES), SCHEMA) == {
        "api_key": "eu",
        "ledger_url": "",
        "quota_share": 0.5,
        "match_on": ["email", "linkedin_url"],
        "streams": {"crm-contacts": {"object": "contacts", "key": ["id"]}, "x*": False},
        "field_policy": {"title": "never"},
    }


def test_a_command_of_a_loader_is_told_from_any_other_process() -> None:
    assert loader_of_command(VARIABLES) == "target-apollo-eu"
    assert loader_of_command({"TARGET_APOLLO_API_KEY": "a"}) == ""


@pytest.mark.parametrize(
    "altered",
    [
        {"MELTANO_LOAD_FIELD_POLICY": '{"phone": "never"}'},
        {"MELTANO_LOAD_FIELD_POLICY": '{"title": "overwrite"}'},
        {"MELTANO_LOAD_STREAMS": '{"crm-deals": {"object": "deals"}}'},
    ],
)
def test_an_object_that_lacks_parts_of_the_run_s_is_refused(altered: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="lacks parts of the setting"):
        read_variables(SCHEMA, {**VARIABLES, **altered})


def test_an_escaped_dot_belongs_to_a_name() -> None:
    assert nested({r"crm\.contacts.key": "id", "a": {"b.c": 1}}) == {
        "crm.contacts": {"key": "id"},
        "a": {"b": {"c": 1}},
    }


def test_a_stream_whose_name_has_a_dot_is_whole() -> None:
    given = read_variables(
        SCHEMA,
        {
            "MELTANO_LOAD_STREAMS": r'{"crm\\.x.object": "contacts", "crm\\.y": false}',
            "MELTANO_LOAD_STREAMS_CRM__X_OBJECT": "contacts",
            "MELTANO_LOAD_STREAMS_CRM__Y": "false",
        },
    )
    assert given == {"streams": {"crm.x": {"object": "contacts"}, "crm.y": False}}


def test_what_is_no_json_is_left_to_the_check_of_the_settings() -> None:
    given = read_variables(SCHEMA, {"MELTANO_LOAD_STREAMS": "contacts"})
    assert given == {"streams": "contacts"}
