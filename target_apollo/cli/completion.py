"""`apollo-sync completion`: a script that completes commands and options in a shell.

The script is made from the parsers of the commands, so it knows what they know.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping
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
