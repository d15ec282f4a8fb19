"""What a shell completes once it has read the script of `apollo-sync completion`."""

from __future__ import annotations

import argparse
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from target_apollo.cli import COMMANDS, SHELLS, Completion, completion_script

PROGRAM = "apollo-sync"
IN_BASH = """
source ./script
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_shtab_apollo_sync
printf '%s\\n' "${COMPREPLY[@]}"
"""


def options_of(command: str) -> set[str]:
    parser = argparse.ArgumentParser()
    COMMANDS[command].load().add_arguments(parser)
    return {text for action in parser._actions for text in action.option_strings}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("completion")
    (folder / "script").write_text(completion_script(PROGRAM, COMMANDS, "bash"), encoding="utf-8")
    (folder / "config.json").touch()
    return folder


def in_bash(folder: Path, *words: str) -> set[str]:
    """What bash offers for the last of the words that follow the program's name."""
    done = subprocess.run(
        ["bash", "--norc", "--noprofile", "-c", IN_BASH, "bash", PROGRAM, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    return set(done.stdout.split())


def test_bash_offers_every_command(folder: Path) -> None:
    assert in_bash(folder, "") == set(COMMANDS)


def test_bash_offers_the_commands_that_begin_with_what_is_typed(folder: Path) -> None:
    assert in_bash(folder, "ch") == {name for name in COMMANDS if name.startswith("ch")}


@pytest.mark.parametrize("command", COMMANDS)
def test_bash_offers_all_options_of_each_command_and_no_other(folder: Path, command: str) -> None:
    assert in_bash(folder, command, "-") == options_of(command)


def test_bash_offers_the_values_that_an_option_takes(folder: Path) -> None:
    assert in_bash(folder, "check", "--object", "") == {"contacts", "accounts"}


def test_bash_offers_files_where_a_file_is_asked_for(folder: Path) -> None:
    assert in_bash(folder, "check", "--config", "con") == {"config.json"}


def test_bash_offers_no_file_where_none_is_asked_for(folder: Path) -> None:
    assert in_bash(folder, "sandbox", "--port", "con") == set()


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_has_a_script_of_its_own(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    command = Completion(PROGRAM, COMMANDS)
    command.add_arguments(parser)
    assert command.run(parser.parse_args([shell])) == 0
    assert capsys.readouterr().out == completion_script(PROGRAM, COMMANDS, shell)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_itself_finds_no_fault_in_its_script(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "script"
    script.write_text(completion_script(PROGRAM, COMMANDS, shell), encoding="utf-8")
    subprocess.run([shell, "-n", str(script)], timeout=60, check=True)


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_offers_commands_and_options(tmp_path: Path) -> None:
    script = tmp_path / "script.fish"
    script.write_text(completion_script(PROGRAM, COMMANDS, "fish"), encoding="utf-8")
    offered = {}
    for typed in ("", "check --"):
        done = subprocess.run(
            ["fish", "--no-config", "-c", f"source {script}; complete -C '{PROGRAM} {typed}'"],
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        offered[typed] = {line.split("\t")[0] for line in done.stdout.splitlines()}
    assert offered[""] == set(COMMANDS)
    assert offered["check --"] >= {text for text in options_of("check") if text.startswith("--")}


def without_its_extra() -> NoReturn:
    raise ModuleNotFoundError("No module named 'starlette'", name="starlette.routing")


def command(**values: Any) -> Any:
    return SimpleNamespace(**{"summary": "serve", "load": without_its_extra, "needs": (), **values})


def test_a_command_whose_extra_is_missing_is_offered_without_options() -> None:
    script = completion_script(PROGRAM, {"sandbox": command(needs=("starlette",))}, "bash")
    assert "_shtab_apollo_sync_subparsers=(sandbox)" in script
    assert "--port" not in script


def test_a_module_that_no_extra_brings_is_not_passed_over() -> None:
    with pytest.raises(ModuleNotFoundError):
        completion_script(PROGRAM, {"sandbox": command()}, "bash")
