"""Keeps the SDK's log to the lines that a person wants to read."""

from __future__ import annotations

import logging


class _FewerLines(logging.Filter):
    """Drops the SDK's lines about full and aged batches; the run says itself what it wrote."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith(("Target sink for", "One or more records have"))


def quieten(logger: logging.Logger) -> None:
    """Takes the per-batch lines and metrics out of a plugin's log."""
    if not any(isinstance(known, _FewerLines) for known in logger.filters):
        logger.addFilter(_FewerLines())
    logging.getLogger("singer_sdk.metrics").setLevel(logging.WARNING)
