"""Texts that the processes of a team share, one for each endpoint."""

from __future__ import annotations

import dataclasses
import json
import logging
import secrets
import time
from collections.abc import Callable

import psycopg
import pytest

from target_apollo.ledger import Ledger
from target_apollo.ledger.processes import Process

TEAM = "5f5e100c0d4ae7000181a2b3"
Sql = Callable[[str], list[tuple[object, ...]]]


def test_a_text_is_replaced_only_by_who_has_read_it(opened: Callable[[], Ledger]) -> None:
    one, other = opened().shared_windows(TEAM), opened().shared_windows(TEAM)
    assert one.write("create", "first", 0)
    assert not other.write("create", "second", 0)
    assert not other.write("create", "second", 2)
    assert other.write("create", "second", 1)
    found = one.read("create")
    assert found is not None
    assert found[:2] == ("second", 2)


def test_each_endpoint_of_each_team_has_its_own(ledger: Ledger) -> None:
    assert ledger.shared_windows(TEAM).write("create", "text", 0)
    for team, endpoint in ((TEAM, "update"), ("another", "create")):
        found = ledger.shared_windows(team).read(endpoint)
        assert found is not None
        assert found[:2] == (None, 0)


def test_all_processes_see_one_clock(opened: Callable[[], Ledger]) -> None:
    seen = [opened().shared_windows(TEAM).read(one) for one in ("create", "update", "create")]
    moments = [one[2] for one in seen if one is not None]
    assert len(moments) == 3
    assert moments == sorted(moments)
    assert abs(moments[0] - time.time()) < 60


def test_a_process_that_has_ended_is_known_by_its_name(ledger: Ledger) -> None:
    windows = ledger.shared_windows(TEAM)
    assert not windows.has_ended(windows.owner)
    here = Process.current()
    ended = dataclasses.replace(here, started="0")
    elsewhere = dataclasses.replace(ended, host="another")
    assert windows.has_ended(json.dumps([*dataclasses.astuple(ended), "x"]))
    assert not windows.has_ended(json.dumps([*dataclasses.astuple(elsewhere), "x"]))


@pytest.mark.parametrize("owner", ["", "x", "[]", '["h", "s", 1e999, "0", "x"]', "{}", "[1, 2, 3]"])
def test_a_name_that_nobody_understands_is_no_process_that_has_ended(
    ledger: Ledger, owner: str
) -> None:
    assert not ledger.shared_windows(TEAM).has_ended(owner)


def test_what_can_t_be_read_is_said_once_and_left_alone(
    ledger: Ledger, run_sql: Sql, caplog: pytest.LogCaptureFixture
) -> None:
    windows = ledger.shared_windows(TEAM)
    run_sql("DROP TABLE apollo_windows")
    with caplog.at_level(logging.WARNING):
        assert windows.read("create") is None
        assert windows.read("update") is None
        assert not windows.write("create", "text", 0)
    assert [one.message[:60] for one in caplog.records] == [
        "This run paces its requests without a look at other runs of "
    ]


def test_a_connection_that_was_cut_is_opened_again(postgresql_url: str) -> None:
    name = f"cut_{secrets.token_hex(6)}"
    with Ledger.open(f"{postgresql_url}&application_name={name}") as ledger:
        windows = ledger.shared_windows(TEAM)
        assert windows.write("create", "text", 0)
        with psycopg.connect(postgresql_url, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
                "WHERE application_name = %s",
                [name],
            )
        assert windows.write("create", "next", 1)
        windows.close()


def test_behind_a_pooler_the_windows_are_shared_too(pooler_url: str) -> None:
    with Ledger.open(pooler_url) as one, Ledger.open(pooler_url) as other:
        shared = [one.shared_windows(TEAM), other.shared_windows(TEAM)]
        for number in range(10):
            assert shared[number % 2].write("create", f"text {number}", number)
        for windows in shared:
            windows.close()
