from __future__ import annotations

import json
import logging
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from target_apollo.ledger import Ledger, LinkOutcome, LinkStatus, Place
from target_apollo.tap.command import main
from tests.helpers.loading import Loaded
from tests.ledger.conftest import (  # noqa: F401 - fixtures
    ledger,
    ledger_url,
    opened,
    postgresql_server,
    postgresql_url,
    run_sql,
    sqlite_url,
)

TEAM = "5f5e100c0d4ae7000181a2b3"
RESULTS, USERS, STAGES, FIELDS = (
    "apollo_sync_results", "apollo_users", "apollo_stages", "apollo_custom_fields",
)  # fmt: skip


def created(key: str, number: int = 0) -> LinkOutcome:
    return LinkOutcome(key, LinkStatus.CREATED, apollo_id=f"{number:024x}", payload_hash="0" * 32)


def save(ledger: Ledger, *outcomes: LinkOutcome, run: str = "run-1") -> None:  # noqa: F811
    ledger.record_outcomes(Place(TEAM, "contact", "crm-contacts"), run, outcomes)


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("TARGET_APOLLO_", "TAP_APOLLO_SYNC_")):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _left_as_it_was() -> Iterator[None]:
    """Takes back what a tap in the test's process sets for the whole process."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    on_signal = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for number, handler in on_signal.items():
        signal.signal(number, handler)


@pytest.fixture
def write_json(tmp_path: Path) -> Callable[[str, Any], str]:
    def write(name: str, content: Any) -> str:
        path = tmp_path / name
        path.write_text(json.dumps(content))
        return str(path)

    return write


@pytest.fixture
def catalog(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> Callable[..., dict[str, Any]]:
    """The tap's own catalog, in which some streams, or one stream's properties, are left out."""

    def make(*streams: str, without: tuple[str, ...] = (), **entry: Any) -> dict[str, Any]:
        assert main(["--discover"]) == 0
        content: dict[str, Any] = json.loads(capfdbinary.readouterr().out)
        for stream in content["streams"]:
            stream.update(entry)
            for about in stream["metadata"]:
                place = about["breadcrumb"]
                if not place:
                    about["metadata"]["selected"] = stream["stream"] in streams
                elif place[-1] in without:
                    about["metadata"]["selected"] = False
        return content

    return make


@pytest.fixture
def load(
    ledger_url: str,  # noqa: F811
    write_json: Callable[[str, Any], str],
    catalog: Callable[..., dict[str, Any]],
    capfdbinary: pytest.CaptureFixture[bytes],
) -> Callable[..., Loaded]:
    """Runs the tap on the ledger, without a key, and loads the results into `into`."""

    def run(into: Loaded, *, code: int = 0, **entry: Any) -> Loaded:
        config = write_json("config.json", {"ledger_url": ledger_url})
        arguments = ["--config", config]
        arguments += ["--catalog", write_json("catalog.json", catalog(RESULTS, **entry))]
        if into.state is not None:
            arguments += ["--state", write_json("state.json", into.state)]
        capfdbinary.readouterr()
        assert main(arguments) == code
        return into.take(capfdbinary.readouterr().out.splitlines())

    return run
