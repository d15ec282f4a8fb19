"""The process of a run: it starts with settings, may get signals, and ends with an exit code.

``running -> stopping -> ended``: at the first signal the run stops reading and waits for requests
under way. A second signal within two seconds changes nothing; a later one ends the process at once.
A process that has not ended after ten seconds is ended too. Such a process writes no STATE, so that
nothing is lost: the next run sends the unconfirmed rows again.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, NoReturn

from singer_sdk.exceptions import ConfigValidationError

from target_apollo.config.settings import SettingsError
from target_apollo.sync.exit import FAILED, MISCONFIGURED
from target_apollo.sync.run import SyncRun
from target_apollo.system import crashes

if TYPE_CHECKING:
    from target_apollo.target.target import TargetApollo


#: Ctrl-C under Meltano sends SIGINT and SIGTERM: both count as one request to stop.
_ONE_REQUEST_SECONDS = 2.0
#: Seconds until a process that still runs is ended: a signal must end it within ten.
_LAST_RESORT_SECONDS = 9.5


class SignalHandler:
    """Remembers the first signal of a run and ends the process if the run does not end.

    Attributes:
        signal_number: The signal that came first; 0 while none has come.
    """

    def __init__(self) -> None:
        self.signal_number = 0
        self._since = 0.0

    def handle(self, signal_number: int) -> bool:
        """Handles a signal; True for the first one, after which the run has to stop."""
        if self.signal_number:
            if time.monotonic() - self._since > _ONE_REQUEST_SECONDS:
                _end_at_once(signal_number)
            return False
        self.signal_number = signal_number
        self._since = time.monotonic()
        last_resort = threading.Timer(_LAST_RESORT_SECONDS, _end_at_once, [signal_number])
        last_resort.daemon = True
        # Where no thread can be started, a second signal ends a run that hangs.
        with suppress(RuntimeError):
            last_resort.start()
        return True


def _end_at_once(signal_number: int) -> None:
    os._exit(128 + signal_number)


def run_process(
    kind: type[TargetApollo],
    given: Mapping[str, Any],
    file_input: IO[Any] | None,
) -> NoReturn:
    """Creates a target, runs it and ends the process with the exit code of the run.

    Args:
        given: Settings of the command line.
        file_input: Singer messages; standard input where it is None.
    """
    try:
        target = kind(config=dict(given))
    except ConfigValidationError as problem:
        _exit_misconfigured(problem.errors, kind.logger)
    except SettingsError as problem:
        _exit_misconfigured(problem.problems, kind.logger)
    try:
        exit_code = target.sync(file_input)
    except Exception as defect:  # noqa: BLE001 - its own words may show a record
        kind.logger.error("%s", crashes.text_of(defect))
        exit_code = FAILED
    target.exit_without_threads(exit_code)
    sys.exit(exit_code)


def exit_without_threads(run: SyncRun, exit_code: int) -> None:
    """Ends the process after the run, if an abandoned request still has a thread.

    Otherwise Python would wait for that thread, which waits for its answer.
    """
    if run.pool.abandoned:
        logging.shutdown()
        os._exit(exit_code)


def _exit_misconfigured(problems: Iterable[str], logger: logging.Logger) -> NoReturn:
    for sentence in problems:
        logger.error("%s", sentence)
    sys.exit(MISCONFIGURED)
