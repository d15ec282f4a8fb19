"""Sets a stream's bookmark in STATE back to its oldest held lead, so that the next run reads it.

By Singer's rule a tap reads the rows with a replication value ``>=`` its bookmark. A bookmark that
equals the replication value of the held lead makes the next run read that lead again. These shapes
of STATE's ``value`` are known, with the streams inside ``bookmarks`` or, in old taps, at the top:

* the SDK's: ``{stream: {"replication_key": k, "replication_key_value": v}}``, and the same inside
  ``progress_markers`` and in each of ``partitions``;
* singer-python's: ``{stream: {k: v}}``, and in the oldest taps ``{stream: v}``.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from target_apollo.mapper.errors import SettingsError
from target_apollo.model.times import moment

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_LOG_KEYS = frozenset({"_sdc_lsn", "_sdc_scn", "_sdc_log_pos", "lsn", "scn", "log_pos"})
_LOG_MARKERS = ("lsn", "scn", "log_file", "log_pos", "gtid")
_TABLE_MARKERS = ("xmin", "max_pk_values", "last_pk_fetched", "max_pk_value", "last_pk_value")
_NO_BOOKMARK = frozenset(
    {
        *("version", "last_replication_method", "context", "partitions", "progress_markers"),
        *("replication_key", "replication_key_signpost", "starting_replication_value", "offset"),
        *(*_LOG_MARKERS, *_TABLE_MARKERS),
    }
)


class Scale(enum.Enum):
    """The type of a replication key; values of different scales can't be compared."""

    NUMBER = "numbers"
    TIME = "dates or timestamps"


@dataclass(frozen=True)
class Bookmark:
    """A replication value that can be compared.

    Attributes:
        scale: Its type.
        at: The value to compare by; a timestamp is aware.
        written: The value as the tap wrote it.
    """

    scale: Scale
    at: Decimal | datetime
    written: Any

    def after(self, other: Bookmark) -> bool:
        """Whether it is later than another bookmark of the same scale."""
        return self.at > other.at  # type: ignore[operator]


