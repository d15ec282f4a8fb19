"""`apollo-sync plan`: what it prints, where, and with which exit code."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from target_apollo.apollo.endpoints import READING
from target_apollo.sandbox import Sandbox
from tests.helpers.commands import run_command
from tests.promises.conftest import Message, TargetRun, lines_of, record, schema, state

Sync = Callable[..., TargetRun]
APOLLO_SYNC = Path(sys.executable).with_name("apollo-sync")


@dataclass
class Plan:
    """The command as the user calls it."""

    config: Callable[..., Path]
    apollo: Sandbox

    def __call__(
        self, messages: Iterable[Message | str], *arguments: str, **settings: Any
    ) -> subprocess.CompletedProcess[str]:
        """Runs it inside the test, which is faster than a process, with the messages in a file."""
        config = self.config(self.apollo, **settings)
        given = config.with_name("given.singer")
        given.write_bytes(lines_of(messages))
        named = [one for one in arguments if one.endswith(".singer")]
        command = ["plan", "--config", str(config), *arguments, *([] if named else [str(given)])]
        out, log = io.StringIO(), io.StringIO()
        exit_code = run_command(command, out, log)
        return subprocess.CompletedProcess(command, exit_code, out.getvalue(), log.getvalue())

    def process(
        self, messages: Iterable[Message | str], *arguments: str, **settings: Any
    ) -> subprocess.CompletedProcess[str]:
        """The same as a process of its own, with the messages on standard input."""
        config = self.config(self.apollo, **settings)
        return subprocess.run(
            [APOLLO_SYNC, "plan", "--config", str(config), *arguments],
            input=lines_of(messages).decode(),
            capture_output=True,
            text=True,
            timeout=120,
            cwd=config.parent,
            check=False,
        )


@pytest.fixture
def plan(target_config: Callable[..., Path], apollo: Sandbox) -> Plan:
    return Plan(target_config, apollo)


def rows() -> list[Message]:
    return [
        schema("accounts"),
        record("accounts", id=1, domain="firm1.com"),
        schema("contacts"),
        *[record("contacts", id=n, email=f"p{n}@firm{n}.com", title="CEO") for n in range(5)],
        record("contacts", id=5, email="no address"),
        record("contacts", id=6, email="p1@firm1.com", title="CEO"),
        state({"at": 6}),
    ]


def test_the_plan_is_printed_and_nothing_is_written(apollo: Sandbox, plan: Plan) -> None:
    apollo.store.add_contact(email="p0@firm0.com", title="CTO")

    done = plan(rows())

    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "stream created updated unchanged rejected" in lines
    assert "accounts 1 0 0 0" in lines
    assert "contacts 4 1 1 1" in lines
    assert "POST /contacts/bulk_create 1 200 400 2,000" in lines
    assert "1 of contacts: Its e-mail address is malformed (malformed_email)" in lines
    assert any("One e-mail address in several rows, contacts: 1, 6" in line for line in lines)
    assert any("fit what is left of this minute" in line for line in lines)
    assert set(apollo.log.counts()) <= READING
    assert len(apollo.store.contacts()) == 1


@pytest.mark.full
def test_the_plan_alone_is_on_standard_output(plan: Plan) -> None:
    done = plan.process(rows())

    assert done.stdout.startswith("Plan")
    assert '{"at": 6}' not in done.stdout
    assert "Rejected contacts 5" in done.stderr


def test_values_are_shown_on_request_only(apollo: Sandbox, plan: Plan) -> None:
    apollo.store.add_contact(email="p0@firm0.com", title="CTO")

    assert "CTO" not in plan(rows()).stdout
    shown = plan(rows(), "--diffs", "3").stdout
    assert "contacts 0 title CTO CEO" in [" ".join(line.split()) for line in shown.splitlines()]


def test_the_input_can_be_a_file(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "rows.singer").write_bytes(lines_of(rows()))

    done = plan([], str(tmp_path / "rows.singer"))

    assert done.returncode == 0
    assert "created" in done.stdout


def test_a_plan_whose_run_would_fail_ends_as_the_run_would(plan: Plan) -> None:
    done = plan(rows(), max_rejected_percent=0)

    assert done.returncode == 1
    assert "max_rejected_percent" in done.stdout


def test_an_input_that_is_not_there_is_named(plan: Plan) -> None:
    done = plan([], "nowhere.singer")

    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "The input nowhere.singer can't be read: No such file or directory."
    )


def test_a_wrong_setting_is_named(plan: Plan) -> None:
    done = plan(rows(), mod="upsert")

    assert done.returncode == 2
    assert "There is no setting 'mod': did you mean 'mode'?" in done.stderr


@pytest.mark.parametrize("number", ["21", "-1", "many"])
def test_diffs_are_at_most_twenty(plan: Plan, number: str) -> None:
    done = plan(rows(), f"--diffs={number}")

    assert done.returncode == 2
    assert "Invalid value for '--diffs'" in done.stderr


def test_no_rows_are_nothing_to_do(plan: Plan) -> None:
    done = plan([schema("contacts")])

    assert done.returncode == 0
    assert "There is nothing to do." in done.stdout


def test_the_same_plan_stands_in_the_summary(plan: Plan, tmp_path: Path) -> None:
    plan(rows())

    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["dry_run"] is True
    assert summary["records"]["created"] == 6
    assert summary["estimate"]["requests"]["POST /accounts/bulk_create"] == 1
    assert summary["estimate"]["done_at"] is not None
