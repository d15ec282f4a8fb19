"""A replay: the target reads the rejects file, and what succeeded leaves the file.

The command `apollo-sync replay`: arguments in, the run's log on stderr, its exit code out.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import IO, BinaryIO, cast

from singer_sdk.exceptions import ConfigValidationError

from target_apollo import logs
from target_apollo.cli.replay_file import RejectedLines, Settled, leave_only_rejected
from target_apollo.config.settings import SettingsError
from target_apollo.config.sources import add_config_argument, read_config
from target_apollo.files import locked, open_private
from target_apollo.model.outcomes import Outcome
from target_apollo.sync.exit import FAILED, MISCONFIGURED
from target_apollo.sync.rejects_file import RejectsFile
from target_apollo.target.target import TargetApollo


class AnotherReplay(Exception):
    """A replay of the same file is under way; the text is a sentence."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"Another replay of {path} is under way: wait for its end, then start again."
        )


class CannotReplay(Exception):
    """The rejects file can't be read, or not be replaced; it holds all its lines then."""

    def __init__(self, path: Path, problem: OSError) -> None:
        super().__init__(
            f"The rejects file {path} could not be replayed, or not be shortened after it: "
            f"{problem.strerror}. No reject is lost. Mend that and start again."
        )


def replay(target: TargetApollo) -> int:
    """Sends the records of the setting `rejects_path` again; returns the exit code of the run.

    A dry run sends nothing, so that nothing succeeds and the file stays as it is.

    Raises:
        AnotherReplay: It is being replayed already.
        CannotReplay: It can't be read, or not be replaced.
    """
    path = target.run.rejecting.file.path
    with ExitStack() as held:
        try:
            if not path.exists() or not path.stat().st_size:
                target.logger.info("There are no rejected records in %s.", path)
                return 0
            if target.run.settings.dry_run:
                return _rehearse(target, held.enter_context(path.open("rb")))
            lock = _beside(path, ".lock")
            held.enter_context(locked(lock, wait=False))
            held.callback(lock.unlink, missing_ok=True)
            # A replay that was killed may have left one; the rejects file holds all that it does.
            _beside(path, ".replaying").unlink(missing_ok=True)
            rejects = held.enter_context(open_private(path))
            with locked(path):
                size = os.fstat(rejects.fileno()).st_size
        except BlockingIOError:
            raise AnotherReplay(path) from None
        except OSError as problem:
            raise CannotReplay(path, problem) from problem
        lines = RejectedLines(rejects, size)
        settled = Settled()
        successor = _beside(path, ".replaying")
        target.run.rejecting.file = RejectsFile(path, target.run.run_id, into=successor)
        target.run.rejecting.on_outcome = settled.note
        try:
            return target.sync(cast("IO[bytes]", lines))
        finally:
            try:
                if settled:
                    leave_only_rejected(path, rejects, size, settled, successor)
                    _say(target, settled, lines.records)
                successor.unlink(missing_ok=True)
            except OSError as problem:
                raise CannotReplay(path, problem) from problem


def _rehearse(target: TargetApollo, rejects: BinaryIO) -> int:
    size = os.fstat(rejects.fileno()).st_size
    return target.sync(cast("IO[bytes]", RejectedLines(rejects, size)))


def _say(target: TargetApollo, settled: Settled, sent: int) -> None:
    rejected = target.run.report.total(Outcome.REJECTED)
    target.logger.info(
        "%d rejected records are taken out of %s; %d were rejected again, and %d had no outcome.",
        len(settled) - rejected,
        target.run.rejecting.file.path,
        rejected,
        sent - len(settled),
    )


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `replay` to a parser."""
    parser.description = (
        "Sends the records of the rejects file again, as the target would. What succeeds leaves "
        "the file; what fails again stays with its new reason and one more attempt; lines that "
        "were no Singer messages stay as they are."
    )
    parser.epilog = "Exit codes as those of target-apollo. No STATE is printed."
    add_config_argument(parser)
    parser.add_argument(
        "--rejects",
        metavar="FILE",
        help="the rejects file, where it is not the one of the setting rejects_path",
    )


def run(arguments: argparse.Namespace) -> int:
    """Replays and returns the exit code; what went wrong is said on stderr."""
    logs.to_stderr(TargetApollo.name)
    try:
        config = read_config(arguments.config)
        if arguments.rejects is not None:
            config["rejects_path"] = arguments.rejects
        target = TargetApollo(config=config)
    except SettingsError as wrong:
        return _refuse(*wrong.problems)
    except ConfigValidationError as wrong:
        return _refuse(*wrong.errors)
    try:
        exit_code = replay(target)
    except AnotherReplay as active:
        return _refuse(str(active))
    except CannotReplay as problem:
        sys.stderr.write(f"{problem}\n")
        return FAILED
    except Exception as defect:  # noqa: BLE001 - its own words may show a record
        target.logger.error("%s", logs.defect_text(defect))
        exit_code = FAILED
    target.exit_without_threads(exit_code)
    return exit_code


def _refuse(*sentences: str) -> int:
    sys.stderr.write("\n".join(sentences) + "\n")
    return MISCONFIGURED
