from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from target_apollo.model.outcomes import Reason, Rejection
from target_apollo.reporting.past_runs import NO_STREAM, ByReason, rejected_keys
from target_apollo.sync.rejects.rejects_file import RejectsFile

SCHEMA = {"properties": {"id": {}, "email": {}}}


def reject(
    path: Path, run_id: str, *records: dict[str, Any], reason: Reason = Reason.MISSING_EMAIL
) -> None:
    file = RejectsFile(path, run_id)
    for record in records:
        file.append("contacts", SCHEMA, ["id"], record, Rejection(reason, "why"))
    file.close()


def shown(found: ByReason) -> dict[tuple[str, str], tuple[int, list[str]]]:
    return {which: (records.number, records.keys) for which, records in found.items()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rejects.singer"


def test_the_keys_of_a_run_by_stream_and_reason(path: Path) -> None:
    reject(path, "run1", {"id": 1}, {"id": 2})
    reject(path, "run2", {"id": 3})
    reject(path, "run1", {"id": "4", "email": "x"}, reason=Reason.MALFORMED_EMAIL)
    assert shown(rejected_keys(path, "run1")) == {
        ("contacts", "missing_email"): (2, ["1", "2"]),
        ("contacts", "malformed_email"): (1, ["4"]),
    }
    assert shown(rejected_keys(path, "run2")) == {("contacts", "missing_email"): (1, ["3"])}


def test_there_is_no_file_before_the_first_reject(path: Path) -> None:
    assert rejected_keys(path, "run1") == {}


def test_all_are_counted_and_the_first_keys_kept(path: Path) -> None:
    reject(path, "run1", *({"id": number} for number in range(120)))
    ((number, keys),) = shown(rejected_keys(path, "run1")).values()
    assert (number, keys) == (120, [str(key) for key in range(50)])


def test_an_e_mail_address_as_a_key_is_not_shown(path: Path) -> None:
    file = RejectsFile(path, "run1")
    file.append("contacts", SCHEMA, ["email"], {"email": "ada@x.org"}, Rejection(Reason.GONE, ""))
    file.close()
    ((_, keys),) = shown(rejected_keys(path, "run1")).values()
    assert "ada" not in keys[0]
    assert keys[0].startswith("sha256:")


def test_a_record_that_names_the_run_in_a_value_is_not_of_it(path: Path) -> None:
    reject(path, "run2", {"id": 1, "email": "run1"})
    assert rejected_keys(path, "run1") == {}


def test_lines_that_are_no_singer_message_are_named_by_their_number(path: Path) -> None:
    file = RejectsFile(path, "run1")
    file.append_line(b"nonsense", 7, Rejection(Reason.UNREADABLE, "why"))
    file.append_long_line(9_000_000, 8, Rejection(Reason.TOO_LONG, "why"))
    file.close()
    assert shown(rejected_keys(path, "run1")) == {
        (NO_STREAM, "unreadable_line"): (1, ["line 7"]),
        (NO_STREAM, "line_too_long"): (1, ["line 8"]),
    }


def test_a_stream_without_key_properties_has_no_keys(path: Path) -> None:
    file = RejectsFile(path, "run1")
    file.append("contacts", SCHEMA, [], {"id": 1}, Rejection(Reason.GONE, ""))
    file.close()
    assert shown(rejected_keys(path, "run1")) == {
        ("contacts", "gone_from_apollo"): (1, ["(no key)"])
    }


def test_lines_that_somebody_broke_cost_only_themselves(path: Path) -> None:
    reject(path, "run1", {"id": 1})
    with path.open("ab") as file:
        file.write(b'{"type": "RECORD", "stream": "run1\n{"run1": \xff}\n[["run1"]]\n')
        file.write(json.dumps({"type": "RECORD", "record": {"_reject": "run1"}}).encode() + b"\n")
    reject(path, "run1", {"id": 2})
    assert shown(rejected_keys(path, "run1")) == {("contacts", "missing_email"): (2, ["1", "2"])}


def test_a_file_that_can_t_be_read_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="directory"):
        rejected_keys(tmp_path, "run1")


def test_causes_are_counted_by_column(path: Path) -> None:
    file = RejectsFile(path, "run1")
    for number, column in enumerate(("email", "email", "born")):
        rejection = Rejection(Reason.WRONG_TYPE, f"'{column}' must be text, not a number")
        file.append("contacts", SCHEMA, ["id"], {"id": number, "born": 7}, rejection)
    file.close()
    (group,) = rejected_keys(path, "run1").values()
    assert [(cause.column, count) for cause, count in group.causes.most_common()] == [
        ("email", 2),
        ("born", 1),
    ]


def test_so_many_causes_are_told_apart_and_all_records_counted(path: Path) -> None:
    file = RejectsFile(path, "run1")
    for number in range(70):
        rejection = Rejection(Reason.WRONG_TYPE, f"'column{number}' must be text")
        file.append("contacts", SCHEMA, ["id"], {"id": number}, rejection)
    file.close()
    (group,) = rejected_keys(path, "run1").values()
    assert (group.number, len(group.causes)) == (70, 50)
