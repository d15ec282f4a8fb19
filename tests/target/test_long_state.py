"""A STATE may be longer than any row: it is passed on as the tap wrote it."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from target_apollo.sync.exit import RunError
from target_apollo.target import stdin
from target_apollo.target.odd_lines import LongValue, Message
from target_apollo.target.stdin import SingerInput

SHORT = b'{"type":"STATE","value":{"n":1}}\n'
VALUE = '{"bookmarks":{"p\\u00e9": {"at" : 1.250, "é":"' + "x" * 200 + '"}}}'
STATE = b'{"type":"STATE","value":' + VALUE.encode() + b"}\n"


@pytest.fixture(autouse=True)
def chunks_shorter_than_the_longest_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stdin, "_CHUNK", 50)


class Reading:
    """A reader of lines of at most 100 bytes, whose messages and skipped lines are kept."""

    def __init__(self) -> None:
        self.reader = SingerInput()
        self.reader.longest_line = 100
        self.reader.idle_seconds = 5
        self.values: list[object] = []
        self.skipped: list[tuple[int, int]] = []
        self.reader.on_too_long = lambda *found: self.skipped.append(found)
        self.reader.handlers = {"STATE": self._take, "RECORD": self._take}

    def _take(self, message: Message) -> None:
        value = message.get("value", message.get("record"))
        self.values.append(value.text if isinstance(value, LongValue) else value)

    def read(self, content: bytes) -> Reading:
        self.reader.process_lines(io.BytesIO(content), {})
        return self

    def read_pipe(self, content: bytes, size: int) -> Reading:
        read, write = os.pipe()

        def send() -> None:
            with os.fdopen(write, "wb", buffering=0) as pipe:
                for start in range(0, len(content), size):
                    pipe.write(content[start : start + size])

        sender = threading.Thread(target=send)
        sender.start()
        with os.fdopen(read, "rb") as source:
            self.reader.process_lines(source, {})
        sender.join()
        return self


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_a_long_state_keeps_each_character_of_its_value(size: int) -> None:
    found = Reading().read_pipe(SHORT + STATE + SHORT, size)
    assert found.values == [{"n": 1}, VALUE, {"n": 1}]
    assert found.skipped == []


def test_a_long_state_in_a_file_or_in_memory_is_read_too(tmp_path: Path) -> None:
    assert Reading().read(STATE + SHORT).values == [VALUE, {"n": 1}]
    path = tmp_path / "input.singer"
    path.write_bytes(SHORT + STATE.rstrip())
    with path.open("rb") as file:
        found = Reading()
        found.reader.process_lines(file, {})
    assert found.values == [{"n": 1}, VALUE]


@pytest.mark.parametrize(
    "line",
    [
        b'{"value":' + VALUE.encode() + b', "type": "STATE"}\n',
        b'\xef\xbb\xbf { "type" : "STATE", "value": ' + VALUE.encode() + b"}\n",
    ],
)
def test_a_long_state_is_known_however_its_members_stand(line: bytes) -> None:
    assert Reading().read(line).values == [VALUE]


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"RECORD","stream":"a","record":{"value":"' + b"x" * 200 + b'"}}\n',
        b'{"record":{"value":"' + b"x" * 200 + b'"},"stream":"a","type":"RECORD"}\n',
        b'{"value":"' + b"x" * 200 + b'","type":"RECORD"}\n',
        b'{"type":"STATE","value":"' + b"x" * 200 + b"\n",
        b'{"type":"STATE","value":"\xff' + b"x" * 200 + b'"}\n',
        b'{"type":"STATE","other":"' + b"x" * 200 + b'"}\n',
    ],
)
def test_any_other_long_line_is_skipped(line: bytes) -> None:
    found = Reading().read(line + SHORT)
    assert (found.values, found.skipped) == ([{"n": 1}], [(len(line), 1)])


@pytest.mark.parametrize("read", [Reading.read, lambda one, given: one.read_pipe(given, 50)])
def test_a_state_beyond_all_measure_ends_the_run(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[Reading, bytes], Reading]
) -> None:
    monkeypatch.setattr(stdin, "LONGEST_STATE", 150)
    with pytest.raises(RunError, match="Line 2 is a STATE of"):
        read(Reading(), SHORT + STATE + SHORT)


def test_the_value_of_a_long_state_is_json(tmp_path: Path) -> None:
    (value,) = Reading().read(STATE).values
    assert json.loads(str(value)) == json.loads(STATE)["value"]
