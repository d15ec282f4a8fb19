"""What a world's model knows: rows that were sent, records in Apollo, runs, links and people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Values = dict[str, Any]
#: Source, stream and key of a row.
LinkKey = tuple[str, str, int]

ADDRESS = {"contacts": "email", "accounts": "domain"}
#: Label of a custom field -> the property that carries it.
LABELS = {"Lead Score": "lead_score", "Tier": "tier"}
#: Of a row that has a key.
KEYED = object()
PROTECTED_STAGE = "Do Not Contact"


@dataclass(frozen=True)
class Place:
    """Where `on_delete` moves records: a stage or a list."""

    stage: str | None = None
    list_name: str | None = None

    def __str__(self) -> str:
        return f"stage:{self.stage}" if self.stage else f"list:{self.list_name}"


@dataclass(frozen=True)
class Sent:
    """A record that the tap has sent.

    Attributes:
        number: Its place among the records of the run, from 1.
        entity: Number of the person or firm.
        values: What it carries, with names and address.
        changed_at: When the row changed last.
        deleted: Whether it is the mark of a deleted row.
        instead_of_key: What stands in the place of the key of a row that has none.
    """

    number: int
    stream: str
    key: int
    entity: int
    values: Values
    changed_at: datetime
    deleted: bool = False
    instead_of_key: object = KEYED

    @property
    def is_keyless(self) -> bool:
        """Whether the row has no key, so that it must be rejected."""
        return self.instead_of_key is not KEYED


@dataclass(frozen=True)
class Record:
    """A record in Apollo.

    Attributes:
        address: Its main address.
        addresses: All of its addresses.
        updated_at: None where Apollo does not show it.
        whole: Everything that Apollo holds, to see whether anything changed.
    """

    id: str
    kind: str
    address: str
    addresses: frozenset[str]
    values: Values
    stage: str | None
    lists: frozenset[str]
    updated_at: datetime | None
    whole: Values = field(repr=False, default_factory=dict)


@dataclass(frozen=True)
class RunFacts:
    """A run: what it was sent under which settings, and how it ended.

    Attributes:
        policies: Field or label -> policy; ``*`` for all others.
        place: The setting `on_delete`; None if deletions are ignored.
        whole: Streams of which the run has seen the whole table and its end.
        covered: Number of records before the last STATE that was printed.
        finished: Whether the run ended by itself with exit code 0.
        rejected: (stream, key) -> reason.
        faults: Whether Apollo failed some requests, so that good rows may be rejected.
    """

    source: str
    mode: str
    policies: Mapping[str, str]
    place: Place | None
    sent: Sequence[Sent]
    whole: frozenset[str] = frozenset()
    covered: int = 0
    finished: bool = True
    full_resync: bool = False
    rejected: Mapping[tuple[str, int], str] = field(default_factory=dict)
    faults: bool = False

    def policy(self, name: str) -> str:
        label = next((label for label, own in LABELS.items() if own == name), name)
        own = self.policies.get(label, self.policies.get(name))
        return own or self.policies.get("*", "overwrite")


@dataclass(frozen=True)
class Link:
    """What a ledger must know about a row.

    Attributes:
        entity: The person or firm whose row it is.
        given: The values of the row's last confirmed write; None if it was never confirmed.
        policies: The policies of that write.
        known: Whether some run has confirmed which record the row became.
        settled: Whether nothing happened to the row since that the ledger may not know.
        moved: Where its record was moved when the row was deleted.
        stage_before: The stage before that.
        deleted: Whether a run has noticed that the row is deleted.
    """

    entity: int
    given: Values | None = None
    policies: Mapping[str, str] = field(default_factory=dict)
    known: bool = False
    settled: bool = False
    moved: Place | None = None
    stage_before: str | None = None
    deleted: bool = False


@dataclass
class Entity:
    """A person or a firm; no two have a value in common.

    Attributes:
        values: Name of a field -> all values that were ever true, in a row or in Apollo.
        taken: Whether somebody deleted its record in Apollo.
        loose: Whether the documentation does not say which of several records is its own.
        merged: Whether its record was merged with another of its own.
        edited: Fields that somebody changed in Apollo since a row gave them.
        edited_at: When somebody last changed its record.
        shared: Whether several rows are this person.
        left: Whether the key of its row was given to somebody else, so that it may have none.
    """

    number: int
    kind: str
    addresses: list[str]
    values: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    taken: bool = False
    loose: bool = False
    merged: bool = False
    edited: set[str] = field(default_factory=set)
    edited_at: datetime | None = None
    shared: bool = False
    left: bool = False


@dataclass
class Case:
    """One entity in one run.

    Attributes:
        before: Its records before the run; `after`: those after it.
        sent: What the run was sent of it.
        missing: Its rows that the ledger knows and a whole table did not hold.
        links: What the ledger must know of all rows.
        has_ledger: Whether there is one.
        clears: Whether a null empties a field.
    """

    run: RunFacts
    entity: Entity
    before: list[Record]
    after: list[Record]
    sent: list[Sent]
    missing: list[LinkKey]
    links: Mapping[LinkKey, Link]
    has_ledger: bool
    clears: bool

    @property
    def live(self) -> list[Sent]:
        return [one for one in self.sent if not one.deleted and not one.is_keyless]

    @property
    def marks(self) -> list[Sent]:
        return [one for one in self.sent if one.deleted]

    @property
    def has_rejects(self) -> bool:
        return any((one.stream, one.key) in self.run.rejected for one in self.sent)

    @property
    def given_away(self) -> set[LinkKey]:
        """Keys of its rows that the run has given to somebody else."""
        return {
            (self.run.source, one.stream, one.key)
            for one in self.run.sent
            if one.entity != self.entity.number
        }

    def link_of(self, one: Sent) -> Link | None:
        """The link of a row, if it is that of this person or firm."""
        link = self.links.get((self.run.source, one.stream, one.key))
        return link if link is not None and link.entity == self.entity.number else None

    def is_last(self, one: Sent) -> bool:
        """Whether no later record of the run has the row's key: a batch takes the last of them."""
        return all(
            other.number <= one.number
            for other in self.run.sent
            if (other.stream, other.key) == (one.stream, one.key)
        )

    def is_sure(self, one: Sent) -> bool:
        """Whether the run must have done what the row asks for."""
        run = self.run
        is_rejected = (one.stream, one.key) in run.rejected
        is_done = run.finished or one.number <= run.covered
        return is_done and not is_rejected and self.is_last(one)


def text_of(value: object) -> str | None:
    """A value as it is compared; None for an empty one."""
    return None if value is None or value == "" else str(value)
