"""Which rows a table no longer holds, when a tap has sent all of it (ACTIVATE_VERSION). Pure.

A tap that was cut off goes on where it stopped, so that a run may see the end of a table only. It
keeps the table's version then, and taps take the time at which they began to read a table for that
(epoch milliseconds): a version from before the run says that the run did not see all of it.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from target_apollo.ledger import Link

#: A tap may begin its first table this long before the target is there. A pipe and Meltano start
#: both at once, on one clock, and the target needs seconds; a cut-off run is begun again after
#: minutes. To take a resumed table for a new one moves records that have their row; the other
#: mistake only puts a move off, so the time is short.
TAP_STARTS_WITHIN = timedelta(minutes=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)
#: Versions that are a time: years 2001 to 2100. Others are counters or in another unit.
_FIRST_VERSION = (datetime(2001, 1, 1, tzinfo=timezone.utc) - _EPOCH) // _MILLISECOND
_END_OF_VERSIONS = (datetime(2101, 1, 1, tzinfo=timezone.utc) - _EPOCH) // _MILLISECOND
#: More rows than this share of a stream gone at once: a broken query is likelier than a clean-up.
_MOST_GONE_SHARE = 0.1
_ALWAYS_ALLOWED = 10


class SeenKeys:
    """Source keys that a run has received, eight bytes each."""

    def __init__(self) -> None:
        self._digests = array("Q")
        self._is_sorted = True
        #: Whether a record came whose key can't be told, so that no row can be called gone.
        self.unsure = False

    def __len__(self) -> int:
        return len(self._digests)

    def add(self, keys: Iterable[str]) -> None:
        """Takes in source keys as the ledger spells them."""
        self._digests.extend(map(_digest, keys))
        self._is_sorted = False

    def __contains__(self, key: str) -> bool:
        if not self._is_sorted:
            self._digests = array("Q", sorted(self._digests))
            self._is_sorted = True
        digest = _digest(key)
        place = bisect_left(self._digests, digest)
        return place < len(self._digests) and self._digests[place] == digest


def _digest(key: str) -> int:
    hashed = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(hashed, "big")


def began_earlier(version: object, started_at: datetime) -> datetime | None:
    """When the reading of a table began, if that was before this run; else None.

    None too for a version that is no time of the years 2001 to 2100 in epoch milliseconds: nobody
    knows then.

    Args:
        version: As ACTIVATE_VERSION has it.
        started_at: When the run began; aware.
    """
    if isinstance(version, bool) or not isinstance(version, (int, Decimal)):
        return None
    if not _FIRST_VERSION <= version < _END_OF_VERSIONS:
        return None
    began = _EPOCH + int(version) * _MILLISECOND
    return began if began < started_at - TAP_STARTS_WITHIN else None


def vanished(links: Iterable[Link], seen: SeenKeys, mark: str) -> tuple[list[Link], int]:
    """Links of rows that the table no longer holds and whose record is to be moved.

    Args:
        mark: Payload hash of a record that was moved already.

    Returns:
        The links, and how many of the stream's records are in Apollo at all.
    """
    gone: list[Link] = []
    known = 0
    for link in links:
        if link.apollo_id is None or link.payload_hash == mark:
            continue
        known += 1
        if link.source_key not in seen:
            gone.append(link)
    return gone, known


def are_too_many(gone: int, known: int) -> bool:
    """Whether so many rows are gone at once that somebody should look first."""
    return gone > max(_ALWAYS_ALLOWED, _MOST_GONE_SHARE * known)
