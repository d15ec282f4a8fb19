"""At the most talkative log level nothing private is said, whatever goes wrong; files are private.

Every value that is private carries the mark; so do keys of records that look like values.
"""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from target_apollo.sandbox import Fault, FaultKind, Sandbox, SandboxOptions
from tests.helpers.new_sandbox import new_sandbox
from tests.helpers.tiers import sampled
from tests.promises.conftest import CONTACT_SCHEMA, Message, lines_of, record, schema, state

MARK = "pl4nted"
KEY = f"key-{MARK}-3fA9"
CREATE = "POST /contacts/bulk_create"
SEARCH = "POST /contacts/search"
UPDATE = "PATCH /contacts/{id}"
PHONE = "+4915155500"
APOLLO_SYNC = Path(sys.executable).with_name("apollo-sync")

STREAM = {
    "properties": {
        **CONTACT_SCHEMA["properties"],
        "shoe_size": {"type": ["string", "null"]},
        "height": {},
        "born": {},
        "colour": {},
        "by_address": {"type": "object", "additionalProperties": {"type": "integer"}},
    }
}


@pytest.fixture
def apollo() -> Iterator[Sandbox]:
    with new_sandbox(SandboxOptions(strict=True, api_keys={KEY: None})) as sandbox:
        sandbox.store.add_custom_field("contact", "Height", "number")
        sandbox.store.add_custom_field("contact", "Born", "date")
        sandbox.store.add_custom_field("contact", "Colour", "picklist", ["red", "green"])
        yield sandbox


def person(number: int, **values: object) -> Message:
    private = {
        "email": f"{MARK}.{number}@secret-{MARK}.example",
        "first_name": f"Fn{MARK}{number}",
        "last_name": f"Ln{MARK}",
        "title": f"Title {MARK}",
        "organization_name": f"Org {MARK}",
        "phone_number": f"{PHONE}{number:04}",
        "linkedin_url": f"https://www.linkedin.com/in/{MARK}{number}",
        "website_url": f"https://{MARK}.example",
        "shoe_size": MARK,
    }
    return record("contacts", id=number, **{**private, **values})


def bad_people() -> list[Message | str]:
    """Records and lines that each go wrong in a way of their own."""
    half = json.dumps(person(90))[:150]
    return [
        person(50, email=f"{MARK} is no address"),
        person(51, email=None),
        person(52, title={"is": MARK}),
        person(53, owner_email=f"{MARK}@nobody.example"),
        person(54, contact_stage=f"Stage {MARK}"),
        person(55, apollo_id=MARK),
        person(56, owner_id="f" * 24),
        person(57, by_address={f"{MARK}@map.example": MARK}),
        person(58, label_names=[MARK, 5]),
        person(59, height=MARK),
        person(60, born=MARK),
        person(61, colour=MARK),
        record("contacts", email=f"{MARK}@no-key.example"),
        record("contacts", id=f"{MARK}@key.example", email=MARK),
        record("people", id=1, email=f"{MARK}@no-schema.example"),
        half,
        half.replace('"RECORD"', f'"{MARK}"'),
        f'{{"type":"RECORD","stream":"contacts","record":"{MARK}"}}',
        f'{{"{MARK}@line.example": NaN}}',
    ]


def everything() -> list[Message | str]:
    return [
        schema("contacts", STREAM),
        schema("accounts"),
        *(person(number) for number in range(1, 15)),
        person(15, email=f"{MARK}.1@secret-{MARK}.example"),
        record("accounts", id=1, domain=f"{MARK}.example", name=f"Acme {MARK}"),
        record("accounts", id=2, domain=f"no domain {MARK}", name=f"Acme {MARK}"),
        *bad_people(),
        schema("contacts", {"properties": {**STREAM["properties"], "more": {}}}),
        person(16, more=MARK),
        state({"bookmark": 16}),
    ]


