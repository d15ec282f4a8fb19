"""Which rows a table no longer holds, when a tap has sent all of it (ACTIVATE_VERSION). Pure."""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable

from target_apollo.ledger import Link

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
