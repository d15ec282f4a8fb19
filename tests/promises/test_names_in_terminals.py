"""Names of streams, properties, teams and lists do nothing to a terminal that shows them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from target_apollo.apollo.answers import as_name
from target_apollo.mapper.rules import RULES
from target_apollo.sandbox import Sandbox
from target_apollo.system.shown import escaped
from tests.helpers.commands import apollo_sync
from tests.promises.conftest import CONTACT_SCHEMA, Message, Run, lines_of, record, schema

#: It clears the screen, makes a line of its own and turns the words behind it around.
EVIL = "evil\x1b[2J\x1b]0;t\x07\nINFO forged line\r\u202eright\u2066\x9b31m\u2028"
STREAM = f"contacts{EVIL}"
PROPERTY = f"title{EVIL}"
LONG = "long" * 5000
#: What a name must not bring into a terminal.
HARMFUL = ("\x1b", "\x07", "\r", "\u202e", "\u2066", "\x9b", "\u2028", "\nINFO forged")

DESCRIBED: Message = {
    "properties": {**CONTACT_SCHEMA["properties"], PROPERTY: {}, LONG: {}, "owner_name": {}}
}


def messages(stream: str = STREAM) -> list[Message]:
    return [
        record("deals" + EVIL, id=7),
        schema(stream, DESCRIBED),
        record(stream, id=1, email="p1@a.com", **{PROPERTY: "x", LONG: "y"}),
        record(stream, id=2, email="p1@a.com", contact_stage=EVIL),
        record(stream, id=3, email="p3@a.com", label_names=[EVIL, LONG]),
        record(stream, id=4, email="p4@a.com", title=7),
        record(stream, id=5, email=None),
        record(stream, id=6, email="p6@a.com", owner_email=EVIL),
        {"type": "ACTIVATE_VERSION", "stream": stream, "version": 1},
    ]


def harm_in(text: str) -> list[str]:
    return [sign for sign in HARMFUL if sign in text]


Ran = Callable[..., "subprocess.CompletedProcess[bytes]"]


# Names of streams are patterns.
SETTINGS: dict[str, Any] = {
    "streams": {"contacts*": {"object": "contacts"}},
    "on_delete": "list:" + EVIL,
}


def add_names(apollo: Sandbox) -> None:
    workspace = apollo.store
    workspace.add_user(email="eve@team.example", first_name=EVIL, last_name=LONG)
    workspace.add_custom_field("contact", EVIL, "string")
    workspace.add_contact(email="q@a.com", label_names=[EVIL])


@pytest.fixture
def run(target_config: Callable[..., Path], apollo: Sandbox, tmp_path: Path) -> Ran:
    """Runs one of the commands as a process, with `config.json` in its folder."""
    add_names(apollo)
    config = target_config(apollo, **SETTINGS)

    def ran(
        *command: str, given: list[Message] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        program, *arguments = command
        return subprocess.run(
            [Path(sys.executable).with_name(program), *arguments, "--config", str(config)],
            input=lines_of(given or []),
            capture_output=True,
            timeout=120,
            cwd=tmp_path,
            check=False,
        )

    return ran


def test_names_do_nothing_to_a_terminal_in_the_log_and_the_report(
    sync: Run, apollo: Sandbox, tmp_path: Path
) -> None:
    add_names(apollo)

    done = sync(messages(), **SETTINGS)
    config = ("--config", str(tmp_path / "config.json"))
    exit_code, report = apollo_sync("report", *config, "--html", str(tmp_path / "page.html"))
    (tmp_path / "in.singer").write_bytes(lines_of(messages()))
    _, plan = apollo_sync("plan", *config, str(tmp_path / "in.singer"))
    page = (tmp_path / "page.html").read_text()

    assert (done.exit_code, exit_code) == (0, 0)
    shown = {"log": done.log, "report": report, "plan": plan, "page": page}
    _, for_programs = apollo_sync("report", *config, "--json")
    assert harm_in(for_programs) == []
    harm = {name: [sign for sign in harm_in(text) if sign != "\r"] for name, text in shown.items()}
    assert {name: found for name, found in harm.items() if found} == {}
    assert [name for name, text in shown.items() if "forged" not in text or LONG in text] == []


@pytest.mark.full
def test_names_do_nothing_to_a_terminal_in_a_run_and_in_what_tells_of_it(
    run: Ran, tmp_path: Path
) -> None:
    ran = {"target": run("target-apollo", given=messages())}
    assert ran["target"].returncode == 0, ran["target"].stderr.decode()
    ran["report"] = run("apollo-sync", "report", "--html", "page.html")
    ran["again"] = run("target-apollo", given=messages())
    ran["plan"] = run("apollo-sync", "plan", given=messages())
    ran["replay"] = run("apollo-sync", "replay")
    shown = {name: (done.stdout + done.stderr).decode() for name, done in ran.items()}
    shown["summary"] = (tmp_path / "summary.json").read_text()
    shown["page"] = (tmp_path / "page.html").read_text()

    assert {name: harm_in(text) for name, text in shown.items() if harm_in(text)} == {}
    assert "forged" in shown["target"]
    assert "forged" in shown["report"]
    assert [name for name, text in shown.items() if LONG in text and name != "summary"] == []
    assert STREAM in json.loads(shown["summary"])["streams"]


@pytest.mark.full
def test_names_do_nothing_to_a_terminal_in_the_other_commands(run: Ran, tmp_path: Path) -> None:
    (tmp_path / "tap.singer").write_bytes(lines_of([schema(STREAM, DESCRIBED), schema(EVIL)]))
    missing = ("--create-missing-fields", "--schema", "tap.singer")
    ran = {
        "fields": run("apollo-sync", "fields"),
        "fields of a program": run("apollo-sync", "fields", "--json"),
        "missing": run("apollo-sync", "fields", *missing),
        "made": run("apollo-sync", "fields", *missing, "--yes"),
        "check": run("apollo-sync", "check"),
        "check of a program": run("apollo-sync", "check", "--json"),
        "unknown run": run("apollo-sync", "report", "--run", EVIL),
        "unknown stream": run("target-apollo", given=[schema("deals" + EVIL)]),
        "tap": run("tap-apollo-sync", "--discover"),
    }
    shown = {name: (done.stdout + done.stderr).decode() for name, done in ran.items()}

    assert {name: harm_in(text) for name, text in shown.items() if harm_in(text)} == {}
    assert "evil" in shown["fields"]
    fields = json.loads(ran["fields of a program"].stdout)
    # Names are read from Apollo in one line.
    assert as_name(EVIL) in [one["label"] for one in fields["contacts"]["custom_fields"]]


@pytest.mark.parametrize("stream", ["deals" + EVIL, LONG])
def test_a_stream_that_is_not_known_is_named_without_harm(sync: Run, stream: str) -> None:
    done = sync([schema(stream), record(stream, id=1, email="p1@a.com")])

    assert done.exit_code == 2
    assert harm_in(done.log) == []
    assert len(done.log) < 6000
    assert "set 'streams' to say which it is" in done.log or stream == LONG


@pytest.mark.full
def test_names_do_nothing_to_a_terminal_in_the_mapper_and_in_explain(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "streams": [STREAM],
        "output_stream": "contacts",
        "verdicts_path": str(tmp_path / "verdicts.jsonl"),
        "rules": {**dict.fromkeys(RULES, False), "unique": {"by": [PROPERTY]}},
    }
    (tmp_path / "map.json").write_text(json.dumps(settings))
    given = [schema(STREAM, DESCRIBED), record(STREAM, id=1, email="x", **{PROPERTY: EVIL})]
    program = Path(sys.executable).with_name

    mapped = subprocess.run(
        [program("map-apollo-leads"), "--config", "map.json"],
        input=lines_of(given),
        capture_output=True,
        cwd=tmp_path,
        check=False,
    )
    told = subprocess.run(
        [program("apollo-sync"), "explain", "1", "--verdicts", "verdicts.jsonl"],
        capture_output=True,
        cwd=tmp_path,
        check=False,
    )

    shown = {"mapper": mapped.stderr.decode(), "explain": (told.stdout + told.stderr).decode()}
    assert "evil" in shown["mapper"]
    assert {name: harm_in(text) for name, text in shown.items() if harm_in(text)} == {}


def test_json_with_escapes_reads_as_the_same_value() -> None:
    value = {EVIL: ["Zoë", "\U000e0041", LONG]}
    text = escaped(json.dumps(value, ensure_ascii=False, indent=2))
    assert harm_in(text) == []
    assert "Zoë" in text
    assert json.loads(text) == value
