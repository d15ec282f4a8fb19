"""`apollo-sync results` and `tap-apollo-sync`: arguments, settings, files, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from target_apollo.config.schema import SCHEMA
from target_apollo.ledger import Ledger
from target_apollo.tap.command import main
from tests.helpers.loading import Loaded
from tests.helpers.tiers import sampled
from tests.tap.conftest import FIELDS, RESULTS, STAGES, USERS, created, save
from tests.tap.test_record_streams import ACCOUNTS, CONTACTS, DEALS, LISTS, SEQUENCES

Write = Callable[[str, Any], str]
TAP = [str(Path(sys.executable).with_name("tap-apollo-sync"))]


def test_discovery_needs_no_settings(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--discover"]) == 0
    streams = json.loads(capfd.readouterr().out)["streams"]
    assert {stream["stream"]: stream["key_properties"] for stream in streams} == {
        RESULTS: ["connection", "object", "stream", "source_key", "source"],
        USERS: ["id"],
        STAGES: ["object", "id"],
        FIELDS: ["object", "id"],
        **{name: ["id"] for name in (CONTACTS, ACCOUNTS, DEALS, LISTS, SEQUENCES)},
    }
    assert {s["stream"] for s in streams if s.get("replication_method") == "INCREMENTAL"} == {
        RESULTS,
        CONTACTS,
    }


def test_about_lists_the_settings(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--about", "--format", "json"]) == 0
    about = json.loads(capfd.readouterr().out)
    assert about["name"] == "tap-apollo-sync"
    assert {"api_key", "client_id", "api_url", "ledger_url"} <= set(about["settings"]["properties"])


@pytest.mark.full
def test_the_target_s_settings_file_will_do(
    write_json: Write, sqlite_url: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    with Ledger.open(sqlite_url) as ledger:
        save(ledger, created("1"))
    whole = {
        name: setting["default"]
        for name, setting in SCHEMA["properties"].items()
        if "default" in setting
    }
    # Nothing answers there: the streams from Apollo fail, the ledger's does not.
    own = {"ledger_url": sqlite_url, "api_key": "k", "api_url": "http://127.0.0.1:1/api/v1"}
    config = write_json("c.json", {**whole, **own, "stream_maps": {}, "batch_size_rows": 1})
    assert main(["--config", config]) == 1
    assert Loaded().load(capfdbinary.readouterr().out.splitlines()).given == ["1"]


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"ledger_ulr": "x"}, "There is no setting 'ledger_ulr': did you mean 'ledger_url'?"),
        ({"ledger_url": 5}, "'ledger_url' must be of type string"),
        ({"api_url": "http://api.apollo.io"}, "api_url"),
    ],
)
def test_a_wrong_setting_is_a_sentence(
    config: Any, sentence: str, write_json: Write, caplog: pytest.LogCaptureFixture
) -> None:
    assert main(["--config", write_json("c.json", config)]) == 2
    assert sentence in caplog.text


@pytest.mark.parametrize("option", ["--config", "--catalog", "--state"])
@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "can't be read"), ("{secret", "is no JSON"), ("[1]", "must hold a JSON object")],
)
def test_a_file_that_is_none_is_a_sentence(
    option: str,
    content: str | None,
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # Outside the Meltano project of this repository, whose settings it would ask for.
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "given.json"
    if content is not None:
        path.write_text(content)
    assert main([option, str(path)]) == 2
    assert f"file {path} {why}" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("content", [{}, {"streams": 5}, {"streams": [{"stream": "x"}]}])
def test_a_catalog_of_another_form_is_a_sentence(
    content: Any,
    write_json: Write,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--catalog", write_json("catalog.json", content)]) == 2
    assert "make one with --discover" in caplog.text


def test_without_credentials_the_ledger_is_read_and_the_rest_is_said(
    write_json: Write,
    sqlite_url: str,
    caplog: pytest.LogCaptureFixture,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    with Ledger.open(sqlite_url) as ledger:
        save(ledger, created("1"))
    assert main(["--config", write_json("c.json", {"ledger_url": sqlite_url})]) == 2
    assert Loaded().load(capfdbinary.readouterr().out.splitlines()).given == ["1"]
    assert "apollo_users is not complete: The setting 'api_key' is missing" in caplog.text


def test_the_environment_is_the_tap_s_own_before_the_target_s(
    monkeypatch: pytest.MonkeyPatch,
    sqlite_url: str,
    catalog: Callable[..., Any],
    write_json: Write,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    with Ledger.open(sqlite_url) as ledger:
        save(ledger, created("1"))
    wanted = write_json("catalog.json", catalog(RESULTS))
    for name, found in (("TARGET_APOLLO_LEDGER_URL", ["1"]), ("TAP_APOLLO_SYNC_LEDGER_URL", [])):
        url = sqlite_url if found else "sqlite:////nowhere/ledger.db"
        monkeypatch.setenv(name, url)
        capfdbinary.readouterr()
        assert main(["--config", "ENV", "--catalog", wanted]) == 0
        assert Loaded().load(capfdbinary.readouterr().out.splitlines()).given == found


def test_an_empty_ledger_url_gives_no_results(
    write_json: Write, catalog: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    wanted = write_json("catalog.json", catalog(RESULTS))
    assert main(["--config", write_json("c.json", {"ledger_url": ""}), "--catalog", wanted]) == 0
    assert "without a ledger" in caplog.text


@pytest.fixture
def long_ledger(sqlite_url: str, write_json: Write) -> str:
    """Settings for a ledger whose results fill a pipe."""
    with Ledger.open(sqlite_url) as ledger:
        save(ledger, *(created(str(number)) for number in range(3000)))
    return write_json("c.json", {"ledger_url": sqlite_url})


@pytest.mark.full
def test_a_loader_that_ends_early_ends_the_tap_without_a_traceback(long_ledger: str) -> None:
    with subprocess.Popen(
        [*TAP, "--config", long_ledger], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as tap:
        assert tap.stdout is not None
        assert tap.stderr is not None
        tap.stdout.readline()
        tap.stdout.close()
        said = tap.stderr.read()
        assert tap.wait(60) == 1
    assert "the loader has ended" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("number", sampled([signal.SIGTERM, signal.SIGINT]))
def test_a_signal_ends_the_tap_by_its_number(long_ledger: str, number: signal.Signals) -> None:
    with subprocess.Popen(
        [*TAP, "--config", long_ledger], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as tap:
        assert tap.stdout is not None
        tap.stdout.readline()
        tap.send_signal(number)
        _, said = tap.communicate(timeout=60)
    assert tap.returncode == 128 + number
    assert b"Traceback" not in said


@pytest.mark.full
def test_the_log_shows_no_secret_and_no_password(write_json: Write, tmp_path: Path) -> None:
    config = {
        "api_key": "s3cret-key", "api_url": "http://127.0.0.1:1/api/v1",
        "ledger_url": "postgresql://someone:s3cret-word@127.0.0.1:1/nowhere",
    }  # fmt: skip
    done = subprocess.run(
        [*TAP, "--config", write_json("c.json", config)],
        capture_output=True, text=True, timeout=100, check=False, cwd=tmp_path,
        env={**os.environ, "LOGLEVEL": "DEBUG"},
    )  # fmt: skip
    assert done.returncode == 1
    assert "apollo_sync_results is not complete: Opening the ledger" in done.stderr
    assert "s3cret" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
