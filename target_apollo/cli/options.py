"""The argument `--object` of commands that can be asked about contacts or accounts alone."""

from __future__ import annotations

import argparse

from target_apollo.model.objects import ObjectKind


def add_object_argument(parser: argparse.ArgumentParser, about: str) -> None:
    """Adds `--object`, which may be given more than once.

    Args:
        about: Its help.
    """
    parser.add_argument(
        "--object",
        action="append",
        choices=[kind.value for kind in ObjectKind],
        dest="objects",
        help=about,
    )


def chosen_objects(arguments: argparse.Namespace) -> list[ObjectKind]:
    """The kinds of object that are asked for: those given, or else all."""
    return [ObjectKind(name) for name in arguments.objects or ()] or list(ObjectKind)
