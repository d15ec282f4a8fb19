"""The tap's output: a line a message, and none of them cut in two by a signal."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import NoReturn

from singer_sdk.contrib.msgspec import MsgSpecWriter
from singer_sdk.singerlib import Message

from target_apollo.system.standard_streams import discard_output, why_unwritable

_SIGNALLED = 128
_NO_READER = "Nobody reads the messages any more: the loader has ended. Look at its log."


class OutputRefused(Exception):
    """Standard output can't be written to; the message is a sentence."""


class MessageWriter(MsgSpecWriter):
    """Writes messages to standard output, and ends the process for a signal.

    A signal's exception would be raised wherever the main thread happens to be, where others may
    catch it or print it. The tap has nothing to finish: the next run goes on from its last STATE.
    """

    def __init__(self) -> None:
        super().__init__()
        self._stopped_by = 0
        self._is_writing = False

    def write_message(self, message: Message) -> None:
        """Writes a message; a signal meanwhile ends the process after its line.

        Raises:
            OutputRefused: Standard output is closed, full, or nobody reads it any more.
        """
        self._is_writing = True
        try:
            super().write_message(message)
        except OSError as problem:
            # Otherwise the interpreter would write the rest again at its exit, and print an error.
            discard_output()
            if isinstance(problem, BrokenPipeError):
                raise OutputRefused(_NO_READER) from None
            raise OutputRefused(why_unwritable(problem)) from None
        finally:
            self._is_writing = False
            if self._stopped_by:
                self._end()

    def stop(self, signal_number: int) -> None:
        """Ends the process after the line that is being written; at once for a second signal."""
        if self._stopped_by:
            os._exit(_SIGNALLED + signal_number)
        self._stopped_by = signal_number
        if not self._is_writing:
            self._end()

    def _end(self) -> NoReturn:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        os._exit(_SIGNALLED + self._stopped_by)
