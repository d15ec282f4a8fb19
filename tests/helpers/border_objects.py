"""Deals, tasks and sequences that are synced while Apollo's answers are altered.

A team has what is there before, the rows, and what has to become of each row.
"""

from __future__ import annotations

import abc
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from target_apollo.model.objects.sequence_member import MAILBOX, SEQUENCE
from target_apollo.model.times import moment
from target_apollo.sandbox import Sandbox
from tests.helpers.altered_answers import Alteration
from tests.helpers.border_scenes import ADA, ROBIN
from tests.promises.conftest import Message, record, schema, state

Record = dict[str, Any]

ROWS = (1, 2, 3, 4)
#: The row whose record is in Apollo before the first run, made by hand.
THERE = 4
BOX = "rep@sandbox.example"
STAGES = ("Qualify", "Propose", "Negotiate")
REGIONS = ("North", "South", "East")
PRIORITIES = ("low", "medium", "high")


@dataclass(frozen=True)
class ObjectScene:
    """What is synced, and how.

    Attributes:
        stream: ``deals``, ``tasks`` or ``sequence_members``.
        ledger: ``sqlite`` or ``none``.
        before: Whether a run was there before, so that the ledger knows the rows.
        is_ledger_lost: Whether the ledger is a new one after the run before.
        gone: Whether the record of row 3 is deleted in Apollo after the run before.
        policy: The policy of all fields; empty for overwriting.
    """

    stream: str
    mode: str = "upsert"
    ledger: str = "sqlite"
    before: bool = False
    is_ledger_lost: bool = False
    gone: bool = False
    policy: str = ""

    @property
    def also_asks(self) -> tuple[str, ...]:
        """Endpoints of contacts whose answers decide what becomes of the objects."""
        return ("POST /contacts/search",) if self.stream != "deals" else ()

    def __str__(self) -> str:
        parts = [self.stream, self.mode, self.ledger]
        parts += [name for name in ("before", "is_ledger_lost", "gone") if getattr(self, name)]
        return "-".join([*parts, *([self.policy] if self.policy else [])])


class ObjectTeam(abc.ABC):
    """One team with objects of one kind."""

    #: The setting `streams`, and others that the object needs.
    settings: ClassVar[Mapping[str, Any]] = {}
    #: Rows that are rejected whatever is answered, since the records must not be written.
    never: ClassVar[frozenset[int]] = frozenset()

    def __init__(self, scene: ObjectScene, sandbox: Sandbox) -> None:
        self.scene = scene
        self.store = sandbox.store
        self.users = [self.store.add_user(email=one, first_name=one[:3]) for one in (ADA, ROBIN)]
        self.furnish()
        self.strangers = {one["id"] for one in self.records()}

    @abc.abstractmethod
    def furnish(self) -> None:
        """Adds what is there before, which no row is about."""

    def add_own(self) -> None:  # noqa: B027 - for the objects that have it
        """Adds the record of row `THERE`."""

    def delete_own(self) -> None:
        """Deletes the record of row 3 as a user does in Apollo's app."""
        raise LookupError(self.scene.stream)

    @abc.abstractmethod
    def row(self, key: int, version: int) -> Message:
        """The values of a row."""

    @abc.abstractmethod
    def records(self) -> list[Record]:
        """All records of the object, each with an ``id``."""

    @abc.abstractmethod
    def owned(self, key: int) -> list[Record]:
        """The records of a row."""

    @abc.abstractmethod
    def differing(self, key: int, one: Record, version: int) -> list[str]:
        """Names of the values that a row's record does not have."""

    @abc.abstractmethod
    def others(self) -> Mapping[str, Record]:
        """First part of an endpoint's path -> a record of somebody else."""

    def keys(self, version: int) -> tuple[int, ...]:
        """The keys of the rows that are sent."""
        return ROWS

    def gone_by(self, version: int) -> tuple[int, ...]:
        """The keys of rows whose records have to be out again."""
        return ()

    def messages(self, version: int) -> list[Message]:
        """A table, with STATE after every second row."""
        sent: list[Message] = []
        for number, key in enumerate(self.keys(version), 1):
            sent.append(record(self.scene.stream, **self.row(key, version)))
            if number % 2 == 0:
                sent.append(state({"n": number}))
        names = {"properties": {name: {} for name in self.row(1, 0)}}
        return [schema(self.scene.stream, names), *sent]

    def wrong(self, key: int, version: int) -> str:
        """What is wrong with the record of a row; empty if nothing is."""
        if key in self.never:
            return ""
        owned = self.owned(key)
        if not owned:
            return "is not there"
        scene = self.scene
        if scene.policy or (scene.mode == "insert" and key == THERE):
            # What was there before stays.
            return ""
        # A row that is inserted keeps what it had when it was made.
        versions = range(version + 1) if scene.mode == "insert" else [version]
        wrong = [self.differing(key, owned[0], one) for one in versions]
        return "" if [] in wrong else f"has others of {wrong[-1]}"


