"""The command `apollo-sync replay`: sends the records of the rejects file again.

The target reads the rejects file as its input. Records that succeed leave the file; records that
are rejected again stay, with their new reason. While a replay runs, it writes its rejects to a
second file, ``<rejects file>.replaying``, so no reject is lost if the replay is killed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, BinaryIO, cast

import click

from target_apollo.cli.options import FILE, ApolloCommand, CommandFailed, config_option
from target_apollo.cli.replay_file import (
    LONGEST_ENTRY,
    Contents,
    RecordsWithOutcome,
    RejectedLines,
    leave_only_rejected,
)
from target_apollo.config.paths import files_of, problems_of_files
from target_apollo.config.sources import Source, read_config
from target_apollo.model.outcomes import Outcome
from target_apollo.sync.exit import FAILED, MISCONFIGURED
from target_apollo.sync.rejects.rejects_file import RejectsFile
from target_apollo.system import crashes, logs
from target_apollo.system.files import locked, open_private
from target_apollo.target.target import TargetApollo

#: Settings of each replay: a record that fails again must not keep those behind it from being sent.
_NONE_BLOCKS_OTHERS: Mapping[str, object] = {
    "on_record_error": "reject",
    "abort_rejected_percent": 100,
}


class AnotherReplay(CommandFailed):
    """A replay of the same file is under way."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"Another replay of {path} is under way: wait for its end, then start again.",
            exit_code=MISCONFIGURED,
        )


class CannotReplay(CommandFailed):
    """The rejects file can't be read or replaced; it still has all of its lines."""

    def __init__(self, path: Path, problem: OSError) -> None:
        super().__init__(
            f"The rejects file {path} could not be replayed, or not be shortened after it: "
            f"{problem.strerror}. No reject is lost. Mend that and start again."
        )


@click.command(
    cls=ApolloCommand, epilog="Exit codes as those of target-apollo. No STATE is printed."
)
@config_option
@click.option(
    "--rejects",
    type=FILE,
    metavar="FILE",
    help="the rejects file, where it is not the one of the setting rejects_path",
)
@click.option(
    "--resend-unknown",
    is_flag=True,
    help="make the tasks of records rejected as outcome_unknown too; see in Apollo first that they "
    "are not there",
)
def command(sources: Sequence[Source], rejects: str | None, *, resend_unknown: bool) -> int:
    """Sends the records of the rejects file again, as the target would.

    What succeeds leaves the file; what fails again stays with its new reason and one more attempt;
    lines that were no Singer messages stay as they are. The exit code is 1 if a line of the file
    can't be read, or the stream of a record can't be used.
    """
    logs.to_stderr(TargetApollo.name)
    config = {**read_config(sources), **_NONE_BLOCKS_OTHERS}
    if rejects is not None:
        config["rejects_path"] = rejects
        unfit = problems_of_files(files_of(config, sources))
        if unfit:
            raise CommandFailed(*unfit, exit_code=MISCONFIGURED)
    path = Path(config["rejects_path"])
    contents = _contents(path)
    exit_code = FAILED if contents.number_unreadable else 0
    for sentence in contents.sentences(path):
        logging.getLogger(TargetApollo.name).error("%s", sentence)
    # A run has one source, and rows of two sources may have one key.
    for source in contents.sources or [""]:
        target = TargetApollo(config={**config, "source": source or config["source"]})
        target.run.resends_unknown = resend_unknown
        try:
            ended = replay(target, source)
        except CommandFailed:
            raise
        except Exception as defect:  # noqa: BLE001 - its message may show a record
            target.logger.error("%s", crashes.text_of(defect))
            ended = FAILED
        exit_code = max(exit_code, ended)
        if ended not in (0, FAILED):
            break
    target.exit_without_threads(exit_code)
    return exit_code


def _contents(path: Path) -> Contents:
    try:
        with path.open("rb") as file:
            return Contents.of(file)
    except OSError:
        # `replay` says what is wrong.
        return Contents()


def replay(target: TargetApollo, source: str) -> int:
    """Sends the records of the setting `rejects_path` again; returns the exit code of the run.

    A dry run sends nothing, so the file stays as it is.

    Args:
        source: That of the records to send, as the file has it; the others stay as they are.

    Raises:
        AnotherReplay: Another process is replaying the file.
        CannotReplay: The file can't be read or replaced.
    """
    path = target.run.rejects.file.path
    with ExitStack() as held:
        try:
            if not path.exists() or not path.stat().st_size:
                target.logger.info("There are no rejected records in %s.", path)
                return 0
            if target.run.settings.dry_run:
                return _dry_run(target, held.enter_context(path.open("rb")), source)
            lock = _beside(path, ".lock")
            held.enter_context(locked(lock, wait=False))
            held.callback(lock.unlink, missing_ok=True)
            # A killed replay may have left this file; the rejects file has all of its records.
            _beside(path, ".replaying").unlink(missing_ok=True)
            rejects = held.enter_context(open_private(path))
            with locked(path):
                size = os.fstat(rejects.fileno()).st_size
        except BlockingIOError:
            raise AnotherReplay(path) from None
        except OSError as problem:
            raise CannotReplay(path, problem) from problem
        lines = RejectedLines(rejects, size, source)
        with_outcome = RecordsWithOutcome()
        successor = _beside(path, ".replaying")
        target.run.rejects.file = RejectsFile(
            path, target.run.run_id, target.run.settings.source, into=successor
        )
        target.run.rejects.on_outcome = with_outcome.add
        try:
            return _sent(target, lines)
        finally:
            try:
                if with_outcome:
                    leave_only_rejected(path, rejects, size, with_outcome, successor, source)
                    _log_result(target, with_outcome, lines.records)
                successor.unlink(missing_ok=True)
            except OSError as problem:
                raise CannotReplay(path, problem) from problem


def _dry_run(target: TargetApollo, rejects: BinaryIO, source: str) -> int:
    size = os.fstat(rejects.fileno()).st_size
    return _sent(target, RejectedLines(rejects, size, source))


def _sent(target: TargetApollo, lines: RejectedLines) -> int:
    """Sends the lines; returns the exit code, which is not 0 if a stream can't be used."""
    target.begin_replay(LONGEST_ENTRY)
    exit_code = target.sync(cast("IO[bytes]", lines))
    return exit_code or (FAILED if target.has_unusable_streams else 0)


def _log_result(target: TargetApollo, with_outcome: RecordsWithOutcome, sent: int) -> None:
    rejected = target.run.counts.total(Outcome.REJECTED)
    target.logger.info(
        "%d rejected records are taken out of %s; %d were rejected again, and %d had no outcome.",
        len(with_outcome) - rejected,
        target.run.rejects.file.path,
        rejected,
        sent - len(with_outcome),
    )


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)
