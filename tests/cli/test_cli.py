from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from target_apollo.cli import COMMANDS, main
from target_apollo.config.settings import SettingsError
from target_apollo.config.sources import read_settings
from target_apollo.sandbox import Sandbox, SandboxOptions
from target_apollo.system.installation import how_to_install
from tests.helpers.new_sandbox import new_sandbox

KEY = "k3y-that-must-not-be-seen"
APOLLO_SYNC = Path(sys.executable).with_name("apollo-sync")


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("TARGET_APOLLO_")]:
        monkeypatch.delenv(name)
    # This repository is a Meltano project.
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., str]:
    def write(name: str = "config.json", **settings: Any) -> str:
        path = tmp_path / name
        path.write_text(json.dumps(settings))
        return str(path)

    return write


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    keys = {KEY: None, f"{KEY}-scoped": ("api/v1/contacts/bulk_create",)}
    with new_sandbox(SandboxOptions(strict=True, api_keys=keys)) as sandbox:
        yield sandbox


# --- the program


def test_the_help_has_one_line_for_each_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, command in COMMANDS.items():
        assert [line.split(maxsplit=1) for line in lines if line.strip().startswith(name)] == [
            [name, command.summary]
        ]


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.split() == ["apollo-sync", version("target-apollo")]


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["--nonsense"], ["check", "--nonsense"]])
def test_wrong_usage_shows_the_usage_and_exits_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("Usage: apollo-sync")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_of_its_own(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: apollo-sync {command}")


def test_the_help_imports_no_command() -> None:
    source = (
        "import sys; from target_apollo.cli import main; main(['--help']); "
        "print(*sorted(name for name in sys.modules if name.startswith('target_apollo')))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout.splitlines()[-1] == (
        "target_apollo target_apollo.cli target_apollo.system target_apollo.system.installation"
    )


def test_an_interrupt_ends_a_command_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(path: str, key: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("target_apollo.cli.explain.explain", interrupted)
    assert main(["explain", "1"]) == 130
    assert capsys.readouterr().err.strip() == ""


def test_the_sandbox_says_which_extra_is_missing() -> None:
    blocked = (
        "import sys; sys.modules['starlette'] = None; "
        "from target_apollo.cli import main; sys.exit(main(['sandbox']))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", blocked], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2
    assert "needs the extra 'sandbox': " in ended.stderr
    assert how_to_install("sandbox").partition("[")[0] in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.full
def test_the_sandbox_serves_until_it_is_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    started = subprocess.Popen(
        [APOLLO_SYNC, "sandbox", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert started.stdout is not None
        url = started.stdout.readline().split()[-1]
        environment = {"TARGET_APOLLO_API_URL": url, "TARGET_APOLLO_API_KEY": "sandbox"}
        checked = subprocess.run(
            [APOLLO_SYNC, "check"],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        started.send_signal(signal.SIGTERM)
        assert started.wait(30) == 0
    finally:
        started.kill()
        started.communicate()
    assert checked.returncode == 0
    assert checked.stdout.splitlines()[-1] == "Usable."
    assert checked.stderr == ""


# --- check


def test_a_good_key_is_usable(
    sandbox: Sandbox, config: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--config", config(api_url=sandbox.url, api_key=KEY)]) == 0
    said = capsys.readouterr()
    assert f"Address  {sandbox.url}" in said.out
    assert said.out.endswith("Usable.\n")
    assert said.err == ""


@pytest.mark.parametrize(
    ("key", "options", "exit_code"),
    [
        ("wrong", {}, 2),
        (f"{KEY}-scoped", {}, 2),
        (KEY, {"day_limit": 0}, 3),
    ],
)
def test_what_is_wrong_is_said_on_stderr_and_by_the_exit_code(
    sandbox: Sandbox,
    config: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
    key: str,
    options: dict[str, Any],
    exit_code: int,
) -> None:
    sandbox.set_options(**options)
    assert main(["check", "--config", config(api_url=sandbox.url, api_key=key)]) == exit_code
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_host_that_can_not_be_reached_is_exit_code_1(
    config: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/api/v1"
        assert main(["check", "--config", config(api_url=url, api_key=KEY)]) == 1
    said = capsys.readouterr()
    assert "could not be reached" in said.err
    assert KEY not in said.out + said.err


@pytest.mark.parametrize("key", [KEY, f"{KEY}-scoped", f"{KEY}-wrong", f"{KEY} blank"])
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_the_key_is_never_printed(
    sandbox: Sandbox,
    config: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
    key: str,
    form: list[str],
) -> None:
    main(["check", *form, "--config", config(api_url=sandbox.url, api_key=key)])
    said = capsys.readouterr()
    assert said.out + said.err
    assert KEY not in said.out + said.err


def test_json_is_one_object_that_holds_the_exit_code(
    sandbox: Sandbox, config: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = config(api_url=sandbox.url, api_key=f"{KEY}-scoped")
    assert main(["check", "--json", "--config", path]) == 2
    said = json.loads(capsys.readouterr().out)
    assert said["exit_code"] == 2
    assert said["key_valid"] is True
    assert said["team_id"] is None


def test_a_check_for_one_object_asks_for_no_more(
    sandbox: Sandbox, config: Callable[..., str]
) -> None:
    path = config(api_url=sandbox.url, api_key=f"{KEY}-scoped", mode="insert")
    assert main(["check", "--config", path]) == 2
    assert main(["check", "--config", path, "--object", "contacts"]) == 0


def test_wrong_settings_are_said_before_anything_is_sent(
    sandbox: Sandbox, config: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox.reset_log()
    path = config(api_url=sandbox.url, api_kye=KEY, batch_size=500)
    assert main(["check", "--config", path]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "There is no setting 'api_kye': did you mean 'api_key'?" in said.err
    assert "The setting 'batch_size' must be at most 100." in said.err
    assert KEY not in said.err
    assert not sandbox.requests


# --- where settings come from


def test_without_any_settings_the_ways_to_give_them_are_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check"]) == 2
    said = capsys.readouterr().err
    assert "'api_key' is missing" in said
    assert "--config" in said
    assert "TARGET_APOLLO_API_KEY" in said


def test_the_environment_is_read_where_no_file_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TARGET_APOLLO_API_KEY", KEY)
    monkeypatch.setenv("TARGET_APOLLO_BATCH_SIZE", "7")
    monkeypatch.setenv("TARGET_APOLLO_STREAMS", '{"people": {"object": "contacts"}}')
    settings = read_settings([])
    assert (settings.api_key, settings.batch_size) == (KEY, 7)
    assert settings.streams == {"people": {"object": "contacts"}}


def test_the_environment_is_left_alone_where_a_file_is_given(
    monkeypatch: pytest.MonkeyPatch, config: Callable[..., str]
) -> None:
    monkeypatch.setenv("TARGET_APOLLO_BATCH_SIZE", "7")
    assert read_settings([config(api_key=KEY)]).batch_size == 100


def test_a_later_file_wins_and_the_environment_over_files(
    monkeypatch: pytest.MonkeyPatch, config: Callable[..., str]
) -> None:
    monkeypatch.setenv("TARGET_APOLLO_MODE", "insert")
    first = config("first.json", api_key=KEY, batch_size=1, mode="update")
    second = config("second.json", batch_size=2)
    settings = read_settings(["ENV", first, second])
    assert (settings.batch_size, settings.mode.value) == (2, "insert")


def test_settings_of_the_target_that_no_command_needs_are_taken(
    config: Callable[..., str],
) -> None:
    path = config(api_key=KEY, stream_maps={"contacts": {"a": "b"}}, flattening_enabled=True)
    assert read_settings([path]).api_key == KEY


@pytest.mark.parametrize(
    "content", [b'{"api_key": "k3y-that-must-not-be-seen"', b"\xff\xfe\x00", b"[1]", b"[" * 100_000]
)
def test_a_file_that_holds_no_settings_is_named_and_not_shown(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"broken\.json") as refused:
        read_settings([str(path)])
    assert KEY not in str(refused.value)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        read_settings([str(tmp_path / "missing.json")])


@pytest.mark.parametrize(
    ("variable", "value"),
    [("TARGET_APOLLO_BATCH_SIZE", "many"), ("TARGET_APOLLO_STREAMS", "{contacts}")],
)
def test_a_variable_that_can_not_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv("TARGET_APOLLO_API_KEY", KEY)
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=variable) as refused:
        read_settings([])
    assert value not in str(refused.value)
