"""The ledger: which Apollo record each row of the warehouse became, and which runs wrote it.

It makes runs cheap (an unchanged row costs no request) and exact (a row whose e-mail or domain
changed still updates the same Apollo record). Nothing breaks without it: an empty ledger costs
requests, not duplicates.

Rooms, imports from top to bottom::

    store      Ledger: what the sinks, the mapper and the command line call
    locks      one run at a time per connection and stream
    creations  creates under way, a row a flush, until they are links
    link_rows  look-up and upsert of links, in sets (link_statements has their SQL)
    links      a source key's link to an Apollo record, and its states
    runs       a row a run
    privacy    what of a reason may be stored
    schema     tables, version, upgrade
    database   ledger_url -> engine; file modes; database errors as sentences
    process    which process holds a lock, and whether it still runs
    keys       source keys and payload hashes, without personal data
    errors     LedgerError and its kin
"""

from target_apollo.ledger.errors import AnotherRunActive, LedgerError, LockLost
from target_apollo.ledger.keys import match_hash, payload_hash, payload_hash_of_texts, source_key
from target_apollo.ledger.ledger import Ledger
from target_apollo.ledger.links import (
    CONFIRMED,
    DELETED,
    HOLDING_VALUES,
    Intent,
    Link,
    LinkOutcome,
    LinkStatus,
)
from target_apollo.ledger.locks import StreamLock
from target_apollo.ledger.runs import Run

__all__ = [
    "CONFIRMED",
    "DELETED",
    "HOLDING_VALUES",
    "AnotherRunActive",
    "Intent",
    "Ledger",
    "LedgerError",
    "Link",
    "LinkOutcome",
    "LinkStatus",
    "LockLost",
    "Run",
    "StreamLock",
    "match_hash",
    "payload_hash",
    "payload_hash_of_texts",
    "source_key",
]
