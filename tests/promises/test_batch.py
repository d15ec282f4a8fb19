"""Taps may hand over their rows in BATCH files: they go the same way as RECORDs."""

from __future__ import annotations

import gzip
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from target_apollo.demo.meltano import ROOT, install_plugins
from target_apollo.sandbox import Fault, FaultKind, Sandbox
from tests.helpers.databases import own_database
from tests.promises.conftest import Message, Run, contact, schema, state

STATE = state({"at": 9})


def row(number: int, **values: Any) -> Message:
    found: Message = contact(number, **values)["record"]
    return found


@pytest.fixture
def batch(tmp_path: Path) -> Callable[..., Message]:
    """Writes rows to a file and returns the BATCH message that names it."""

    def write(rows: Iterable[Message | bytes], *, zipped: bool = True, **more: Any) -> Message:
        lines = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in rows]
        text = b"".join(line + b"\n" for line in lines)
        path = tmp_path / f"rows {len(list(tmp_path.glob('rows*')))}.jsonl"
        path.write_bytes(gzip.compress(text) if zipped else text)
        return {
            "type": "BATCH",
            "stream": "contacts",
            "encoding": {"format": "jsonl", "compression": "gzip" if zipped else None},
            "manifest": [path.as_uri()],
            **more,
        }

    return write


@pytest.mark.parametrize("zipped", [True, False])
def test_the_rows_of_batch_files_are_written(
    apollo: Sandbox, sync: Run, batch: Callable[..., Message], zipped: bool
) -> None:
    sent = batch([row(n) for n in range(150)], zipped=zipped)

    done = sync([schema("contacts"), sent, contact(150), STATE])

    assert (done.exit_code, done.records) == (0, {"received": 151, "created": 151})
    assert len(apollo.store.contacts()) == 151
    assert done.states == [{"at": 9}]


def test_the_files_stay_where_they_are(sync: Run, batch: Callable[..., Message]) -> None:
    sent = batch([row(1)])
    sync([schema("contacts"), sent, STATE])
    again = sync([schema("contacts"), sent, STATE])
    assert again.records == {"received": 1, "unchanged": 1}


def test_a_message_may_name_several_files_or_none(sync: Run, batch: Callable[..., Message]) -> None:
    both = [*batch([row(1)])["manifest"], *batch([row(2)], zipped=False)["manifest"]]
    sent = batch([], manifest=both)
    done = sync([schema("contacts"), batch([], manifest=[]), sent, STATE])
    assert done.records == {"received": 2, "created": 2}


def test_a_bad_line_of_a_file_costs_only_itself_and_can_be_replayed(
    sync: Run, batch: Callable[..., Message]
) -> None:
    lines = [row(1), b"{no json", b"[5]", b"", row(2, email="no address"), row(3)]

    done = sync([schema("contacts"), batch(lines), STATE])

    assert done.records == {"received": 5, "created": 2, "rejected": 3}
    assert sorted(done.reasons) == ["malformed_email", *2 * ["unreadable_line"]]
    assert "of the BATCH file rows 0.jsonl and not JSON" in done.log
    assert done.states == [{"at": 9}]


def test_state_waits_for_the_rows_of_the_files_before_it(
    apollo: Sandbox, sync: Run, batch: Callable[..., Message]
) -> None:
    apollo.inject(
        Fault(
            endpoint="POST /contacts/bulk_create",
            kind=FaultKind.ERROR_BEFORE_WRITE,
            status=500,
            times=None,
        )
    )
    done = sync([schema("contacts"), batch([row(1)]), STATE], max_retries=0)
    assert (done.exit_code, done.states) == (1, [])


def test_max_records_counts_the_rows_of_files(sync: Run, batch: Callable[..., Message]) -> None:
    done = sync(
        [schema("contacts"), contact(0), batch([row(n) for n in range(1, 50)]), contact(99)],
        max_records=5,
    )
    assert done.records == {"received": 5, "created": 5}


def test_stream_maps_apply_to_the_rows_of_files(
    apollo: Sandbox, sync: Run, batch: Callable[..., Message]
) -> None:
    maps = {"contacts": {"title": "'Engineer'"}}
    sync([schema("contacts"), batch([row(1)]), STATE], stream_maps=maps)
    assert [one["title"] for one in apollo.store.contacts()] == ["Engineer"]


def test_rows_before_their_schema_are_rejected_as_records_are(
    sync: Run, batch: Callable[..., Message]
) -> None:
    assert sync([batch([row(1)]), STATE]).reasons == ["no_schema"]


@pytest.mark.parametrize(
    ("change", "said", "exit_code"),
    [
        ({"manifest": ["file:///nowhere/rows.jsonl"]}, "rows.jsonl .* No such file", 1),
        ({"manifest": ["file:///dev/zero"]}, "it is a device", 1),
        ({"manifest": ["file:///tmp"]}, "it is a folder", 1),
        ({"manifest": ["/etc/hostname"]}, "neither on this machine .* nor in S3", 2),
        ({"manifest": ["http://127.0.0.1:9/rows"]}, "neither on this machine .* nor in S3", 2),
        ({"manifest": ["file://elsewhere/rows"]}, "neither on this machine .* nor in S3", 2),
        ({"manifest": None}, "does not say which files", 1),
        ({"encoding": None}, "does not say which files", 1),
        ({"encoding": {"format": "avro"}}, "of a kind that is not read", 2),
        ({"encoding": {"format": "jsonl", "compression": "zstd"}}, "of a kind that is not", 2),
    ],
)
def test_files_that_can_not_be_read_end_the_run_and_no_state_passes_them(
    sync: Run, batch: Callable[..., Message], change: Message, said: str, exit_code: int
) -> None:
    done = sync([schema("contacts"), batch([row(1)], **change), STATE])
    assert (done.exit_code, done.states) == (exit_code, [])
    assert len([line for line in done.log.splitlines() if "ended with exit code" in line]) == 1
    assert re.search(said, done.log)


