"""Whether a row and its link in the ledger have the same address, compared by hash. Pure.

The ledger keeps no e-mail and no domain, only a hash of each. A link has the hash of the match key
that its record has, and that of its row where the record was given another one.
"""

from __future__ import annotations

from collections.abc import Mapping

from target_apollo.ledger import Link, match_hash
from target_apollo.model.match_keys import every_key, is_address
from target_apollo.model.rows import Row


def first_hashes(row: Row) -> tuple[str, ...]:
    """Hashes of the row's first match key, and of its e-mail or domain.

    Its link may have the latter from a run with another `match_on`.
    """
    if row.match_key is None:
        return ()
    first = match_hash(row.match_key)
    return (first,) if is_address(row.match_key) else (first, *address_hashes(row))


def address_hashes(row: Row) -> tuple[str, ...]:
    """The hash of the row's e-mail or domain, if it has one."""
    if row.match_key and is_address(row.match_key):
        return (match_hash(row.match_key),)
    address = row.values.get("email") or row.values.get("domain")
    return (match_hash(address),) if address else ()


def hashes(row: Row) -> frozenset[str]:
    """Hashes of all keys of a row, whatever `match_on` says."""
    return frozenset(map(match_hash, every_key(row)))


def keeps_address(link: Link, rows: Mapping[tuple[str, str, str], Row]) -> bool:
    """Whether the row of a link is among these rows and still has the link's address.

    Args:
        rows: `Link.row` -> row.
    """
    row = rows.get(link.row)
    if row is None:
        return False
    own = first_hashes(row)
    return link.match_hash in own or link.row_hash in own


def has_new_address(link: Link, row: Row) -> bool:
    """Whether an unconfirmed creation was sent with another match key than the row has now."""
    if link.apollo_id or row.apollo_id or not link.match_hash or not row.match_key:
        return False
    return link.match_hash not in hashes(row)


def may_be_of_another(link: Link, row: Row) -> bool:
    """Whether a row whose record was deleted in Apollo may be somebody else's by now.

    A row that has lost its e-mail or domain, and is known by another key now, is not.
    """
    if link.is_left_alone(match_hash(row.match_key) if row.match_key else None):
        return False
    names_another = bool(row.apollo_id) and row.apollo_id != link.apollo_id
    return names_another or row.match_key is None or bool(address_hashes(row))
