"""Logins that are refused or fail, and their sentences."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests

from target_apollo.cli import main
from target_apollo.sandbox import Sandbox
from tests.helpers.oauth_settings import CLIENT, TOKEN
from tests.helpers.started_login import StartLogin, browse, consent_of

# --- answers that are not this login's


def test_an_answer_with_another_state_is_not_used(
    login: StartLogin, apollo: Sandbox, config: Callable[..., str]
) -> None:
    with login(config()) as started:
        forged = consent_of(apollo, started.asked, state="another")
        assert browse(forged).status_code == 400
        assert browse(forged.partition("state=")[0]).status_code == 400
        assert apollo.count(TOKEN) == 0
        assert browse(consent_of(apollo, started.asked)).status_code == 200
        exit_code, _, err = started.end()

    assert exit_code == 0
    assert "another login was refused" in err
    assert apollo.count(TOKEN) == 1


def test_a_stolen_code_is_useless_without_the_verifier(
    login: StartLogin, apollo: Sandbox, config: Callable[..., str]
) -> None:
    with login(config()) as started:
        code = parse_qs(urlsplit(consent_of(apollo, started.asked)).query)["code"][0]
        form = {"grant_type": "authorization_code", "code": code, **CLIENT}
        form |= {"redirect_uri": started.asked["redirect_uri"]}
        answer = requests.post(apollo.token_url, data=form, timeout=20)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("typed", ["", "\n", "http://[", "no address", "https://x/?code=a&state=b"])
def test_a_pasted_address_that_is_another_s_is_refused(
    login: StartLogin, apollo: Sandbox, config: Callable[..., str], typed: str
) -> None:
    with login(config(), "--paste") as started:
        exit_code, _, err = started.end(typed)

    assert exit_code == 1
    assert "apollo-sync login" in err
    assert apollo.count(TOKEN) == 0


def test_other_pages_do_not_exist(login: StartLogin, config: Callable[..., str]) -> None:
    with login(config()) as started:
        back = started.asked["redirect_uri"]
        assert browse(back.replace("/callback", "/favicon.ico")).status_code == 404
        assert browse(f"{back}?{urlencode({'state': started.asked['state']})}").status_code == 400


# --- logins that come to nothing


@pytest.mark.parametrize(
    "sent",
    [
        {"status_code": "403", "error_message": "ann@a.example lacks permission"},
        {"error": "access_denied"},
    ],
)
def test_a_user_s_no_is_said(
    login: StartLogin, config: Callable[..., str], sent: dict[str, str]
) -> None:
    with login(config()) as started:
        browse(f"{started.asked['redirect_uri']}?{urlencode(sent)}")
        exit_code, _, err = started.end()

    assert exit_code == 1
    assert "Access was not granted (" in err
    assert "ann@a.example" not in err


def test_nobody_waits_for_ever(
    login: StartLogin, config: Callable[..., str], tmp_path: Path
) -> None:
    with login(config(), "--wait", "0.2") as started:
        exit_code, _, err = started.end()

    assert exit_code == 1
    assert "No answer came within 0.2 seconds" in err
    assert not (tmp_path / "kept" / "token.json").exists()


def test_a_connection_on_which_nothing_comes_holds_up_nobody(
    login: StartLogin, apollo: Sandbox, config: Callable[..., str]
) -> None:
    with login(config()) as started:
        port = urlsplit(started.asked["redirect_uri"]).port
        with socket.create_connection(("127.0.0.1", port or 0)):
            browse(consent_of(apollo, started.asked))
            assert started.end()[0] == 0


def test_a_wrong_client_secret_is_named(
    login: StartLogin, apollo: Sandbox, config: Callable[..., str]
) -> None:
    with login(config(client_secret="wr0ng-secret")) as started:
        browse(consent_of(apollo, started.asked))
        exit_code, out, err = started.end()

    assert exit_code == 2
    assert "client_id and client_secret" in err
    assert "wr0ng-secret" not in out + err


def test_a_taken_port_is_said(login: StartLogin, config: Callable[..., str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with login(config(), "--port", port) as started:
            exit_code, _, err = started.end()

    assert exit_code == 1
    assert f"Port {port} can't be listened on" in err


def test_a_token_path_that_cannot_be_written_shows_before_anybody_logs_in(
    login: StartLogin, config: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "kept").write_text("a file where the folder should be")
    with login(config()) as started:
        exit_code, out, err = started.end()

    assert exit_code == 1
    assert "token_path" in err
    assert out == ""


@pytest.mark.parametrize(
    "option",
    [
        ("--redirect-uri", "http://app.example/"),
        ("--authorize-url", "javascript:alert(1)"),
        ("--port", "70000"),
        ("--port", "x"),
        ("--wait", "0"),
        ("--wait", "nan"),
    ],
)
def test_a_wrong_argument_ends_with_the_usage(
    config: Callable[..., str], option: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["login", "--config", config(), *option]) == 2
    assert option[0] in capsys.readouterr().err


def test_a_key_needs_no_login(
    config: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = config(api_key="k", client_id=None, client_secret=None)
    assert main(["login", "--config", path]) == 2
    assert "api_key needs no login" in capsys.readouterr().err


def test_neither_code_nor_secret_is_printed(
    login: StartLogin, apollo: Sandbox, config: Callable[..., str]
) -> None:
    with login(config()) as started:
        address = consent_of(apollo, started.asked)
        code = parse_qs(urlsplit(address).query)["code"][0]
        browse(address)
        _, out, err = started.end()

    secrets = [code, CLIENT["client_secret"], *apollo.store.tokens]
    assert not [secret for secret in secrets if secret in out + err]
