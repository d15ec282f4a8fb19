"""Rejected records are sent again and leave the file when they succeed; none is lost on the way."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from target_apollo.sandbox import Fault, FaultKind, Sandbox
from tests.helpers.commands import run_command
from tests.promises.conftest import (
    Message,
    TargetRun,
    lines_of,
    read_rejects,
    record,
    schema,
    state,
)

Run = Callable[..., TargetRun]
APOLLO_SYNC = Path(sys.executable).with_name("apollo-sync")
CREATE = "POST /contacts/bulk_create"


def contact(number: int, **values: object) -> Message:
    return record("contacts", id=number, **{"email": f"p{number}@a.com", **values})


def mismatched(*numbers: int) -> list[Message]:
    """Contacts that break their schema, which a replay without validation takes."""
    return [schema("contacts"), *(contact(n, title=n) for n in numbers)]


def emails(apollo: Sandbox) -> list[str]:
    return sorted(str(c["email"]) for c in apollo.store.contacts())


@dataclass
class Replay:
    """A replay as the user calls it; `rejects` is the file that it works on."""

    config: Callable[..., Path]
    apollo: Sandbox
    rejects: Path

    def start(self, *arguments: str, **settings: Any) -> subprocess.Popen[bytes]:
        config = self.config(self.apollo, **{"validate_records": False, **settings})
        return subprocess.Popen(
            [APOLLO_SYNC, "replay", "--config", config, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=config.parent,
        )

    def __call__(self, *arguments: str, **settings: Any) -> TargetRun:
        """Runs it inside the test, which is faster than a process."""
        config = self.config(self.apollo, **{"validate_records": False, **settings})
        out, log = io.StringIO(), io.StringIO()
        exit_code = run_command(["replay", "--config", str(config), *arguments], out, log)
        summary = self.rejects.with_name("summary.json")
        assert out.getvalue() == ""
        return TargetRun(
            exit_code=exit_code,
            states=[],
            log=log.getvalue(),
            summary=json.loads(summary.read_text()) if summary.exists() else {},
            rejects=read_rejects(self.rejects),
        )


@pytest.fixture
def replay(target_config: Callable[..., Path], apollo: Sandbox, tmp_path: Path) -> Replay:
    return Replay(target_config, apollo, tmp_path / "rejects.singer")


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


# --- what leaves the file and what stays


def test_records_that_succeed_leave_the_file(apollo: Sandbox, sync: Run, replay: Replay) -> None:
    assert sync([*mismatched(1, 2), contact(3)]).records["rejected"] == 2

    done = replay()

    assert done.exit_code == 0, done.log
    assert done.records == {"received": 2, "created": 2}
    assert emails(apollo) == ["p1@a.com", "p2@a.com", "p3@a.com"]
    assert not replay.rejects.exists()
    assert "2 rejected records are taken out" in done.log


def test_records_that_fail_again_stay_with_the_new_reason_and_one_more_attempt(
    apollo: Sandbox, sync: Run, replay: Replay
) -> None:
    sync([*mismatched(1), contact(2, title=2, email="no address")])
    first = read_rejects(replay.rejects)[1]["record"]["_reject"]

    done = [replay(max_rejected_percent=100) for _ in range(2)][-1]

    assert (done.exit_code, emails(apollo)) == (0, ["p1@a.com"])
    assert [reject["record"]["id"] for reject in done.rejects] == [2]
    again = done.rejects[0]["record"]["_reject"]
    assert (first["reason"], again["reason"]) == ("schema_mismatch", "malformed_email")
    assert (first["attempts"], again["attempts"]) == (0, 2)
    assert (again["first_at"], again["first_run_id"]) == (first["at"], first["run_id"])


def test_too_many_that_fail_again_are_an_error_as_in_any_run(sync: Run, replay: Replay) -> None:
    sync([schema("contacts"), *(contact(n, email=None) for n in range(5))])

    done = replay(max_rejected_percent=5)

    assert done.exit_code == 1
    assert "max_rejected_percent" in done.log
    assert str(replay.rejects) in done.log
    assert len(done.rejects) == 5


def test_unreadable_lines_stay_untouched(apollo: Sandbox, sync: Run, replay: Replay) -> None:
    sync(["nonsense", *mismatched(1), "half a li"])
    unreadable = [m for m in read_rejects(replay.rejects) if m["stream"] == "_unreadable"]

    done = replay()

    assert (done.exit_code, emails(apollo)) == (0, ["p1@a.com"])
    assert done.rejects == unreadable
    assert done.records == {"received": 1, "created": 1}


def test_without_rejects_there_is_nothing_to_do(apollo: Sandbox, replay: Replay) -> None:
    done = replay()

    assert done.exit_code == 0
    assert f"There are no rejected records in {replay.rejects}." in done.log
    assert list(apollo.requests) == []


def test_another_file_can_be_replayed(
    apollo: Sandbox, sync: Run, replay: Replay, tmp_path: Path
) -> None:
    sync(mismatched(1))
    other = tmp_path / "of last week.singer"
    replay.rejects.rename(other)

    done = replay("--rejects", str(other))

    assert (done.exit_code, emails(apollo)) == (0, ["p1@a.com"])
    assert not other.exists()


def test_a_rejected_row_never_overwrites_what_a_later_run_wrote(
    apollo: Sandbox, sync: Run, replay: Replay
) -> None:
    sync([schema("contacts"), contact(1, title=17)])
    rejects = replay.rejects.read_bytes()
    time.sleep(1.1)  # a reject's time is in whole seconds
    sync([schema("contacts"), contact(1, title="mended")])
    replay.rejects.write_bytes(rejects)

    done = replay()

    assert done.records == {"received": 1, "skipped": 1}
    assert [c["title"] for c in apollo.store.contacts()] == ["mended"]
    assert not replay.rejects.exists()


def test_two_rejects_of_a_row_end_with_the_newer_values(
    apollo: Sandbox, sync: Run, replay: Replay
) -> None:
    sync([schema("contacts"), contact(1, title=1), contact(1, title=2)])

    replay(batch_size=1, parallel_requests=1)

    assert [c["title"] for c in apollo.store.contacts()] == ["2"]
    assert not replay.rejects.exists()


# --- settings and endings


def test_wrong_credentials_leave_the_file_as_it_is(sync: Run, replay: Replay) -> None:
    sync(mismatched(1))
    before = replay.rejects.read_bytes()

    done = replay(api_key="wrong-key-xyz")

    assert done.exit_code == 2
    assert replay.rejects.read_bytes() == before
    assert sorted(path.name for path in replay.rejects.parent.glob("rejects*")) == [
        "rejects.singer"
    ]


def test_wrong_settings_are_said_before_anything_is_sent(apollo: Sandbox, replay: Replay) -> None:
    done = replay(moode="insert")

    assert (done.exit_code, list(apollo.requests)) == (2, [])
    assert "did you mean 'mode'?" in done.log


@pytest.mark.full
def test_a_signal_keeps_what_has_no_outcome(apollo: Sandbox, sync: Run, replay: Replay) -> None:
    sync(mismatched(*range(30)))
    apollo.inject(Fault(endpoint=CREATE, kind=FaultKind.SLOW, seconds=1.5, after=1))

    process = replay.start(batch_size=10, parallel_requests=1)
    until(lambda: apollo.count(CREATE) == 2)
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=60)

    assert process.returncode == 128 + signal.SIGTERM, log
    stay = {reject["record"]["email"] for reject in read_rejects(replay.rejects)}
    assert stay | set(emails(apollo)) == {f"p{n}@a.com" for n in range(30)}
    assert 0 < len(stay) < 30


@pytest.mark.full
@pytest.mark.parametrize("requests", [1, 2, 3])
def test_a_replay_that_is_killed_loses_nothing_and_the_next_doubles_nothing(
    apollo: Sandbox, sync: Run, replay: Replay, requests: int
) -> None:
    sync([*mismatched(*range(30)), contact(30, email=None)])
    before = replay.rejects.read_bytes()
    apollo.inject(Fault(endpoint=CREATE, kind=FaultKind.SLOW, seconds=2, after=requests - 1))

    process = replay.start(batch_size=10, parallel_requests=1)
    until(lambda: apollo.count(CREATE) == requests)
    process.kill()
    process.communicate(timeout=60)

    assert replay.rejects.read_bytes() == before

    done = replay(max_rejected_percent=100)

    assert done.exit_code == 0, done.log
    assert emails(apollo) == sorted(f"p{n}@a.com" for n in range(30))
    assert [reject["record"]["id"] for reject in done.rejects] == [30]


@pytest.mark.full
def test_a_second_replay_of_the_same_file_is_refused(
    apollo: Sandbox, sync: Run, replay: Replay
) -> None:
    sync(mismatched(1))
    # Longer than a process takes to start on a machine that has other things to do.
    apollo.inject(Fault(endpoint=CREATE, kind=FaultKind.SLOW, seconds=8))

    with replay.start() as first:
        until(lambda: apollo.count(CREATE) == 1)
        second = replay()
        first.communicate(timeout=60)

    assert (first.returncode, second.exit_code) == (0, 2)
    assert "Another replay of" in second.log
    assert apollo.count(CREATE) == 1


@pytest.mark.full
def test_what_a_run_rejects_during_a_replay_is_in_the_file_afterwards(
    apollo: Sandbox, sync: Run, run_target: Run, replay: Replay, tmp_path: Path
) -> None:
    sync(mismatched(*range(5)))
    saved = replay.rejects.read_bytes()
    apollo.inject(Fault(endpoint=CREATE, kind=FaultKind.SLOW, seconds=4))

    with replay.start() as process:
        until(lambda: apollo.count(CREATE) == 1)
        config = json.loads((tmp_path / "config.json").read_text())
        other = tmp_path / "other.json"
        other.write_text(json.dumps({**config, "validate_records": True, "ledger_url": ""}))
        subprocess.run(
            [sys.executable, "-m", "target_apollo", "--config", other],
            input="".join(json.dumps(m) + "\n" for m in mismatched(77)).encode(),
            check=True,
            timeout=60,
            cwd=tmp_path,
        )
        assert replay.rejects.read_bytes().startswith(saved)
        process.communicate(timeout=60)

    assert process.returncode == 0
    assert [reject["record"]["id"] for reject in read_rejects(replay.rejects)] == [77]
    assert replay().exit_code == 0
    assert emails(apollo) == sorted([*(f"p{n}@a.com" for n in range(5)), "p77@a.com"])


# --- the file as an ordinary input


def test_the_file_can_be_piped_into_the_target(apollo: Sandbox, sync: Run, replay: Replay) -> None:
    sync(["nonsense", *mismatched(1, 2)])
    piped = replay.rejects.read_bytes()

    done = sync(piped, validate_records=False)

    assert done.exit_code == 0, done.log
    assert done.records == {"received": 3, "created": 2, "skipped": 1}
    assert emails(apollo) == ["p1@a.com", "p2@a.com"]
    assert (done.rejects, done.summary["unknown_fields"]) == ([], {"contacts": []})
    assert "'_unreadable' are left out" in done.log


def test_a_record_that_fails_again_in_a_pipe_counts_its_attempts(sync: Run, replay: Replay) -> None:
    sync([schema("contacts"), contact(1, email=None)])

    done = sync(replay.rejects.read_bytes())

    assert [reject["record"]["_reject"]["attempts"] for reject in done.rejects] == [1]


def test_a_schema_that_lets_nothing_else_in_takes_its_rejects_back(
    apollo: Sandbox, sync: Run, replay: Replay
) -> None:
    properties = {"id": {"type": "integer"}, "email": {"type": "string", "maxLength": 8}}
    strict = {"type": "object", "additionalProperties": False, "properties": properties}
    sync([schema("contacts", strict), contact(1, email="longer@a.com")])

    done = sync(replay.rejects.read_bytes().replace(b'"maxLength":8', b'"maxLength":80'))

    assert done.records == {"received": 1, "created": 1}
    assert done.summary["unknown_fields"] == {"contacts": []}
    assert emails(apollo) == ["longer@a.com"]


@pytest.mark.full
def test_a_run_that_reads_the_file_it_appends_to_comes_to_an_end(
    apollo: Sandbox, sync: Run, replay: Replay
) -> None:
    sync(["nonsense", *mismatched(*range(500))])
    config = replay.config(apollo)

    with replay.rejects.open("ab") as end:
        # The rejects before a STATE are on disk before it is passed on.
        end.write(lines_of([state({"n": 1})]))

    tail = subprocess.Popen(["tail", "-n", "+1", "-f", replay.rejects], stdout=subprocess.PIPE)
    target = subprocess.Popen(
        [sys.executable, "-m", "target_apollo", "--config", config],
        stdin=tail.stdout,
        stdout=subprocess.DEVNULL,
        stderr=(replay.rejects.parent / "log").open("wb"),
        cwd=config.parent,
    )
    try:
        # Each of the 500 is rejected once more; then the file has to stop growing.
        until(lambda: replay.rejects.read_bytes().count(b'"_reject"') >= 1001)
        size = replay.rejects.stat().st_size
        time.sleep(3)
        assert replay.rejects.stat().st_size == size
        tail.terminate()
        assert target.wait(60) == 0
    finally:
        tail.kill()
        target.kill()
        tail.wait()
        target.wait()
    assert "come back on its input" in (replay.rejects.parent / "log").read_text()
    assert replay.rejects.stat().st_size == size


def test_a_dry_replay_sends_nothing_and_takes_nothing_out(replay: Replay, sync: Run) -> None:
    sync(mismatched(1, 2, 3))
    before = replay.rejects.read_bytes()
    replay.apollo.reset_log()

    planned = replay(dry_run=True)

    assert planned.exit_code == 0
    assert planned.summary["records"]["created"] == 3
    assert replay.rejects.read_bytes() == before
    assert sorted(path.name for path in replay.rejects.parent.glob("rejects*")) == [
        "rejects.singer"
    ]
    assert replay.apollo.log.count(CREATE) == 0


# --- rows of several sources


@pytest.mark.full
def test_rejects_of_two_sources_with_one_key_are_both_sent(
    sync: Run, replay: Replay, apollo: Sandbox, tmp_path: Path
) -> None:
    before = b""
    for source in ("tap-crm", "tap-shop"):
        wrong = contact(1, email=f"p1@{source}.example", title=1)
        sync([schema("contacts"), wrong], source=source)
        before += (tmp_path / "rejects.singer").read_bytes()
    (tmp_path / "rejects.singer").write_bytes(before)

    done = replay()

    assert (done.exit_code, done.rejects) == (0, [])
    assert emails(apollo) == ["p1@tap-crm.example", "p1@tap-shop.example"]
    for source in ("tap-crm", "tap-shop"):
        right = contact(1, email=f"p1@{source}.example", title="1")
        again = sync([schema("contacts"), right], source=source)
        assert again.records == {"received": 1, "unchanged": 1}


def test_what_is_rejected_again_keeps_its_source(sync: Run, replay: Replay, tmp_path: Path) -> None:
    sync([schema("contacts"), contact(1, email="no address")], source="tap-crm")
    for _ in range(2):
        (left,) = replay().rejects
        assert left["record"]["_reject"]["source"] == "tap-crm"


def test_a_replay_in_the_second_of_the_rejection_is_not_outdated(
    sync: Run, replay: Replay, apollo: Sandbox
) -> None:
    sync([schema("contacts"), contact(1)])
    sync([schema("contacts"), contact(1, title=1)])
    assert replay().records == {"received": 1, "updated": 1}
    (stored,) = apollo.store.contacts()
    assert stored["title"] == "1"
