"""What an adoption shares between its streams: Apollo's records by their keys, and its counts."""

from __future__ import annotations

import enum
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from target_apollo.apollo import ApolloClient
from target_apollo.apollo.record_reader import RecordReader
from target_apollo.model.match_keys import addresses, keys_of_record
from target_apollo.model.objects.registry import Json, ObjectKind, ObjectType
from target_apollo.sync.dry_run.known_records import KnownRecords
from target_apollo.sync.reading.walk import RecordWalk

#: Source keys that are kept of the rows with one fate.
_SHOWN = 5


class Fate(enum.Enum):
    """What an adoption found out about a row."""

    #: Its record has its values: the first run sends nothing for it.
    EQUAL = "equal"
    #: Its record has other values: the first run writes those that differ.
    DIFFERENT = "different"
    #: Apollo has no such record: the first run creates it.
    MISSING = "missing"
    #: Several records have its key, or another row has the record: it is not linked.
    AMBIGUOUS = "ambiguous"
    #: The ledger had it before, and its link stays as it is.
    KNOWN = "known"
    #: It can't be read or names what Apollo does not know: the first run rejects it.
    REJECTED = "rejected"


class RecordIndex:
    """All records of one object by their id and their keys, in a temporary file of its own."""

    def __init__(self, walk: RecordWalk, object_type: ObjectType) -> None:
        self._walk = walk
        self._object_type = object_type
        self._records: KnownRecords | None = None

    @property
    def not_shown(self) -> int:
        """How many records Apollo has and does not show."""
        return self._walk.not_shown if self._walk.is_split else 0

    def get(self, apollo_id: str) -> Json | None:
        """The record with an id, or None; reads all records at the first call.

        Raises:
            ApolloError: Apollo could not be asked.
        """
        return self._read().get(self._object_type.kind, apollo_id)

    def ids_of(self, key: str) -> list[str]:
        """The ids of the records that have a match key; reads all records at the first call.

        Raises:
            ApolloError: Apollo could not be asked.
        """
        return list(dict.fromkeys(self._read().ids_of(self._object_type.kind, key)))

    def domains(self) -> Iterator[tuple[str, str]]:
        """Yield the domain and id of each account that was read."""
        if self._records is not None:
            for record in self._records.all(self._object_type.kind):
                for domain in addresses(self._object_type, record):
                    yield domain, str(record["id"])

    def close(self) -> None:
        """Deletes the temporary file."""
        if self._records is not None:
            self._records.close()

    def _read(self) -> KnownRecords:
        if self._records is None:
            found = KnownRecords()
            for page in self._walk.all():
                for record in page:
                    keys = keys_of_record(self._object_type, record)
                    found.put(self._object_type.kind, record, keys)
            self._records = found
        return self._records


@dataclass
class Adoption:
    """One adoption.

    Attributes:
        fates: Stream -> how many rows met which fate.
        keys: Stream and fate -> source keys of the first of these rows.
    """

    client: ApolloClient
    reader: RecordReader
    fates: defaultdict[str, Counter[Fate]] = field(default_factory=lambda: defaultdict(Counter))
    keys: defaultdict[tuple[str, Fate], list[str]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _indexes: dict[ObjectKind, RecordIndex] = field(default_factory=dict)

    def index_of(self, object_type: ObjectType) -> RecordIndex:
        """The records of an object."""
        kind = object_type.kind
        if kind not in self._indexes:
            walk = RecordWalk(self.client, self.reader, object_type.endpoints)
            self._indexes[kind] = RecordIndex(walk, object_type)
        return self._indexes[kind]

    def note(self, stream: str, fate: Fate, source_key: str) -> None:
        """Notes what became of a row."""
        self.fates[stream][fate] += 1
        if len(self.keys[stream, fate]) < _SHOWN:
            self.keys[stream, fate].append(source_key)

    @property
    def summary(self) -> dict[str, Any]:
        """The part ``adopted`` of the run's summary."""
        keys: defaultdict[str, dict[str, list[str]]] = defaultdict(dict)
        for (stream, fate), some in self.keys.items():
            keys[stream][fate.value] = some
        return {
            "streams": {
                stream: {fate.value: number for fate, number in fates.items() if number}
                for stream, fates in self.fates.items()
            },
            "keys": dict(keys),
            "not_shown": {
                kind.value: index.not_shown
                for kind, index in self._indexes.items()
                if index.not_shown
            },
        }

    def close(self) -> None:
        """Deletes the temporary files."""
        for index in self._indexes.values():
            index.close()
