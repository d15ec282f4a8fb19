"""The mapper as a process: pipes, signals, exit codes, and ``--about``."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.leads import NOW, Message, bookmark, config, encode, record, schema
from tests.helpers.tiers import sampled

COMMAND = [str(Path(sys.executable).with_name("map-apollo-leads"))]
SECONDS = 60


def environment(now: str = NOW.isoformat()) -> Mapping[str, str]:
    return {**os.environ, "MAP_APOLLO_LEADS_NOW": now}


def lines(*messages: Message | bytes) -> bytes:
    return b"".join(encode(message) + b"\n" for message in messages)


# The mapper reads all of it, and is then still writing it.
MANY = lines(schema(), *[record(id=at, name="x" * 200) for at in range(120)])


def narrow(running: subprocess.Popen[bytes]) -> None:
    """Make the pipe after the mapper so small that it holds only a few lines."""
    assert running.stdout
    fcntl.fcntl(running.stdout, fcntl.F_SETPIPE_SZ, 4096)


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    return [*COMMAND, "--config", write(tmp_path, config(verdicts_path=str(tmp_path / "v")))]


def write(tmp_path: Path, settings: Any) -> str:
    path = tmp_path / "config.json"
    path.write_text(settings if isinstance(settings, str) else json.dumps(settings))
    return str(path)


def run(command: list[str], given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command, input=given, capture_output=True, env=environment(), timeout=SECONDS, check=False
    )


@pytest.fixture(params=sampled({"buffered": "", "unbuffered": "1"}))
def running(
    command: list[str], request: pytest.FixtureRequest
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**environment(), "PYTHONUNBUFFERED": request.param},
    )
    yield process
    process.kill()
    process.wait(SECONDS)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream and not stream.closed:
            with contextlib.suppress(BrokenPipeError):
                stream.close()


def test_leads_go_through_a_process_and_the_end_says_what_became_of_them(
    command: list[str],
) -> None:
    done = run(command, lines(schema(), record(id=1), record(id=2, stage="Cold")))
    assert done.returncode == 0
    assert [json.loads(line)["type"] for line in done.stdout.splitlines()] == ["SCHEMA", "RECORD"]
    assert b"2 leads: 1 passed, 0 held, 1 dropped" in done.stderr
    assert b"rule stage: 1 failed it first, 1 at all" in done.stderr


@pytest.mark.full
def test_no_value_of_a_lead_is_logged(command: list[str]) -> None:
    done = run(command, lines(schema(), record(name="Secret Name", domain="secret.con")))
    assert b"ecret" not in done.stderr


def test_a_lead_goes_on_at_once_while_the_tap_is_silent(
    running: subprocess.Popen[bytes],
) -> None:
    assert running.stdin
    assert running.stdout
    running.stdin.write(lines(schema(), record(id=1)))
    running.stdin.flush()
    assert json.loads(running.stdout.readline())["type"] == "SCHEMA"
    assert json.loads(running.stdout.readline())["record"]["id"] == 1


@pytest.mark.parametrize("signum", sampled([signal.SIGTERM, signal.SIGINT]))
def test_a_signal_while_it_waits_ends_it_with_its_counts(
    running: subprocess.Popen[bytes], signum: signal.Signals
) -> None:
    assert running.stdin
    assert running.stdout
    running.stdin.write(lines(schema(), record(id=1)) + b'{"type":"RECORD","str')
    running.stdin.flush()
    running.stdout.readline()
    running.stdout.readline()
    running.send_signal(signum)
    out, said = running.communicate(timeout=SECONDS)
    assert running.returncode == 128 + signum
    assert out == b""
    assert b"1 leads: 1 passed" in said
    assert b"Traceback" not in said


@pytest.mark.full
def test_a_signal_while_the_target_is_slow_cuts_no_line(running: subprocess.Popen[bytes]) -> None:
    assert running.stdin
    assert running.stderr
    assert running.stdout
    narrow(running)
    running.stdin.write(MANY)
    running.stdin.flush()
    first = running.stdout.readline()
    time.sleep(0.5)
    running.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    assert running.poll() is None
    out, said = running.stdout.read(), running.stderr.read()
    assert running.wait(SECONDS) == 128 + signal.SIGTERM
    assert out.endswith(b"\n")
    for line in (first + out).splitlines(keepends=True):
        assert line.endswith(b"\n")
        json.loads(line)
    assert b"Traceback" not in said


@pytest.mark.full
def test_a_second_signal_does_not_wait_for_a_target_that_hangs(
    running: subprocess.Popen[bytes],
) -> None:
    assert running.stdin
    assert running.stdout
    narrow(running)
    running.stdin.write(MANY)
    running.stdin.flush()
    running.stdout.readline()
    time.sleep(0.5)
    running.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    running.send_signal(signal.SIGTERM)
    assert running.wait(SECONDS) == 128 + signal.SIGTERM


@pytest.mark.full
def test_a_target_that_closes_its_input_ends_it_with_a_sentence(
    running: subprocess.Popen[bytes],
) -> None:
    assert running.stdin
    assert running.stdout
    assert running.stderr
    running.stdin.write(lines(schema()))
    running.stdin.flush()
    running.stdout.readline()
    running.stdout.close()
    running.stdin.write(lines(record()))
    running.stdin.flush()
    said = running.stderr.read()
    assert running.wait(SECONDS) == 1
    assert b"The target closed its input before the end" in said
    assert b"1 leads: 1 passed" in said
    assert b"Traceback" not in said
    assert b"BrokenPipeError" not in said


@pytest.mark.full
def test_lines_of_any_length_and_a_last_line_without_end_come_through(command: list[str]) -> None:
    given = lines(schema(), record(id=1, name="x" * 5_000_000)) + encode(record(id=2))
    done = run(command, given)
    assert [len(line) > 5_000_000 for line in done.stdout.splitlines()] == [False, True, False]


@pytest.mark.full
def test_a_state_longer_than_any_record_comes_through_as_it_is(command: list[str]) -> None:
    given = b'{"type":"STATE","value":{"bookmarks":{"other":{"at":"' + b"x" * (9 << 20) + b'"}}}}\n'

    done = run(command, given)

    assert (done.returncode, done.stdout) == (0, given)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"stream": "leads"}, b"Unknown setting 'stream'; did you mean 'streams'? Known: "),
        ({"rules": {"setled": True}}, b"Unknown rule 'setled'; did you mean 'settled'? Known: "),
        ({"rules": {"owner_mapped": False}}, b"Setting rules.stage: needs `order`"),
        ("{", b"is no JSON: see line 1"),
    ],
)
def test_a_wrong_setting_ends_the_run_with_exit_code_2_and_a_sentence(
    tmp_path: Path, settings: Any, said: bytes
) -> None:
    done = run([*COMMAND, "--config", write(tmp_path, settings)])
    assert done.returncode == 2
    assert said in done.stderr
    assert b"Traceback" not in done.stderr
    assert done.stdout == b""


@pytest.mark.full
def test_a_config_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    done = run([*COMMAND, "--config", str(tmp_path / "none.json")])
    assert done.returncode == 2
    assert b"can't be read" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.full
def test_settings_come_from_the_environment_too(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "--config", "ENV"],
        input=lines(schema()),
        capture_output=True,
        env={
            **environment(),
            "MAP_APOLLO_LEADS_STREAMS": '["leads"]',
            "MAP_APOLLO_LEADS_RULES": json.dumps(config()["rules"]),
            "MAP_APOLLO_LEADS_OUTPUT_STREAM": "accounts",
            "MAP_APOLLO_LEADS_VERDICTS_PATH": str(tmp_path / "v"),
        },
        timeout=SECONDS,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["stream"] == "accounts"


@pytest.mark.full
def test_a_property_that_the_schema_lacks_ends_the_run_with_exit_code_2(
    command: list[str],
) -> None:
    done = run(command, lines(schema(without=["stage"]), record()))
    assert done.returncode == 2
    assert b"The rule stage names the property 'stage'" in done.stderr
    assert b"Traceback" not in done.stderr
    assert done.stdout == b""


@pytest.mark.full
def test_no_state_passes_that_can_not_be_set_back(command: list[str]) -> None:
    lsn = {"type": "STATE", "value": {"bookmarks": {"leads": {"lsn": 7}}}}
    done = run(command, lines(schema(), lsn))
    assert done.returncode == 2
    assert b"STATE" not in done.stdout
    assert b"set rules.settled to false" in done.stderr


@pytest.mark.full
def test_about_names_the_settings_and_each_rule_s_options() -> None:
    done = run([*COMMAND, "--about", "--format", "json"])
    about = json.loads(done.stdout)
    rules = about["settings"]["properties"]["rules"]["properties"]
    assert about["name"] == "map-apollo-leads"
    assert rules["settled"]["anyOf"][1]["properties"]["minutes"]["default"] == 5
    assert rules["valid_email"]["description"].endswith("Off by default.")


@pytest.mark.full
def test_the_version_is_printed() -> None:
    assert run([*COMMAND, "--version"]).stdout.startswith(b"map-apollo-leads v")


@pytest.mark.full
def test_a_held_lead_goes_on_in_a_later_run_of_a_tap_that_honours_its_bookmark(
    command: list[str],
) -> None:
    rows = [record(id=1), record(id=2, updated_at="2026-11-20T11:59:00+00:00")]
    newest = bookmark("2026-11-20T11:59:00+00:00")
    first = run(command, lines(schema(), *rows, newest))
    state = json.loads(first.stdout.splitlines()[-1])
    since = state["value"]["bookmarks"]["leads"]["replication_key_value"]
    again = [row for row in rows if row["record"]["updated_at"] >= since]
    later = subprocess.run(
        command,
        input=lines(schema(), *again, newest),
        capture_output=True,
        env=environment("2026-11-20T12:10:00Z"),
        timeout=SECONDS,
        check=True,
    )
    sent = [json.loads(line) for line in later.stdout.splitlines()]
    assert [one["record"]["id"] for one in sent if one["type"] == "RECORD"] == [2]
    assert sent[-1] == newest
