"""`apollo-sync login`: the sandbox is Apollo, and the test is the user with the browser."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from target_apollo.cli import main
from target_apollo.sandbox import Sandbox
from tests.helpers.oauth_settings import CLIENT, TOKEN, sync
from tests.helpers.started_login import AUTHORIZE, StartLogin, browse, consent_of

APOLLO_SYNC = Path(sys.executable).with_name("apollo-sync")


def test_a_login_ends_with_tokens_that_only_the_owner_can_read(
    login: StartLogin, apollo: Sandbox, config: Callable[..., str], tmp_path: Path
) -> None:
    with login(config()) as started:
        assert browse(consent_of(apollo, started.asked)).status_code == 200
        exit_code, out, err = started.end()

    assert (exit_code, err) == (0, "")
    assert f"now writes to Apollo team {apollo.store.team_id}" in out
    path = tmp_path / "kept" / "token.json"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_the_program_waits_for_a_browser(apollo: Sandbox, config: Callable[..., str]) -> None:
    command = [str(APOLLO_SYNC), "login", "--config", config(), "--authorize-url", AUTHORIZE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as started:
        try:
            assert started.stdout is not None
            url = next(line for line in started.stdout if line.startswith("  http"))
            asked = dict(parse_qsl(url.strip().partition("?")[2]))
            browse(consent_of(apollo, asked))
            out, _ = started.communicate(timeout=60)
        finally:
            started.kill()
    assert started.returncode == 0
    assert out.splitlines()[-1].startswith("Logged in: ")


def test_consent_is_asked_for_with_state_and_a_challenge(
    login: StartLogin, apollo: Sandbox, config: Callable[..., str]
) -> None:
    requests_for_consent = []
    for _ in range(2):
        with login(config()) as started:
            assert started.url.startswith(f"{AUTHORIZE}?")
            requests_for_consent.append(started.asked)
    one, other = requests_for_consent
    assert one["response_type"] == "code"
    assert one["client_id"] == CLIENT["client_id"]
    assert one["code_challenge_method"] == "S256"
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/callback", one["redirect_uri"])
    for secret in ("state", "code_challenge"):
        assert len(one[secret]) >= 43
        assert one[secret] != other[secret]


def test_only_the_scopes_of_the_sync_are_asked_for(
    login: StartLogin, config: Callable[..., str]
) -> None:
    streams = {"contacts": {"object": "contacts", "mode": "insert"}}
    with login(config(mode="insert", streams=streams)) as started:
        scopes = started.asked["scope"].split()
    assert "contacts_bulk_create" in scopes
    assert not {"contact_stages_update", "account_update", "account_owners_update"} & set(scopes)

    with login(config(), "--scope", "contact_write account_write") as started:
        assert started.asked["scope"] == "contact_write account_write"


@pytest.mark.full
def test_a_target_syncs_with_what_a_login_left(
    login: StartLogin, apollo: Sandbox, config: Callable[..., str], tmp_path: Path
) -> None:
    path = config()
    with login(path) as started:
        browse(consent_of(apollo, started.asked))
        assert started.end()[0] == 0
    apollo.reset_log()

    done = sync(path, tmp_path, ["ann@a.example"])

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"read": 1}
    assert [contact["email"] for contact in apollo.store.contacts()] == ["ann@a.example"]
    assert apollo.count(TOKEN) == 0


def test_check_works_with_a_login(
    login: StartLogin,
    apollo: Sandbox,
    config: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = config()
    with login(path) as started:
        browse(consent_of(apollo, started.asked))
        assert started.end()[0] == 0

    assert main(["check", "--config", path]) == 0
    assert capsys.readouterr().out.endswith("Usable.\n")


def test_a_login_replaces_a_spent_refresh_token_of_the_settings(
    login: StartLogin, apollo: Sandbox, config: Callable[..., str]
) -> None:
    path = config(refresh_token="spent-long-ago")
    with login(path) as started:
        browse(consent_of(apollo, started.asked))
        assert started.end()[0] == 0

    assert main(["check", "--config", path]) == 0


# --- without a browser on this machine


def test_the_address_can_be_pasted(
    login: StartLogin, apollo: Sandbox, config: Callable[..., str]
) -> None:
    with login(config(), "--paste") as started:
        exit_code, _, err = started.end(consent_of(apollo, started.asked) + "\n")

    assert (exit_code, err) == (0, "")


def test_a_registered_address_of_another_kind_can_be_used(
    login: StartLogin, apollo: Sandbox, config: Callable[..., str]
) -> None:
    back = "https://app.example/apollo/callback"
    with login(config(), "--redirect-uri", back) as started:
        assert started.asked["redirect_uri"] == back
        address = consent_of(apollo, started.asked)
        assert address.startswith(f"{back}?")
        exit_code, _, err = started.end(address + "\n")

    assert (exit_code, err) == (0, "")