class DealTeam(ObjectTeam):
    """A team with deals of others, one of which bears the mark of somebody else's row."""

    def furnish(self) -> None:
        add_field, deals = self.store.add_custom_field, self.store.deals
        self.mark = _bare(add_field("opportunity", "External id", "string"))
        self.region = _bare(add_field("opportunity", "Region", "string"))
        self.account = self.store.add_account(domain="client.example", name="Client")
        for number in (1, 2, 3):
            custom = {self.mark: f"theirs/{number}"} if number == 1 else {}
            deals.add(name=f"Deal {number}", amount=number, typed_custom_fields=custom)

    def add_own(self) -> None:
        custom = {self.mark: f"deals/{THERE}"}
        self.store.deals.add(name="Old", amount=1, typed_custom_fields=custom)

    def delete_own(self) -> None:
        self.store.deals.delete(self.owned(3)[0]["id"])

    def row(self, key: int, version: int) -> Message:
        own: Message = {
            "id": key,
            "name": f"Deal {key}",
            "amount": 100 * version + key,
            "deal_stage": STAGES[version],
            "owner_email": (ROBIN, ADA)[version % 2],
            "Region": REGIONS[version],
            "closed_date": f"2027-0{version + 1}-01",
        }
        return {**own, "account_domain": "client.example" if key == 1 else None}

    def records(self) -> list[Record]:
        return self.store.deals.all()

    def owned(self, key: int) -> list[Record]:
        mark = f"deals/{key}"
        return [one for one in self.records() if one["typed_custom_fields"].get(self.mark) == mark]

    def differing(self, key: int, one: Record, version: int) -> list[str]:
        row = self.row(key, version)
        stages = {stage["name"]: stage["id"] for stage in self.store.deals.stages}
        wanted = {
            "name": row["name"],
            "amount": row["amount"],
            "opportunity_stage_id": stages[row["deal_stage"]],
            "owner_id": self.users[row["owner_email"] == ROBIN]["id"],
        }
        wrong = [name for name, value in wanted.items() if one[name] != value]
        if one["typed_custom_fields"].get(self.region) != row["Region"]:
            wrong.append("Region")
        if key == 1 and one["account_id"] != self.account["id"]:
            wrong.append("account_id")
        return wrong

    def others(self) -> Mapping[str, Record]:
        return {
            "opportunities": self.records()[0],
            "opportunity_stages": self.store.deals.stages[-1],
        }


