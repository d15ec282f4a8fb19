"""What `apollo-sync plan` and `adopt` share: Singer messages in, and nothing written to Apollo."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Any

import click

from target_apollo.cli.options import FILE, CommandFailed
from target_apollo.config.environment import source_by_default
from target_apollo.config.sources import Source, read_config
from target_apollo.reporting.terminal import Paint, line_width
from target_apollo.sync.exit import FAILED, MISCONFIGURED
from target_apollo.system import crashes, logs
from target_apollo.system.shown import printable
from target_apollo.target.target import TargetApollo

#: The lines that show the summary of a run, for the width of a terminal.
Lines = Callable[[Mapping[str, Any], int, Paint], Iterable[str]]


#: Value: `source`.
source_option = click.option(
    "--source",
    metavar="NAME",
    help="where the rows of INPUT come from: in Meltano the name of the extractor (default: the "
    "setting source, else the only extractor of the project)",
)


def source_of_input(sources: Sequence[Source], named: str | None) -> dict[str, str]:
    """The setting `source` for messages that a tap wrote earlier.

    In a run Meltano gives the extractor's name to the target; to a command it does not. Where it
    can't be known, a line on standard error says so.

    Args:
        sources: Where the settings come from.
        named: The value of `source_option`.

    Returns:
        The setting; nothing where the settings have it, or nobody knows it.
    """
    if named is not None:
        return {"source": named}
    found = next((one for one in sources if not isinstance(one, str)), None)
    if found is None or found.values.get("source") is not None or source_by_default():
        return {}
    extractors = found.project.other_extractors()
    if len(extractors) == 1:
        return {"source": extractors[0]}
    if extractors:
        click.echo(
            printable(
                "Nobody says which extractor has written the input, so its rows count as rows "
                f"without a source. Name it with --source: {', '.join(extractors)}."
            ),
            err=True,
        )
    return {}


#: Value: `messages`.
messages_argument = click.argument("messages", metavar="[INPUT]", required=False, type=FILE)


def dry_run_config(sources: Sequence[Source], source: str | None) -> dict[str, Any]:
    """The settings of a run that writes nothing to Apollo; its log goes to standard error.

    Args:
        sources: Where the settings come from.
        source: The value of `source_option`.

    Raises:
        SettingsError: As `read_config`.
    """
    logs.to_stderr(TargetApollo.name)
    return {**read_config(sources), **source_of_input(sources, source), "dry_run": True}


def run_and_show(
    config: dict[str, Any], file: str | None, lines: Lines, *, adopts: bool = False
) -> int:
    """Runs the target and prints its summary, unless a defect ends it; returns the exit code.

    Args:
        config: Those of `dry_run_config`.
        file: Where the Singer messages are; None: on standard input.
        adopts: Whether rows are linked in the ledger to the records that Apollo has.

    Raises:
        CommandFailed: The file can't be read.
    """
    with _open_messages(file) as messages:
        target = TargetApollo(config=config)
        if adopts:
            target.run.begin_adoption()
        exit_code = _run(target, messages, lines)
    target.exit_without_threads(exit_code)
    return exit_code


def _open_messages(file: str | None) -> AbstractContextManager[IO[bytes] | None]:
    try:
        return nullcontext() if file is None else Path(file).open("rb")
    except OSError as problem:
        raise CommandFailed(
            f"The input {file} can't be read: {problem.strerror}.",
            exit_code=MISCONFIGURED,
        ) from None


def _run(target: TargetApollo, messages: IO[bytes] | None, lines: Lines) -> int:
    try:
        exit_code = target.sync(messages)
    except Exception as defect:  # noqa: BLE001 - its message may show a record
        target.logger.error("%s", crashes.text_of(defect))
        return FAILED
    width = line_width(sys.stdout)
    paint = Paint.for_output(sys.stdout, os.environ)
    sys.stdout.write("\n".join(lines(target.run.summary, width, paint)) + "\n")
    sys.stdout.flush()
    return exit_code
