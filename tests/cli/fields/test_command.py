"""`apollo-sync fields` against a strict sandbox over its socket."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from target_apollo.cli import main
from target_apollo.model.objects.registry import CONTACT
from target_apollo.sandbox import Fault, FaultKind, Sandbox, SandboxOptions
from target_apollo.target.target import TargetApollo
from tests.helpers.new_sandbox import new_sandbox

LOOKUPS = ("contact_stages", "account_stages", "users", "fields", "typed_custom_fields")
STREAM = {
    "tap_stream_id": "crm-contacts",
    "key_properties": ["id"],
    "schema": {
        "properties": {
            "id": {"type": "integer"},
            "email": {"type": "string"},
            "lead_score": {"type": ["integer", "null"]},
            "notes": {"type": "string", "maxLength": 4000},
            "tags": {"type": "array"},
        }
    },
}
OTHER = {"tap_stream_id": "crm-orders", "schema": {"properties": {"total": {"type": "number"}}}}
Fields = Callable[..., int]


@pytest.fixture
def apollo() -> Iterator[Sandbox]:
    few = [f"api/v1/{name}/index" for name in LOOKUPS if name != "users"]
    with new_sandbox(SandboxOptions(strict=True, api_keys={"whole": None, "few": few})) as sandbox:
        yield sandbox


@pytest.fixture
def fields(apollo: Sandbox, tmp_path: Path) -> Fields:
    """The command's exit code, with these arguments and settings."""

    def call(*arguments: str, **settings: Any) -> int:
        config = tmp_path / "config.json"
        own = {"api_key": "whole", "api_url": apollo.url, "max_retries": 0, **settings}
        config.write_text(json.dumps(own))
        return main(["fields", "--config", str(config), *arguments])

    return call


@pytest.fixture
def catalog(tmp_path: Path) -> str:
    path = tmp_path / "catalog.json"
    path.write_text(json.dumps({"streams": [STREAM, OTHER]}))
    return str(path)


def made(apollo: Sandbox) -> set[tuple[str, str, str]]:
    return {
        (field["modality"], field["name"], field["type"])
        for field in apollo.store.workspace.fields.values()
    }


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


# --- lists


def test_everything_that_can_be_mapped_is_listed(
    apollo: Sandbox, fields: Fields, capsys: pytest.CaptureFixture[str]
) -> None:
    apollo.store.add_custom_field("contact", "Tier", "picklist", ["Gold", "Silver"])
    apollo.store.add_custom_field("account", "Tags", "multipicklist", ["A"])
    apollo.store.add_user(email="gone@sandbox.example", deleted=True)
    assert fields() == 0
    shown = capsys.readouterr().out
    for heading in ("Fields of", "Custom fields of", "Stages of", "Lists of"):
        for kind in ("contacts", "accounts"):
            assert f"{heading} {kind}:" in shown
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "Tier picklist Gold, Silver" in lines
    assert any(line == "Tags multipicklist A" for line in lines)
    assert any(line.startswith("robin.rep@sandbox.example Robin Rep") for line in lines)
    assert "Do Not Contact" in lines
    assert "gone@" not in shown


def test_one_object_is_listed_alone(fields: Fields, capsys: pytest.CaptureFixture[str]) -> None:
    assert fields("--object", "accounts") == 0
    shown = capsys.readouterr().out
    assert "Fields of accounts:" in shown
    assert "contacts:" not in shown


def test_the_same_can_be_had_as_json(
    apollo: Sandbox, fields: Fields, capsys: pytest.CaptureFixture[str]
) -> None:
    field = apollo.store.add_custom_field("contact", "Tier", "picklist", ["Gold"])
    assert fields("--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["contacts"]["custom_fields"] == [
        {"id": field["id"], "label": "Tier", "type": "picklist", "options": ["Gold"],
         "written": True}
    ]  # fmt: skip
    (owner,) = [f for f in found["contacts"]["fields"] if f["name"] == "owner_email"]
    assert owner["names"] == "owner_id"
    assert {user["email"] for user in found["owners"]} >= {"robin.rep@sandbox.example"}
    assert found["problems"] == []


