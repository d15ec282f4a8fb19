"""OAuth credentials for the sandbox, made as in a run."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests

from target_apollo.apollo import ApolloClient, TokenEndpoint, TokenFile, Transport
from target_apollo.apollo.oauth import OAuth
from target_apollo.apollo.token_store import Login
from target_apollo.sandbox import Sandbox, SandboxOptions
from tests.helpers.new_sandbox import new_sandbox

TOKEN = "POST /oauth/token"
PROFILE = "GET /users/api_profile"


class Logins:
    """Makes credentials as a run does; each call acts as a new run, with nothing in memory."""

    def __init__(self, apollo: Sandbox, path: Path) -> None:
        self.apollo = apollo
        self.path = path
        self.stop = threading.Event()
        self.transports: list[Transport] = []

    def new_refresh_token(self) -> str:
        """The refresh token of a new login."""
        form = {"grant_type": "authorization_code", "code": self.apollo.oauth.issue_code()}
        client = {
            "client_id": self.apollo.oauth.client_id,
            "client_secret": self.apollo.oauth.client_secret,
        }
        return str(self.apollo.oauth.exchange({**form, **client}, 0, 1)["refresh_token"])

    def auth(self, refresh_token: str | None = None, **more: Any) -> OAuth:
        url = more.get("token_url", self.apollo.token_url)
        endpoint = TokenEndpoint(
            **{
                "token_url": url,
                "client_id": self.apollo.oauth.client_id,
                "client_secret": self.apollo.oauth.client_secret,
                "timeout_seconds": 5,
                "stop": self.stop,
                **more,
            }
        )
        return OAuth(
            login=Login.of(url, self.apollo.oauth.client_id, refresh_token),
            endpoint=endpoint,
            token_file=TokenFile(self.path),
            refresh_token=refresh_token,
            stop=self.stop,
        )

    def client(self, refresh_token: str | None = None, **more: Any) -> ApolloClient:
        transport = Transport(
            api_url=more.pop("api_url", self.apollo.url),
            auth=self.auth(refresh_token, **more),
            max_retries=1,
            request_timeout_seconds=5,
            max_wait_seconds=5,
            parallel_requests=4,
            stop=self.stop,
            backoff_base_seconds=0.001,
        )
        self.transports.append(transport)
        return ApolloClient(transport)

    def kept(self) -> dict[str, Any]:
        (login,) = json.loads(self.path.read_bytes())["kept"]
        return dict(login["tokens"])

    def age(self, seconds: float) -> None:
        """Make the tokens in the file older by some seconds."""
        contents = json.loads(self.path.read_bytes())
        for login in contents["kept"]:
            login["tokens"]["obtained_at"] -= seconds
            login["tokens"]["expires_at"] -= seconds
        self.path.write_text(json.dumps(contents))

    def spent(self) -> list[str]:
        """The refresh tokens that were sent to the token endpoint, in their order."""
        forms = [
            parse_qs(seen.raw_body.decode())
            for seen in self.apollo.requests
            if seen.endpoint == TOKEN
        ]
        return [form["refresh_token"][0] for form in forms if "refresh_token" in form]


def signed(token: str) -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.Request("GET", "http://127.0.0.1/", headers=headers).prepare()


@pytest.fixture
def apollo() -> Iterator[Sandbox]:
    with new_sandbox(SandboxOptions(strict=True)) as sandbox:
        yield sandbox


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "token.json"


@pytest.fixture
def logins(apollo: Sandbox, path: Path) -> Iterator[Logins]:
    logins = Logins(apollo, path)
    yield logins
    for transport in logins.transports:
        transport.close()
