from __future__ import annotations

import io
import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest

from target_apollo.apollo import Wait, WaitReason
from target_apollo.sync.counts import Position, Scarcest, scarcest
from target_apollo.target import progress
from target_apollo.target.progress import LiveLine, Progress, is_live, parts

QUOTA = {
    "GET /fields": {
        "minute": {"limit": 200, "usage": 1, "left": 199},
        "hour": {"limit": None, "usage": 1, "left": None},
    },
    "POST /contacts/bulk_create": {
        "minute": {"limit": 200, "usage": 50, "left": 150},
        "hour": {"limit": 400, "usage": 390, "left": 10},
    },
}


class Terminal(io.StringIO):
    """A terminal that remembers what was written, by whom."""

    def isatty(self) -> bool:
        return True


def position(**changes: object) -> Position:
    usual = {"read": 1200, "written": 1000, "without": 50, "rejected": 3, "requests": 14}
    return Position(**{**usual, **changes})  # type: ignore[arg-type]


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@pytest.fixture
def logger() -> logging.Logger:
    found = logging.Logger("progress-test")
    found.setLevel(logging.INFO)
    return found


def logged_to(logger: logging.Logger, stream: io.StringIO) -> None:
    logger.addHandler(logging.StreamHandler(stream))


def test_the_scarcest_window_is_the_one_with_the_smallest_part_left() -> None:
    assert scarcest(QUOTA) == Scarcest("POST /contacts/bulk_create", "hour", 10, 400)


def test_no_window_is_scarce_where_apollo_told_no_limit() -> None:
    assert scarcest({}) is None
    assert scarcest({"GET /labels": {"day": {"limit": None, "usage": 3, "left": None}}}) is None


def test_a_line_tells_counts_rate_and_quota() -> None:
    line = ", ".join(parts(position(scarcest=scarcest(QUOTA)), 380.4, None))

    assert line == (
        "read 1,200, written 1,000, no change 50, rejected 3, requests 14, 380 records/s, "
        "10 of 400 left this hour for POST /contacts/bulk_create"
    )


def test_the_time_to_go_is_told_where_the_size_of_the_input_is_known() -> None:
    assert "40% of the input" in parts(position(part=0.4), None, 95.2)
    assert "1:35 to go" in parts(position(part=0.4), None, 95.2)
    assert not any("to go" in part for part in parts(position(), 10, None))


def test_a_wait_is_told_as_long_as_it_lasts() -> None:
    now = datetime.now(timezone.utc)
    later = Wait("PATCH /contacts/{id}", WaitReason.QUOTA, 60, now + timedelta(seconds=60))
    over = Wait("PATCH /contacts/{id}", WaitReason.QUOTA, 60, now - timedelta(seconds=1))

    assert any(part.startswith("waiting until") for part in parts(position(wait=later), None, None))
    assert not any(part.startswith("waiting") for part in parts(position(wait=over), None, None))


def test_a_log_gets_structured_lines_while_the_run_is_busy(
    logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LOG_EVERY_SECONDS", 0.01)
    seen: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = seen.append  # type: ignore[method-assign]
    logger.addHandler(handler)
    telling = Progress(lambda: position(state_at=900), logger, io.StringIO())

    telling.start()
    until(lambda: len(seen) >= 2)
    telling.stop()

    assert seen[0].getMessage().startswith("Progress: read 1,200, written 1,000")
    assert seen[0].getMessage().endswith("STATE passed up to record 900")
    assert seen[0].__dict__["written"] == 1000


def test_nothing_is_told_after_the_end(
    logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LOG_EVERY_SECONDS", 0.01)
    log = io.StringIO()
    logged_to(logger, log)
    telling = Progress(position, logger, io.StringIO())
    telling.start()
    until(lambda: bool(log.getvalue()))
    telling.stop()
    told = log.getvalue()

    time.sleep(0.1)

    assert log.getvalue() == told
    assert "progress" not in [thread.name for thread in threading.enumerate()]


def test_a_terminal_gets_a_line_that_is_redrawn_in_place(
    logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "DRAW_EVERY_SECONDS", 0.01)
    terminal = Terminal()
    telling = Progress(position, logger, terminal)

    telling.start()
    until(lambda: terminal.getvalue().count("read 1,200") >= 3)
    telling.stop()

    shown = terminal.getvalue()
    assert "\n" not in shown
    assert shown.count("\r\x1b[K") == shown.count("read 1,200") + 1
    assert shown.endswith("\r\x1b[K")


def test_the_live_line_is_drawn_at_most_four_times_a_second() -> None:
    assert progress.DRAW_EVERY_SECONDS >= 0.25


def test_a_log_line_stands_where_the_live_line_stood(logger: logging.Logger) -> None:
    terminal = Terminal()
    logged_to(logger, terminal)
    line = LiveLine(terminal)
    line.attach(logger)

    line.draw("read 5")
    logger.warning("Rejected contacts 1")
    line.detach()

    assert terminal.getvalue() == "\r\x1b[Kread 5\r\x1b[KRejected contacts 1\n"


def test_the_log_has_its_own_stream_back_after_the_end(logger: logging.Logger) -> None:
    terminal = Terminal()
    logged_to(logger, terminal)
    handler = logger.handlers[0]
    line = LiveLine(terminal)
    line.attach(logger)
    line.detach()

    assert isinstance(handler, logging.StreamHandler)
    assert handler.stream is terminal


def test_a_log_that_goes_elsewhere_is_left_alone(logger: logging.Logger) -> None:
    elsewhere = io.StringIO()
    logged_to(logger, elsewhere)
    line = LiveLine(Terminal())
    line.attach(logger)
    line.draw("read 5")

    logger.warning("Rejected contacts 1")

    assert elsewhere.getvalue() == "Rejected contacts 1\n"


def test_a_line_longer_than_the_terminal_is_cut() -> None:
    terminal = Terminal()
    LiveLine(terminal).draw("x" * 500)

    assert len(terminal.getvalue()) < 100


def test_a_dumb_terminal_and_a_pipe_get_no_live_line() -> None:
    assert is_live(Terminal(), {"TERM": "xterm"})
    assert not is_live(Terminal(), {"TERM": "dumb"})
    assert not is_live(io.StringIO(), {"TERM": "xterm"})
