"""Which links of another source, or of none, are a run's own all the same. Pure.

Ledgers before version 5 did not know sources, nor do runs outside Meltano without the setting. The
rows of such links are told by what they gave their record: key *and* address, or all values. A
second tap with the same keys has other people under them, and may come first after an upgrade.
"""

from __future__ import annotations

from collections.abc import Sequence

from target_apollo.ledger import Link, match_hash
from target_apollo.model.rows import Row


def links_to_use(
    rows: Sequence[Row], links: Sequence[Link | None], payload_hashes: Sequence[str], source: str
) -> list[Link | None]:
    """The links of a batch's rows without those that are another source's.

    Links of the run's own source are used. Of the others those are used that know what their row
    gave, and all of them where most do: then the run's source is the one that made them, and rows
    with another address have changed. Where that can't be told, a link is not used: to look a
    record up again costs a request, to write over a stranger can't be undone.

    Args:
        links: In the order of the rows, None for a row without a link.
        source: That of the run.
    """
    used = list(links)
    unsure: list[int] = []
    known = strange = 0
    for place, (row, link, payload_hash) in enumerate(
        zip(rows, links, payload_hashes, strict=True)
    ):
        if link is None or link.source == source or link.holds_nothing:
            continue
        if knows_row(link, row, payload_hash):
            known += 1
        else:
            strange += has_other_address(link, row)
            unsure.append(place)
    if known <= strange:
        for place in unsure:
            used[place] = None
    return used


def knows_row(link: Link, row: Row, payload_hash: str) -> bool:
    """Whether a link was written for a row with this address, or with exactly these values."""
    if row.match_key and link.match_hash == match_hash(row.match_key):
        return True
    # What stands for the payload of a deleted row is the same for all of them.
    return not row.deleted and link.payload_hash == payload_hash


def has_other_address(link: Link, row: Row) -> bool:
    """Whether a link was written for a row with another address than this one has."""
    if not link.match_hash or not row.match_key:
        return False
    return link.match_hash != match_hash(row.match_key)