def test_a_list_that_the_key_may_not_read_is_named_and_the_others_come(
    fields: Fields, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fields("--json", api_key="few") == 2
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert found["owners"] is None
    assert found["contacts"]["lists"] is None
    assert found["contacts"]["stages"]
    assert "api/v1/users/search" in said.err


def test_a_label_that_a_terminal_would_obey_is_shown_harmless(
    apollo: Sandbox, fields: Fields, capsys: pytest.CaptureFixture[str]
) -> None:
    apollo.store.add_custom_field("contact", "\x1b[2Jgone", "string")
    assert fields() == 0
    assert "\x1b" not in capsys.readouterr().out


def test_a_wrong_key_is_a_sentence(fields: Fields, capsys: pytest.CaptureFixture[str]) -> None:
    assert fields(api_key="wr0ng") == 2
    said = capsys.readouterr()
    assert "api_key" in said.err
    assert "wr0ng" not in said.err + said.out


# --- fields that are missing


def test_missing_fields_are_made_once_they_are_confirmed(
    apollo: Sandbox,
    fields: Fields,
    catalog: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer(monkeypatch, "y\n")
    assert fields("--create-missing-fields", "--catalog", catalog) == 0
    assert made(apollo) == {
        ("contact", "Lead score", "number"),
        ("contact", "Notes", "textarea"),
    }
    said = capsys.readouterr()
    assert "these 2 custom fields" in said.err
    assert "Stream 'crm-orders' is left out" in said.err
    assert said.out.index("for crm-contacts.lead_score") < said.out.index("Made contact field")
    assert "crm-contacts.tags" in said.out


@pytest.mark.parametrize("reply", ["", "\n", "n\n", "yesterday\n"])
def test_without_a_yes_nothing_is_made(
    apollo: Sandbox,
    fields: Fields,
    catalog: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    reply: str,
) -> None:
    answer(monkeypatch, reply)
    assert fields("--create-missing-fields", "--catalog", catalog) == 1
    assert made(apollo) == set()
    assert apollo.count("POST /fields") == 0
    assert "Nothing was made" in capsys.readouterr().err


def test_deals_get_the_field_for_their_keys_and_for_columns_that_fit_nowhere(
    apollo: Sandbox, fields: Fields, tmp_path: Path
) -> None:
    columns = ("id", "name", "amount", "deal_stage", "account_domain", "forecast", "external_id")
    properties = {name: {"type": "string"} for name in columns}
    stream = {"tap_stream_id": "opps", "key_properties": ["id"]}
    path = tmp_path / "opps.json"
    path.write_text(json.dumps({"streams": [{**stream, "schema": {"properties": properties}}]}))
    wanted = ("--create-missing-fields", "--yes", "--catalog", str(path))

    for _ in range(2):
        assert fields(*wanted, streams={"opps": {"object": "deals"}}) == 0

    assert made(apollo) == {
        ("opportunity", "External id", "string"),
        ("opportunity", "Forecast", "string"),
    }
    assert apollo.count("POST /fields") == 2


def test_a_second_run_makes_nothing(apollo: Sandbox, fields: Fields, catalog: str) -> None:
    wanted = ("--create-missing-fields", "--yes", "--catalog", catalog)
    assert fields(*wanted) == 0
    before = made(apollo)
    assert fields(*wanted) == 0
    assert made(apollo) == before
    assert apollo.count("POST /fields") == 2


def test_the_target_finds_what_was_made(apollo: Sandbox, fields: Fields, catalog: str) -> None:
    assert fields("--create-missing-fields", "--yes", "--catalog", catalog) == 0
    config = {"api_key": "whole", "api_url": apollo.url, "ledger_url": ""}
    directory = TargetApollo(config=config).run.directory
    for name in ("lead_score", "notes"):
        assert directory.custom_value(CONTACT, name) is not None


def test_schema_messages_on_standard_input_need_a_yes_beforehand(
    apollo: Sandbox,
    fields: Fields,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    message = {"type": "SCHEMA", "stream": "contacts", "schema": STREAM["schema"]}
    for arguments, code, count in (((), 1, 0), (("--yes",), 0, 3)):
        answer(monkeypatch, json.dumps(message) + "\n")
        assert fields("--create-missing-fields", "--schema", "-", *arguments) == code
        assert apollo.count("POST /fields") == count
    assert "confirm with --yes" in capsys.readouterr().err


def test_a_key_that_may_not_see_the_fields_makes_none(
    apollo: Sandbox, fields: Fields, catalog: str
) -> None:
    apollo.options = SandboxOptions(strict=True, api_keys={"blind": ["api/v1/fields/create"]})
    wanted = ("--create-missing-fields", "--yes", "--catalog", catalog)
    assert fields(*wanted, api_key="blind") == 2
    assert made(apollo) == set()


def test_a_lost_answer_makes_no_second_field(
    apollo: Sandbox, fields: Fields, catalog: str, capsys: pytest.CaptureFixture[str]
) -> None:
    apollo.inject(Fault(endpoint="POST /fields", kind=FaultKind.RESET_AFTER_WRITE))
    wanted = ("--create-missing-fields", "--yes", "--catalog", catalog)
    assert fields(*wanted, max_retries=3) == 1
    assert "may have been made" in capsys.readouterr().err
    assert len(made(apollo)) == apollo.count("POST /fields") == 1
    assert fields(*wanted, max_retries=3) == 0
    assert apollo.count("POST /fields") == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--create-missing-fields"], "needs a tap's --catalog or --schema"),
        (["--catalog", "x.json"], "give that too"),
        (["--yes"], "give that too"),
        (["--create-missing-fields", "--catalog", "a", "--schema", "b"], "--catalog or --schema"),
        (["--create-missing-fields", "--json", "--catalog", "x.json"], "makes no fields"),
        (["--create-missing-fields", "--catalog", "/no/such.json"], "can't be read"),
    ],
)
def test_wrong_usage_is_a_sentence(
    fields: Fields,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    assert fields(*arguments) == 2
    assert sentence in capsys.readouterr().err
