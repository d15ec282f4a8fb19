"""The completions of a shell that has loaded the script of `apollo-sync completion`."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.shell_completion import BashComplete

from target_apollo import cli
from target_apollo.cli import COMMANDS, Entry, apollo_sync, main
from target_apollo.cli.completion import SHELLS

PROGRAM = "apollo-sync"
BIN = Path(sys.executable).parent
#: How each shell is started without anybody's own settings, and how it loads the script.
STARTED = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "fish": ["fish", "--no-config", "-i"],
    "zsh": ["zsh", "-f", "-i"],
}
LOADED = {
    "bash": "source ./script.bash",
    "fish": "source ./script.fish",
    "zsh": "autoload -Uz compinit; compinit -u -D; source ./script.zsh",
}
#: What a terminal is told beside the text.
CONTROLS = re.compile(
    r"\x1b(?:\[[0-9;?>=]*[A-Za-z]|\][^\x07]*\x07|[()][A-Z0-9]|[=>78M])|[\x00\x07\x0e\x0f]"
)
IN_BASH = """
source ./script.bash
# Only bash itself may call it, while it completes.
compopt() { printf 'complete by %s\\n' "$2"; }
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_apollo_sync_completion "$1"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(autouse=True)
def _the_program_can_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")


def script_of(shell: str) -> str:
    done = subprocess.run(
        [BIN / PROGRAM, "completion", shell], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


def options_of(command: str) -> set[str]:
    loaded = COMMANDS[command].load()
    with click.Context(loaded, help_option_names=["-h", "--help"]) as context:
        parameters = loaded.get_params(context)
    return {
        option
        for parameter in parameters
        if isinstance(parameter, click.Option)
        for option in parameter.opts
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("completion")
    for shell in SHELLS:
        (folder / f"script.{shell}").write_text(script_of(shell), encoding="utf-8")
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
    return {line for line in done.stdout.splitlines() if line}


def offered(*words: str) -> set[str]:
    """What the program answers to the script of bash; "file" where bash itself is to complete."""
    asked = BashComplete(apollo_sync, {}, PROGRAM, "_APOLLO_SYNC_COMPLETE")
    answered = asked.get_completions([*words[:-1]], words[-1])
    return {item.value if item.type == "plain" else item.type for item in answered}


@pytest.fixture(scope="module", params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    """A shell that is installed here."""
    name = str(request.param)
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    return name


def typed_in(shell: str, folder: Path, typed: str, awaited: str) -> str:
    """What a terminal shows of a shell in which somebody types, until it shows what is awaited."""
    control, terminal = pty.openpty()
    process = subprocess.Popen(
        STARTED[shell],
        cwd=folder,
        env={
            **os.environ,
            "HOME": str(folder),
            "PS1": "$ ",
            "TERM": "dumb" if shell == "bash" else "vt100",
        },
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    try:
        # A shell that has not begun to read the keys itself would take a tab for a blank.
        os.write(control, f"{LOADED[shell]}; echo rea''dy\n".encode())
        shown = shown_until(control, "ready")
        os.write(control, typed.encode())
        shown += shown_until(control, awaited)
    finally:
        process.kill()
        process.wait(20)
        os.close(control)
    return shown


def shown_until(control: int, awaited: str) -> str:
    """What a terminal shows, without what moves and colours it, until it shows what is awaited."""
    shown, end = "", time.monotonic() + 60
    while awaited not in CONTROLS.sub("", shown) and time.monotonic() < end:
        if select.select([control], [], [], 0.2)[0]:
            shown += os.read(control, 4096).decode(errors="replace")
    return CONTROLS.sub("", shown)


def test_bash_offers_every_command(folder: Path) -> None:
    assert in_bash(folder, "") == set(COMMANDS)


def test_bash_offers_the_commands_that_begin_with_what_is_typed(folder: Path) -> None:
    assert in_bash(folder, "ch") == {name for name in COMMANDS if name.startswith("ch")}


@pytest.mark.parametrize("command", COMMANDS)
def test_all_options_of_each_command_are_offered_and_no_other(command: str) -> None:
    assert offered(command, "-") == options_of(command)


@pytest.mark.full
@pytest.mark.parametrize("command", ["check", "sandbox"])
def test_bash_offers_the_options_of_a_command(folder: Path, command: str) -> None:
    assert in_bash(folder, command, "-") == options_of(command)


@pytest.mark.full
def test_bash_offers_the_values_that_an_option_takes(folder: Path) -> None:
    assert in_bash(folder, "check", "--object", "") == {"contacts", "accounts"}
    assert in_bash(folder, "completion", "") == set(SHELLS)


@pytest.mark.parametrize(
    "words",
    [
        ("check", "--config"),
        ("explain", "7", "--verdicts"),
        ("fields", "--catalog"),
        ("fields", "--schema"),
        ("plan",),
        ("replay", "--rejects"),
        ("report", "--html"),
        ("report", "--verdicts"),
        ("results", "--catalog"),
        ("results", "--state"),
        ("sandbox", "--store"),
    ],
)
def test_files_are_offered_where_a_file_is_asked_for(words: tuple[str, ...]) -> None:
    assert offered(*words, "con") == {"file"}


@pytest.mark.full
def test_bash_completes_files_itself_where_a_file_is_asked_for(folder: Path) -> None:
    assert in_bash(folder, "check", "--config", "con") == {"complete by default"}


@pytest.mark.full
def test_bash_offers_no_file_where_none_is_asked_for(folder: Path) -> None:
    assert in_bash(folder, "sandbox", "--port", "con") == set()


@pytest.mark.full
@pytest.mark.parametrize(
    ("typed", "awaited"),
    [
        ("apollo-sync expl\t", "apollo-sync explain "),
        ("apollo-sync check --conf\t", "apollo-sync check --config "),
        ("apollo-sync check --config con\t", "--config config.json"),
        ("apollo-sync check --object acc\t", "--object accounts"),
    ],
    ids=["command", "option", "file", "value"],
)
@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_a_tab_completes_what_is_typed(folder: Path, name: str, typed: str, awaited: str) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    assert awaited in typed_in(name, folder, typed, awaited)


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_has_a_script_of_its_own(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert f"{shell}_complete" in said.out
    assert PROGRAM in said.out


@pytest.mark.full
@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("words", "wanted"),
    [("", set(COMMANDS)), ("check --object", {"contacts", "accounts"})],
)
def test_the_program_answers_the_script_of_every_shell(
    shell: str, words: str, wanted: set[str]
) -> None:
    typed = f"{PROGRAM} {words} ".replace("  ", " ")
    asked = {
        "_APOLLO_SYNC_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": typed,
        # fish hands over the word itself, the others its number.
        "COMP_CWORD": "" if shell == "fish" else str(len(typed.split())),
    }
    done = subprocess.run(
        [BIN / PROGRAM],
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    # zsh gets the parts of an answer on lines of their own, fish a description behind a tab.
    answered = set(re.split(r"[,\t\n]", done.stdout))
    assert wanted <= answered


def test_the_shell_itself_finds_no_fault_in_its_script(shell: str, folder: Path) -> None:
    subprocess.run([shell, "-n", f"script.{shell}"], cwd=folder, timeout=60, check=True)


@pytest.mark.full
@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("", set(COMMANDS)),
        ("expl", {"explain"}),
        ("check --conf", {"--config"}),
        ("check --object acc", {"accounts"}),
        ("check --config con", {"config.json"}),
    ],
    ids=["commands", "command", "option", "value", "file"],
)
def test_fish_offers_what_fits(folder: Path, typed: str, wanted: set[str]) -> None:
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"source script.fish; complete -C '{PROGRAM} {typed}'"],
        cwd=folder,
        env={"HOME": str(folder), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert {line.split("\t")[0] for line in done.stdout.splitlines()} == wanted


def test_a_command_whose_extra_is_missing_is_offered_without_options() -> None:
    blocked = (
        "import sys; sys.modules['starlette'] = None; "
        "from target_apollo.cli import main; sys.exit(main())"
    )
    for words, wanted in (("sand", {"sandbox"}), ("sandbox -", {"-h", "--help"})):
        typed = f"{PROGRAM} {words}"
        asked = {
            "_APOLLO_SYNC_COMPLETE": "bash_complete",
            "COMP_WORDS": typed,
            "COMP_CWORD": str(len(typed.split()) - 1),
        }
        done = subprocess.run(
            [sys.executable, "-c", blocked],
            env={**os.environ, **asked},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert {line.split(",")[1] for line in done.stdout.splitlines()} == wanted


def test_a_module_that_no_extra_brings_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = Entry("serve", "target_apollo.no_such_module", extra="sandbox")
    monkeypatch.setattr(cli, "COMMANDS", {"sandbox": lost})
    with pytest.raises(ModuleNotFoundError):
        apollo_sync.get_command(click.Context(apollo_sync, resilient_parsing=True), "sandbox")
