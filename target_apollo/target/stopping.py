"""A signal is a wish to end: requests under way are waited for, but not for long.

``running -> asked to stop -> ended``: a second signal within two seconds is the same wish, a later
one ends the process at once, and so does the tenth second. Ending at once writes no STATE, so that
nothing is lost: what was not confirmed is sent again by the next run.
"""

from __future__ import annotations

import os
import threading
import time

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