def test_a_file_that_ends_too_early_ends_the_run(
    sync: Run, batch: Callable[..., Message], tmp_path: Path
) -> None:
    sent = batch([row(n) for n in range(500)])
    path = tmp_path / "rows 0.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    done = sync([schema("contacts"), sent, STATE])
    assert (done.exit_code, done.states) == (1, [])
    assert "it ends too early" in done.log


@pytest.mark.full
def test_a_line_as_long_as_a_gzip_bomb_is_left_out_in_little_memory(
    sync: Run, batch: Callable[..., Message], tmp_path: Path
) -> None:
    sent = batch([])
    with gzip.open(tmp_path / "rows 0.jsonl", "wb") as bomb:
        for _ in range(64):
            bomb.write(b" " * (1 << 20))
        bomb.write(b"\n" + json.dumps(row(1)).encode())
    done = sync([schema("contacts"), sent, STATE])
    assert done.reasons == ["line_too_long"]
    assert done.records["created"] == 1


# --- processes


def settings_of(path: Path, **settings: Any) -> list[str]:
    path.write_text(json.dumps(settings))
    return ["--config", str(path)]


def batch_tap(folder: Path, rows: int) -> list[str]:
    batches = {
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "storage": {"root": (folder / "batches").as_uri(), "prefix": "test-"},
        "batch_size": 40,
    }
    own = settings_of(folder / "tap.json", rows=rows, batch_config=batches)
    return [sys.executable, "-m", "tests.helpers.batch_tap", *own]


@pytest.mark.full
def test_a_tap_of_the_sdk_hands_its_files_to_target_apollo(
    free: Sandbox, run_target: Run, tmp_path: Path
) -> None:
    told = subprocess.run(batch_tap(tmp_path, 100), capture_output=True, check=True, timeout=120)
    assert b'"BATCH"' in told.stdout
    assert b'"RECORD"' not in told.stdout

    done = run_target(told.stdout, sandbox=free)

    assert (done.exit_code, done.records) == (0, {"received": 100, "created": 100})
    assert {one["first_name"] for one in free.store.contacts()} == {"Zoë"}
    assert done.last_state["bookmarks"]["contacts"]["replication_key_value"] == 100


@pytest.mark.full
def test_tap_postgres_hands_its_files_to_target_apollo(
    free: Sandbox, run_target: Run, tmp_path: Path
) -> None:
    install_plugins()
    tap = ROOT / ".meltano" / "extractors" / "tap-postgres" / "venv" / "bin" / "tap-postgres"
    storage = {"root": (tmp_path / "batches").as_uri()}
    with own_database() as server, psycopg.connect(server.url) as connection:
        connection.execute("create schema crm")
        connection.execute(
            "create table crm.contacts (id int primary key, email text, first_name text,"
            " updated_at timestamptz default now())"
        )
        connection.execute(
            "insert into crm.contacts select n, 'p' || n || '@batch.example', 'Zoë'"
            " from generate_series(1, 250) as n"
        )
        connection.commit()
        own = settings_of(
            tmp_path / "tap.json",
            sqlalchemy_url=server.url.replace("postgres://", "postgresql://"),
            filter_schemas=["crm"],
            batch_config={
                "encoding": {"format": "jsonl", "compression": "gzip"},
                "storage": storage,
            },
        )
        found = subprocess.run(
            [tap, *own, "--discover"], capture_output=True, timeout=240, check=True
        )
        catalog = json.loads(found.stdout)
        for stream in catalog["streams"]:
            for one in stream["metadata"]:
                one["metadata"]["selected"] = True
        (tmp_path / "catalog.json").write_text(json.dumps(catalog))
        command = [tap, *own, "--catalog", str(tmp_path / "catalog.json")]
        told = subprocess.run(command, capture_output=True, check=False, timeout=240)
    assert told.returncode == 0, told.stderr.decode()
    assert b'"BATCH"' in told.stdout

    done = run_target(told.stdout, sandbox=free, streams={"*": {"object": "contacts"}})

    assert (done.exit_code, done.records) == (0, {"received": 250, "created": 250})


@pytest.mark.full
def test_a_signal_ends_the_reading_of_a_file(
    free: Sandbox, tmp_path: Path, target_config: Callable[..., Path], batch: Callable[..., Message]
) -> None:
    sent = batch([row(n) for n in range(20_000)])
    config = target_config(free)
    running = subprocess.Popen(
        [sys.executable, "-m", "target_apollo", "--config", str(config)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    )
    assert running.stdin
    lines = [json.dumps(one) for one in (schema("contacts"), sent, STATE)]
    running.stdin.write("\n".join(lines).encode() + b"\n")
    running.stdin.flush()
    until = time.monotonic() + 60
    while not free.store.contacts() and time.monotonic() < until:
        time.sleep(0.05)
    running.send_signal(signal.SIGTERM)
    out, _ = running.communicate(timeout=60)
    assert running.returncode == 128 + signal.SIGTERM
    assert out == b""
    assert 0 < len(free.store.contacts()) < 20_000
