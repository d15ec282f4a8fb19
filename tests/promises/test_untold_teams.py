"""A key that may not ask for its team stands for the team, so that no two teams share rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from target_apollo.ledger.locks import STALE_AFTER
from target_apollo.sandbox import Sandbox, SandboxOptions
from target_apollo.sandbox.serving.faults import Fault, FaultKind
from tests.config.test_credentials import new_refresh_token
from tests.helpers.new_sandbox import new_sandbox
from tests.ledger.conftest import (  # noqa: F401 - fixtures
    ledger_url,
    postgresql_server,
    postgresql_url,
    run_sql,
    sqlite_url,
)
from tests.promises.conftest import Message, Run, TargetRun, contact, schema

PROFILE = "GET /users/api_profile"
TABLES = ("apollo_scopes", "apollo_companies", "apollo_walks", "apollo_runs")
ROWS: list[Message] = [schema("contacts"), *(contact(n, first_name="Ada") for n in range(1, 6))]
Sql = Callable[[str], list[tuple[object, ...]]]
Teams = Callable[..., Sandbox]


@pytest.fixture
def team() -> Iterator[Teams]:
    """A sandbox of its own team, whose key may not ask for the team."""
    with ExitStack() as opened:

        def another(*keys: str) -> Sandbox:
            options = SandboxOptions(strict=True, api_keys=dict.fromkeys(keys))
            sandbox = opened.enter_context(new_sandbox(options))
            sandbox.inject(Fault(PROFILE, FaultKind.ERROR_BEFORE_WRITE, times=None, status=403))
            return sandbox

        yield another


@pytest.fixture
def load(sync: Run, ledger_url: str) -> Run:  # noqa: F811
    def run(sandbox: Sandbox, **settings: object) -> TargetRun:
        return sync(ROWS, sandbox=sandbox, ledger_url=ledger_url, **settings)

    return run


def as_of_an_earlier_release(run_sql: Sql) -> None:  # noqa: F811
    for table in TABLES:
        run_sql(f"UPDATE {table} SET connection = 'unknown'")


def teams_in(run_sql: Sql) -> set[object]:  # noqa: F811
    return {row[0] for row in run_sql("SELECT connection FROM apollo_links")}


def test_the_rows_of_a_second_team_are_created_in_it(team: Teams, load: Run) -> None:
    first, second = team("key-one"), team("key-two")
    assert load(first).records["created"] == 5
    run = load(second)
    assert run.records["created"] == 5
    assert len(second.store.contacts()) == 5
    assert "If it is a new key of the same team" in run.log
    assert load(first).records["unchanged"] == load(second).records["unchanged"] == 5


@pytest.mark.full
def test_one_key_at_two_addresses_is_two_teams(team: Teams, load: Run) -> None:
    first, second = team("key-one"), team("key-one")
    assert load(first).records["created"] == 5
    assert load(second).records["created"] == 5


def test_a_new_key_of_the_same_team_makes_nothing_twice(team: Teams, load: Run) -> None:
    apollo = team("key-one", "key-two")
    load(apollo, api_key="key-one")
    run = load(apollo, api_key="key-two")
    assert run.records["unchanged"] == 5
    assert "costs requests, and no record is made twice" in run.log
    assert len(apollo.store.contacts()) == 5
    again = load(apollo, api_key="key-two")
    assert "is made twice" not in again.log


def test_the_key_is_not_in_the_ledger(team: Teams, load: Run, run_sql: Sql) -> None:  # noqa: F811
    load(team("key-that-nobody-may-read"))
    (connection,) = teams_in(run_sql)
    assert str(connection).startswith("unknown-")
    assert len(str(connection)) == len("unknown-") + 16
    assert "nobody" not in str(connection)


@pytest.mark.full
def test_rows_of_an_earlier_release_go_to_the_first_key_and_not_to_the_second(
    team: Teams,
    load: Run,
    run_sql: Sql,  # noqa: F811
) -> None:
    first, second = team("key-one"), team("key-two")
    load(first)
    as_of_an_earlier_release(run_sql)
    planned = load(first, dry_run=True)
    assert planned.records["unchanged"] == 5
    assert teams_in(run_sql) == {"unknown"}
    run = load(first)
    assert run.records["unchanged"] == 5
    assert "are those of this key from now on" in run.log
    assert "unknown" not in teams_in(run_sql)
    assert load(second).records["created"] == 5
    assert load(first).records["unchanged"] == 5
    assert len(second.store.contacts()) == 5


@pytest.mark.full
def test_rows_that_another_run_writes_are_not_taken_over(
    team: Teams,
    load: Run,
    run_sql: Sql,  # noqa: F811
) -> None:
    apollo = team("key-one")
    load(apollo)
    as_of_an_earlier_release(run_sql)
    run_sql(
        "INSERT INTO apollo_locks (connection, stream, run_id, token, host, pid, acquired_at, "
        "heartbeat_at) VALUES ('unknown', 'contacts', 'run-1', 't', 'elsewhere', 1, "
        "CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)"
    )
    run = load(apollo)
    assert run.exit_code == 2
    assert f"its lock ends {STALE_AFTER.seconds} seconds after" in run.log
    assert teams_in(run_sql) == {"unknown"}


ODD = ["", " ", "a b", "x" * 200_000, "unknown", "unknown-1", "é", "../a"]


@pytest.mark.parametrize(
    "odd", [ODD[0], *(pytest.param(one, marks=pytest.mark.full) for one in ODD[1:])]
)
@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_an_odd_id_of_a_team_is_never_the_connection(
    apollo: Sandbox,
    load: Run,
    run_sql: Sql,  # noqa: F811
    odd: str,
) -> None:
    assert load(apollo).exit_code == 0
    apollo.store.workspace.team_id = odd
    load(apollo)
    connections = [str(row[0]) for row in run_sql("SELECT connection FROM apollo_runs")]
    assert odd not in connections
    assert max(map(len, connections)) <= len("unknown-") + 16


def test_oauth_tokens_whose_team_is_not_told_have_no_ledger(sync: Run, tmp_path: Path) -> None:
    with new_sandbox(SandboxOptions(strict=True)) as apollo:
        apollo.inject(Fault(PROFILE, FaultKind.ERROR_BEFORE_WRITE, times=None, status=403))
        login = {
            "api_key": None,
            "client_id": "sandbox-client",
            "client_secret": "sandbox-secret",
            "refresh_token": new_refresh_token(apollo),
            "oauth_token_url": apollo.token_url,
            "token_path": str(tmp_path / "token.json"),
        }
        run = sync(ROWS, sandbox=apollo, **login)
        assert run.exit_code == 2
        assert "Give the app the scope read_user_profile" in run.log
        assert apollo.store.contacts() == []
        assert sync(ROWS, sandbox=apollo, ledger_url="", **login).records["created"] == 5
