"""The ledger: which Apollo record each row of the warehouse became, and which runs wrote it.

With it an unchanged row needs no request, and a row with a new e-mail or domain still updates the
same Apollo record. Nothing breaks without it: an empty ledger costs requests, not duplicates.

Its modules, imports from top to bottom::

    ledger          Ledger: what the target, the mapper, the tap and the commands call
    upgrade         opens a ledger: creates its tables, upgrades those of earlier versions
    readable        a view of the links as texts, for people
    locks           one run at a time for each team and stream
    windows         what processes tell each other of Apollo's rate windows
    processes       which process holds a lock, and whether it has ended
    results         links for the tap, in pages
    queries         links by address and of whole streams; what the mapper asks
    links           the link of a row: what it says, and how a batch finds and saves it
    pending_fields  values of records that are still to be sent
    companies       accounts by their domain, and how far Apollo's accounts were read
    teams           a team's former name, and which update endpoints its Apollo takes
    runs            one row for each run
    scopes          the number of a team, kind, stream and source; asked for once under a lock
    statements      the SQL of the links
    link_status     what became of the last write of a link
    tables          tables and their version
    database        ledger_url -> engine; file modes; errors as sentences; statements for many rows
    failures        what a database's error means, and what to do about it
    values          what is stored of a row: key, hashes, reason; as few bytes
    errors          LedgerError and its subclasses
"""

from target_apollo.ledger.errors import AnotherRunActive, LedgerError, LedgerUnusable, LockLost
from target_apollo.ledger.found_ids import Walk
from target_apollo.ledger.ledger import Ledger
from target_apollo.ledger.link_status import (
    CONFIRMED,
    DELETED,
    HOLDING_VALUES,
    WITHOUT_ROW,
    LinkStatus,
)
from target_apollo.ledger.links import Intent, Link, LinkOutcome
from target_apollo.ledger.locks import StreamLock
from target_apollo.ledger.pending_fields import PendingFields, SettledFields, WaitingField
from target_apollo.ledger.runs import Run
from target_apollo.ledger.scopes import Place
from target_apollo.ledger.teams import TakeOver
from target_apollo.ledger.values import match_hash, payload_hash, payload_hash_of_texts, source_key
from target_apollo.ledger.windows import SharedWindows

__all__ = [
    "CONFIRMED",
    "DELETED",
    "HOLDING_VALUES",
    "WITHOUT_ROW",
    "AnotherRunActive",
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
    "SettledFields",
    "SharedWindows",
    "StreamLock",
    "TakeOver",
    "WaitingField",
    "Walk",
    "match_hash",
    "payload_hash",
    "payload_hash_of_texts",
    "source_key",
]
