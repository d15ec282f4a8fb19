"""Keeps records, secrets and e-mail addresses out of the log, at every level.

The SDK's DEBUG lines show whole records, states and settings, SQLAlchemy's show every row of the
ledger, and the text of an unexpected exception may quote a value. Lines of urllib3 are kept, since
the path of a request holds ids at most, but for the warning about odd headers: it quotes what comes
after them, which may be a whole answer.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from singer_sdk.logging import ConsoleFormatter

from target_apollo.system.shown import Lines, name_shown, printable, printable_lines

_SDK = f"{os.sep}singer_sdk{os.sep}"
#: Lowest level for loggers that show records below it; the target's own logger has a filter.
_LEAST = {
    "singer_sdk": logging.INFO,
    "singer_sdk.metrics": logging.WARNING,
    "sqlalchemy": logging.WARNING,
    "urllib3.connection": logging.ERROR,
}


_USUAL_LEVEL = "INFO"
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def replace_unknown_levels() -> list[str]:
    """Replaces unknown log levels in the environment, which the SDK does not get over.

    Returns:
        A sentence for each variable that held none.
    """
    unknown = [
        name
        for name, level in os.environ.items()
        if (name == "LOGLEVEL" or name.endswith("_LOGLEVEL"))
        and not isinstance(logging.getLevelName(level.upper()), int)
    ]
    for name in unknown:
        os.environ[name] = _USUAL_LEVEL
    return [
        f"The environment variable {name} holds no log level ({', '.join(_LEVELS)}): "
        f"{_USUAL_LEVEL} is used."
        for name in unknown
    ]


class _FewerLines(logging.Filter):
    """Drops the SDK's lines about batches, and all of its DEBUG lines."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno <= logging.DEBUG and _SDK in record.pathname:
            return False
        return not str(record.msg).startswith(("Target sink for", "One or more records have"))


#: In characters. Of a longer line the middle is cut: its end says what to do.
_LONGEST_MESSAGE = 4000


#: Name of the handler that `to_stderr` sets.
_TO_STDERR = "target-apollo-stderr"


class _PrintableRecord(logging.LogRecord):
    """A log record whose message and logger's name do nothing to a terminal.

    Both hold names of streams, properties, teams and lists, which anybody may have chosen.
    """

    def __init__(self, name: str, *arguments: Any, **more: Any) -> None:
        super().__init__(name_shown(name), *arguments, **more)

    def getMessage(self) -> str:  # noqa: N802 - the name in `logging`
        """The message, without control characters, line ends and marks of direction."""
        message = super().getMessage()
        if isinstance(self.args, tuple) and any(isinstance(part, Lines) for part in self.args):
            return printable_lines(message)
        if len(message) > _LONGEST_MESSAGE:
            half = _LONGEST_MESSAGE // 2
            message = f"{message[:half]} … {message[-half:]}"
        return printable(message)


def make_printable() -> None:
    """Makes all log lines of this process harmless for a terminal, whatever their format is."""
    logging.setLogRecordFactory(_PrintableRecord)


def quieten(logger: logging.Logger) -> None:
    """Drops the SDK's log lines that show records or are about batches, at every level.

    The filter applies to this logger only: the logger of each sink, its child, needs its own.
    """
    if not any(isinstance(present, _FewerLines) for present in logger.filters):
        logger.addFilter(_FewerLines())
    _raise_levels()


def _raise_levels() -> None:
    for name, least in _LEAST.items():
        other = logging.getLogger(name)
        if other.level < least:
            other.setLevel(least)


def to_stderr(plugin: str) -> None:
    """Sends the log to stderr in the SDK's format and with the level that the SDK would choose."""
    make_printable()
    _raise_levels()
    prefix = plugin.upper().replace("-", "_")
    level = os.environ.get(f"{prefix}_LOGLEVEL") or os.environ.get("LOGLEVEL") or _USUAL_LEVEL
    handler = logging.StreamHandler(sys.stderr)
    handler.set_name(_TO_STDERR)
    handler.setFormatter(ConsoleFormatter())
    root = logging.getLogger()
    root.setLevel(level.upper())
    # A handler of an earlier command of this process would say each line twice.
    for former in [one for one in root.handlers if one.get_name() == _TO_STDERR]:
        root.removeHandler(former)
    root.addHandler(handler)
