from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_apollo.config.schema import SCHEMA
from target_apollo.config.settings import Settings, SettingsError, object_of_name
from target_apollo.config.sources import read_settings
from target_apollo.config.validation import problems_of
from target_apollo.model.objects.registry import ObjectKind
from target_apollo.model.rows import Mode, NullPolicy, UpdateMethod
from tests.helpers.configs import SECRET, config

quick = settings(deadline=None, max_examples=30)

NAMES = tuple(SCHEMA["properties"])


# --- the schema


def test_every_setting_of_the_schema_has_its_place_in_the_typed_form() -> None:
    assert set(Settings.__dataclass_fields__) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_is_described(name: str) -> None:
    assert SCHEMA["properties"][name]["description"].endswith(".")


def test_the_key_is_marked_as_a_secret() -> None:
    assert SCHEMA["properties"]["api_key"]["secret"] is True


# --- the typed form


def test_the_defaults_are_the_documented_ones() -> None:
    found = Settings.of(config())
    assert found.api_url == "https://api.apollo.io/api/v1"
    assert (found.mode, found.null_policy) == (Mode.UPSERT, NullPolicy.IGNORE)
    assert (found.batch_size, found.parallel_requests, found.max_retries) == (100, 16, 3)
    assert (found.max_rejected_percent, found.abort_rejected_percent) == (5, 50)


def test_a_count_is_whole_in_the_typed_form_also_where_json_has_a_fraction_of_nothing() -> None:
    found = Settings.of(config(batch_size=50.0, parallel_requests=2.0, max_retries=3.0))
    counts = (found.batch_size, found.parallel_requests, found.max_retries)
    assert all(type(count) is int for count in counts)


def test_the_printed_form_of_the_settings_does_not_show_the_key() -> None:
    assert SECRET not in repr(Settings.of(config()))


def test_the_address_loses_its_closing_slash() -> None:
    assert Settings.of(config(api_url="https://API.example/v1/")).api_url == (
        "https://api.example/v1"
    )


# --- streams


@pytest.mark.parametrize(
    ("stream", "object_name"),
    [
        ("contacts", "contacts"),
        ("accounts", "accounts"),
        ("public-contacts", "contacts"),
        ("crm.accounts", "accounts"),
        ("warehouse__contacts", "contacts"),
        ("db/schema/Contacts", "contacts"),
        ("account", "accounts"),
        ("leads", None),
        ("contacts-archive", None),
        ("discontacts", None),
        ("contactss", None),
        ("", None),
    ],
)
def test_the_object_is_read_off_the_end_of_a_stream_s_name(
    stream: str, object_name: str | None
) -> None:
    assert object_of_name(stream) == object_name


@quick
@given(st.text())
def test_any_name_is_an_object_s_or_none(stream: str) -> None:
    assert object_of_name(stream) in (None, "contacts", "accounts")


def test_a_stream_whose_name_says_nothing_ends_the_run_with_the_setting_s_name() -> None:
    with pytest.raises(SettingsError, match=r"Stream 'leads' .* set 'streams'"):
        Settings.of(config()).of_stream("leads")


def test_a_stream_s_own_settings_go_before_those_of_the_run() -> None:
    own = {"leads": {"object": "accounts", "mode": "insert", "key": ["tenant", "id"]}}
    found = Settings.of(config(streams=own)).of_stream("leads")
    assert (found.kind, found.mode) == (ObjectKind.ACCOUNTS, Mode.INSERT)
    assert found.key == ("tenant", "id")


def test_what_a_stream_does_not_say_comes_from_the_run_and_from_its_name() -> None:
    found = Settings.of(config(mode="update", streams={"contacts": {}})).of_stream("contacts")
    assert (found.kind, found.mode, found.key) == (ObjectKind.CONTACTS, Mode.UPDATE, None)


def test_a_pattern_stands_for_many_streams() -> None:
    found = Settings.of(config(streams={"lead_*": {"object": "contacts"}}))
    assert found.of_stream("lead_2026").kind is ObjectKind.CONTACTS


def test_of_two_patterns_that_fit_the_first_counts() -> None:
    own = {"lead_a": {"object": "accounts"}, "lead_*": {"object": "contacts"}}
    found = Settings.of(config(streams=own))
    assert found.of_stream("lead_a").kind is ObjectKind.ACCOUNTS
    assert found.of_stream("lead_b").kind is ObjectKind.CONTACTS


@pytest.mark.parametrize(
    ("stream", "left_out"), [("leads", True), ("lead_a", False), ("contacts", False)]
)
def test_false_leaves_a_stream_out(stream: str, left_out: bool) -> None:
    found = Settings.of(config(streams={"lead_a": True, "lead*": False}))
    assert found.leaves_out(stream) is left_out


def test_the_environment_leaves_a_stream_out_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TARGET_APOLLO_API_KEY", "k")
    monkeypatch.setenv("TARGET_APOLLO_STREAMS", '{"deals": false}')
    assert read_settings([]).leaves_out("deals")


def test_false_as_text_leaves_a_stream_out_as_meltano_writes_it() -> None:
    written = config(streams={"leads": "false", "contacts": "True"})
    assert problems_of(written, SCHEMA) == []
    found = Settings.of(written)
    assert (found.leaves_out("leads"), found.leaves_out("contacts")) == (True, False)


def test_a_pattern_tells_upper_from_lower_case() -> None:
    with pytest.raises(SettingsError):
        Settings.of(config(streams={"Lead": {"object": "contacts"}})).of_stream("lead")


def test_an_empty_key_is_no_key() -> None:
    found = Settings.of(config(streams={"contacts": {"key": []}})).of_stream("contacts")
    assert found.key is None


def test_hosts_are_read_in_any_notation() -> None:
    read = Settings.of(config(allow_domains=["https://www.Facebook.com/acme", "x.com"]))
    assert read.allow_domains == {"facebook.com", "x.com"}


def test_a_stream_can_have_an_update_method_of_its_own() -> None:
    own = Settings.of(config(streams={"contacts": {"update_method": "bulk"}}))
    assert own.of_stream("contacts").update_method is UpdateMethod.BULK
    assert own.of_stream("accounts").update_method is UpdateMethod.AUTO


def test_keys_for_all_streams_may_be_those_of_either_object() -> None:
    named = ["email", "domain", "linkedin_url", "hubspot_id", "name", "custom:CRM key"]
    assert problems_of(config(match_on=named), SCHEMA) == []
    settings = Settings.of(config(match_on=named))
    assert settings.of_stream("contacts").match_on == (
        "email", "linkedin_url", "hubspot_id", "name", "custom:CRM key"
    )  # fmt: skip
    assert Settings.of(config()).of_stream("accounts").match_on == ("domain",)
