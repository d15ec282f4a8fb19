"""The lines that a replay leaves in a rejects file, whatever the file and other runs hold."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from target_apollo.cli.replay_file import (
    LONGEST_ENTRY,
    RecordsWithOutcome,
    RejectedLines,
    leave_only_rejected,
    lines_of,
)
from target_apollo.model.outcomes import Reason, Rejection
from target_apollo.sync.rejects.rejects_file import RejectsFile
from target_apollo.sync.source_record import SourceRecord
from target_apollo.system.files import locked, open_private
from target_apollo.target.odd_lines import Message

SCHEMA = {"properties": {"id": {"type": "integer"}}}
WHY = Rejection(Reason.REFUSED, "Apollo refused it.")


def with_outcome(*numbers: int) -> RecordsWithOutcome:
    found = RecordsWithOutcome()
    for number in numbers:
        found.add(SourceRecord(number, "contacts", {}, None, ()))
    return found


def rejected(path: Path, stream: str, *ids: int, wide: bool = False) -> None:
    """Appends rejects as a run does."""
    file = RejectsFile(path, "run-1")
    schema = {"properties": {**SCHEMA["properties"], "wide": {}}} if wide else SCHEMA
    for number in ids:
        file.append(stream, schema, ("id",), {"id": number}, WHY)
    file.close()


def replayed(path: Path, *numbers: int, meanwhile: Any = None) -> None:
    """What a replay does with the file once these records have their outcome."""
    with open_private(path) as file:
        size = os.fstat(file.fileno()).st_size
        if meanwhile is not None:
            meanwhile()
        leave_only_rejected(path, file, size, with_outcome(*numbers), path.with_name("successor"))


def messages(path: Path) -> list[Message]:
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def kept(path: Path) -> list[tuple[str, int]]:
    """Stream and id of the records, each of which must have its stream's SCHEMA before it."""
    found, described = [], set()
    for message in messages(path):
        if message["type"] == "SCHEMA":
            described.add(message["stream"])
        else:
            assert message["stream"] in described
            found.append((message["stream"], message["record"].get("id")))
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rejects.singer"


def test_records_with_an_outcome_leave_the_file_and_the_others_stay_as_they_were(
    path: Path,
) -> None:
    rejected(path, "contacts", 1, 2, 3)
    before = path.read_bytes().splitlines()

    replayed(path, 1, 3)

    assert path.read_bytes().splitlines() == [before[0], before[2]]


def test_a_file_from_which_all_is_gone_is_gone(path: Path) -> None:
    rejected(path, "contacts", 1, 2)

    replayed(path, 1, 2)

    assert list(path.parent.iterdir()) == []


def test_records_keep_the_schema_under_which_they_were_rejected(path: Path) -> None:
    rejected(path, "contacts", 1)
    rejected(path, "contacts", 2, wide=True)
    rejected(path, "contacts", 3)

    replayed(path, 1)

    found = [sorted(m["schema"]["properties"]) for m in messages(path) if m["type"] == "SCHEMA"]
    assert found == [["id", "wide"], ["id"]]
    assert kept(path) == [("contacts", 2), ("contacts", 3)]


def test_lines_that_nobody_can_send_stay_to_the_letter(path: Path) -> None:
    file = RejectsFile(path, "run-1")
    file.append_line(b'{"type": "RECO', 7, WHY)
    file.append("contacts", SCHEMA, ("id",), {"id": 1}, WHY)
    file.close()
    unreadable = path.read_bytes().splitlines(keepends=True)[:2]
    others = [b"half a li\n", b'{"type":"STATE","value":1}\n', b"\xff\xfe\n"]
    with path.open("ab") as end:
        end.writelines(others)

    replayed(path, 1)

    assert path.read_bytes().splitlines(keepends=True) == [*unreadable, *others]


def test_a_line_too_long_to_be_sent_stays_to_the_letter(path: Path) -> None:
    long = b'{"type":"RECORD","stream":"contacts","record":{"a":"' + b"x" * LONGEST_ENTRY + b'"}}\n'
    path.write_bytes(long)
    rejected(path, "contacts", 1)

    replayed(path, 1)

    assert path.read_bytes() == long


def test_half_a_last_line_does_not_run_into_the_next(path: Path) -> None:
    rejected(path, "contacts", 1)
    with path.open("ab") as end:
        end.write(b'{"type":"RECORD","stream":"con')

    rejected(path, "contacts", 2)

    assert [line.kind for line in _lines(path)] == ["SCHEMA", "RECORD", "", "SCHEMA", "RECORD"]


def _lines(path: Path) -> list[Any]:
    with path.open("rb") as file:
        return list(lines_of(file, path.stat().st_size))


def test_what_a_run_appends_during_a_replay_is_kept_with_its_schema(path: Path) -> None:
    rejected(path, "contacts", 1, 2)

    replayed(path, 1, 2, meanwhile=lambda: rejected(path, "accounts", 8))

    assert kept(path) == [("accounts", 8)]


def test_a_run_that_wrote_its_schema_before_the_replay_goes_on_in_the_new_file(path: Path) -> None:
    run = RejectsFile(path, "run-1")
    run.append("contacts", SCHEMA, ("id",), {"id": 1}, WHY)
    run.sync()

    def go_on() -> None:
        run.append("contacts", SCHEMA, ("id",), {"id": 2}, WHY)
        run.sync()

    replayed(path, 1, meanwhile=go_on)
    run.append("contacts", SCHEMA, ("id",), {"id": 3}, WHY)
    run.close()

    assert kept(path) == [("contacts", 2), ("contacts", 3)]


