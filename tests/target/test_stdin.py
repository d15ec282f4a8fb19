from __future__ import annotations

import io
import itertools
import json
import os
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from singer_sdk.singerlib.exceptions import InvalidInputLine

from target_apollo.target.odd_lines import Message
from target_apollo.target.stdin import SingerInput, StopReading

quick = settings(deadline=None, max_examples=30)

GOOD = b'{"type":"RECORD","stream":"contacts","record":{"id":1,"email":"ada@example.com"}}'
TYPES = ("RECORD", "SCHEMA", "STATE", "ACTIVATE_VERSION")


class Reading:
    """A reader whose messages and unreadable lines are kept."""

    def __init__(self) -> None:
        self.reader = SingerInput()
        self.messages: list[Message] = []
        self.unreadable: list[tuple[bytes, int, str]] = []
        self.reader.on_unreadable = lambda *found: self.unreadable.append(found)

    def read(self, content: bytes) -> Reading:
        callbacks: dict[str, Callable[[Message], None]] = dict.fromkeys(TYPES, self.messages.append)
        self.counts = self.reader.process_lines(io.BytesIO(content), callbacks)
        return self


hostile_lines = (
    st.binary(max_size=60)
    | st.builds(lambda cut: GOOD[:cut], st.integers(0, len(GOOD) - 1))
    | st.builds(lambda cut: GOOD[cut:], st.integers(1, len(GOOD)))
    | st.builds(
        lambda place, byte: GOOD[:place] + byte + GOOD[place + 1 :],
        st.integers(0, len(GOOD)),
        st.binary(min_size=1, max_size=2),
    )
    | st.sampled_from(
        [
            b"NaN",
            b'{"type":"RECORD","stream":"a","record":{"x":NaN}}',
            b'{"type":"RECORD","stream":"a","record":{"x":Infinity}}',
            b'{"type":"RECORD","stream":"a","record":{"x":"\\ud800"}}',
            b'{"type":"RECORD","stream":"a","record":{"x":"\\ud800abc"}}',
            b'{"type":"RECORD","stream":"a","record":{"\\udfff":1}}',
            b'{"type":"RECORD","stream":"a","record":{"x":"\xed\xa0\x80"}}',
            b'{"type":"RECORD","stream":"a","record":{"x":' + b"9" * 5000 + b"}}",
            b'{"type":"RECORD","stream":"a","record":{"x":-' + b"9" * 30 + b"}}",
            b'{"type":"RECORD","stream":"a","record":{"x":1e99999999999999999999}}',
            b'{"type":"RECORD","stream":"a","record":{"x":1e-99999999999999999999}}',
            b'{"type":"RECORD","stream":"a","record":{"x":0.' + b"1" * 5000 + b"}}",
            b'{"type":"RECORD","stream":"a","record":{"x":' + b"[" * 100_000 + b"}}",
            b'{"type":"RECORD","stream":"a","record":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001,
            b'{"type":"STATE","value":' + b"[" * 3_000 + b"]" * 3_000 + b"}",
            b'\xef\xbb\xbf{"type":"STATE","value":1}',
            b'{"type":"STATE","value":1}{"type":"STATE","value":2}',
            b'{"type":"STATE","value":1}\x00',
            b'{"type":["STATE"],"value":1}',
            b'{"type":"NONSENSE"}',
            b'{"type":"RECORD","stream":5,"record":{}}',
            b'{"type":"RECORD","stream":"a","record":[]}',
            b'{"type":"SCHEMA","schema":{}}',
            b'{"type":"ACTIVATE_VERSION","stream":null}',
            b'{"type":"STATE"}',
            b"[]",
            b'"RECORD"',
            b"null",
            b"\x00",
        ]
    )
).map(lambda line: line.replace(b"\n", b" "))


# --- laws


@quick
@given(st.lists(hostile_lines, max_size=6))
@example([b'{"type":"RECORD","stream":"a","record":{"x":1e99999999999999999999}}'])
def test_no_line_ends_the_reading_of_the_others(lines: list[bytes]) -> None:
    reading = Reading().read(b"\n".join([*lines, GOOD]) + b"\n")
    assert reading.messages[-1]["record"]["email"] == "ada@example.com"


@quick
@given(st.lists(hostile_lines, max_size=6))
def test_every_line_is_a_message_or_unreadable_or_blank(lines: list[bytes]) -> None:
    reading = Reading().read(b"\n".join(lines) + b"\n")
    blank = sum(not line or line.isspace() for line in lines) + (not lines)
    assert len(reading.messages) + len(reading.unreadable) + blank == max(len(lines), 1)


