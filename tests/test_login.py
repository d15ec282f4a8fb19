"""`apollo-sync login`: the sandbox is Apollo, and the test is the user with the browser."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
import requests

from target_apollo.cli import main
from target_apollo.login.authorization import (
    Authorization,
    NotGranted,
    NotThisLogin,
    challenge_of,
)
from target_apollo.sandbox import Sandbox, SandboxOptions, running_sandbox

APOLLO_SYNC = Path(sys.executable).with_name("apollo-sync")
TARGET = Path(sys.executable).with_name("target-apollo")
TOKEN = "POST /oauth/token"
AUTHORIZE = "https://apollo.example/#/oauth/authorize"
CLIENT = {"client_id": "sandbox-client", "client_secret": "sandbox-secret"}


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TARGET_APOLLO_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def served() -> Iterator[Sandbox]:
    with running_sandbox(SandboxOptions(strict=True)) as sandbox:
        yield sandbox


@pytest.fixture
def apollo(served: Sandbox) -> Iterator[Sandbox]:
    served.reset_log()
    served.reset_quota()
    yield served
    served.clear_faults()


@pytest.fixture
def config(apollo: Sandbox, tmp_path: Path) -> Callable[..., str]:
    def write(**settings: Any) -> str:
        found = {
            "api_url": apollo.url,
            "oauth_token_url": apollo.token_url,
            "token_path": str(tmp_path / "kept" / "token.json"),
            "rejects_path": str(tmp_path / "rejects.singer"),
            "summary_path": str(tmp_path / "summary.json"),
            "ledger_url": f"sqlite:///{tmp_path}/ledger.db",
            **CLIENT,
            **settings,
        }
        path = tmp_path / "config.json"
        path.write_text(
            json.dumps({name: value for name, value in found.items() if value is not None})
        )
        return str(path)

    return write


class Login:
    """A login under way in a thread: what it printed, and the request for consent in it."""

    def __init__(self, arguments: list[str], capsys: pytest.CaptureFixture[str], typing: int):
        self._capsys = capsys
        self._typing = typing
        self._exit_code = -1
        self._out = self._err = ""
        self._thread = threading.Thread(target=self._run, args=(arguments,), daemon=True)
        self._thread.start()
        while self._thread.is_alive() and "  http" not in self._out:
            self._listen()
        self._listen()
        found = re.search(r"^  (http.*)$", self._out, re.MULTILINE)
        self.url = found[1] if found else ""

    @property
    def asked(self) -> dict[str, str]:
        # Apollo's page stands in a fragment, and so does what is asked of it.
        query = self.url.partition("?")[2]
        return {name: values[0] for name, values in parse_qs(query).items()}

    def end(self, typed: str = "") -> tuple[int, str, str]:
        """Exit code, standard output and standard error."""
        os.write(self._typing, typed.encode())
        os.close(self._typing)
        self._typing = -1
        self._thread.join(60)
        self._listen()
        return self._exit_code, self._out, self._err

    def give_up(self) -> None:
        if self._thread.is_alive() and self.asked["redirect_uri"].startswith("http://127."):
            with contextlib.suppress(requests.ConnectionError):
                browse(f"{self.asked['redirect_uri']}?error=test_is_over")
        if self._typing != -1:
            self.end()
        assert not self._thread.is_alive()

    def _run(self, arguments: list[str]) -> None:
        self._exit_code = main(["login", *arguments])

    def _listen(self) -> None:
        self._thread.join(0.02)
        captured = self._capsys.readouterr()
        self._out += captured.out
        self._err += captured.err


StartLogin = Callable[..., AbstractContextManager[Login]]


@pytest.fixture
def login(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> StartLogin:
    """Starts `apollo-sync login` with a settings file and further arguments."""

    @contextmanager
    def start(config: str, *more: str) -> Iterator[Login]:
        reading, typing = os.pipe()
        with os.fdopen(reading) as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            arguments = ["--config", config, "--authorize-url", AUTHORIZE, *more]
            started = Login(arguments, capsys, typing)
            try:
                yield started
            finally:
                started.give_up()

    return start


def consent_of(apollo: Sandbox, asked: dict[str, str], **other: str) -> str:
    """Allow access, as a user does; the address to which the browser is then sent."""
    surface = apollo.url.removesuffix("/api/v1") + "/_sandbox/authorize"
    answer = requests.post(surface, json={**asked, **other}, timeout=20)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["location"])


def browse(address: str) -> requests.Response:
    return requests.get(address, timeout=20)


# --- the way of a login


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


def test_a_target_syncs_with_what_a_login_left(
    login: StartLogin, apollo: Sandbox, config: Callable[..., str], tmp_path: Path
) -> None:
    path = config()
    with login(path) as started:
        browse(consent_of(apollo, started.asked))
        assert started.end()[0] == 0
    schema = {"properties": {"id": {"type": "integer"}, "email": {"type": "string"}}}
    ann = {"id": 1, "email": "ann@a.example"}
    messages: list[dict[str, Any]] = [
        {"type": "SCHEMA", "stream": "contacts", "schema": schema, "key_properties": ["id"]},
        {"type": "RECORD", "stream": "contacts", "record": ann},
        {"type": "STATE", "value": {"read": 1}},
    ]
    apollo.reset_log()

    done = subprocess.run(
        [TARGET, "--config", path],
        input="".join(f"{json.dumps(message)}\n" for message in messages),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )

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


# --- what is refused


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


def test_other_pages_do_not_exist(login: StartLogin, config: Callable[..., str]) -> None:
    with login(config()) as started:
        back = started.asked["redirect_uri"]
        assert browse(back.replace("/callback", "/favicon.ico")).status_code == 404
        assert browse(f"{back}?{urlencode({'state': started.asked['state']})}").status_code == 400


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


@pytest.mark.parametrize("typed", ["", "\n", "http://[", "no address", "https://x/?code=a&state=b"])
def test_a_pasted_address_that_is_another_s_is_refused(
    login: StartLogin, apollo: Sandbox, config: Callable[..., str], typed: str
) -> None:
    with login(config(), "--paste") as started:
        exit_code, _, err = started.end(typed)

    assert exit_code == 1
    assert "apollo-sync login" in err
    assert apollo.count(TOKEN) == 0


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
    with pytest.raises(SystemExit) as end:
        main(["login", "--config", config(), *option])
    assert end.value.code == 2
    assert option[0] in capsys.readouterr().err


# --- the request for consent


def test_the_challenge_is_the_one_of_the_standard() -> None:
    # RFC 7636, appendix B.
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_a_request_for_consent_hides_its_secrets_when_printed() -> None:
    asked = Authorization(AUTHORIZE, "id", "http://127.0.0.1:1/callback", ["a"])
    assert asked.state not in repr(asked)
    assert asked.verifier not in repr(asked)
    assert asked.verifier not in asked.url


def test_a_code_counts_with_its_state_only() -> None:
    asked = Authorization(AUTHORIZE, "id", "http://127.0.0.1:1/callback", ["a"], state="s")
    assert asked.code_in("/callback?code=c&state=s") == "c"
    for wrong in ("?code=c", "?code=c&state=x", "?code=c&state=", "?state=s", "", "?code=&state=s"):
        with pytest.raises(NotThisLogin):
            asked.code_in(f"/callback{wrong}")
    with pytest.raises(NotGranted):
        asked.code_in("/callback?error=access_denied")


def test_a_key_needs_no_login(
    config: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = config(api_key="k", client_id=None, client_secret=None)
    assert main(["login", "--config", path]) == 2
    assert "api_key needs no login" in capsys.readouterr().err
