"""Settings files for OAuth 2.0 with a sandbox, and target processes that use them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from target_apollo.sandbox import Sandbox

TARGET = Path(sys.executable).with_name("target-apollo")
TOKEN = "POST /oauth/token"
CLIENT = {"client_id": "sandbox-client", "client_secret": "sandbox-secret"}


@pytest.fixture(autouse=True)
def no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TARGET_APOLLO_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def config(apollo: Sandbox, tmp_path: Path) -> Callable[..., str]:
    def write(**settings: Any) -> str:
        given = {
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
            json.dumps({name: value for name, value in given.items() if value is not None})
        )
        return str(path)

    return write


def sync(config: str, folder: Path, emails: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs a target process on a contact for each e-mail address, and a STATE."""
    schema = {"properties": {"id": {"type": "integer"}, "email": {"type": "string"}}}
    messages: list[dict[str, Any]] = [
        {"type": "SCHEMA", "stream": "contacts", "schema": schema, "key_properties": ["id"]},
        *(
            {"type": "RECORD", "stream": "contacts", "record": {"id": n, "email": email}}
            for n, email in enumerate(emails)
        ),
        {"type": "STATE", "value": {"read": len(emails)}},
    ]
    return subprocess.run(
        [TARGET, "--config", config],
        input="".join(f"{json.dumps(message)}\n" for message in messages),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=folder,
    )
