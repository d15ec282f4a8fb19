"""The commands of apollo-sync with their options, as they say it themselves."""

from __future__ import annotations

import click

from docs.tools.markdown import code, table
from target_apollo.cli import COMMANDS

#: Options that all commands share, which the page tells once.
_OF_ALL = ("config", "help")


def commands_table() -> str:
    """What each command does."""
    return table(
        ("command", "what it does"),
        ((f"`apollo-sync {name}`", entry.summary) for name, entry in COMMANDS.items()),
    )


def options_table() -> str:
    """The options and arguments of each command."""
    return table(
        ("command", "option", "what it means"),
        (
            (f"`{name}`", code(*_written(option)), " ".join((option.help or "").split()))
            for name, entry in COMMANDS.items()
            for option in entry.load().params
            if isinstance(option, click.Option) and not option.hidden
            if option.name not in _OF_ALL
        ),
    )


def _written(option: click.Option) -> tuple[str, ...]:
    return (*option.opts, *option.secondary_opts)
