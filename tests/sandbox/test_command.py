"""The command ``apollo-sync sandbox`` as a process."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.helpers.tiers import sampled

COMMAND = [sys.executable, "-m", "target_apollo.sandbox"]


@contextmanager
def process(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    started = subprocess.Popen(
        [*COMMAND, "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert started.stdout is not None
        line = started.stdout.readline()
        match = re.search(r"http://127\.0\.0\.1:\d+/api/v1", line)
        assert match, line
        yield started, match[0]
    finally:
        started.kill()
        started.communicate(timeout=20)


@pytest.mark.parametrize("number", sampled([signal.SIGTERM, signal.SIGINT]))
def test_it_says_its_url_in_one_line_and_ends_cleanly(number: int) -> None:
    with process() as (started, url):
        assert requests.get(url + "/auth/health", timeout=20).json()["healthy"] is True
        started.send_signal(number)
        out, err = started.communicate(timeout=20)
        assert (started.returncode, out, err) == (0, "", "")


def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    store = ("--store", str(tmp_path / "apollo.db"))
    key = {"x-api-key": "sandbox"}
    with process(*store) as (started, url):
        made = requests.post(
            url + "/contacts", json={"email": "a@x.example"}, headers=key, timeout=20
        ).json()["contact"]
        team = requests.get(url + "/users/api_profile", headers=key, timeout=20).json()["team_id"]
        os.kill(started.pid, signal.SIGKILL)
        started.wait(20)
    with process(*store) as (_, url):
        shown = requests.get(f"{url}/contacts/{made['id']}", headers=key, timeout=20).json()
        assert shown["contact"]["email"] == "a@x.example"
        profile = requests.get(url + "/users/api_profile", headers=key, timeout=20).json()
        assert profile["team_id"] == team


def test_its_arguments_reach_the_sandbox() -> None:
    with process(
        "--strict", "--plan", "free", "--minute-limit", "7", "--day-seconds", "50",
        "--put-accounts", "--api-key", "second", "--api-key", "narrow=api/v1/labels/index",
        "--option", "shuffle_answers=true",
    ) as (_, url):  # fmt: skip
        base = url.removesuffix("/api/v1")
        options = requests.get(base + "/_sandbox/options", timeout=20).json()
        assert (options["strict"], options["plan"], options["minute_limit"]) == (True, "free", 7)
        assert (options["day_seconds"], options["put_accounts"]) == (50.0, "accepted")
        assert options["shuffle_answers"] is True
        assert "api_keys" not in options
        statuses = [
            requests.get(url + path, headers={"x-api-key": key}, timeout=20).status_code
            for key, path in (
                ("second", "/contact_stages"),
                ("narrow", "/labels"),
                ("narrow", "/contact_stages"),
            )
        ]
        assert statuses == [200, 200, 403]


def test_a_port_in_use_is_told_in_a_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [*COMMAND, "--port", port], capture_output=True, text=True, timeout=30
        )
    assert ended.returncode == 2
    assert f"can't listen on 127.0.0.1:{port}" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    sampled(
        [
            (["--option", "colour=red"], "`colour`"),
            (["--option", "retry_after=never"], "`retry_after`"),
            (["--minute-limit", "-1"], "--minute-limit"),
            (["--plan", "gold"], "--plan"),
            (["--store", "/dev/null/apollo.db"], "--store"),
        ]
    ),
)
def test_a_wrong_argument_is_told_in_a_sentence(arguments: list[str], named: str) -> None:
    ended = subprocess.run(
        [*COMMAND, "--port", "0", *arguments], capture_output=True, text=True, timeout=30
    )
    assert ended.returncode == 2
    assert named in ended.stderr
    assert "Traceback" not in ended.stderr
