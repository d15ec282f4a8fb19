"""The process around a run: from wrong settings or the first message to the exit code.

A signal is a wish to end: requests under way are waited for, but not for long.

``running -> asked to stop -> ended``: a second signal within two seconds is the same wish, a later
one ends the process at once, and so does the tenth second. Ending at once writes no STATE, so that
nothing is lost: what was not confirmed is sent again by the next run.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING, Any, NoReturn

from singer_sdk.exceptions import ConfigValidationError

from target_apollo import logs
from target_apollo.config.settings import SettingsError
from target_apollo.config.sources import read_environment
from target_apollo.sync.exit import FAILED, MISCONFIGURED
from target_apollo.sync.run import Run

if TYPE_CHECKING:
    from singer_sdk.plugin_base import _ConfigInput

    from target_apollo.target.target import TargetApollo


#: Ctrl-C under Meltano sends SIGINT and SIGTERM.
_ONE_WISH_SECONDS = 2.0
#: A signalled run is over within ten seconds, whatever hangs.
_LAST_RESORT_SECONDS = 9.5


class Stopping:
    """Keeps the first signal of a run and sees to it that the run ends.

    Attributes:
        signal_number: The signal that came first; 0 while none has come.
    """

    def __init__(self) -> None:
        self.signal_number = 0
        self._since = 0.0

    def take(self, signal_number: int) -> bool:
        """Takes a signal in; True for the first one, upon which the run is to stop."""
        if self.signal_number:
            if time.monotonic() - self._since > _ONE_WISH_SECONDS:
                _end_at_once(signal_number)
            return False
        self.signal_number = signal_number
        self._since = time.monotonic()
        last_resort = threading.Timer(_LAST_RESORT_SECONDS, _end_at_once, [signal_number])
        last_resort.daemon = True
        last_resort.start()
        return True


def _end_at_once(signal_number: int) -> None:
    os._exit(128 + signal_number)


def run_process(
    kind: type[TargetApollo], given: _ConfigInput, file_input: IO[Any] | None
) -> NoReturn:
    """Makes a target, lets it run and ends the process with the exit code of the run.

    Args:
        given: Settings of the command line; those of variables go above them, if it says so.
        file_input: Singer messages; standard input where it is None.
    """
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