class TaskTeam(ObjectTeam):
    """A team with tasks of others, one of which bears the mark of somebody else's row."""

    def furnish(self) -> None:
        add, tasks = self.store.add_contact, self.store.tasks
        self.people = {key: add(email=f"p{key}@a.com", first_name="P")["id"] for key in ROWS}
        self.stranger = add(email="stranger@b.com", first_name="P")
        for number in (1, 2, 3):
            tasks.add(
                contact_id=self.stranger["id"],
                user_id=self.users[0]["id"],
                type="call",
                due_at=f"2027-03-0{number}T10:00:00.000+00:00",
                note="[wh:theirs/1]" if number == 1 else "Theirs",
            )

    def add_own(self) -> None:
        self.store.tasks.add(
            contact_id=self.people[THERE],
            user_id=self.users[0]["id"],
            type="call",
            due_at="2027-03-04T10:00:00.000+00:00",
            note=f"Old [wh:tasks/{THERE}]",
        )

    def delete_own(self) -> None:
        self.store.tasks.delete(self.owned(3)[0]["id"])

    def row(self, key: int, version: int) -> Message:
        own: Message = {
            "id": key,
            "email": f"p{key}@a.com",
            "owner_email": ADA,
            "type": "call",
            "due_at": f"2027-03-0{key}T1{version}:00:00Z",
            "priority": PRIORITIES[version],
            "note": f"Note {version}",
        }
        return {**own, "status": self._ends(key, version) or "scheduled"}

    def _ends(self, key: int, version: int) -> str:
        has_end = version > 0 and self.scene.mode != "insert"
        return {1: "completed", 2: "skipped"}.get(key, "") if has_end else ""

    def records(self) -> list[Record]:
        return self.store.tasks.all()

    def owned(self, key: int) -> list[Record]:
        return [one for one in self.records() if f"[wh:tasks/{key}]" in str(one["note"])]

    def differing(self, key: int, one: Record, version: int) -> list[str]:
        row, ends = self.row(key, version), self._ends(key, version)
        if ends:
            # Nothing else is written to a task that has ended.
            return [] if one["status"] == ends else ["status"]
        wanted = {
            "contact_id": self.people[key],
            "user_id": self.users[0]["id"],
            "type": "call",
            "priority": row["priority"],
            "status": "scheduled",
        }
        wrong = [name for name, value in wanted.items() if one[name] != value]
        if moment(one["due_at"]) != moment(row["due_at"]):
            wrong.append("due_at")
        return wrong if row["note"] in str(one["note"]) else [*wrong, "note"]

    def others(self) -> Mapping[str, Record]:
        return {"tasks": self.records()[0], "contacts": self.stranger}


class SequenceTeam(ObjectTeam):
    """A team with two sequences; a member is known by its contact."""

    settings: ClassVar[Mapping[str, Any]] = {"allow_sequences": ["Spring"], "max_updates": 10}
    #: In a protected stage, whose contacts get no e-mail.
    never: ClassVar[frozenset[int]] = frozenset({3})

    def furnish(self) -> None:
        store = self.store
        self.spring = store.sequences.add("Spring")["id"]
        self.autumn = store.sequences.add("Autumn")
        self.box = store.sequences.add_email_account(BOX)
        self.other_box = store.sequences.add_email_account("else@sandbox.example")
        stages = {one["name"]: one["id"] for one in store.contact_stages}
        self.people = {
            key: store.add_contact(
                email=f"p{key}@a.com",
                first_name="P",
                contact_stage_id=stages["Do Not Contact" if key in self.never else "New"],
            )["id"]
            for key in (*ROWS, 5)
        }
        self.stranger = store.add_contact(email="stranger@b.com", first_name="P")
        for name in ("Spring", "Autumn"):
            store.sequences.enrol(name, "stranger@b.com")

    def add_own(self) -> None:
        self.store.sequences.enrol("Spring", self.people[THERE])

    @property
    def _is_mirror(self) -> bool:
        return self.scene.mode == "mirror"

    def row(self, key: int, version: int) -> Message:
        return {"id": key, SEQUENCE: "Spring", "email": f"p{key}@a.com", MAILBOX: BOX}

    def keys(self, version: int) -> tuple[int, ...]:
        return (1, 3, 4, 5) if self._is_mirror and version else ROWS

    def gone_by(self, version: int) -> tuple[int, ...]:
        return (2,) if self._is_mirror and version else ()

    def messages(self, version: int) -> list[Message]:
        messages = super().messages(version)
        if not self._is_mirror:
            return messages
        # A counter, so that no time tells that the table was begun before the run.
        count = version + 1
        active = {"type": "ACTIVATE_VERSION", "stream": self.scene.stream, "version": count}
        sent = [{**one, "version": count} if one["type"] == "RECORD" else one for one in messages]
        return [*sent, active, state({"n": len(self.keys(version))})]

    def records(self) -> list[Record]:
        return self.store.sequences.enrolments()

    def owned(self, key: int) -> list[Record]:
        return [one for one in self.records() if one["contact_id"] == self.people[key]]

    def differing(self, key: int, one: Record, version: int) -> list[str]:
        wanted = {"emailer_campaign_id": self.spring, "status": "active"}
        return [name for name, value in wanted.items() if one[name] != value]

    def others(self) -> Mapping[str, Record]:
        return {
            "emailer_campaigns": self.autumn,
            "email_accounts": self.other_box,
            "contacts": self.stranger,
        }


