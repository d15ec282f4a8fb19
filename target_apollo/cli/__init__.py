"""`apollo-sync`: the commands around the target.

A command is a module with two functions: `add_arguments(parser)`, and `run(arguments)`, which
returns the exit code and says on stderr what went wrong. It is loaded when it is called, so that no
command waits for what only another one needs.

`apollo-sync completion`: a script that completes commands and options in a shell.

The script is made from the parsers of the commands, so it knows what they know.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Protocol

import shtab

SHELLS = ("bash", "fish", "zsh")

#: An argument that is called so is a file; shells have no other way to know.
_FILE = re.compile(r"FILE|PATH", re.IGNORECASE)

_HOW = """Load it for the shell that runs now:
  bash:  source <(%(prog)s bash)
  zsh:   eval "$(%(prog)s zsh)"        (after compinit)
  fish:  %(prog)s fish | source
For every shell, write it to a file that the shell reads at its start:
  bash:  %(prog)s bash > ~/.local/share/bash-completion/completions/apollo-sync
  zsh:   %(prog)s zsh > _apollo-sync, in a folder of $fpath
  fish:  %(prog)s fish > ~/.config/fish/completions/apollo-sync.fish"""


class _HasArguments(Protocol):
    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...


class _Command(Protocol):
    """What is needed of a command: its line in the help, and its arguments."""

    @property
    def summary(self) -> str: ...

    @property
    def load(self) -> Callable[[], _HasArguments]: ...

    @property
    def needs(self) -> tuple[str, ...]: ...


class Completion:
    """The command, for the commands that it completes."""

    def __init__(self, program: str, commands: Mapping[str, _Command]) -> None:
        self._program = program
        self._commands = commands

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments to a parser."""
        parser.description = "Prints a script that completes commands and options in a shell."
        parser.epilog = _HOW
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.add_argument("shell", choices=SHELLS, help="the shell that is to complete")

    def run(self, args: argparse.Namespace) -> int:
        """Print the script of a shell; returns 0."""
        sys.stdout.write(completion_script(self._program, self._commands, args.shell))
        return 0


def completion_script(program: str, commands: Mapping[str, _Command], shell: str) -> str:
    """The script that makes a shell, one of `SHELLS`, complete the program's commands.

    A command whose extra is not installed is completed without its options.
    """
    parser = argparse.ArgumentParser(prog=program)
    parser.add_argument("--version", action="version", version="", help="print the version")
    below = parser.add_subparsers()
    for name, command in commands.items():
        own = below.add_parser(name, help=command.summary)
        try:
            module = command.load()
        except ModuleNotFoundError as missing:
            if (missing.name or "").partition(".")[0] not in command.needs:
                raise
        else:
            module.add_arguments(own)
            own.description = command.summary
            _mark_files(own)
    return f"{shtab.complete(parser, shell)}\n"


def _mark_files(parser: argparse.ArgumentParser) -> None:
    for action in parser._actions:  # argparse has no public way to list arguments
        if action.nargs != 0 and action.choices is None and _FILE.search(str(action.metavar)):
            action.complete = shtab.FILE  # type: ignore[attr-defined]


_NAME = "apollo-sync"

_FAULTY, _INTERRUPTED = 2, 130


class _Module(Protocol):
    """A command's module."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int: ...


@dataclass(frozen=True)
class Command:
    """A command: its line in the help, and what loads its module.

    Attributes:
        extra: The extra of this package whose packages the module needs.
        needs: The packages that tell that the extra is missing.
    """

    summary: str
    load: Callable[[], _Module]
    extra: str = ""
    needs: tuple[str, ...] = ()


def _check() -> _Module:
    from target_apollo.cli.check import command

    return command


def _completion() -> _Module:
    from target_apollo.cli import Completion

    return Completion(_NAME, COMMANDS)


def _explain() -> _Module:
    from target_apollo.cli import explain as explain_command

    return explain_command


def _fields() -> _Module:
    from target_apollo.cli.fields import command

    return command


def _login() -> _Module:
    from target_apollo.cli import login as command

    return command


def _plan() -> _Module:
    from target_apollo.cli import plan as plan_command

    return plan_command


def _replay() -> _Module:
    from target_apollo.cli import replay

    return replay


def _report() -> _Module:
    from target_apollo.cli import report as command

    return command


def _results() -> _Module:
    from target_apollo.tap import command

    return command


def _sandbox() -> _Module:
    from target_apollo.sandbox import command

    return command


COMMANDS: Mapping[str, Command] = {
    "check": Command("say whether a sync can work: key, team, endpoints, quota", _check),
    "completion": Command("print a script that completes commands in a shell", _completion),
    "explain": Command("say why map-apollo-leads did not send a lead", _explain),
    "fields": Command("list what can be mapped; make custom fields that are missing", _fields),
    "login": Command("log in with OAuth 2.0 in a browser, instead of an API key", _login),
    "plan": Command("say what a run would do with Singer messages, and write nothing", _plan),
    "replay": Command("send rejected records again; what succeeds leaves their file", _replay),
    "report": Command("show the last runs, one of them in detail, also as a page", _report),
    "results": Command(
        "print what became of each row, as a Singer tap for the warehouse", _results
    ),
    "sandbox": Command(
        "start a local Apollo to try, test and measure with",
        _sandbox,
        extra="sandbox",
        needs=("httptools", "starlette", "uvicorn"),
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `apollo-sync`; returns the exit code.

    Args:
        arguments: What follows the program's name; None takes the process's own.

    Raises:
        SystemExit: After `--help`, `--version` and wrong usage, which has exit code 2.
    """
    parser = _parser()
    parsed = parser.parse_args(arguments)
    if parsed.command is None:
        parser.error("name a command")
    command = COMMANDS.get(parsed.command)
    if command is None:
        parser.error(f"there is no command '{parsed.command}'; see {_NAME} --help")
    return _run(parsed.command, command, parsed.arguments)


def _run(name: str, command: Command, arguments: Sequence[str]) -> int:
    try:
        module = command.load()
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in command.needs:
            raise
        return _refuse(
            f"{_NAME} {name} needs the extra '{command.extra}': "
            f"pip install 'target-apollo[{command.extra}]'"
        )
    parser = argparse.ArgumentParser(prog=f"{_NAME} {name}", description=command.summary)
    module.add_arguments(parser)
    parsed = parser.parse_args(arguments)
    try:
        return module.run(parsed)
    except KeyboardInterrupt:
        return _INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items()]
    parser = argparse.ArgumentParser(
        prog=_NAME,
        usage=f"{_NAME} [--help] [--version] COMMAND …",
        description="Commands around target-apollo, which syncs a warehouse into Apollo.io.",
        epilog="\n".join(
            ["commands:", *lines, "", f"{_NAME} COMMAND --help says what a command takes."]
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action="version", version=f"{_NAME} {version('target-apollo')}"
    )
    parser.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def _refuse(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return _FAULTY
