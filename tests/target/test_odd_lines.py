"""Why a line is no Singer message is said without showing it."""

from __future__ import annotations

import pytest
from singer_sdk.singerlib.exceptions import InvalidInputLine

from target_apollo.target.odd_lines import DEEPEST_LEVEL
from target_apollo.target.stdin import SingerInput


def refusal(line: bytes) -> str:
    with pytest.raises(InvalidInputLine) as refused:
        SingerInput().deserialize_json(line)
    return str(refused.value)


@pytest.mark.parametrize("line", [b'{"type":"RECORD"', b"plain words", b"\xff\xfe", b"{}}", b""])
def test_what_is_no_json_is_said_to_be_none(line: bytes) -> None:
    assert refusal(line).startswith("not JSON")


@pytest.mark.parametrize("line", [b"[]", b"5", b"{}", b'{"type":null}', b'{"type":7}'])
def test_json_without_a_type_is_no_message(line: bytes) -> None:
    assert refusal(line) == "not a Singer message: it has no 'type'"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"type":"RECORD","record":{}}', "a RECORD without 'stream'"),
        (b'{"type":"SCHEMA","schema":{}}', "a SCHEMA without 'stream'"),
        (b'{"type":"ACTIVATE_VERSION","version":1}', "an ACTIVATE_VERSION without 'stream'"),
        (b'{"type":"ACTIVATE_VERSION","stream":["a"]}', "an ACTIVATE_VERSION without 'stream'"),
        (b'{"type":"RECORD","stream":"a"}', "a RECORD whose 'record' is no object"),
        (b'{"type":"RECORD","stream":"a","record":[1]}', "a RECORD whose 'record' is no object"),
        (b'{"type":"STATE"}', "a STATE without 'value'"),
    ],
)
def test_a_message_without_its_parts_is_none(line: bytes, problem: str) -> None:
    assert refusal(line) == f"not a Singer message: {problem}"


def test_a_state_may_be_null() -> None:
    assert SingerInput().deserialize_json(b'{"type":"STATE","value":null}')["value"] is None


BEYOND_ALL_RANGE = b"1e99999999999999999999"


@pytest.mark.parametrize(("after", "why"), [(b"x", "JSON is malformed"), (b'"\xff"', "not UTF-8")])
def test_a_fault_after_a_number_out_of_all_range_is_said(after: bytes, why: str) -> None:
    line = b'{"type":"STATE","value":[%b,%b]}' % (BEYOND_ALL_RANGE, after)
    assert refusal(line) == f"not JSON ({why})"


def test_a_number_out_of_all_range_is_read_as_null() -> None:
    line = b'{"type":"STATE","value":[%b]}' % BEYOND_ALL_RANGE
    assert SingerInput().deserialize_json(line)["value"] == [None]


@pytest.mark.parametrize("levels", [DEEPEST_LEVEL, 100_000])
def test_a_line_that_is_nested_too_deep_is_refused(levels: int) -> None:
    line = b'{"type":"STATE","value":%b%b}' % (b"[" * levels, b"]" * levels)
    assert refusal(line) == f"nested more than {DEEPEST_LEVEL} levels deep"


def test_a_line_that_is_nested_as_deep_as_may_be_is_read() -> None:
    levels = DEEPEST_LEVEL - 1
    line = b'{"type":"STATE","value":%b%b}' % (b"[" * levels, b"]" * levels)
    assert SingerInput().deserialize_json(line)["type"] == "STATE"