@quick
@given(st.lists(hostile_lines, max_size=6))
def test_an_unreadable_line_is_handed_on_as_it_is_with_its_number(lines: list[bytes]) -> None:
    reading = Reading().read(b"\n".join(lines) + b"\n")
    for line, number, problem in reading.unreadable:
        assert line == lines[number - 1] + b"\n"
        assert problem


@quick
@given(st.text(st.characters(categories=["Lo"]), min_size=5, max_size=20), st.integers(1, 60))
def test_what_is_said_of_a_line_never_shows_it(secret: str, cut: int) -> None:
    line = json.dumps({"type": "RECORD", "stream": "a", "record": {"x": secret}}).encode()
    raw = f'{{"type":"{secret}","{secret}":'.encode()
    for broken in (line[:-cut], raw, line.replace(b'"RECORD"', b"5"), raw + b"\xff"):
        for _, _, problem in Reading().read(broken).unreadable:
            assert secret not in problem


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@quick
@given(st.lists(st.dictionaries(st.text(max_size=4), json_values, max_size=4), max_size=5))
def test_records_arrive_as_they_were_sent(records: list[dict[str, Any]]) -> None:
    lines = [
        json.dumps({"type": "RECORD", "stream": "contacts", "record": record}) for record in records
    ]
    reading = Reading().read("\n".join(lines).encode())
    assert [message["record"] for message in reading.messages] == records
    assert reading.counts["RECORD"] == len(records)


@quick
@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20))
def test_a_number_keeps_all_its_digits(number: Decimal) -> None:
    line = f'{{"type":"STATE","value":{number:f}}}'.encode()
    (message,) = Reading().read(line).messages
    assert f"{Decimal(message['value']):f}" == f"{number:f}"


# --- what is no message


def test_a_message_of_an_unknown_type_is_unreadable() -> None:
    reading = Reading().read(b'{"type":"NONSENSE"}\n' + GOOD)
    assert [found[1:] for found in reading.unreadable] == [(1, "of no known message type")]


def test_lines_are_numbered_from_one_and_blank_ones_count() -> None:
    reading = Reading().read(b"\n  \nnonsense\n" + GOOD)
    assert [number for _, number, _ in reading.unreadable] == [3]
    assert reading.reader.line_number == 4


def test_the_last_line_needs_no_line_break() -> None:
    assert len(Reading().read(GOOD).messages) == 1


def test_a_half_line_at_the_end_is_unreadable() -> None:
    reading = Reading().read(GOOD + b"\n" + GOOD[:30])
    assert len(reading.messages) == 1
    assert reading.unreadable[0][0] == GOOD[:30]


def test_an_unreadable_line_ends_the_reading_where_nobody_takes_it() -> None:
    with pytest.raises(InvalidInputLine, match=r"Line 2 \(9 bytes\) is not JSON"):
        SingerInput().process_lines(
            io.BytesIO(GOOD + b"\nnonsense\n"), {"RECORD": lambda message: None}
        )


def test_a_text_stream_is_read_by_its_bytes() -> None:
    reading = Reading()
    wrapped = io.TextIOWrapper(io.BytesIO(b"\xff\n" + GOOD))
    reading.reader.process_lines(wrapped, {"RECORD": reading.messages.append})  # type: ignore[arg-type]
    assert (len(reading.unreadable), len(reading.messages)) == (1, 1)


# --- the end


def test_a_reader_that_is_stopped_reads_no_further_line() -> None:
    reading = Reading()

    def stop(message: Message) -> None:
        reading.messages.append(message)
        reading.reader.stopped = True

    counts = reading.reader.process_lines(io.BytesIO(GOOD + b"\n" + GOOD), {"RECORD": stop})
    assert len(reading.messages) == counts["RECORD"] == 1


def test_a_signal_while_waiting_for_input_ends_the_reading() -> None:
    class Interrupted(io.BytesIO):
        def readline(self, size: int | None = -1) -> bytes:
            if reader.line_number:
                assert reader.waiting
                raise StopReading
            return super().readline(size)

    reader = SingerInput()
    counts = reader.process_lines(
        Interrupted(GOOD + b"\n" + GOOD), {"RECORD": lambda message: None}
    )
    assert counts["RECORD"] == 1
    assert not reader.waiting