QUOTED = {
    "error": f"{MARK}@said.example is wrong, sent with {KEY}",
    "message": f"Value {MARK} of {PHONE}0001",
    "error_code": f"{MARK}@code.example",
    "error_details": {"field": f"{MARK}@field.example"},
}
FAULTS: dict[str, list[Fault]] = {
    "a refusal that quotes": [
        Fault(endpoint=CREATE, kind=FaultKind.ERROR_BEFORE_WRITE, status=422, body=QUOTED, times=9),
        Fault(endpoint=UPDATE, kind=FaultKind.ERROR_BEFORE_WRITE, status=422, body=QUOTED, times=3),
    ],
    "nothing": [],
    "a forbidden endpoint": [
        Fault(endpoint=SEARCH, kind=FaultKind.ERROR_BEFORE_WRITE, status=403, body=QUOTED, times=9),
        Fault(endpoint=CREATE, kind=FaultKind.ERROR_BEFORE_WRITE, status=403, body=QUOTED, times=9),
    ],
    "lost answers": [
        Fault(endpoint="*", kind=kind, after=after)
        for after, kind in enumerate(
            (
                FaultKind.RESET_AFTER_WRITE,
                FaultKind.TRUNCATED_BODY,
                FaultKind.GARBAGE_BODY,
                FaultKind.HTML_PAGE,
                FaultKind.RESET_BEFORE_WRITE,
            )
        )
    ],
    "no answer at all": [Fault(endpoint=CREATE, kind=FaultKind.RESET_AFTER_WRITE, times=None)],
    "a quota used up": [Fault(endpoint=CREATE, kind=FaultKind.RATE_LIMITED, retry_after=5000)],
    "records left out": [Fault(endpoint=CREATE, kind=FaultKind.RECORDS_LEFT_OUT, records=3)],
}

Start = Callable[..., tuple[subprocess.Popen[bytes], Path]]


@pytest.fixture
def start(apollo: Sandbox, tmp_path: Path, target_config: Callable[..., Path]) -> Start:
    """Starts a program at the level DEBUG of every logger; its log and output are in one file."""

    def run(*program: str | Path, **settings: Any) -> tuple[subprocess.Popen[bytes], Path]:
        config = target_config(apollo, **{"api_key": KEY, "max_retries": 2, **settings})
        said = tmp_path / "said"
        level = {"TARGET_APOLLO_LOGLEVEL": "DEBUG", "LOGLEVEL": "DEBUG"}
        process = subprocess.Popen(
            [*(program or (sys.executable, "-m", "target_apollo")), "--config", config],
            stdin=subprocess.PIPE,
            stdout=said.open("ab"),
            stderr=subprocess.STDOUT,
            cwd=tmp_path,
            env={**os.environ, **level},
        )
        return process, said

    return run


def check_silent(said: Path, *others: Path) -> str:
    text = said.read_text() + "".join(other.read_text() for other in others if other.exists())
    for private in (MARK, PHONE, PHONE[3:]):
        lines = [line[:300] for line in text.splitlines() if private in line]
        assert lines == []
    assert text
    return text


@pytest.mark.parametrize("faults", sampled(FAULTS))
def test_a_run_at_level_debug_says_nothing_private(
    apollo: Sandbox, start: Start, tmp_path: Path, faults: list[Fault]
) -> None:
    existing = apollo.store.add_contact(email=f"{MARK}.3@secret-{MARK}.example", title="old")
    for fault in faults:
        apollo.inject(fault)

    process, said = start()
    process.communicate(lines_of([*everything(), person(17, apollo_id=existing["id"])]), 120)

    text = check_silent(said, tmp_path / "summary.json")
    assert process.returncode in (0, 1, 2, 3)
    assert "Rejected contacts" in text
    assert "Traceback" not in text
    assert MARK in (tmp_path / "rejects.singer").read_text()


@pytest.mark.full
@pytest.mark.parametrize(
    "settings",
    [
        {"on_record_error": "fail"},
        {"api_key": f"wrong-{KEY}"},
        {"mode": "insert"},
        {"mode": "update"},
        {"validate_records": False, "lists": ["Synced"]},
        {"unknown_fields": "fail"},
        {"ledger_url": ""},
        {"batch_size": 1, "parallel_requests": 8},
        {"flattening_enabled": True, "flattening_max_depth": 2},
        {
            "stream_maps": {
                "contacts": {
                    "__filter__": "email is None or 'Z' not in email",
                    "nick": "first_name.upper()",
                    "shoe_size": "int(shoe_size)",
                }
            }
        },
    ],
    ids=json.dumps,
)
def test_no_setting_makes_a_run_say_more(
    start: Start, tmp_path: Path, settings: dict[str, Any]
) -> None:
    process, said = start(**settings)
    process.communicate(lines_of(everything()), 120)

    text = check_silent(said, tmp_path / "summary.json")
    assert "Traceback" not in text


