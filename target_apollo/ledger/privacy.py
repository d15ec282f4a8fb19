"""What of a reason may be stored: the ledger holds no personal data."""

from __future__ import annotations

import re

LONGEST_REASON = 500
"""Characters."""

_ADDRESS = re.compile(r"[^\s\"'<>(),;:]+[@＠][^\s\"'<>(),;:]+")


def without_addresses(reason: str) -> str:
    """Cut e-mail addresses out of a reason, which may quote Apollo's answer, and shorten it.

    What PostgreSQL can't store (NUL, half a surrogate pair) goes too.
    """
    # Cut first, generously: a hostile answer may be megabytes.
    storable = reason[: 4 * LONGEST_REASON].encode("utf-8", "replace").decode("utf-8")
    return _ADDRESS.sub("(address withheld)", storable.replace("\0", ""))[:LONGEST_REASON]