def test_the_reader_is_not_waiting_while_a_message_is_worked_on() -> None:
    reader = SingerInput()
    seen: list[bool] = []
    reader.process_lines(io.BytesIO(GOOD), {"RECORD": lambda message: seen.append(reader.waiting)})
    assert seen == [False]


def test_what_a_message_raises_is_not_taken_for_an_unreadable_line() -> None:
    def fail(message: Message) -> None:
        raise KeyError("email")

    reader = SingerInput()
    with pytest.raises(KeyError):
        reader.process_lines(io.BytesIO(GOOD), {"RECORD": fail})
    assert not reader.waiting


# --- a tap that writes in pieces, or not at all for a while


class Tap:
    """A pipe whose writer sends its next piece only when the reader finds nothing to read."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        read_end, self._write_end = os.pipe()
        self.output = os.fdopen(read_end, "rb", buffering=0)
        self._pieces = list(pieces)
        self._open = True
        self.idle = 0

    def on_idle(self) -> None:
        self.idle += 1
        if self._pieces:
            os.write(self._write_end, self._pieces.pop(0))
        else:
            self.close()

    def close(self) -> None:
        if self._open:
            os.close(self._write_end)
            self._open = False

    def read_by(self, reading: Reading) -> list[Message]:
        reading.reader.idle_seconds = 0
        callbacks: dict[str, Callable[[Message], None]] = dict.fromkeys(
            TYPES, reading.messages.append
        )
        with self.output:
            reading.reader.process_lines(self.output, callbacks)
        self.close()
        return reading.messages


@quick
@given(st.lists(hostile_lines, max_size=4), st.lists(st.integers(0, 400), max_size=8))
def test_a_pipe_gives_the_same_lines_in_whatever_pieces_they_come(
    lines: list[bytes], cuts: list[int]
) -> None:
    short = [line for line in lines if len(line) < 300]
    content = b"\n".join([*short, GOOD])
    places = sorted({0, len(content), *(cut for cut in cuts if cut < len(content))})
    pieces = [content[a:b] for a, b in itertools.pairwise(places)]
    tap, whole, in_pieces = Tap(pieces), Reading().read(content), Reading()
    in_pieces.reader.on_idle = tap.on_idle
    assert tap.read_by(in_pieces) == whole.messages
    assert in_pieces.unreadable == whole.unreadable


def test_a_silent_tap_leaves_time_for_other_things() -> None:
    tap, reading = Tap([GOOD[:10], GOOD[10:] + b"\n", GOOD]), Reading()
    reading.reader.on_idle = tap.on_idle
    assert len(tap.read_by(reading)) == 2
    assert tap.idle >= 4


def test_what_is_done_between_lines_is_done_once_for_those_that_came_together() -> None:
    looks: list[int] = []
    tap, reading = Tap([GOOD + b"\n" + GOOD + b"\n", GOOD]), Reading()
    reading.reader.on_idle = tap.on_idle
    reading.reader.before_wait = lambda: looks.append(len(reading.messages))
    tap.read_by(reading)
    assert looks == [0, 2, 3]


def test_nothing_more_is_begun_between_lines_after_a_signal() -> None:
    looks: list[int] = []
    reader = SingerInput()
    reader.before_wait = lambda: looks.append(1)

    def stop(message: Message) -> None:
        reader.stopped = True

    reader.process_lines(io.BytesIO(GOOD + b"\n" + GOOD), {"RECORD": stop})
    assert looks == [1]


def test_a_signal_that_comes_during_other_things_ends_the_reading_of_a_silent_tap() -> None:
    tap, reading = Tap([]), Reading()

    def signalled_while_busy() -> None:
        # The handler raises nothing here, since the reader is not waiting.
        assert not reading.reader.waiting
        reading.reader.stopped = True
        tap.idle += 1
        if tap.idle > 3:
            tap.close()

    reading.reader.on_idle = signalled_while_busy
    tap.read_by(reading)
    assert tap.idle == 1


def test_a_line_longer_than_any_piece_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "long.singer"
    long = GOOD.replace(b"ada", b"a" * 3_000_000)
    path.write_bytes(long + b"\n" + GOOD)
    reading = Reading()
    with path.open("rb") as file:
        reading.reader.process_lines(file, {"RECORD": reading.messages.append})
    assert [len(message["record"]["email"]) for message in reading.messages] == [3_000_012, 15]