@pytest.mark.full
def test_a_second_run_and_its_ledger_say_nothing_private(start: Start, tmp_path: Path) -> None:
    for number in range(3):
        process, said = start(full_resync=number == 2)
        changed = person(1, title=f"New {MARK} {number}")
        process.communicate(lines_of([*everything(), changed]), 120)
        assert process.returncode == 0

    check_silent(said, tmp_path / "summary.json")


@pytest.mark.full
def test_a_stopped_run_says_nothing_private(apollo: Sandbox, start: Start) -> None:
    apollo.inject(Fault(endpoint=CREATE, kind=FaultKind.SLOW, seconds=2))
    process, said = start()
    assert process.stdin is not None
    # More than a flush, so that requests are under way while the input is open.
    process.stdin.write(lines_of([schema("contacts", STREAM), *(person(n) for n in range(1700))]))
    process.stdin.flush()
    end = time.monotonic() + 60
    while not apollo.count(CREATE) and time.monotonic() < end:
        time.sleep(0.05)
    assert apollo.count(CREATE)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)

    assert process.returncode == 128 + signal.SIGTERM
    check_silent(said)


@pytest.mark.full
@pytest.mark.parametrize(
    "command",
    sampled({"replay": ["replay"], "check": ["check"], "check_--json": ["check", "--json"]}),
)
def test_commands_say_nothing_private(start: Start, command: list[str]) -> None:
    process, said = start()
    process.communicate(lines_of(everything()), 120)

    process, said = start(APOLLO_SYNC, *command)
    process.communicate(timeout=120)

    text = check_silent(said)
    assert "Traceback" not in text


DEFECTS = {
    "while a record is read": "model.row_parser.RowParser.read",
    "while rows are written": "sync.records.stream_sync.StreamSync.write",
    "while the ledger is asked": "sync.links.reader.LinkReader.recall",
    "while a reject is kept": "sync.rejects.rejects_file.RejectsFile.append",
    "at the start": "config.settings.Settings.of",
}


@pytest.mark.full
@pytest.mark.parametrize("place", sampled(DEFECTS))
def test_a_defect_of_the_program_is_told_by_its_place_and_not_by_its_words(
    start: Start, place: str
) -> None:
    module, owner, method = place.rsplit(".", 2)
    fail = f"""
import sys
import target_apollo.{module}
from target_apollo import entry
def fail(*arguments, **named):
    private = "{MARK}"
    try:
        {{}}[private]
    except KeyError as error:
        raise ValueError(f"bad value {{private}} in {{arguments}}") from error
target_apollo.{module}.{owner}.{method} = fail
entry.target()
"""
    process, said = start(sys.executable, "-c", fail)
    process.communicate(lines_of(everything()), 120)

    text = check_silent(said)
    assert process.returncode == 1
    assert "A defect of target-apollo ended the run" in text
    assert re.search(r"builtins\.KeyError\nwhich led to\n(.*\n)+builtins\.ValueError", text)


# --- files


def test_what_a_run_leaves_behind_is_for_its_owner_only(start: Start, tmp_path: Path) -> None:
    before = os.umask(0o000)
    try:
        process, _ = start(
            ledger_url="sqlite:///.target-apollo/ledger.db",
            rejects_path=".target-apollo/rejects.singer",
            summary_path=None,
        )
        process.communicate(lines_of(everything()), 120)
    finally:
        os.umask(before)

    folder = tmp_path / ".target-apollo"
    left = {
        str(path.relative_to(tmp_path)): stat.S_IMODE(path.stat().st_mode)
        for path in [folder, *folder.rglob("*")]
    }
    assert {name for name in left if name.endswith(("ledger.db", "rejects.singer", ".json"))}
    folders = {name for name in left if (tmp_path / name).is_dir()}
    assert folders == {".target-apollo", ".target-apollo/runs"}
    assert {left[name] for name in folders} == {0o700}
    assert {mode for name, mode in left.items() if name not in folders} == {0o600}
    assert len(left) >= 5
