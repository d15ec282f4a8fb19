"""The progress of a run: a line at the foot of a terminal, or one every half minute in a log.

A separate thread reads the counts, so that the line is also updated during a long flush and while
the run waits for Apollo's quota.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any, TextIO

from target_apollo.sync.counts import Position
from target_apollo.system.shown import printable

_CLEAR = "\r\x1b[K"

_NARROWEST = 20

_USUAL = 80


def is_live(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether the stream is a terminal that can redraw a line."""
    return stream.isatty() and environment.get("TERM") != "dumb"


class LiveLine:
    """A line at the foot of a terminal, which is redrawn in place. Thread-safe.

    While it is shown, the log's handlers write to this object in place of their stream, with
    `write` and `flush`, so that log lines and the line do not mix.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.RLock()
        self._is_shown = False
        self._handlers: list[logging.StreamHandler[Any]] = []

    def attach(self, *loggers: logging.Logger) -> None:
        """Makes the handlers of these loggers that write to the terminal write here."""
        for logger in loggers:
            for handler in logger.handlers:
                if isinstance(handler, logging.StreamHandler) and handler.stream is self._stream:
                    handler.setStream(self)
                    self._handlers.append(handler)

    def detach(self) -> None:
        """Clears the line and restores the stream of the handlers."""
        self.clear()
        for handler in self._handlers:
            handler.setStream(self._stream)
        self._handlers = []

    def draw(self, text: str) -> None:
        """Replaces the text of the line; it is cut to the width of the terminal."""
        with self._lock:
            self._is_shown = True
            self._stream.write(_CLEAR + printable(text)[: max(_NARROWEST, self._width() - 1)])
            self._stream.flush()

    def clear(self) -> None:
        """Removes the line until it is drawn again."""
        with self._lock:
            if self._is_shown:
                self._is_shown = False
                self._stream.write(_CLEAR)
                self._stream.flush()

    def write(self, text: str) -> int:
        """Removes the line and writes a text in its place."""
        with self._lock:
            self.clear()
            return self._stream.write(text)

    def flush(self) -> None:
        """Flushes the terminal's stream."""
        with self._lock:
            self._stream.flush()

    def _width(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or _USUAL
        except (OSError, ValueError):
            return _USUAL


#: Seconds between two lines in a log.
LOG_EVERY_SECONDS = 30.0
#: Seconds between two drawings of the live line.
DRAW_EVERY_SECONDS = 0.25

_RATE_OVER_SECONDS = 30.0


def parts(position: Position, rate: float | None, eta: float | None) -> list[str]:
    """The parts of a progress line, the most important first.

    Args:
        rate: Records per second that get their outcome; None if that is not known.
        eta: Seconds until the whole input is read; None if that is not known.
    """
    found = [f"read {position.read:,}", f"written {position.written:,}"]
    if position.without:
        found.append(f"no change {position.without:,}")
    found += [f"rejected {position.rejected:,}", f"requests {position.requests:,}"]
    if position.wait is not None and position.wait.until > datetime.now(timezone.utc):
        found.append(f"waiting until {position.wait.until:%H:%M:%S} UTC ({position.wait.endpoint})")
    if rate is not None:
        found.append(f"{rate:,.0f} records/s")
    if position.part is not None:
        found.append(f"{position.part:.0%} of the input")
    if eta is not None:
        minutes, seconds = divmod(round(eta), 60)
        found.append(f"{minutes}:{seconds:02d} to go")
    scarce = position.scarcest
    if scarce is not None:
        found.append(
            f"{scarce.left:,} of {scarce.limit:,} left this {scarce.window} for {scarce.endpoint}"
        )
    return found


class Progress:
    """Shows the progress of a run from `start` to `stop`.

    Args:
        look: Returns the progress; called from another thread than the run's.
        stream: Shows the live line if it is a terminal; standard error if it is None.
    """

    def __init__(
        self,
        look: Callable[[], Position],
        logger: logging.Logger,
        stream: TextIO | None = None,
    ) -> None:
        self._look = look
        self._logger = logger
        self._stream = stream
        self._line: LiveLine | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._began = 0.0
        self._seen: deque[tuple[float, int]] = deque()

    def start(self) -> None:
        """Starts the thread that shows the progress."""
        stream = self._stream or sys.stderr
        self._began = time.monotonic()
        self._seen.append((self._began, 0))
        if is_live(stream, os.environ):
            self._line = LiveLine(stream)
            self._line.attach(logging.getLogger(), self._logger)
        self._thread = threading.Thread(target=self._show, name="progress", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread and removes the live line; a second call does nothing."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._line is not None:
            self._line.detach()
            self._line = None

    def clear_line(self) -> None:
        """Removes the live line before something outside the log writes to the terminal."""
        if self._line is not None:
            self._line.clear()

    def _show(self) -> None:
        every = LOG_EVERY_SECONDS if self._line is None else DRAW_EVERY_SECONDS
        while not self._ended.wait(every):
            try:
                position = self._look()
            except RuntimeError:
                # The run added a new stream while the counts were read; the next try is soon.
                continue
            rate, eta = self._rate(position.settled), self._eta(position.part)
            found = parts(position, rate, eta)
            if self._line is not None:
                self._line.draw(", ".join(found))
            else:
                self._log(position, found)

    def _log(self, position: Position, found: list[str]) -> None:
        if position.state_at is not None:
            found.append(f"STATE passed up to record {position.state_at:,}")
        self._logger.info(
            "Progress: %s",
            ", ".join(found),
            extra={
                "read": position.read,
                "written": position.written,
                "no_change": position.without,
                "rejected": position.rejected,
                "requests": position.requests,
                "state_at": position.state_at,
            },
        )

    def _rate(self, settled: int) -> float | None:
        now = time.monotonic()
        self._seen.append((now, settled))
        while len(self._seen) > 2 and now - self._seen[1][0] >= _RATE_OVER_SECONDS:
            self._seen.popleft()
        since, before = self._seen[0]
        return (settled - before) / (now - since) if settled and now > since else None

    def _eta(self, part: float | None) -> float | None:
        if part is None or not 0 < part < 1:
            return None
        return (time.monotonic() - self._began) * (1 - part) / part
