"""The credentials of a run: the rule for the settings, and whole runs with OAuth 2.0."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from target_apollo.cli import main
from target_apollo.config.credentials import auth_of
from target_apollo.config.schema import SCHEMA
from target_apollo.config.settings import Settings, SettingsError
from target_apollo.config.sources import read_settings
from target_apollo.config.validation import problems_of
from target_apollo.sandbox import Fault, FaultKind, Sandbox, SandboxOptions
from tests.helpers.new_sandbox import new_sandbox
from tests.helpers.oauth_settings import CLIENT, TOKEN, config, no_settings_around, sync

__all__ = ["config", "no_settings_around"]  # fixtures


@pytest.fixture
def apollo() -> Iterator[Sandbox]:
    with new_sandbox(SandboxOptions(strict=True)) as sandbox:
        yield sandbox


def new_refresh_token(apollo: Sandbox) -> str:
    form = {"grant_type": "authorization_code", "code": apollo.oauth.issue_code(), **CLIENT}
    return str(apollo.oauth.exchange(form, 0, 1)["refresh_token"])


# --- settings


def settings_with(**own: Any) -> Settings:
    defaults = {
        name: one["default"] for name, one in SCHEMA["properties"].items() if "default" in one
    }
    return Settings.of({**defaults, **own})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "'api_key' is missing"),
        ({"api_key": ""}, "'api_key' is missing"),
        ({"client_id": "a"}, "'client_secret' is missing"),
        ({"client_secret": "a"}, "'client_id' is missing"),
        ({"api_key": "k", "refresh_token": "a"}, "api_key and refresh_token exclude each other"),
        ({"api_key": "k", **CLIENT}, "api_key and client_id, client_secret exclude each other"),
    ],
)
def test_exactly_one_kind_of_credentials_is_given(given: dict[str, str], said: str) -> None:
    (problem,) = problems_of(given, SCHEMA)
    assert said in problem


def test_a_refresh_token_alone_lacks_the_client() -> None:
    assert len(problems_of({"refresh_token": "a"}, SCHEMA)) == 2


@pytest.mark.parametrize("given", [{"api_key": "k"}, CLIENT, {**CLIENT, "refresh_token": "r"}])
def test_a_key_or_a_client_is_enough(given: dict[str, str]) -> None:
    assert problems_of(given, SCHEMA) == []


@pytest.mark.parametrize("url", ["http://app.apollo.io/oauth", "https://u:p@host/", "x"])
def test_the_token_endpoint_s_address_is_checked(url: str) -> None:
    (problem,) = problems_of({**CLIENT, "oauth_token_url": url}, SCHEMA)
    assert "oauth_token_url" in problem
    assert url not in problem


def test_what_is_secret_is_marked_and_not_printed() -> None:
    for name in ("client_secret", "refresh_token"):
        assert SCHEMA["properties"][name]["secret"] is True
    found = settings_with(client_id="id", client_secret="s3cr3t", refresh_token="t0k3n")
    assert "s3cr3t" not in repr(found)
    assert "t0k3n" not in repr(found)


def test_without_any_refresh_token_the_way_to_one_is_said(tmp_path: Path) -> None:
    settings = settings_with(**CLIENT, token_path=str(tmp_path / "none.json"))
    with pytest.raises(SettingsError, match=r"refresh_token.*apollo-sync login"):
        auth_of(settings, threading.Event())
    assert list(tmp_path.iterdir()) == []


def test_a_token_file_that_is_none_is_a_wrong_setting(tmp_path: Path) -> None:
    path = tmp_path / "token.json"
    path.write_text("no tokens")
    with pytest.raises(SettingsError, match="token_path"):
        auth_of(settings_with(**CLIENT, token_path=str(path)), threading.Event())


def test_a_line_break_after_a_secret_is_none_of_it(apollo: Sandbox, tmp_path: Path) -> None:
    token = new_refresh_token(apollo)
    settings = settings_with(
        client_id="sandbox-client\n",
        client_secret="sandbox-secret\n",
        refresh_token=f"{token}\n",
        token_path=str(tmp_path / "token.json"),
        oauth_token_url=apollo.token_url,
    )
    request = requests.Request("GET", apollo.url, auth=auth_of(settings, threading.Event()))
    assert request.prepare().headers["Authorization"].startswith("Bearer ")


def test_the_settings_of_oauth_come_from_the_environment_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("client_id", "client_secret", "refresh_token"):
        monkeypatch.setenv(f"TARGET_APOLLO_{name.upper()}", f"{name}-value")
    assert read_settings([]).refresh_token == "refresh_token-value"


# --- whole runs


def test_a_target_renews_its_token_in_the_middle_of_a_run(
    apollo: Sandbox, config: Callable[..., str], tmp_path: Path
) -> None:
    token = new_refresh_token(apollo)
    apollo.inject(
        Fault("POST /contacts/bulk_create", FaultKind.ERROR_BEFORE_WRITE, after=1, status=401)
    )

    done = sync(config(refresh_token=token), tmp_path, [f"p{n}@a.example" for n in range(300)])

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"read": 300}
    assert len(apollo.store.contacts()) == 300
    assert apollo.count(TOKEN) == 2
    secrets = [token, CLIENT["client_secret"], *apollo.store.tokens]
    assert not [secret for secret in secrets if secret in done.stderr + done.stdout]


@pytest.mark.full
def test_a_spent_token_ends_the_target_with_2(
    apollo: Sandbox, config: Callable[..., str], tmp_path: Path
) -> None:
    done = sync(config(refresh_token="sp3nt-token"), tmp_path, ["ann@a.example"])

    assert done.returncode == 2, done.stderr
    assert "refresh_token" in done.stderr
    assert "apollo-sync login" in done.stderr
    assert "sp3nt-token" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.full
def test_a_silent_token_endpoint_ends_the_target_with_1(
    apollo: Sandbox, config: Callable[..., str], tmp_path: Path
) -> None:
    apollo.inject(Fault(TOKEN, FaultKind.ERROR_BEFORE_WRITE, times=None))

    done = sync(config(refresh_token=new_refresh_token(apollo)), tmp_path, ["ann@a.example"])

    assert (done.returncode, done.stdout) == (1, "")
    assert "oauth_token_url" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.full
def test_a_target_without_any_token_does_not_start(
    config: Callable[..., str], tmp_path: Path
) -> None:
    done = sync(config(), tmp_path, ["ann@a.example"])

    assert (done.returncode, done.stdout) == (2, "")
    assert "apollo-sync login" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_says_that_the_token_endpoint_is_silent(
    apollo: Sandbox, config: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    apollo.inject(Fault(TOKEN, FaultKind.ERROR_BEFORE_WRITE, times=None))

    assert main(["check", "--config", config(refresh_token="some-token")]) == 1

    assert "oauth_token_url" in capsys.readouterr().err
