"""Real target processes against a strict sandbox over a socket."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from target_apollo.sandbox import Sandbox, SandboxOptions
from target_apollo.sandbox.serving.rate_windows import Plan
from target_apollo.target.target import TargetApollo
from tests.helpers.built_wheel import Installed, build_wheel
from tests.helpers.new_sandbox import new_sandbox

Message = dict[str, Any]

CONTACT_SCHEMA = {
    "properties": {
        "id": {"type": ["integer", "string"]},
        "email": {"type": ["string", "null"]},
        "first_name": {"type": ["string", "null"]},
        "last_name": {"type": ["string", "null"]},
        "title": {"type": ["string", "null"]},
        "organization_name": {"type": ["string", "null"]},
        "phone_number": {"type": ["string", "null"]},
        "mobile_phone": {"type": ["string", "null"]},
        "linkedin_url": {"type": ["string", "null"]},
        "website_url": {"type": ["string", "null"]},
        "owner_id": {"type": ["string", "null"]},
        "owner_email": {"type": ["string", "null"]},
        "contact_stage": {"type": ["string", "null"]},
        "label_names": {"type": ["array", "null"], "items": {"type": "string"}},
        "apollo_id": {"type": ["string", "null"]},
    }
}
#: With the time of a row's last change.
DATED = {
    "properties": {
        **CONTACT_SCHEMA["properties"],
        "updated_at": {"type": ["string", "null"]},
    }
}
ACCOUNT_SCHEMA = {
    "properties": {
        "id": {"type": ["integer", "string"]},
        "domain": {"type": ["string", "null"]},
        "name": {"type": ["string", "null"]},
        "phone_number": {"type": ["string", "null"]},
        "raw_address": {"type": ["string", "null"]},
        "owner_id": {"type": ["string", "null"]},
        "linkedin_url": {"type": ["string", "null"]},
        "label_names": {"type": ["array", "null"], "items": {"type": "string"}},
    }
}


def schema(stream: str, properties: Message | None = None, key: str | None = "id") -> Message:
    default = ACCOUNT_SCHEMA if stream.endswith("accounts") else CONTACT_SCHEMA
    return {
        "type": "SCHEMA",
        "stream": stream,
        "schema": properties or default,
        "key_properties": [key] if key else [],
    }


def record(stream: str, **values: Any) -> Message:
    return {"type": "RECORD", "stream": stream, "record": values}


def contact(number: int, **values: Any) -> Message:
    return record("contacts", **{"id": number, "email": f"p{number}@a.com", **values})


def state(value: Any) -> Message:
    return {"type": "STATE", "value": value}


@dataclass
class TargetRun:
    """What a target process left behind."""

    exit_code: int
    states: list[Any]
    log: str
    summary: Message = field(default_factory=dict)
    rejects: list[Message] = field(default_factory=list)

    @property
    def last_state(self) -> Any:
        return self.states[-1] if self.states else None

    @property
    def records(self) -> dict[str, int]:
        return {name: count for name, count in self.summary["records"].items() if count}

    @property
    def reasons(self) -> list[str]:
        return [reject["record"]["_reject"]["reason"] for reject in self.rejects]


Run = Callable[..., TargetRun]


def read_rejects(path: Path) -> list[Message]:
    if not path.exists():
        return []
    messages = [json.loads(line) for line in path.read_bytes().splitlines()]
    return [message for message in messages if message["type"] == "RECORD"]


def lines_of(messages: Iterable[Message | str]) -> bytes:
    lines = [m if isinstance(m, str) else json.dumps(m, ensure_ascii=False) for m in messages]
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass")


def sent_anew(messages: Iterable[Message | str] | bytes, folder: Path) -> bytes:
    """What a target is sent, in a folder where nothing of the run before it is left."""
    for name in ("rejects.singer", "summary.json"):
        (folder / name).unlink(missing_ok=True)
    return messages if isinstance(messages, bytes) else lines_of(messages)


def left_behind(folder: Path, exit_code: int, states: Sequence[str | bytes], log: str) -> TargetRun:
    summary = folder / "summary.json"
    return TargetRun(
        exit_code=exit_code,
        states=[json.loads(line) for line in states],
        log=log,
        summary=json.loads(summary.read_text()) if summary.exists() else {},
        rejects=read_rejects(folder / "rejects.singer"),
    )


@pytest.fixture(scope="session")
def built_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this source tree."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def installed_wheel(built_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """An environment with the wheel, where no source tree is."""
    return Installed(built_wheel, tmp_path_factory.mktemp("installed"))


@pytest.fixture
def apollo() -> Iterator[Sandbox]:
    with new_sandbox(SandboxOptions(strict=True)) as sandbox:
        yield sandbox


@pytest.fixture
def free() -> Iterator[Sandbox]:
    """A sandbox that is not in the way of a thousand requests."""
    with new_sandbox(SandboxOptions(strict=True, plan=Plan.UNLIMITED)) as sandbox:
        yield sandbox


@pytest.fixture
def target_config(tmp_path: Path) -> Callable[..., Path]:
    """Writes a settings file for a target that works below `tmp_path`."""

    def write(sandbox: Sandbox, **settings: Any) -> Path:
        config = {
            "api_key": sandbox.api_key,
            "api_url": sandbox.url,
            "state_interval_seconds": 0,
            "rejects_path": str(tmp_path / "rejects.singer"),
            "summary_path": str(tmp_path / "summary.json"),
            "ledger_url": f"sqlite:///{tmp_path}/ledger.db",
            "max_rejected_percent": 100,
            "abort_rejected_percent": 100,
            **settings,
        }
        path = tmp_path / "config.json"
        path.write_text(json.dumps(config))
        return path

    return write


@pytest.fixture
def sync(apollo: Sandbox, tmp_path: Path, target_config: Callable[..., Path]) -> Run:
    """Runs the target inside the test, against the sandbox over its socket: no process to start."""

    def run(messages: Iterable[Message | str] | bytes, **settings: Any) -> TargetRun:
        config = target_config(settings.pop("sandbox", apollo), **settings)
        sent = sent_anew(messages, tmp_path)
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        out, log = io.StringIO(), io.StringIO()
        listener = logging.StreamHandler(log)
        logging.getLogger("target-apollo").addHandler(listener)
        logging.getLogger("target-apollo").setLevel(logging.INFO)
        try:
            with contextlib.redirect_stdout(out):
                target = TargetApollo(config=json.loads(config.read_text()))
                exit_code = target.sync(io.BytesIO(sent))
        finally:
            logging.getLogger("target-apollo").removeHandler(listener)
            for number, handler in handlers.items():
                signal.signal(number, handler)
        return left_behind(tmp_path, exit_code, out.getvalue().splitlines(), log.getvalue())

    return run


@pytest.fixture
def run_target(apollo: Sandbox, tmp_path: Path, target_config: Callable[..., Path]) -> Run:
    """Runs ``target-apollo`` as a process with the messages on its standard input."""

    def run(messages: Iterable[Message | str] | bytes, **settings: Any) -> TargetRun:
        config = target_config(settings.pop("sandbox", apollo), **settings)
        sent = sent_anew(messages, tmp_path)
        done = subprocess.run(
            [sys.executable, "-m", "target_apollo", "--config", str(config)],
            input=sent,
            capture_output=True,
            timeout=120,
            cwd=tmp_path,
            check=False,
        )
        return left_behind(
            tmp_path, done.returncode, done.stdout.splitlines(), done.stderr.decode()
        )

    return run
