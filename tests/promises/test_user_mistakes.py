"""What a user gets wrong in a stream map, a settings file or an argument is said in a sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from target_apollo.cli import main
from target_apollo.sandbox import Sandbox
from tests.helpers.tiers import sampled
from tests.promises.conftest import Message, Run, contact, record, schema


@pytest.mark.parametrize(
    "expression",
    ["title + '!'", "title.upper()", "str(1 / id)", "int(title)", "title[0]", "{}[title]"],
)
def test_a_stream_map_that_fails_on_one_record_costs_no_other(
    apollo: Sandbox, sync: Run, expression: str
) -> None:
    done = sync(
        [schema("contacts"), contact(0, title=None), contact(1, title="5")],
        stream_maps={"contacts": {"first_name": expression}},
    )

    assert set(done.reasons) <= {"stream_map"}
    assert "defect" not in done.log
    assert done.records["received"] == 2


@pytest.mark.parametrize(
    "stream_map", [{"title": "titel"}, {"__key_properties__": ["nowhere"]}, {"__alias__": "5"}]
)
def test_a_stream_map_that_can_never_be_applied_is_a_wrong_setting(
    apollo: Sandbox, sync: Run, stream_map: Message
) -> None:
    done = sync([schema("contacts"), contact(1)], stream_maps={"contacts": stream_map})

    assert (done.exit_code, "stream_maps" in done.log) == (2, True)


@pytest.mark.full
@pytest.mark.parametrize("content", sampled(["{no json", "[1]", "", "\xff"]))
def test_a_settings_file_that_is_none_is_a_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(content, encoding="latin-1")

    done = subprocess.run(
        [sys.executable, "-m", "target_apollo", "--config", str(path)],
        input=b"",
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 2
    assert f"The settings file {path}".encode() in done.stderr
    assert b"File " not in done.stderr


def test_a_port_that_there_is_not_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sandbox", "--port", "99999"]) == 2
    assert "Choose another --port" in capsys.readouterr().err


def test_a_misspelled_entry_of_streams_is_named_at_the_end(apollo: Sandbox, sync: Run) -> None:
    done = sync([schema("contacts"), contact(1)], streams={"contcts": {"mode": "update"}})
    assert done.exit_code == 0
    assert len(apollo.store.contacts()) == 1
    assert "The entry 'contcts' of the setting 'streams' was used for no stream" in done.log


@pytest.mark.usefixtures("apollo")
def test_a_replay_does_not_ask_where_the_other_streams_are(sync: Run) -> None:
    streams = {"people": {"object": "contacts"}, "contacts": {}}
    bad = record("contacts", id=1, email=None)
    once = [schema("contacts"), schema("people"), bad, record("people", id=2, email="p2@a.com")]
    first = sync(once, streams=streams)
    assert "was used for no stream" not in first.log
    again = sync([schema("contacts"), *first.rejects], streams=streams)
    assert "was used for no stream" not in again.log