def bookmark_of(value: object) -> Bookmark | None:
    """A replication value as a bookmark; None if it is no number, date or timestamp."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, Decimal)):
        return Bookmark(Scale.NUMBER, Decimal(value), value)
    if isinstance(value, float):
        return Bookmark(Scale.NUMBER, Decimal(repr(value)), value)
    if isinstance(value, str):
        if _NUMBER.fullmatch(value.strip()):
            return Bookmark(Scale.NUMBER, Decimal(value.strip()), value)
        at = moment(value)
        return None if at is None else Bookmark(Scale.TIME, at, value)
    return None


_NO_TIME = re.compile(r"[0\s:./TZ+-]*")


class StateHandling(enum.Enum):
    """What to do with a STATE message."""

    AS_IT_IS = enum.auto()
    SET_BACK = enum.auto()
    #: STATE has bookmarks, but none for the stream of the held lead. Whether it is from before or
    #: after that lead is unknown, and to withhold a STATE is always safe.
    WITHHELD = enum.auto()


class HeldState:
    """The oldest held lead of one stream, up to which STATE may go.

    Each method raises `SettingsError` if it finds that the stream's bookmark can't be set back.

    Args:
        stream: Name of the stream.
        remedy: What a user can do about that error, for its message.
    """

    def __init__(self, stream: str, remedy: str) -> None:
        self.stream = stream
        self.key: str | None = None
        self._remedy = remedy
        self._oldest: Bookmark | None = None
        self._from_start = False
        self._scale: Scale | None = None

    @property
    def has_held(self) -> bool:
        """Whether a lead was held in this run."""
        return self._from_start or self._oldest is not None

    def announce(self, bookmark_properties: list[str]) -> None:
        """Remember the replication key that the SCHEMA names."""
        if len(bookmark_properties) > 1:
            raise self._refusal(
                f"it has several replication keys ({', '.join(bookmark_properties)})"
            )
        key = bookmark_properties[0] if bookmark_properties else None
        if key in _LOG_KEYS:
            raise self._refusal(f"it is replicated from a log ('{key}')")
        if self.has_held and key != self.key:
            raise self._refusal(f"its replication key changed in the run to '{key}'")
        self.key = key

    def check_value(self, value: object) -> bool:
        """Check that a replication value can be compared.

        Returns:
            False for null, a blank or a date of zeros (MySQL's for none), which don't show it.
        """
        if value is None:
            return False
        bookmark = bookmark_of(value)
        if bookmark is None:
            if isinstance(value, str) and _NO_TIME.fullmatch(value):
                return False
            raise self._refusal(
                f"its replication key '{self.key}' is neither a number nor an ISO date or timestamp"
            )
        self._scale = bookmark.scale
        return True

    def hold(self, value: object) -> None:
        """Hold a lead with this replication value.

        If the value can't be compared, the next run must read the stream from its start.
        """
        bookmark = bookmark_of(value)
        if bookmark is None or (self._scale is not None and bookmark.scale is not self._scale):
            self._from_start = True
        elif self._oldest is None or self._oldest.after(bookmark):
            self._oldest = bookmark

    def set_back(self, value: MutableMapping[str, Any]) -> StateHandling:
        """Set the stream's bookmarks back to the oldest held lead.

        ``value`` is that of a STATE message, which is changed in place.
        """
        streams = value.get("bookmarks", value)
        if not isinstance(streams, MutableMapping):
            raise self._refusal("STATE holds no bookmarks by stream")
        names = [self.stream] if self.stream in streams else self._other_names(streams)
        if not names:
            unclear = self.has_held and self.key is not None and any(streams.values())
            return StateHandling.WITHHELD if unclear else StateHandling.AS_IT_IS
        changed = False
        for name in names:
            entry = streams[name]
            if isinstance(entry, MutableMapping):
                changed |= self._set_back_entry(entry)
            elif entry is not None:
                changed |= self._set_back_value(streams, name)
        return StateHandling.SET_BACK if changed else StateHandling.AS_IT_IS

    def _other_names(self, streams: MutableMapping[str, Any]) -> list[str]:
        # Some taps name a stream `table` in its SCHEMA and `schema-table` in STATE.
        return [name for name in streams if re.split(r"[-.]", name)[-1] == self.stream]

    def _set_back_entry(self, entry: MutableMapping[str, Any]) -> bool:
        self._refuse_markers(entry)
        bookmarks = list(self._bookmarks(entry))
        if not bookmarks:
            unknown = [
                name
                for name, value in entry.items()
                if name not in _NO_BOOKMARK and value and not isinstance(value, bool)
            ]
            if unknown:
                raise self._refusal(f"its bookmark has an unknown shape (it holds '{unknown[0]}')")
        changed = False
        for container, name in bookmarks:
            changed |= self._set_back_value(container, name)
        if self.has_held and entry.get("offset"):
            # From this page the tap would go on, perhaps after the held lead.
            del entry["offset"]
            changed = True
        for partition in entry.get("partitions") or ():
            # The partition of a lead is not known for sure, so all are set back.
            if isinstance(partition, MutableMapping):
                changed |= self._set_back_entry(partition)
        return changed

    def _bookmarks(
        self, entry: MutableMapping[str, Any]
    ) -> Iterator[tuple[MutableMapping[str, Any], str]]:
        for container in (entry, entry.get("progress_markers")):
            if not isinstance(container, MutableMapping):
                continue
            for name in ("replication_key_value", self.key):
                if name is not None and container.get(name) is not None:
                    yield container, name

    def _set_back_value(self, container: MutableMapping[str, Any], name: str) -> bool:
        if self.key is None:
            raise self._refusal(
                "STATE has a bookmark for it, but its SCHEMA names no replication key"
            )
        bookmark = bookmark_of(container[name])
        if bookmark is None:
            raise self._refusal("its bookmark is neither a number nor an ISO date or timestamp")
        if self._scale is not None and bookmark.scale is not self._scale:
            raise self._refusal(
                f"its bookmark is in {bookmark.scale.value}, its replication key "
                f"'{self.key}' in {self._scale.value}"
            )
        if self._from_start:
            del container[name]
            return True
        if self._oldest is not None and bookmark.after(self._oldest):
            container[name] = self._oldest.written
            return True
        return False

    def _refuse_markers(self, entry: MutableMapping[str, Any]) -> None:
        marker = next((name for name in _LOG_MARKERS if entry.get(name)), None)
        if marker or entry.get("last_replication_method") == "LOG_BASED":
            raise self._refusal("its bookmark is a place in a log")
        marker = next((name for name in _TABLE_MARKERS if entry.get(name)), None)
        if marker:
            raise self._refusal(f"its bookmark is a full-table marker ('{marker}')")

    def _refusal(self, why: str) -> SettingsError:
        return SettingsError(
            f"Stream '{self.stream}' can't hold leads back for the next run: {why}. Use "
            "incremental replication with one key of numbers, dates or timestamps, or "
            f"{self._remedy}."
        )