TEAMS: Mapping[str, Callable[[ObjectScene, Sandbox], ObjectTeam]] = {
    "deals": DealTeam,
    "tasks": TaskTeam,
    "sequence_members": SequenceTeam,
}
OBJECT_SCENES: Sequence[ObjectScene] = (
    ObjectScene("deals"),
    ObjectScene("deals", ledger="none"),
    ObjectScene("deals", mode="insert"),
    ObjectScene("deals", before=True, gone=True),
    ObjectScene("deals", before=True, is_ledger_lost=True),
    ObjectScene("deals", mode="update", before=True, policy="fill_if_empty"),
    ObjectScene("tasks", mode="insert"),
    ObjectScene("tasks"),
    ObjectScene("tasks", before=True, gone=True),
    ObjectScene("tasks", before=True, is_ledger_lost=True),
    ObjectScene("sequence_members", mode="insert"),
    ObjectScene("sequence_members", mode="mirror", before=True),
)


#: First parts of the paths of their endpoints.
_PATHS = frozenset(
    {"opportunities", "opportunity_stages", "tasks", "emailer_campaigns", "email_accounts"}
)
_CREATES = frozenset({"POST /opportunities", "POST /tasks"})
#: Values that no text of a user can be.
_NO_TEXT = frozenset(
    {"null", "absent", "a number", "below zero", "a huge number", "beyond every number", "NaN"}
    | {"true", "a list", "an object", "an object with an id", "in a list", "nested deeply"}
)
#: What another id looks like, or another object, that could be right.
_COULD_BE = frozenset(
    {"an id of nothing", "in upper case", "somebody else's", "the neighbour's"}
    | {"an object", "an object with an id", "twice, another last"}
)


def is_of_objects(endpoint: str) -> bool:
    """Whether an endpoint is one of deals, tasks or sequences."""
    return endpoint.split(" ")[1].split("/")[1] in _PATHS


def object_can_be_told(alteration: Alteration) -> bool:
    """Whether a client can tell an alteration in an answer about deals, tasks or sequences.

    Apollo recognises none of these: that a search has a record, and whose it is, is known from the
    search alone, and the id of a new one from the answer to its creation. A creation that is
    answered as refused was refused.
    """
    endpoint, path, kind = alteration.endpoint, alteration.path, alteration.kind
    finds = endpoint.endswith("/search")
    if path is None:
        return not (endpoint in _CREATES and re.match(r"(status )?[34]\d\d\b", kind))
    if alteration.member == "id" and (finds or endpoint in _CREATES):
        return kind not in _COULD_BE
    if finds and "typed_custom_fields" in path:
        return path[-1] == "typed_custom_fields" and kind not in _COULD_BE
    if finds and alteration.member == "note":
        return kind in _NO_TEXT - {"null"} or kind in ("with a blank", "twice, another first")
    # Another word may be a status that Apollo has not documented.
    return alteration.member != "status" or not endpoint.endswith("/tasks/{id}") or kind in _NO_TEXT


def _bare(field: Record) -> str:
    return str(field["id"]).rpartition(".")[2]
