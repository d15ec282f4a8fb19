"""Decides which links with another source or without one belong to a run's rows. Pure.

Links have no source if they are from a ledger before version 5, or from a run outside Meltano
without the setting `source`. Such a link belongs to a row with the same key *and* the same address,
or the same values. The key alone is not enough: a second tap may use the same keys for other
people, and may be the first to run after an upgrade.
"""

from __future__ import annotations

from collections.abc import Sequence

from target_apollo.ledger import Link
from target_apollo.model.rows import Row
from target_apollo.sync.links.recall import first_hashes


def links_to_use(
    rows: Sequence[Row], links: Sequence[Link | None], payload_hashes: Sequence[str], source: str
) -> list[Link | None]:
    """The links of a batch's rows, with None in place of links that belong to another source.

    Links with the run's own source are used. Other links are used if they fit their row (see
    `knows_row`). If most of them do, all are used: they were made by the run's source, and the rows
    that do not fit have a new address. In doubt a link is not used: to look up the record again
    costs one request, while a write to a stranger's record can't be undone.

    Args:
        links: In the order of the rows, None for a row without a link.
        source: The source of the run.
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
    if row.match_key and link.address_of_row in first_hashes(row):
        return True
    # All deleted rows have the same payload hash, so it proves nothing.
    return not row.deleted and link.payload_hash == payload_hash


def has_other_address(link: Link, row: Row) -> bool:
    """Whether a link was written for a row with another address than this one has."""
    if not link.address_of_row or not row.match_key:
        return False
    return link.address_of_row not in first_hashes(row)
