"""The command `apollo-sync replay`: arguments in, the run's log on stderr, its exit code out."""

from __future__ import annotations

import argparse
import sys

from singer_sdk.exceptions import ConfigValidationError

from target_apollo import logs
from target_apollo.cli.replay import AnotherReplay, CannotReplay, replay
from target_apollo.config.settings import SettingsError
from target_apollo.config.sources import add_config_argument, read_config
from target_apollo.sync.exit import FAILED, MISCONFIGURED
from target_apollo.target.target import TargetApollo


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
    target.leave_abandoned(exit_code)
    return exit_code


def _refuse(*sentences: str) -> int:
    sys.stderr.write("\n".join(sentences) + "\n")
    return MISCONFIGURED
