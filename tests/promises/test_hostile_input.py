"""Hostile lines get a sentence, cost no other record, and never more than a bounded memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from target_apollo.sandbox import Sandbox
from target_apollo.target.odd_lines import DEEPEST_LEVEL, LONGEST_LINE
from tests.helpers.tiers import sampled
from tests.promises.conftest import CONTACT_SCHEMA, TargetRun, read_rejects, schema, state

SECRET = "planted-value-8841"
MEGABYTE = 1 << 20
MOST_MEMORY = 400 * MEGABYTE

# A child is measured alone: the most of all children of the process that started it.
MEASURED = """
import resource, subprocess, sys
done = subprocess.run([sys.executable, "-m", "target_apollo", *sys.argv[2:]])
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
open(sys.argv[1], "w").write(str(peak * (1 if sys.platform == "darwin" else 1024)))
sys.exit(done.returncode)
"""


def line(*parts: bytes) -> bytes:
    return b"".join(parts) + b"\n"


def contact(number: int, more: bytes = b"") -> bytes:
    """A good contact, with more properties of the record as they stand."""
    return line(
        b'{"type":"RECORD","stream":"contacts","record":{"id":%d,"email":"p%d@a.com"'
        % (number, number),
        b"," + more if more else b"",
        b"}}",
    )


def encoded(message: object) -> bytes:
    return json.dumps(message).encode() + b"\n"


OPEN = encoded(schema("contacts", {"properties": {**CONTACT_SCHEMA["properties"], "x": {}}}))
END = encoded(state({"end": True}))


@dataclass
class Measured:
    """A run and the most memory that its process held, in bytes."""

    run: TargetRun
    memory: int


Feed = Callable[[Iterable[bytes]], Measured]


@pytest.fixture
def feed(apollo: Sandbox, tmp_path: Path, target_config: Callable[..., Path]) -> Feed:
    """Runs the target as a process with these bytes on a pipe."""

    def run(pieces: Iterable[bytes]) -> Measured:
        peak = tmp_path / "peak"
        process = subprocess.Popen(
            [sys.executable, "-c", MEASURED, peak, "--config", target_config(apollo)],
            stdin=subprocess.PIPE,
            stdout=(tmp_path / "out").open("wb"),
            stderr=(tmp_path / "log").open("wb"),
            cwd=tmp_path,
        )
        assert process.stdin is not None
        with process.stdin:
            for piece in pieces:
                process.stdin.write(piece)
        assert process.wait(200) >= 0
        found = TargetRun(
            exit_code=process.returncode,
            states=[json.loads(written) for written in (tmp_path / "out").read_text().splitlines()],
            log=(tmp_path / "log").read_text(),
            summary=json.loads((tmp_path / "summary.json").read_text()),
            rejects=read_rejects(tmp_path / "rejects.singer"),
        )
        return Measured(found, int(peak.read_text()))

    return run


def emails(apollo: Sandbox) -> list[str]:
    return sorted(str(c["email"]) for c in apollo.store.contacts())


def check_alone(done: Measured, apollo: Sandbox, reason: str) -> None:
    """The hostile line is the only one that was rejected, with a sentence and without its text."""
    assert done.run.exit_code == 0, done.run.log[-2000:]
    assert done.run.reasons == [reason]
    assert emails(apollo) == ["p1@a.com", "p2@a.com"]
    assert done.run.last_state == {"end": True}
    assert f"({reason})" in done.run.log
    assert SECRET not in done.run.log
    assert "Traceback" not in done.run.log
    assert done.memory < MOST_MEMORY, f"{done.memory / MEGABYTE:.0f} MB"


def repeated(head: bytes, piece: bytes, times: int, tail: bytes) -> Iterator[bytes]:
    yield head
    many = 64_000 // len(piece)
    for start in range(0, times, many):
        yield piece * min(many, times - start)
    yield tail


UNREADABLE = {
    "half a line": b'{"type":"RECORD","stream":"contacts","record":{"email":"%b' % SECRET.encode(),
    "a surrogate in UTF-8": b'{"type":"RECORD","stream":"contacts","record":{"x":"\xed\xa0\x80"}}',
    "no UTF-8": b'{"type":"RECORD","stream":"contacts","record":{"x":"\xff\xfe"}}',
    "a bare control character": b'{"type":"RECORD","stream":"contacts","record":{"x":"a\x00b"}}',
    "100000 levels of arrays": b'{"type":"RECORD","stream":"contacts","record":{"x":%b%b}}'
    % (b"[" * 100_000, b"]" * 100_000),
    "100000 levels of objects": b'{"type":"RECORD","stream":"contacts","record":{"x":%b1%b}}'
    % (b'{"a":' * 100_000, b"}" * 100_000),
    "more levels than code can walk": b'{"type":"RECORD","stream":"contacts","record":{"x":%b%b}}'
    % (b"[" * 500, b"]" * 500),
    "two messages on a line": b'{"type":"STATE","value":{"a":1}}{"type":"STATE","value":{"b":1}}',
}


@pytest.mark.parametrize("hostile", sampled(UNREADABLE, 2))
def test_a_line_that_is_no_message_costs_only_itself(
    apollo: Sandbox, feed: Feed, hostile: bytes
) -> None:
    done = feed([OPEN, contact(1), line(hostile.replace(b"%b", SECRET.encode())), contact(2), END])

    check_alone(done, apollo, "unreadable_line")
    assert done.run.rejects[0]["record"]["line_number"] == 3


@pytest.mark.full
def test_half_a_last_line_is_rejected_and_what_came_before_it_is_written(
    apollo: Sandbox, feed: Feed
) -> None:
    done = feed([OPEN, contact(1), contact(2), END, contact(3)[:60]])

    check_alone(done, apollo, "unreadable_line")


@pytest.mark.full
@pytest.mark.parametrize(
    "head",
    [b'{"type":"RECORD","stream":"contacts","record":{"id":9,"title":"', b"no message at all "],
    ids=["a record", "nonsense"],
)
def test_a_line_of_64_mb_is_skipped_and_only_its_length_is_kept(
    apollo: Sandbox, feed: Feed, head: bytes
) -> None:
    times = 64 * MEGABYTE // len(SECRET)
    hostile = repeated(head, SECRET.encode(), times, b'"}}\n')

    done = feed([OPEN, contact(1), *hostile, contact(2), END])

    check_alone(done, apollo, "line_too_long")
    length = len(head) + times * len(SECRET) + 4
    kept = done.run.rejects[0]["record"]
    assert (kept["length"], kept["line_number"]) == (length, 3)
    assert "line" not in kept
    assert f"Line 3 ({length} bytes) is longer than 8 MB" in done.run.log


@pytest.mark.full
def test_a_line_of_64_mb_without_an_end_is_skipped_too(apollo: Sandbox, feed: Feed) -> None:
    hostile = repeated(b'{"type":"RECORD"', b" " * 1000, 64 * MEGABYTE // 1000, b"")

    check_alone(feed([OPEN, contact(1), contact(2), END, *hostile]), apollo, "line_too_long")


@pytest.mark.full
@pytest.mark.parametrize("piece", [b"[],", pytest.param(b"1.5,", marks=pytest.mark.full)])
def test_the_longest_line_that_is_read_takes_bounded_memory(
    apollo: Sandbox, feed: Feed, piece: bytes
) -> None:
    room = LONGEST_LINE - 200
    hostile = b'"x":[' + piece * (room // len(piece)) + b'0],"title":["' + SECRET.encode() + b'"]'

    done = feed([OPEN, contact(1), contact(3, hostile), contact(2), END])

    check_alone(done, apollo, "schema_mismatch")


@pytest.mark.full
def test_many_long_records_are_not_all_held_at_once(apollo: Sandbox, feed: Feed) -> None:
    long = b'"x":"' + b"y" * (6 * MEGABYTE) + b'"'

    done = feed([OPEN, *(contact(number, long) for number in range(60)), END])

    assert (done.run.exit_code, len(emails(apollo))) == (0, 60)
    assert done.memory < MOST_MEMORY, f"{done.memory / MEGABYTE:.0f} MB"


@pytest.mark.full
def test_many_long_rejects_are_not_all_held_at_once(apollo: Sandbox, feed: Feed) -> None:
    long = b'"title":5,"x":"' + b"y" * (2 * MEGABYTE) + b'"'

    done = feed([OPEN, contact(0), *(contact(number, long) for number in range(1, 101))])

    assert (len(done.run.rejects), emails(apollo)) == (100, ["p0@a.com"])
    assert done.memory < MOST_MEMORY, f"{done.memory / MEGABYTE:.0f} MB"


@pytest.mark.full
@pytest.mark.parametrize(
    ("count", "reason"), [(400_000, "too_many_properties"), (1_000_000, "line_too_long")]
)
def test_a_record_of_a_million_properties_is_rejected(
    apollo: Sandbox, feed: Feed, count: int, reason: str
) -> None:
    wide = b",".join(b'"%x":"%x"' % (number, number) for number in range(count))

    done = feed([OPEN, contact(1), contact(3, wide), contact(2), END])

    check_alone(done, apollo, reason)


@pytest.mark.full
def test_records_that_are_ever_differently_wide_take_bounded_memory(
    apollo: Sandbox, feed: Feed
) -> None:
    def wide(number: int) -> bytes:
        return b",".join(b'"p%d_%d":1' % (number, n) for n in range(5_000))

    done = feed([OPEN, *(contact(number, wide(number)) for number in range(200)), END])

    assert (done.run.exit_code, len(emails(apollo))) == (0, 200)
    assert done.memory < MOST_MEMORY, f"{done.memory / MEGABYTE:.0f} MB"


@pytest.mark.full
def test_a_schema_of_a_thousand_properties_is_an_ordinary_one(apollo: Sandbox, feed: Feed) -> None:
    properties = {f"property_{n}": {"type": ["string", "null"]} for n in range(1000)}
    wide = {"properties": {**CONTACT_SCHEMA["properties"], **properties}}
    values = b",".join(b'"property_%d":"v"' % n for n in range(1000))

    done = feed([encoded(schema("contacts", wide)), *(contact(n, values) for n in range(50)), END])

    assert (done.run.exit_code, len(emails(apollo))) == (0, 50)
    assert done.memory < MOST_MEMORY


@pytest.mark.full
def test_control_characters_in_text_do_not_reach_apollo_or_the_log(
    apollo: Sandbox, feed: Feed
) -> None:
    sent = [
        contact(1, b'"title":"a\\u0000b\\u001b[31mc"'),
        encoded(
            {"type": "RECORD", "stream": "contacts", "record": {"id": "9\n\x1b[2J", "email": 1}}
        ),
        contact(2),
    ]

    done = feed([OPEN, *sent, END])

    check_alone(done, apollo, "schema_mismatch")
    assert {c["title"] for c in apollo.store.contacts()} == {"ab[31mc", None}
    assert "\x1b" not in done.run.log


@pytest.mark.full
def test_of_a_property_that_stands_twice_the_last_value_counts(apollo: Sandbox, feed: Feed) -> None:
    done = feed([OPEN, contact(1, b'"title":"first","title":"last"'), END])

    assert done.run.exit_code == 0
    assert [c["title"] for c in apollo.store.contacts()] == ["last"]


HUGE = [b"1E+999999", b"9" * 4_000, b"-" + b"9" * 30, b"1e400", b"1e-999999", b"0." + b"1" * 5_000]


@pytest.mark.full
@pytest.mark.parametrize(
    ("number", "place"),
    sampled(
        {
            f"{place} {number[:12].decode()}…": (number, place)
            for number, place in [
                *((one, "id") for one in HUGE),
                *((one, place) for one in HUGE[:2] for place in ("x", "phone_number")),
            ]
        }
    ),
)
def test_a_huge_number_is_text_or_a_reject_and_never_the_end(
    apollo: Sandbox, feed: Feed, number: bytes, place: str
) -> None:
    loose = {"properties": {name: {} for name in [*CONTACT_SCHEMA["properties"], "x"]}}
    record = {b"id": b"9", b"email": b'"p9@a.com"', place.encode(): number}
    values = b",".join(b'"%b":%b' % item for item in record.items())
    hostile = line(b'{"type":"RECORD","stream":"contacts","record":{', values, b"}}")

    done = feed([encoded(schema("contacts", loose)), contact(1), hostile, contact(2), END])

    assert done.run.exit_code == 0, done.run.log[-2000:]
    assert {"p1@a.com", "p2@a.com"} <= set(emails(apollo))
    assert done.run.summary["records"]["received"] == 3
    assert done.run.summary["records"]["without_outcome"] == 0
    assert done.run.last_state == {"end": True}
    assert done.memory < MOST_MEMORY


@pytest.mark.full
@pytest.mark.parametrize(
    "levels",
    [
        DEEPEST_LEVEL,
        DEEPEST_LEVEL + 1,
        *(
            pytest.param(levels, marks=pytest.mark.full)
            for levels in (*range(DEEPEST_LEVEL - 6, DEEPEST_LEVEL), DEEPEST_LEVEL + 2)
        ),
    ],
)
def test_whatever_is_read_can_be_rejected(apollo: Sandbox, feed: Feed, levels: int) -> None:
    nested = b'"title":' + b"[" * levels + b"]" * levels

    done = feed([OPEN, contact(1), contact(3, nested), contact(2), END])

    assert done.run.exit_code == 0, done.run.log[-2000:]
    assert emails(apollo) == ["p1@a.com", "p2@a.com"]
    assert len(done.run.rejects) == 1
