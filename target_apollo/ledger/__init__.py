"""The ledger: which Apollo record each row of the warehouse became, and which runs wrote it.

With it an unchanged row needs no request, and a row with a new e-mail or domain still updates the
same Apollo record. Nothing breaks without it: an empty ledger costs requests, not duplicates.

Its modules, imports from top to bottom::

    ledger      Ledger: what the target, the mapper, the tap and the commands call
    upgrade     creates the tables, upgrades those of earlier versions
    readable    a view of the links as texts, for people
    locks       one run at a time for each team and stream
    processes   which process holds a lock, and whether it has ended
    queries     look-ups and upserts of links, in sets
    results     links for the tap, in pages
    windows     what processes tell each other of Apollo's rate windows
    connections rows that change their team's name
    pending_fields  values of records that are still to be sent
    companies   accounts by their domain, and how far Apollo's accounts were read
    scopes      the number of a team, kind, stream and source; asked for once under a lock
    statements  the SQL of the links
    runs        one row for each run
    tables      tables and their version
    database    ledger_url -> engine; file modes; errors as sentences; statements for many rows
    failures    what a database's error means, and what to do about it
    links       the link of a source key to an Apollo record, and its states
    values      what is stored of a row: key, hashes, reason; as few bytes
    errors      LedgerError and its subclasses
"""

from target_apollo.ledger.companies import Walk
from target_apollo.ledger.connections import Found
from target_apollo.ledger.errors import AnotherRunActive, LedgerError, LedgerUnusable, LockLost
from target_apollo.ledger.ledger import Ledger
from target_apollo.ledger.links import (
    CONFIRMED,
    DELETED,
    HOLDING_VALUES,
    WITHOUT_ROW,
    Intent,
    Link,
    LinkOutcome,
    LinkStatus,
    Place,
)
from target_apollo.ledger.locks import StreamLock
from target_apollo.ledger.pending_fields import PendingFields, Settled, WaitingField
from target_apollo.ledger.runs import Run
from target_apollo.ledger.values import match_hash, payload_hash, payload_hash_of_texts, source_key
from target_apollo.ledger.windows import SharedWindows

__all__ = [
    "CONFIRMED",
    "DELETED",
    "HOLDING_VALUES",
    "WITHOUT_ROW",
    "AnotherRunActive",
    "Found",
    "Intent",
    "Ledger",
    "LedgerError",
    "LedgerUnusable",
    "Link",
    "LinkOutcome",
    "LinkStatus",
    "LockLost",
    "PendingFields",
    "Place",
    "Run",
    "Settled",
    "SharedWindows",
    "StreamLock",
    "WaitingField",
    "Walk",
    "match_hash",
    "payload_hash",
    "payload_hash_of_texts",
    "source_key",
]
