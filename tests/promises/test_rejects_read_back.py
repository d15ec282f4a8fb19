"""Whatever was rejected can be read back, and no entry of the file blocks another one."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from target_apollo.cli.replay_file import LONGEST_ENTRY, Contents
from target_apollo.reporting.past_runs import rejected_keys
from target_apollo.sandbox import Sandbox
from target_apollo.target.odd_lines import LONGEST_LINE
from tests.helpers.commands import apollo_sync
from tests.promises.conftest import Message, Run, TargetRun, contact, lines_of, record, schema

Replay = Callable[..., TargetRun]


@pytest.fixture
def replay(target_config: Callable[..., Path], apollo: Sandbox, tmp_path: Path) -> Replay:
    """Runs ``apollo-sync replay`` inside the test."""

    def run(*arguments: str, **own: Any) -> TargetRun:
        config = target_config(apollo, **{"validate_records": False, **own})
        exit_code, log = apollo_sync("replay", "--config", str(config), *arguments)
        rejects = tmp_path / "rejects.singer"
        found = rejects.read_bytes().splitlines() if rejects.exists() else []
        readable = []
        for line in found:
            with contextlib.suppress(ValueError, RecursionError):
                readable.append(json.loads(line))
        readable = [message for message in readable if isinstance(message, dict)]
        summary = tmp_path / "summary.json"
        return TargetRun(
            exit_code,
            [],
            log,
            json.loads(summary.read_text()) if summary.exists() else {},
            [message for message in readable if message["type"] == "RECORD"],
        )

    return run


def emails(apollo: Sandbox) -> list[str]:
    return sorted(str(found["email"]) for found in apollo.store.contacts())


def rejects_of(tmp_path: Path) -> Path:
    return tmp_path / "rejects.singer"


def wrong(number: int) -> Message:
    """A contact that breaks its schema, which a replay without validation takes."""
    return contact(number, title=number)


# --- a stream without an object or a SCHEMA


def test_a_record_of_a_stream_without_an_object_blocks_no_other(
    sync: Run, replay: Replay, apollo: Sandbox
) -> None:
    sync([record("deals", id=1), schema("contacts"), wrong(1)])

    for _ in range(2):
        done = replay()
        assert done.exit_code == 0
        assert emails(apollo) == ["p1@a.com"]
        assert [(one["stream"], one["record"]["id"]) for one in done.rejects] == [("deals", 1)]
    assert done.reasons == ["no_schema"]


def test_a_record_without_a_schema_is_no_row_without_a_key(
    sync: Run, replay: Replay, apollo: Sandbox
) -> None:
    sync([contact(1)])

    done = replay()

    assert (emails(apollo), done.reasons) == ([], ["no_schema"])


def test_a_record_without_a_schema_is_sent_after_the_schema_that_a_person_puts_before_it(
    sync: Run, replay: Replay, apollo: Sandbox, tmp_path: Path
) -> None:
    sync([contact(1)])
    rejects = rejects_of(tmp_path)
    rejects.write_bytes(lines_of([schema("contacts")]) + rejects.read_bytes())

    done = replay()

    assert (done.exit_code, emails(apollo), done.rejects) == (0, ["p1@a.com"], [])


def test_the_file_can_be_piped_into_a_target_that_does_not_know_a_stream(
    sync: Run, apollo: Sandbox, tmp_path: Path
) -> None:
    sync([record("deals", id=1), schema("contacts"), wrong(1)])

    done = sync(rejects_of(tmp_path).read_bytes(), validate_records=False)

    assert (done.exit_code, emails(apollo), done.reasons) == (0, ["p1@a.com"], ["no_schema"])


def of_before(stream: str, *records: Message, reason: str = "no_schema") -> bytes:
    """Entries as earlier versions wrote them for records without a SCHEMA."""
    made_up = {"type": "SCHEMA", "stream": stream, "schema": {"properties": {}}}
    reject = {"reason": reason, "detail": "", "attempts": 0, "run_id": "r", "at": "2026-01-01"}
    entries = [record(stream, **one, _reject=reject) for one in records]
    return lines_of([{**made_up, "key_properties": []}, *entries])


def test_entries_of_earlier_versions_block_no_other_either(
    sync: Run, replay: Replay, apollo: Sandbox, tmp_path: Path
) -> None:
    sync([schema("contacts"), wrong(1)])
    rejects = rejects_of(tmp_path)
    old = of_before("deals", {"id": 1}) + of_before("contacts", {"id": 2, "email": "p2@a.com"})
    rejects.write_bytes(old + rejects.read_bytes())

    done = replay()

    assert emails(apollo) == ["p1@a.com"]
    assert done.exit_code == 1
    assert f"Line 1 of {rejects}: the SCHEMA of stream 'deals' can't be used" in done.log
    assert done.reasons == ["no_schema", "no_schema"]


@pytest.mark.parametrize(
    "described",
    [
        {"schema": {"properties": {"id": {"type": 7}}}},
        {"schema": {"properties": 7}},
        {"schema": None},
        {"schema": {"properties": {"id": 7}}},
        {"schema": {"properties": {"id": {"$ref": "#/nowhere"}}}},
        {"schema": {}, "key_properties": ["id"]},
    ],
)
@pytest.mark.parametrize("stream", ["contacts", "more_contacts", "deals"])
def test_a_schema_that_can_t_be_used_costs_its_own_records_only(
    replay: Replay, apollo: Sandbox, tmp_path: Path, described: Message, stream: str
) -> None:
    bad = {"type": "SCHEMA", "stream": stream, **described}
    held = [bad, record(stream, id=7, email=None), schema("accounts", key=None)]
    rejects_of(tmp_path).write_bytes(
        lines_of([*held, record("accounts", domain="a.de"), schema("people"), schema("contacts")])
        + lines_of([contact(1)])
    )

    done = replay(streams={"people": {"object": "contacts"}})

    assert emails(apollo) == ["p1@a.com"]
    assert len(apollo.store.accounts()) == 1
    assert [one["record"]["id"] for one in done.rejects] == [7]
    assert "defect" not in done.log


def test_records_that_fail_again_never_end_a_replay(
    sync: Run, replay: Replay, apollo: Sandbox
) -> None:
    bad = [contact(n, email=None) for n in range(150)]
    sync([schema("contacts"), *bad, wrong(999)])

    replay(on_record_error="fail", abort_rejected_percent=0, batch_size=10, parallel_requests=1)

    assert emails(apollo) == ["p999@a.com"]


# --- an odd file


def long_line(size: int) -> bytes:
    return b'{"type":"RECORD","stream":"contacts","record":{"a":"' + b"x" * size + b'"}}'


@pytest.mark.parametrize(
    ("odd", "where"),
    [
        (b'{"type":"RECORD","stream":"contacts","rec', "end"),
        (b"\x00\xff\xfe\x80" * 1000, "start"),
        (b"\x00\xff\n\xfe\x80\n\x81\x82", "middle"),
        (long_line(LONGEST_ENTRY), "middle"),
        (b"null", "start"),
        (b'{"type":"RECORD","stream":"contacts","record":[]}', "middle"),
        (b"[" * 200_000, "middle"),
    ],
    ids=["half", "binary", "lines", "long", "null", "array", "deep"],
)
def test_a_damaged_line_costs_no_other_entry(
    sync: Run, replay: Replay, apollo: Sandbox, tmp_path: Path, odd: bytes, where: str
) -> None:
    sync([schema("contacts"), wrong(1), wrong(2)])
    rejects = rejects_of(tmp_path)
    described, first, second = rejects.read_bytes().splitlines()
    lines = [described, first, second]
    lines.insert({"start": 0, "middle": 2, "end": 3}[where], odd)
    rejects.write_bytes(b"\n".join(lines))

    done = replay()

    assert emails(apollo) == ["p1@a.com", "p2@a.com"]
    assert done.exit_code == 1
    number = {"start": 1, "middle": 3, "end": 4}[where]
    assert f"Line {number} of {rejects} can't be read and stays there: it is " in done.log
    assert rejects.read_bytes() == odd + b"\n"


def test_a_mark_before_the_first_line_costs_nothing(
    sync: Run, replay: Replay, apollo: Sandbox, tmp_path: Path
) -> None:
    sync([schema("contacts"), wrong(1)])
    rejects = rejects_of(tmp_path)
    rejects.write_bytes(b"\xef\xbb\xbf" + rejects.read_bytes().replace(b"\n", b"\r\n"))

    done = replay()

    assert (done.exit_code, emails(apollo)) == (0, ["p1@a.com"])
    assert not rejects.exists()


@pytest.mark.parametrize("content", [b"", b"\n", b"\xef\xbb\xbf", b"\r\n \n"])
def test_a_file_without_entries_is_nothing_to_replay(
    replay: Replay, tmp_path: Path, content: bytes
) -> None:
    rejects_of(tmp_path).write_bytes(content)

    assert replay().exit_code == 0


def test_many_damaged_lines_are_told_by_their_number(replay: Replay, tmp_path: Path) -> None:
    rejects_of(tmp_path).write_bytes(b"\xff\n" * 1000)

    done = replay()

    assert done.exit_code == 1
    assert done.log.count("can't be read and stays there") == 50
    assert "950 more lines of" in done.log
    assert rejects_of(tmp_path).read_bytes() == b"\xff\n" * 1000


# --- whatever is rejected


@pytest.mark.full
@pytest.mark.parametrize(
    "filling",
    [
        pytest.param('"x' + "x" * (LONGEST_LINE - 200) + '"', id="text"),
        # Each of these numbers is longer in the file than it came.
        pytest.param(
            f"[{'1e5,' * (LONGEST_LINE // 4 - 50)}1]", id="numbers", marks=pytest.mark.full
        ),
    ],
)
def test_a_record_of_the_longest_line_is_read_back(
    sync: Run, replay: Replay, apollo: Sandbox, tmp_path: Path, filling: str
) -> None:
    line = (
        '{"type":"RECORD","stream":"contacts","record":{"id":1,"email":"p1@a.com","title":7,'
        f'"nowhere":{filling}}}}}'
    )
    sync([schema("contacts"), line])
    assert rejects_of(tmp_path).stat().st_size > LONGEST_LINE

    done = replay()

    assert (done.exit_code, emails(apollo), done.rejects) == (0, ["p1@a.com"], [])


@pytest.mark.full
def test_a_long_line_that_was_no_message_costs_no_other(
    sync: Run, replay: Replay, apollo: Sandbox, tmp_path: Path
) -> None:
    sync(["\x00" * (LONGEST_LINE - 10), schema("contacts"), wrong(1)])
    assert rejects_of(tmp_path).stat().st_size > LONGEST_ENTRY

    done = replay()

    assert (done.exit_code, emails(apollo)) == (0, ["p1@a.com"])


numbers = st.sampled_from(["1e999999", "-1E-999999", "9" * 40, "-0.0", "1.10", "9" * 18, "0e9"])
texts = st.text(st.characters(exclude_categories=()), max_size=8).map(json.dumps)
deep = st.integers(1, 96).map(lambda depth: "[" * depth + "]" * depth)
scalars = st.sampled_from(["null", "true", '""', "{}"]) | numbers | texts
values = st.recursive(
    scalars | deep,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda of: f"[{','.join(of)}]")
        | st.dictionaries(texts, inner, max_size=3).map(
            lambda of: "{" + ",".join(f"{name}:{value}" for name, value in of.items()) + "}"
        )
    ),
    max_leaves=6,
)
names = st.sampled_from(["id", "email", "title", "_reject", "apollo_id", "nowhere", "a\\nb"])
records = st.dictionaries(names, values, max_size=5).map(
    lambda of: "{" + ",".join(f'"{name}":{value}' for name, value in of.items()) + "}"
)
streams = st.sampled_from(["contacts", "accounts", "deals", "line\\nbreak", "\\u202e", ""])
record_lines = st.builds('{{"type":"RECORD","stream":"{}","record":{}}}'.format, streams, records)
schema_lines = st.sampled_from(["contacts", "accounts"]).map(schema).map(json.dumps)
other_lines = st.sampled_from(["nonsense", "[]", '{"type":"RECORD"}', "[" * 300, '{"type":"X"}'])


@pytest.mark.full
@settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(lines=st.lists(record_lines | schema_lines | other_lines, max_size=12))
def test_whatever_is_rejected_is_read_back(
    sync: Run, replay: Replay, apollo: Sandbox, tmp_path: Path, lines: list[str]
) -> None:
    rejects = rejects_of(tmp_path)
    shutil.rmtree(tmp_path / "ledger.db", ignore_errors=True)
    done = sync([*lines, schema("contacts"), wrong(123)], ledger_url="")
    run_id = done.summary["run_id"]
    rejected = done.summary["records"]["rejected"]

    with rejects.open("rb") as file:
        contents = Contents.of(file)
    found = rejected_keys(rejects, run_id)
    before = len(done.rejects)
    again = replay(ledger_url="", validate_records=True)

    assert contents.number_unreadable == 0
    assert sum(group.number for group in found.values()) == rejected == before
    assert again.exit_code == 0
    # Nothing but records that can be written leaves the file.
    taken_out = sum(again.summary["records"][name] for name in ("created", "updated", "skipped"))
    assert len(again.rejects) + taken_out >= before
    assert (123, "schema_mismatch") in [
        (one["record"].get("id"), one["record"]["_reject"]["reason"]) for one in again.rejects
    ]
