from __future__ import annotations

import io
import json
import os
import stat
from collections.abc import Iterator
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from target_apollo.model.outcomes import Reason, Rejection
from target_apollo.sync.rejects.rejects_file import UNREADABLE_STREAM, RejectsFile, open_private
from target_apollo.target.odd_lines import Message
from target_apollo.target.schema_rules import compiled
from target_apollo.target.stdin import SingerInput

# Every example writes under a name of its own in the test's folder.
quick = settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

SCHEMA: dict[str, Any] = {"properties": {"id": {"type": "integer"}, "email": {"type": "string"}}}
KEY = ("id",)
WHY = Rejection(Reason.REFUSED, "Apollo refused it.", 422, "POST /contacts/bulk_create", 2, "Oops!")

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
records = st.dictionaries(st.text(max_size=5), json_values, max_size=4)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "own" / "rejects.singer"


@pytest.fixture
def rejects(path: Path) -> Iterator[RejectsFile]:
    file = RejectsFile(path, "run-1")
    yield file
    file.close()


def messages(path: Path) -> list[Message]:
    """The file as a target reads it; no line of it may be unreadable."""
    found: list[Message] = []
    SingerInput().process_lines(
        io.BytesIO(path.read_bytes()), {"SCHEMA": found.append, "RECORD": found.append}
    )
    return found


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- the file


def test_a_run_without_rejects_makes_no_file(rejects: RejectsFile, path: Path) -> None:
    rejects.sync()
    rejects.close()
    assert not path.parent.exists()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_file_is_its_owner_s_alone_in_a_folder_of_its_owner(
    rejects: RejectsFile, path: Path, umask: int
) -> None:
    before = os.umask(umask)
    try:
        rejects.append("contacts", SCHEMA, KEY, {"id": 1}, WHY)
    finally:
        os.umask(before)
    assert mode(path) == 0o600
    assert mode(path.parent) == 0o700


def test_an_older_file_that_others_can_read_is_closed_to_them(
    rejects: RejectsFile, path: Path
) -> None:
    path.parent.mkdir()
    path.touch()
    path.chmod(0o644)
    rejects.append("contacts", SCHEMA, KEY, {"id": 1}, WHY)
    assert mode(path) == 0o600


def test_what_earlier_runs_rejected_is_kept(path: Path) -> None:
    for run in ("run-1", "run-2"):
        file = RejectsFile(path, run)
        file.append("contacts", SCHEMA, KEY, {"id": 1}, WHY)
        file.close()
    assert [m["type"] for m in messages(path)] == ["SCHEMA", "RECORD"] * 2
    assert [m["record"]["_reject"]["run_id"] for m in messages(path)[1::2]] == ["run-1", "run-2"]


def test_after_a_sync_the_rejects_are_in_the_file(rejects: RejectsFile, path: Path) -> None:
    rejects.append("contacts", SCHEMA, KEY, {"id": 1}, WHY)
    rejects.sync()
    assert len(messages(path)) == 2


def test_a_closed_file_is_opened_again_by_the_next_reject(rejects: RejectsFile, path: Path) -> None:
    for number in (1, 2):
        rejects.append("contacts", SCHEMA, KEY, {"id": number}, WHY)
        rejects.close()
    assert [m["record"]["id"] for m in messages(path) if m["type"] == "RECORD"] == [1, 2]


def test_a_place_that_can_t_be_written_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        open_private(tmp_path / "file" / "rejects.singer")


# --- what stands in it


@quick
@given(st.lists(records, min_size=1, max_size=4))
def test_records_are_read_again_as_they_were_received(
    tmp_path: Path, given_records: list[dict[str, Any]]
) -> None:
    path = tmp_path / os.urandom(6).hex()
    file = RejectsFile(path, "run-1")
    for record in given_records:
        file.append("contacts", SCHEMA, KEY, record, WHY)
    file.close()
    schema, *found = messages(path)
    assert schema["schema"]["properties"].items() >= SCHEMA["properties"].items()
    assert schema["key_properties"] == ["id"]
    for message, record in zip(found, given_records, strict=True):
        del message["record"]["_reject"]
        record.pop("_reject", None)
        assert message["record"] == record


@quick
@given(
    st.dictionaries(st.text(st.characters(exclude_categories=())), st.text()),
    st.text(st.characters(exclude_categories=())) | st.just("Value \ud800 is wrong"),
)
def test_text_that_no_utf_8_holds_costs_no_reject(
    tmp_path: Path, record: dict[str, str], said: str
) -> None:
    path = tmp_path / os.urandom(6).hex()
    file = RejectsFile(path, "run-1")
    file.append(
        "contacts", SCHEMA, KEY, record, Rejection(Reason.REFUSED, "No.", apollo_message=said)
    )
    file.close()
    assert len(messages(path)) == 2


@pytest.mark.parametrize("number", [10**30, Decimal("2.50"), Decimal("1E+999999"), -(2**63) - 1])
def test_a_number_is_kept_with_all_its_digits(
    rejects: RejectsFile, path: Path, number: int | Decimal
) -> None:
    rejects.append("contacts", SCHEMA, KEY, {"id": number}, WHY)
    rejects.sync()
    assert str(messages(path)[1]["record"]["id"]) == str(number)


