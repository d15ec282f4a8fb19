"""The process around a run: from wrong settings or the first message to the exit code."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING, Any, NoReturn

from singer_sdk.exceptions import ConfigValidationError

from target_apollo import logs
from target_apollo.config.environment import read_environment
from target_apollo.config.settings import SettingsError
from target_apollo.sync.exit import FAILED, MISCONFIGURED
from target_apollo.sync.run import Run
from target_apollo.target.collecting import collect_rarely

#: A thread that has an answer to read or a request to send waits as long for the one that reads
#: records. By default that is five times as long, while Apollo has nothing to do.
_HAND_OVER_SECONDS = 0.001

if TYPE_CHECKING:
    from singer_sdk.plugin_base import _ConfigInput

    from target_apollo.target.target import TargetApollo


def run_process(
    kind: type[TargetApollo], given: _ConfigInput, file_input: IO[Any] | None
) -> NoReturn:
    """Makes a target, lets it run and ends the process with the exit code of the run.

    Args:
        given: Settings of the command line; those of variables go above them, if it says so.
        file_input: Singer messages; standard input where it is None.
    """
    collect_rarely()
    sys.setswitchinterval(_HAND_OVER_SECONDS)
    try:
        settings = dict(given.config)
        if given.parse_env:
            kind.append_builtin_config(kind.config_jsonschema)
            settings |= read_environment(kind.config_jsonschema)
        target = kind(config=settings)
    except ConfigValidationError as problem:
        _refuse(problem.errors, kind.logger)
    except SettingsError as problem:
        _refuse(problem.problems, kind.logger)
    try:
        exit_code = target.sync(file_input)
    except Exception as defect:  # noqa: BLE001 - its own words may show a record
        kind.logger.error("%s", logs.defect_text(defect))
        exit_code = FAILED
    target.leave_abandoned(exit_code)
    sys.exit(exit_code)


def end_before_start(name: str, defect: Exception) -> NoReturn:
    """Ends a process whose command line could not be carried out.

    Args:
        defect: A settings file that can't be used raises what is no sentence, or shows its values.
    """
    # It imports the target.
    from target_apollo.config.sources import unusable_files

    unusable = unusable_files(sys.argv[1:])
    for sentence in unusable or [logs.defect_text(defect)]:
        logging.getLogger(name).error("%s", sentence)
    sys.exit(MISCONFIGURED if unusable else FAILED)


def leave_abandoned(run: Run, exit_code: int) -> None:
    """Ends the process after the run, if the thread of a request that was given up lives on."""
    if run.parallel.abandoned:
        logging.shutdown()
        os._exit(exit_code)


def _refuse(problems: Iterable[str], logger: logging.Logger) -> NoReturn:
    for sentence in problems:
        logger.error("%s", sentence)
    sys.exit(MISCONFIGURED)
