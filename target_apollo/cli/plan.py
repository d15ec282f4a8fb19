"""The command `apollo-sync plan`: a dry run over Singer messages, and its plan on the terminal."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

from singer_sdk.exceptions import ConfigValidationError

from target_apollo import logs
from target_apollo.config.settings import SettingsError
from target_apollo.config.sources import add_config_argument, read_config
from target_apollo.reporting.plan import plan_lines
from target_apollo.reporting.terminal import UNBOUNDED, Paint
from target_apollo.sync.exit import FAILED, MISCONFIGURED
from target_apollo.target.target import TargetApollo

_MOST_DIFFS = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `plan` to a parser."""
    parser.description = (
        "Does all that a run would do with these Singer messages, except for the requests that "
        "write, and shows what would come of it: outcomes, rejects, duplicates, requests, and the "
        "time that Apollo's limits leave for them. Neither Apollo nor the ledger nor the rejects "
        "file is changed, and no STATE is printed."
    )
    parser.epilog = "Exit codes as those of target-apollo: the one that the run would have."
    add_config_argument(parser)
    parser.add_argument(
        "--diffs",
        type=_number_of_diffs,
        metavar="N",
        help=f"show up to N changed fields of existing records, with their values (0 to "
        f"{_MOST_DIFFS}; default: the setting sample_diffs)",
    )
    parser.add_argument(
        "input",
        nargs="?",
        metavar="INPUT",
        type=Path,
        help="file with Singer messages (default: standard input)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Plans and returns the exit code; what went wrong is said on stderr."""
    logs.to_stderr(TargetApollo.name)
    with ExitStack() as opened:
        try:
            config = {**read_config(arguments.config), "dry_run": True}
            if arguments.diffs is not None:
                config["sample_diffs"] = arguments.diffs
            source = None
            if arguments.input is not None:
                source = opened.enter_context(arguments.input.open("rb"))
            target = TargetApollo(config=config)
        except SettingsError as wrong:
            return _refuse(*wrong.problems)
        except ConfigValidationError as wrong:
            return _refuse(*wrong.errors)
        except OSError as problem:
            return _refuse(f"The input {arguments.input} can't be read: {problem.strerror}.")
        try:
            exit_code = target.sync(source)
        except Exception as defect:  # noqa: BLE001 - its own words may show a record
            target.logger.error("%s", logs.defect_text(defect))
            exit_code = FAILED
        else:
            _show(target)
    target.exit_without_threads(exit_code)
    return exit_code


def _show(target: TargetApollo) -> None:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else UNBOUNDED
    paint = Paint.for_output(sys.stdout, os.environ)
    sys.stdout.write("\n".join(plan_lines(target.run.summary, width, paint)) + "\n")
    sys.stdout.flush()


def _number_of_diffs(written: str) -> int:
    if not written.isascii() or not written.isdigit() or int(written) > _MOST_DIFFS:
        raise argparse.ArgumentTypeError(f"N must be a whole number from 0 to {_MOST_DIFFS}")
    return int(written)


def _refuse(*sentences: str) -> int:
    sys.stderr.write("\n".join(sentences) + "\n")
    return MISCONFIGURED
