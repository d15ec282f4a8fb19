"""What may stand in the log: lines for people, and at no level a record, a secret or an address.

The SDK's lines for debugging show whole records, states and settings, those of SQLAlchemy every
row of the ledger, and the text of an exception nobody foresaw may quote a value. What urllib3 says
is let through: a request's path holds ids at most.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback

from singer_sdk.logging import ConsoleFormatter

_SDK = f"{os.sep}singer_sdk{os.sep}"
#: Least level of loggers whose lower levels show records; the target's own has its filter.
_LEAST = {
    "singer_sdk": logging.INFO,
    "singer_sdk.metrics": logging.WARNING,
    "sqlalchemy": logging.WARNING,
}


class _FewerLines(logging.Filter):
    """Drops the SDK's lines about batches, and all that it says at the level DEBUG."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno <= logging.DEBUG and _SDK in record.pathname:
            return False
        return not str(record.msg).startswith(("Target sink for", "One or more records have"))


def quieten(logger: logging.Logger) -> None:
    """Takes the SDK's per-batch lines and records out of a plugin's log, at every level.

    The filter works for this logger only: the SDK gives each sink a child of it.
    """
    if not any(isinstance(known, _FewerLines) for known in logger.filters):
        logger.addFilter(_FewerLines())
    for name, least in _LEAST.items():
        other = logging.getLogger(name)
        if other.level < least:
            other.setLevel(least)


def to_stderr(plugin: str) -> None:
    """Sends the log to stderr as the SDK does for a plugin, with the level that it would have."""
    prefix = plugin.upper().replace("-", "_")
    level = os.environ.get(f"{prefix}_LOGLEVEL") or os.environ.get("LOGLEVEL") or "INFO"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(ConsoleFormatter())
    root = logging.getLogger()
    root.setLevel(level.upper())
    root.addHandler(handler)


def defect_text(defect: BaseException) -> str:
    """Where an exception that nobody foresaw came from, without its words: they may show a value.

    Exceptions that led to it come first, as in a traceback.
    """
    parts: list[str] = []
    known: set[int] = set()
    found: BaseException | None = defect
    while found is not None and id(found) not in known:
        known.add(id(found))
        frames = traceback.extract_tb(found.__traceback__)
        lines = [
            f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}' for frame in frames
        ]
        parts.append("\n".join([*lines, f"{type(found).__module__}.{type(found).__qualname__}"]))
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
    way = "\nwhich led to\n".join(reversed(parts))
    return (
        "A defect of target-apollo ended the run. Nothing is lost: run it again. If it comes back, "
        f"report these lines, which hold no values:\n{way}"
    )
