"""What editors, shells, databases and other taps leave in files and messages is simply read."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from target_apollo.config.stream_maps import stream_maps_problems
from target_apollo.mapper.held_state import HeldState
from target_apollo.mapper.stdio import BlockReader
from target_apollo.sandbox import Sandbox
from target_apollo.tap.command import main
from tests.promises.conftest import Message, Run, contact, lines_of, record, schema, state

BOM = b"\xef\xbb\xbf"
ONE = [schema("contacts"), contact(1), state(1)]


def test_a_byte_order_mark_before_the_messages_is_passed_over(sync: Run, apollo: Sandbox) -> None:
    done = sync(BOM + lines_of(ONE) + BOM + lines_of([contact(2), state(2)]))
    assert (done.exit_code, done.rejects, done.last_state) == (0, [], 2)
    assert len(apollo.store.contacts()) == 2


def test_the_mapper_takes_a_byte_order_mark_away(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    BlockReader().process_lines(io.BytesIO(BOM + lines_of(ONE)), {})  # type: ignore[arg-type]
    assert capfdbinary.readouterr().out == lines_of(ONE)


@pytest.mark.parametrize(
    "name", ["stream_maps", "stream_map_config", "flattening_enabled", "lists"]
)
def test_a_setting_of_null_counts_as_not_given(sync: Run, name: str) -> None:
    assert sync(ONE, **{name: None}).exit_code == 0


@pytest.mark.parametrize(
    ("maps", "sentence"),
    [
        ([], "'stream_maps' must be an object of stream -> object of property -> expression."),
        ("x", "'stream_maps' must be an object of stream"),
        ({"contacts": "x"}, "'stream_maps.contacts' must be an object of property -> expression"),
        ({"contacts": ["x"]}, "'stream_maps.contacts' must be an object of property"),
        ({"contacts": {"title": 5}}, "'stream_maps.contacts.title' must be an expression"),
        ({"contacts": {"title": {"a": 1}}}, "'stream_maps.contacts.title' must be an expression"),
        ({"__else__": 5}, "'stream_maps.__else__' must be null"),
    ],
)
def test_stream_maps_of_a_wrong_type_are_one_sentence(maps: Any, sentence: str) -> None:
    (found,) = stream_maps_problems(maps)
    assert sentence in found


@pytest.mark.parametrize(
    "maps",
    [
        None,
        {},
        {"contacts": None},
        {"contacts": "__NULL__"},
        {"__else__": None},
        {"contacts": {"a": None, "b": "c", "__key_properties__": ["id"], "__filter__": "True"}},
    ],
)
def test_stream_maps_that_are_right_are_no_problem(maps: Any) -> None:
    assert stream_maps_problems(maps) == []


def test_other_streams_can_be_left_out(sync: Run, apollo: Sandbox) -> None:
    done = sync(
        [*ONE, schema("accounts"), record("accounts", id=1, domain="b.com")],
        stream_maps={"__else__": None, "contacts": {"title": "'x'"}},
    )
    assert (done.exit_code, len(apollo.store.contacts()), apollo.store.accounts()) == (0, 1, [])


@pytest.mark.parametrize("none", ["", " ", "0000-00-00", "0000-00-00 00:00:00"])
def test_a_first_lead_without_a_date_does_not_end_the_mapper(none: str) -> None:
    held = HeldState("leads", "…")
    held.announce(["updated_at"])
    assert held.check_value(none) is False
    assert held.check_value("2026-01-01") is True


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ({"bookmarks": None}, 0),
        ({"bookmarks": {"apollo_sync_results": None}}, 0),
        ({"bookmarks": {"apollo_sync_results": {"replication_key_value": None}}}, 0),
        ({"bookmarks": []}, 2),
        ({"bookmarks": {"apollo_sync_results": 5}}, 2),
    ],
)
def test_a_state_without_bookmarks_begins_anew(
    tmp_path: Path, content: Message, code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    def write(name: str, value: Any) -> str:
        (tmp_path / name).write_bytes(BOM + json.dumps(value).encode())
        return str(tmp_path / name)

    config = write("c.json", {"ledger_url": f"sqlite:///{tmp_path}/ledger.db"})
    catalog = write("catalog.json", results_only(capfd))
    state_file = write("state.json", content)
    assert main(["--config", config, "--catalog", catalog, "--state", state_file]) == code


def results_only(capfd: pytest.CaptureFixture[str]) -> Message:
    assert main(["--discover"]) == 0
    found: Message = json.loads(capfd.readouterr().out)
    return {"streams": [one for one in found["streams"] if one["stream"] == "apollo_sync_results"]}
