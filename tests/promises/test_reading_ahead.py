"""While the requests of a flush are under way, the records of the next one are read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from target_apollo.sandbox import Fault, FaultKind, Sandbox
from tests.promises.conftest import Message, Run, contact, lines_of, record, schema, state

CREATE = "POST /contacts/bulk_create"
#: Far more than a pipe holds by itself.
LONG_TITLE = "x" * 300_000
SMALL_FLUSHES = {"batch_size": 2, "parallel_requests": 1}
Config = Callable[..., Path]


@contextmanager
def running(config: Path, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """A target process and its input, which stays open."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "target_apollo", "--config", str(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=folder,
        )
    assert process.stdin is not None
    try:
        yield process, process.stdin
    finally:
        process.kill()
        process.communicate()


def send(pipe: IO[bytes], *messages: Message) -> None:
    pipe.write(lines_of(messages))
    pipe.flush()


def states(process: subprocess.Popen[bytes]) -> Iterator[int]:
    assert process.stdout is not None
    for line in process.stdout:
        yield json.loads(line)["n"]


def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("waited in vain")


@pytest.fixture
def held_answers(apollo: Sandbox) -> Sandbox:
    """A sandbox that writes at once, and answers the first bulk_create after a while."""
    apollo.inject(Fault(CREATE, FaultKind.SLOW, seconds=3))
    return apollo


@pytest.mark.full
def test_the_next_records_are_read_while_apollo_is_at_work(
    held_answers: Sandbox, tmp_path: Path, target_config: Config
) -> None:
    config = target_config(held_answers, **SMALL_FLUSHES)
    with running(config, tmp_path) as (process, pipe):
        send(pipe, schema("contacts"), contact(1), contact(2), state({"n": 2}))
        until(lambda: held_answers.count(CREATE) == 1)
        # It is through the pipe only when the target has taken it out.
        sent = threading.Thread(target=send, args=(pipe, contact(3, title=LONG_TITLE)))
        sent.start()
        sent.join(2)
        assert not sent.is_alive()
        assert next(states(process)) == 2


@pytest.mark.full
def test_no_state_passes_the_records_of_a_flush_under_way(
    held_answers: Sandbox, tmp_path: Path, target_config: Config
) -> None:
    config = target_config(held_answers, **SMALL_FLUSHES)
    with running(config, tmp_path) as (process, pipe):
        send(pipe, schema("contacts"), contact(1), contact(2), state({"n": 2}), contact(3))
        until(lambda: held_answers.count(CREATE) == 1)
        send(pipe, state({"n": 3}))
        os.kill(process.pid, signal.SIGKILL)
        assert list(states(process)) == []


@pytest.mark.full
def test_what_a_kill_leaves_under_way_is_put_right_by_the_next_run(
    held_answers: Sandbox, tmp_path: Path, target_config: Config, sync: Run
) -> None:
    config = target_config(held_answers, **SMALL_FLUSHES)
    with running(config, tmp_path) as (process, pipe):
        send(pipe, schema("contacts"), contact(1), contact(2), contact(3))
        until(lambda: len(held_answers.store.contacts()) == 2)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(20)
    done = sync([schema("contacts"), contact(1), contact(2), contact(3)])
    assert done.exit_code == 0
    assert len(held_answers.store.contacts()) == 3


@pytest.mark.full
def test_a_flush_is_finished_when_the_tap_falls_silent(
    apollo: Sandbox, tmp_path: Path, target_config: Config
) -> None:
    config = target_config(apollo, **SMALL_FLUSHES, max_record_age_seconds=3600)
    with running(config, tmp_path) as (process, pipe):
        send(pipe, schema("contacts"), contact(1), contact(2), state({"n": 2}))
        # The input stays open, and there is not one record more.
        assert next(states(process)) == 2


@pytest.mark.full
def test_a_signal_lets_the_flush_under_way_have_its_answers(
    held_answers: Sandbox, tmp_path: Path, target_config: Config
) -> None:
    config = target_config(held_answers, **SMALL_FLUSHES)
    with running(config, tmp_path) as (process, pipe):
        send(pipe, schema("contacts"), contact(1), contact(2), state({"n": 2}), contact(3))
        until(lambda: held_answers.count(CREATE) == 1)
        # It waits for more to come, not for an answer.
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        assert list(states(process)) == [2]
        assert process.wait(20) == 128 + signal.SIGTERM


def test_accounts_under_way_are_known_to_the_contacts_that_name_them(
    apollo: Sandbox, sync: Run
) -> None:
    wide = {
        "properties": {"id": {}, "email": {"type": "string"}, "account_domain": {"type": "string"}}
    }
    done = sync(
        [
            schema("accounts"),
            *(record("accounts", id=n, domain=f"firm{n}.com", name=f"Firm {n}") for n in (1, 2)),
            schema("contacts", wide),
            *(
                record("contacts", id=n, email=f"p{n}@a.com", account_domain=f"firm{n}.com")
                for n in (1, 2)
            ),
        ],
        **SMALL_FLUSHES,
    )
    assert done.records == {"received": 4, "created": 4}
    accounts = {one["id"] for one in apollo.store.accounts()}
    assert {one["account_id"] for one in apollo.store.contacts()} == accounts


def test_two_streams_with_the_same_person_make_one_contact(apollo: Sandbox, sync: Run) -> None:
    streams = {"people": {"object": "contacts"}, "buyers": {"object": "contacts"}}
    messages = [
        schema("people"),
        schema("buyers"),
        *(record("people", id=n, email=f"p{n}@a.com", first_name="Ada") for n in (1, 2)),
        *(record("buyers", id=n, email=f"p{n}@a.com", title="Buyer") for n in (1, 2)),
    ]
    sync(messages, streams=streams, **SMALL_FLUSHES)
    found = sorted((c["email"], c["first_name"], c["title"]) for c in apollo.store.contacts())
    assert found == [("p1@a.com", "Ada", "Buyer"), ("p2@a.com", "Ada", "Buyer")]


def test_a_row_that_changes_while_it_is_under_way_ends_as_it_came_last(
    apollo: Sandbox, sync: Run
) -> None:
    rows = [contact(1, title="Clerk"), contact(2), contact(1, title="Head"), contact(3)]
    done = sync([schema("contacts"), *rows], **SMALL_FLUSHES)
    assert done.exit_code == 0
    titles = {c["email"]: c["title"] for c in apollo.store.contacts()}
    assert titles["p1@a.com"] == "Head"


@pytest.mark.usefixtures("apollo")
def test_a_row_that_is_rejected_after_one_under_way_is_not_taken_for_written(sync: Run) -> None:
    rows = [contact(1), contact(2), contact(1, email="no address"), contact(3)]
    first = sync([schema("contacts"), *rows], **SMALL_FLUSHES)
    assert first.records == {"received": 4, "created": 3, "rejected": 1}
    again = sync([schema("contacts"), contact(1)], **SMALL_FLUSHES)
    assert again.records == {"received": 1, "updated": 1}