def test_a_run_whose_file_is_gone_after_a_replay_begins_a_new_one(path: Path) -> None:
    run = RejectsFile(path, "run-1")
    run.append("contacts", SCHEMA, ("id",), {"id": 1}, WHY)
    run.sync()

    replayed(path, 1)
    run.append("contacts", SCHEMA, ("id",), {"id": 2}, WHY)
    run.close()

    assert kept(path) == [("contacts", 2)]


def test_two_runs_that_take_turns_leave_each_record_after_its_own_schema(path: Path) -> None:
    narrow, wide = (RejectsFile(path, name) for name in ("narrow", "wide"))
    for number in range(2):
        narrow.append("contacts", SCHEMA, ("id",), {"id": number}, WHY)
        narrow.sync()
        wide.append("contacts", {"properties": {"id": {}}}, ("id",), {"id": number}, WHY)
        wide.sync()

    schemas = [m["schema"] for m in messages(path) if m["type"] == "SCHEMA"]
    assert schemas == [SCHEMA, {"properties": {"id": {}}}] * 2


def test_a_run_that_waits_for_the_lock_appends_to_the_file_that_took_the_place(path: Path) -> None:
    rejected(path, "contacts", 1)
    successor = path.with_name("successor")
    rejected(successor, "contacts", 2)
    appending = threading.Thread(target=rejected, args=(path, "contacts", 3))

    with locked(path):
        appending.start()
        appending.join(0.3)
        assert appending.is_alive()
        successor.replace(path)
    appending.join(30)

    assert kept(path) == [("contacts", 2), ("contacts", 3)]


def test_a_file_that_was_taken_away_meanwhile_costs_no_reject(path: Path) -> None:
    rejected(path, "contacts", 1, 2)

    def take_away() -> None:
        path.rename(path.with_name("taken"))
        rejected(path, "accounts", 8)

    replayed(path, 1, meanwhile=take_away)

    assert sorted(kept(path)) == [("accounts", 8), ("contacts", 2)]
    assert not path.with_name("successor").exists()


def test_the_successor_is_for_its_owner_only(path: Path) -> None:
    rejected(path, "contacts", 1, 2)

    replayed(path, 1)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_successor_that_can_t_be_written_leaves_the_file_as_it_was(path: Path) -> None:
    rejected(path, "contacts", 1, 2)
    before = path.read_bytes()
    path.with_name("successor").mkdir()

    with pytest.raises(OSError, match="folder"):
        replayed(path, 1)

    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("owner", "step"), [(os, "fsync"), (Path, "replace"), (os.path, "samestat")]
)
def test_a_replay_that_breaks_off_at_any_step_leaves_the_file_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, step: str
) -> None:
    rejected(path, "contacts", 1, 2)
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(owner, step, fail)
        with pytest.raises(OSError, match="No space left"):
            replayed(path, 1)
    assert path.read_bytes() == before

    # What was left beside it is no hindrance.
    path.with_name("successor").unlink(missing_ok=True)
    replayed(path, 1)
    assert kept(path) == [("contacts", 2)]


def test_a_disk_that_is_full_takes_no_half_of_a_block(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RejectsFile(path, "run-1")
    run.append("contacts", SCHEMA, ("id",), {"id": 1}, WHY)
    run.sync()
    before = path.read_bytes()
    run.append("contacts", SCHEMA, ("id",), {"id": 2}, WHY)
    real = os.write

    def half(descriptor: int, content: bytes) -> int:
        if len(content) < 20:
            raise OSError(28, "No space left on device")
        return real(descriptor, content[: len(content) // 2])

    with monkeypatch.context() as full:
        full.setattr(os, "write", half)
        with pytest.raises(OSError, match="No space left"):
            run.sync()
    assert path.read_bytes() == before

    run.close()
    assert kept(path) == [("contacts", 1), ("contacts", 2)]


def test_only_schemas_and_records_of_real_streams_are_sent(path: Path) -> None:
    file = RejectsFile(path, "run-1")
    file.append_line(b"nonsense", 7, WHY)
    file.append("contacts", SCHEMA, ("id",), {"id": 1}, WHY)
    file.close()
    with path.open("ab") as end:
        end.write(b'nonsense\n\n{"type":"STATE","value":1}')

    with path.open("rb") as file_:
        lines = RejectedLines(file_, path.stat().st_size)
        sent = list(iter(lines.readline, b""))

    # The line of the first two, which are not sent, is blank: the target counts the file's lines.
    assert [line.strip() and json.loads(line)["type"] for line in sent] == [
        b"",
        b"",
        "SCHEMA",
        "RECORD",
    ]
    assert lines.records == 1


appended = st.lists(
    st.tuples(st.sampled_from(["contacts", "accounts"]), st.booleans(), st.booleans()), max_size=12
)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(before=appended, after=appended)
def test_exactly_what_has_its_outcome_leaves_the_file(
    tmp_path: Path, before: list[tuple[str, bool, bool]], after: list[tuple[str, bool, bool]]
) -> None:
    path = tmp_path / os.urandom(6).hex()
    path.touch()
    for number, (stream, _, wide) in enumerate(before, 1):
        rejected(path, stream, number, wide=wide)

    def append() -> None:
        for number, (stream, _, wide) in enumerate(after, 101):
            rejected(path, stream, number, wide=wide)

    done = [number for number, (_, gone, _) in enumerate(before, 1) if gone]
    replayed(path, *done, meanwhile=append)

    stay = [(stream, n) for n, (stream, gone, _) in enumerate(before, 1) if not gone]
    assert kept(path) == stay + [(stream, n) for n, (stream, _, _) in enumerate(after, 101)]
