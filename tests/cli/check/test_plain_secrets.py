"""`apollo-sync check` warns of secrets in plain text in the files of a Meltano project."""

from __future__ import annotations

from pathlib import Path

import pytest

from target_apollo.cli.check.plain_secrets import secrets_in_plain_text

KEY = "k3y-of-a-team"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "meltano.yml"


def said(path: Path, text: str) -> list[str]:
    path.write_text(text, encoding="utf-8")
    return list(secrets_in_plain_text([path]))


def loader(*settings: str) -> str:
    lines = "".join(f"      {one}\n" for one in settings)
    return f"plugins:\n  loaders:\n  - name: target-apollo\n    config:\n{lines}"


@pytest.mark.parametrize("name", ["api_key", "client_secret", "refresh_token"])
def test_a_secret_is_named_with_its_file_and_line_and_without_its_value(
    path: Path, name: str
) -> None:
    (sentence,) = said(path, loader("mode: upsert", f"{name}: {KEY}"))
    assert sentence.startswith(f"Line 6 of {path} has the value of '{name}' in plain text")
    assert KEY not in sentence


@pytest.mark.parametrize(
    "value", ["$APOLLO_API_KEY", "${APOLLO_API_KEY}", '"$APOLLO_API_KEY"', "", "null", "''"]
)
def test_a_reference_to_a_variable_and_an_empty_value_are_no_secrets(
    path: Path, value: str
) -> None:
    assert said(path, loader(f"api_key: {value}")) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"env: {{TARGET_APOLLO_API_KEY: {KEY}}}\n", 1),
        (f"environments:\n- name: prod\n  env:\n    APOLLO_API_KEY: {KEY}\n", 4),
        (f"plugins:\n  loaders:\n  - name: a\n    config: {{api_key: {KEY}}}\n", 4),
        (f"plugins:\n  extractors:\n  - settings:\n    - name: api_key\n      value: {KEY}\n", 5),
        (f"a: &shared\n  api_key: {KEY}\nb: *shared\n", 2),
    ],
)
def test_a_secret_is_found_wherever_it_stands(path: Path, text: str, line: int) -> None:
    (sentence,) = said(path, text)
    assert sentence.startswith(f"Line {line} of ")


def test_the_address_of_a_database_with_a_password_is_a_secret(path: Path) -> None:
    (sentence,) = said(path, loader(f"ledger_url: postgresql://ann:{KEY}@db/crm"))
    assert "the value of 'ledger_url' in plain text" in sentence
    assert KEY not in sentence
    for plain in ("postgresql://ann@db/crm", "postgresql://ann:$PASSWORD@db/crm", "http://[::1"):
        assert said(path, loader(f"ledger_url: {plain}")) == []


def test_a_column_that_has_the_name_of_a_secret_is_none(path: Path) -> None:
    assert said(path, loader("stream_maps: {crm-users: {api_key: __NULL__}}")) == []


def test_the_key_of_a_sandbox_on_this_machine_is_no_secret(path: Path) -> None:
    of_sandbox = loader("api_url: http://127.0.0.1:8700/api/v1", "api_key: sandbox")
    assert said(path, of_sandbox) == []
    assert len(said(path, of_sandbox.replace("127.0.0.1:8700", "api.apollo.io"))) == 1
    (sentence,) = said(path, f"{of_sandbox}      ledger_url: postgresql://ann:{KEY}@db/crm\n")
    assert "'ledger_url'" in sentence


def test_the_definition_of_a_setting_without_a_value_is_no_secret(path: Path) -> None:
    assert said(path, "settings:\n- name: api_key\n  sensitive: true\n") == []


def test_a_file_that_can_t_be_read_ends_no_check(path: Path) -> None:
    assert list(secrets_in_plain_text([path])) == []
    assert said(path, f"api_key: [{KEY}") == []
    path.write_bytes(b"api_key: \xff\n")
    assert list(secrets_in_plain_text([path])) == []
