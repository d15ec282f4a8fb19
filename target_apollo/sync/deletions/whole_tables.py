"""Whether a run has seen whole tables, so that rows which did not come are gone. Pure.

A tap says with ACTIVATE_VERSION that it sends a whole table: after the rows, as the first taps do,
or before them, as taps of the Meltano SDK do. So nothing is decided before the input has ended.

A tap that was interrupted may continue where it stopped, and a run then sees only the end of the
table. In that case the tap keeps the table's version. Taps use the time at which they began to read
the table as version (epoch milliseconds), so a version from before the run means that the run did
not see the whole table. Taps of the Meltano SDK start every table anew; their version is the time
at which the tap itself started, in seconds.
"""

from __future__ import annotations

import enum
import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal

#: A tap may begin its first table this long before the run starts. A pipe or Meltano starts tap and
#: target together, and the target needs seconds to start; an interrupted run is repeated after
#: minutes. The time is short, since the two possible mistakes differ: if a resumed table counts as
#: a new one, records are moved whose rows exist; in the other case a move only comes later.
TAP_STARTS_WITHIN = timedelta(minutes=1)

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)
#: Versions in the years 2001 to 2100 are times. Others are counters, or the seconds at which a tap
#: of the Meltano SDK started: such a tap never continues a table, so they tell nothing.
_FIRST_VERSION = (datetime(2001, 1, 1, tzinfo=timezone.utc) - _EPOCH) // _MILLISECOND
_END_OF_VERSIONS = (datetime(2101, 1, 1, tzinfo=timezone.utc) - _EPOCH) // _MILLISECOND


class SeenKeys:
    """Source keys that a run has received, eight bytes each."""

    def __init__(self) -> None:
        self._digests = array("Q")
        self._is_sorted = True
        #: Whether a record without a readable key came: then no row counts as missing.
        self.unsure = False

    def __len__(self) -> int:
        return len(self._digests)

    def add(self, keys: Iterable[str]) -> None:
        """Adds source keys as the ledger spells them."""
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
    """When the tap began to read a table, if that was before this run; else None.

    Also None if the version is not a time in the years 2001 to 2100, in epoch milliseconds.

    Args:
        version: The version in ACTIVATE_VERSION.
        started_at: When the run began; aware.
    """
    if isinstance(version, bool) or not isinstance(version, (int, Decimal)):
        return None
    if not _FIRST_VERSION <= version < _END_OF_VERSIONS:
        return None
    began = _EPOCH + int(version) * _MILLISECOND
    return began if began < started_at - TAP_STARTS_WITHIN else None


class Doubt(enum.Enum):
    """Why a stream's table does not count as seen whole."""

    #: The tap has not said that it sends the whole table.
    NOT_SAID = enum.auto()
    #: It has said so of other streams that feed the same sink, and not of this one.
    NOT_ALL_SAID = enum.auto()
    #: The tap sends only rows that changed.
    CHANGES_ONLY = enum.auto()
    #: The tap began the table before the run.
    BEGUN_EARLIER = enum.auto()
    #: Rows have another version than the tap has called active.
    OTHER_VERSION = enum.auto()
    #: Nothing came after the last row, so that the tap may have been cut off.
    CUT_OFF = enum.auto()


@dataclass
class _SourceTable:
    """What a tap has told about one of its streams.

    Attributes:
        changes_only: Whether it sends only rows that changed.
        active: The versions that it has called active.
        of_rows: The versions of its rows, as texts.
        is_open: Whether rows came after its last STATE or version.
    """

    changes_only: bool = False
    active: list[object] = field(default_factory=list)
    of_rows: set[object] = field(default_factory=set)
    is_open: bool = False


class SourceTables:
    """What the taps of a run have told about their streams, by the names that the taps give them.

    It is used only where `on_delete` is set.
    """

    def __init__(self) -> None:
        self._tables: dict[str, _SourceTable] = {}

    def note_schema(self, stream: str, *, changes_only: bool) -> None:
        """Notes a SCHEMA; once it says that its tap sends only changes, they stay changes."""
        table = self._of(stream)
        table.changes_only = table.changes_only or changes_only

    def note_row(self, stream: str, version: object) -> None:
        """Notes a RECORD and its version; None where it has none."""
        table = self._of(stream)
        table.is_open = True
        if version is not None:
            table.of_rows.add(str(version))

    def note_version(self, stream: str, version: object) -> None:
        """Notes an ACTIVATE_VERSION."""
        table = self._of(stream)
        table.is_open = False
        table.active.append(version)

    def note_state(self) -> None:
        """Notes a STATE: the tap has gone on after the rows so far."""
        for table in self._tables.values():
            table.is_open = False

    def doubt(self, stream: str, started_at: datetime) -> Doubt | None:
        """Why the table of a stream does not count as seen whole; None if it does.

        Args:
            started_at: When the run began.
        """
        table = self._of(stream)
        if not table.active:
            return Doubt.NOT_SAID
        if table.changes_only:
            return Doubt.CHANGES_ONLY
        if self.began(stream, started_at) is not None:
            return Doubt.BEGUN_EARLIER
        if not table.of_rows <= {str(version) for version in table.active}:
            return Doubt.OTHER_VERSION
        return Doubt.CUT_OFF if table.is_open else None

    def began(self, stream: str, started_at: datetime) -> datetime | None:
        """When the tap began the table, if any of its versions is from before the run."""
        versions = self._of(stream).active
        found = [began_earlier(version, started_at) for version in versions]
        return min((began for began in found if began is not None), default=None)

    def _of(self, stream: str) -> _SourceTable:
        table = self._tables.get(stream)
        if table is None:
            table = self._tables[stream] = _SourceTable()
        return table


def doubt_of_all(
    tables: SourceTables, streams: Collection[str], started_at: datetime
) -> tuple[str, Doubt] | None:
    """Of the streams that feed one sink, one whose table was not seen whole, and why.

    None if all tables were seen whole.
    """
    doubts = {stream: tables.doubt(stream, started_at) for stream in streams}
    if not doubts:
        return ("", Doubt.NOT_SAID)
    silent = [stream for stream, doubt in doubts.items() if doubt is Doubt.NOT_SAID]
    if silent:
        is_all = len(silent) == len(doubts)
        return (silent[0], Doubt.NOT_SAID if is_all else Doubt.NOT_ALL_SAID)
    return next(((stream, doubt) for stream, doubt in doubts.items() if doubt is not None), None)
