"""Users, stages and custom fields as Apollo has them, and problems that stop one stream."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from target_apollo.sandbox import Fault, FaultKind, Sandbox, SandboxOptions
from target_apollo.tap.command import main
from tests.helpers.loading import Loaded
from tests.helpers.new_sandbox import new_sandbox
from tests.tap.conftest import FIELDS, RESULTS, STAGES, USERS

READABLE = ("api/v1/users/search", "api/v1/fields/index", "api/v1/typed_custom_fields/index")


@pytest.fixture
def apollo() -> Iterator[Sandbox]:
    keys = {"whole": None, "no-stages": READABLE}
    with new_sandbox(SandboxOptions(strict=True, api_keys=keys)) as sandbox:
        yield sandbox


@pytest.fixture
def load(
    apollo: Sandbox,
    write_json: Callable[[str, Any], str],
    sqlite_url: str,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> Callable[..., Loaded]:
    def run(code: int = 0, key: str = "whole", catalog: Any = None) -> Loaded:
        config = {"api_key": key, "api_url": apollo.url, "ledger_url": sqlite_url}
        arguments = ["--config", write_json("config.json", config)]
        if catalog is not None:
            arguments += ["--catalog", write_json("catalog.json", catalog)]
        capfdbinary.readouterr()
        assert main(arguments) == code
        return Loaded().load(capfdbinary.readouterr().out.splitlines())

    return run


def test_users_come_with_the_address_by_which_owners_are_joined(
    apollo: Sandbox, load: Callable[..., Loaded]
) -> None:
    gone = apollo.store.add_user(
        email="Gone@Sandbox.Example", first_name="Gone", last_name="Girl", deleted=True
    )
    more = [apollo.store.add_user(email=f"user.{n}@sandbox.example") for n in range(120)]
    users = load().tables[USERS]
    assert len(users) == 2 + 1 + len(more)
    assert users[(gone["id"],)] == {
        "id": gone["id"], "email": "gone@sandbox.example", "name": "Gone Girl", "deleted": True,
    }  # fmt: skip


def test_stages_of_contacts_and_accounts_come_in_one_table(
    apollo: Sandbox, load: Callable[..., Loaded]
) -> None:
    stages = load().tables[STAGES]
    for name, known in (
        ("contact", apollo.store.contact_stages),
        ("account", apollo.store.account_stages),
    ):
        found = {key[1]: stage["name"] for key, stage in stages.items() if key[0] == name}
        assert found == {stage["id"]: stage["name"] for stage in known}


def test_custom_fields_come_with_their_options(
    apollo: Sandbox, load: Callable[..., Loaded]
) -> None:
    text = apollo.store.add_custom_field("account", "Tier", "string")
    choice = apollo.store.add_custom_field("contact", "Score", "picklist", ["High", "Low"])
    fields = load().tables[FIELDS]
    assert fields["account", text["id"]]["options"] == []
    assert fields["contact", choice["id"]] == {
        "object": "contact", "id": choice["id"], "label": "Score", "type": "picklist",
        "options": [
            {"id": option["id"], "name": option["name"]} for option in choice["picklist_values"]
        ],
    }  # fmt: skip


def test_a_stream_that_the_key_may_not_read_leaves_the_others_complete(
    load: Callable[..., Loaded], caplog: pytest.LogCaptureFixture
) -> None:
    loaded = load(code=2, key="no-stages")
    assert loaded.tables[STAGES] == {}
    assert loaded.tables[USERS]
    assert "apollo_stages is not complete" in caplog.text
    assert "api/v1/contact_stages/index" in caplog.text


def test_a_wrong_key_is_said_and_the_ledger_is_read_all_the_same(
    load: Callable[..., Loaded], caplog: pytest.LogCaptureFixture
) -> None:
    loaded = load(code=2, key="wr0ng-k3y")
    assert RESULTS in loaded.tables
    assert "api_key" in caplog.text
    assert "wr0ng-k3y" not in caplog.text


def test_a_quota_that_is_used_up_says_when_to_come_back(
    apollo: Sandbox, load: Callable[..., Loaded]
) -> None:
    limited = Fault(
        endpoint="GET /users/search", kind=FaultKind.RATE_LIMITED, retry_after=5000, times=9
    )
    apollo.inject(limited)
    assert load(code=3).tables[USERS] == {}


def test_no_request_is_made_for_a_stream_that_is_not_selected(
    apollo: Sandbox, load: Callable[..., Loaded], catalog: Callable[..., dict[str, Any]]
) -> None:
    wanted = catalog(USERS)
    loaded = load(catalog=wanted)
    assert set(loaded.tables) == {USERS}
    assert {seen.endpoint for seen in apollo.requests} == {"GET /users/search"}


@pytest.mark.full
def test_the_log_shows_no_address_at_any_level(
    apollo: Sandbox, write_json: Callable[[str, Any], str], sqlite_url: str, tmp_path: Path
) -> None:
    apollo.inject(Fault(endpoint="GET /users/search", kind=FaultKind.GARBAGE_BODY))
    config = {"api_key": "whole", "api_url": apollo.url, "ledger_url": sqlite_url}
    tap = Path(sys.executable).with_name("tap-apollo-sync")
    done = subprocess.run(
        [tap, "--config", write_json("c.json", config)],
        capture_output=True, text=True, timeout=100, check=True, cwd=tmp_path,
        env={**os.environ, "LOGLEVEL": "DEBUG"},
    )  # fmt: skip
    assert "robin.rep@sandbox.example" in done.stdout
    assert "@" not in done.stderr
    assert "Robin" not in done.stderr
    assert "whole" not in done.stderr