def test_a_reject_says_why_where_when_and_in_which_run(rejects: RejectsFile, path: Path) -> None:
    before = datetime.now(timezone.utc).replace(microsecond=0)
    rejects.append("contacts", SCHEMA, KEY, {"id": 1}, WHY)
    rejects.sync()
    reject = messages(path)[1]["record"]["_reject"]
    assert before <= datetime.fromisoformat(reject.pop("at")) <= datetime.now(timezone.utc)
    assert reject == {
        "reason": "refused_by_apollo",
        "detail": "Apollo refused it. Apollo's words: Oops!",
        "status": 422,
        "endpoint": "POST /contacts/bulk_create",
        "attempts": 2,
        "run_id": "run-1",
    }


def test_a_reject_that_apollo_never_saw_has_no_status(rejects: RejectsFile, path: Path) -> None:
    rejects.append("contacts", SCHEMA, KEY, {}, Rejection(Reason.MISSING_EMAIL, "No e-mail."))
    rejects.sync()
    reject = messages(path)[1]["record"]["_reject"]
    assert (reject["status"], reject["endpoint"], reject["attempts"]) == (None, None, 0)
    assert reject["detail"] == "No e-mail."


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_can_be_read_again(rejects: RejectsFile, path: Path, reason: Reason) -> None:
    rejects.append("contacts", SCHEMA, KEY, {}, Rejection(reason, "Why."))
    rejects.sync()
    assert Reason(messages(path)[1]["record"]["_reject"]["reason"]) is reason


def test_a_record_that_was_rejected_before_says_why_it_is_now(
    rejects: RejectsFile, path: Path
) -> None:
    rejects.append("contacts", SCHEMA, KEY, {"id": 1, "_reject": {"reason": "old"}}, WHY)
    rejects.sync()
    assert messages(path)[1]["record"]["_reject"]["reason"] == "refused_by_apollo"


def test_a_reject_changes_nothing_about_the_record_that_the_run_holds(
    rejects: RejectsFile,
) -> None:
    record = {"id": 1}
    rejects.append("contacts", SCHEMA, KEY, record, WHY)
    assert record == {"id": 1}


# --- the schema before the records


def test_a_stream_s_schema_stands_once_before_its_records(rejects: RejectsFile, path: Path) -> None:
    for stream in ("contacts", "accounts", "contacts", "accounts"):
        rejects.append(stream, dict(SCHEMA), ["id"], {"id": 1}, WHY)
    rejects.sync()
    assert [(m["type"], m["stream"]) for m in messages(path)] == [
        ("SCHEMA", "contacts"),
        ("RECORD", "contacts"),
        ("SCHEMA", "accounts"),
        ("RECORD", "accounts"),
        ("RECORD", "contacts"),
        ("RECORD", "accounts"),
    ]


def test_a_schema_that_changed_is_written_again(rejects: RejectsFile, path: Path) -> None:
    rejects.append("contacts", SCHEMA, KEY, {"id": 1}, WHY)
    rejects.append("contacts", {"properties": {"id": {}}}, KEY, {"id": 2}, WHY)
    rejects.append("contacts", {"properties": {"id": {}}}, ("id", "tenant"), {"id": 3}, WHY)
    rejects.sync()
    assert [m["type"] for m in messages(path)] == ["SCHEMA", "RECORD"] * 3


def test_a_record_without_a_schema_is_readable_all_the_same(
    rejects: RejectsFile, path: Path
) -> None:
    rejects.append("contacts", None, (), {"id": 1}, WHY)
    rejects.sync()
    schema, record = messages(path)
    compiled(schema["schema"]).validate(record["record"])


def test_a_record_of_a_schema_that_allows_nothing_else_fits_it_again(
    rejects: RejectsFile, path: Path
) -> None:
    strict = {**SCHEMA, "type": "object", "additionalProperties": False}
    rejects.append("contacts", strict, KEY, {"id": 1, "email": "ada@example.com"}, WHY)
    rejects.sync()
    schema, record = messages(path)
    compiled(schema["schema"]).validate(record["record"])


# --- lines that are no message


@quick
@given(st.binary(max_size=60), st.integers(1, 10**9))
def test_an_unreadable_line_is_kept_as_a_record(tmp_path: Path, line: bytes, number: int) -> None:
    path = tmp_path / os.urandom(6).hex()
    file = RejectsFile(path, "run-1")
    file.append_line(line, number, Rejection(Reason.UNREADABLE, "Not JSON."))
    file.close()
    schema, record = messages(path)
    compiled(schema["schema"]).validate(record["record"])
    assert record["stream"] == UNREADABLE_STREAM
    assert record["record"]["line"] == line.decode("utf-8", "replace")
    assert record["record"]["line_number"] == number


def test_every_message_is_one_line(rejects: RejectsFile, path: Path) -> None:
    rejects.append("contacts", SCHEMA, KEY, {"a": "two\nlines\u2028\r"}, WHY)
    rejects.append_line(b"half a\nline", 3, WHY)
    rejects.sync()
    assert all(json.loads(line) for line in path.read_bytes().split(b"\n")[:-1])
    assert path.read_bytes().count(b"\n") == 4
