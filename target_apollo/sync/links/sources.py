"""Decides which links with another source or without one belong to a run's rows. Pure.

Links have no source if they are from a ledger before version 5, or from a run outside Meltano
without the setting `source`. Such a link belongs to a row with the same key *and* the same address,
or the same values. The key alone is not enough: a second tap may use the same keys for other
people, and may be the first to run after an upgrade.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace as with_values

from target_apollo.ledger import Link
from target_apollo.model.rows import Row
from target_apollo.sync.links.addresses import first_hashes


@dataclass(frozen=True)
class SourceLinks:
    """The links of a batch's rows, of which some have another source than the run, or none.

    Attributes:
        used: In the order of the rows, None for a row without a link that is used. Of a run with a
            source all of them have it.
        joined: Source key -> former source, of the links that are used.
        unused: Source key -> link, of those that are not.
    """

    used: list[Link | None]
    joined: dict[str, str]
    unused: dict[str, Link]


def links_of_source(
    rows: Sequence[Row], links: Sequence[Link | None], payload_hashes: Sequence[str], source: str
) -> SourceLinks:
    """The links of a batch's rows that a run with this source uses.

    Args:
        links: In the order of the rows, None for a row without a link.
        source: The source of the run; empty for a run without one.
    """
    used = _fitting(rows, links, payload_hashes, source)
    kept = {link.source_key for link in used if link}
    others = [link for link in links if link and link.source != source]
    if source:
        used = [
            with_values(link, source=source) if link and link.source != source else link
            for link in used
        ]
    return SourceLinks(
        used,
        joined={link.source_key: link.source for link in others if link.source_key in kept},
        unused={link.source_key: link for link in others if link.source_key not in kept},
    )


def _fitting(
    rows: Sequence[Row], links: Sequence[Link | None], payload_hashes: Sequence[str], source: str
) -> list[Link | None]:
    """The links, with None in place of those that belong to another source.

    Links with the run's own source are used. Other links are used if they fit their row (see
    `_knows`). If most of them do, all are used: they were made by the run's source, and the rows
    that do not fit have a new address. In doubt a link is not used: to look up the record again
    costs one request, while a write to a stranger's record can't be undone.
    """
    used = list(links)
    unsure: list[int] = []
    known = strange = 0
    for place, (row, link, payload_hash) in enumerate(
        zip(rows, links, payload_hashes, strict=True)
    ):
        if link is None or link.source == source or link.holds_nothing:
            continue
        if _knows(link, row, payload_hash):
            known += 1
        else:
            strange += _has_other_address(link, row)
            unsure.append(place)
    if known <= strange:
        for place in unsure:
            used[place] = None
    return used


def _knows(link: Link, row: Row, payload_hash: str) -> bool:
    """Whether a link was written for a row with this address, or with exactly these values."""
    if row.match_key and link.address_of_row in first_hashes(row):
        return True
    # All deleted rows have the same payload hash, so it proves nothing.
    return not row.deleted and link.payload_hash == payload_hash


def _has_other_address(link: Link, row: Row) -> bool:
    """Whether a link was written for a row with another address than this one has."""
    if not link.address_of_row or not row.match_key:
        return False
    return link.address_of_row not in first_hashes(row)
