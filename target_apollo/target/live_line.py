"""A line at the foot of a terminal that is redrawn in place and makes way for log lines."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from typing import Any, TextIO

_CLEAR = "\r\x1b[K"
_NARROWEST = 20
_USUAL = 80


def is_live(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether somebody watches who can see a line redrawn."""
    return stream.isatty() and environment.get("TERM") != "dumb"


class LiveLine:
    """The line. Thread-safe; all that is written to the terminal goes through it while it is shown.

    It stands in for the stream of the log's handlers: `write` and `flush` are what they call.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.RLock()
        self._is_shown = False
        self._handlers: list[logging.StreamHandler[Any]] = []

    def attach(self, *loggers: logging.Logger) -> None:
        """Has the handlers of these loggers that write to the terminal write through the line."""
        for logger in loggers:
            for handler in logger.handlers:
                if isinstance(handler, logging.StreamHandler) and handler.stream is self._stream:
                    handler.setStream(self)
                    self._handlers.append(handler)

    def detach(self) -> None:
        """Clears the line and gives the handlers their stream back."""
        self.clear()
        for handler in self._handlers:
            handler.setStream(self._stream)
        self._handlers = []

    def draw(self, text: str) -> None:
        """Shows a text in place of the one before, cut where the terminal ends."""
        with self._lock:
            self._is_shown = True
            self._stream.write(_CLEAR + text[: max(_NARROWEST, self._width() - 1)])
            self._stream.flush()

    def clear(self) -> None:
        """Takes the line away until it is drawn again."""
        with self._lock:
            if self._is_shown:
                self._is_shown = False
                self._stream.write(_CLEAR)
                self._stream.flush()

    def write(self, text: str) -> int:
        """Writes a text where the line stood."""
        with self._lock:
            self.clear()
            return self._stream.write(text)

    def flush(self) -> None:
        """Brings what was written to the terminal."""
        with self._lock:
            self._stream.flush()

    def _width(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or _USUAL
        except (OSError, ValueError):
            return _USUAL
