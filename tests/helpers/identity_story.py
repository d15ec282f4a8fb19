"""Stories for the law of identity: rows, keys and records that change between runs.

Two sources have tables of people. Keys are numbers of rows, which shift, or ids, which stay.
Between runs, rows change, swap their keys or addresses, become the same person, vanish and come
back; people in Apollo merge, delete and make contacts; runs are cut off. `Story.problems` says what
must never be so at the end. It sees only the rows, the store and the rejects files.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from target_apollo.sandbox import Fault, FaultKind, Sandbox, SandboxOptions
from target_apollo.sandbox.options import BulkFailure, GoneInBulk, UnknownId
from target_apollo.sandbox.serving.rate_windows import Plan
from tests.helpers import killing
from tests.helpers.killing import Death, Moment

if TYPE_CHECKING:
    from tests.promises.conftest import Run, TargetRun

Values = dict[str, Any]

STREAM = "contacts"
#: Where a run of a story can be killed: around its requests and its writes to the ledger.
MOMENTS = (
    Moment.BEFORE_REQUEST,
    Moment.BEFORE_ANSWER,
    Moment.AFTER_ANSWER,
    Moment.BEFORE_COMMIT,
    Moment.AFTER_COMMIT,
)
_LOST = (FaultKind.RESET_BEFORE_WRITE, FaultKind.RESET_AFTER_WRITE, FaultKind.ERROR_AFTER_WRITE)
_ANY_NUMBER = 10_000
#: After so many runs of both sources their rows are where they stay.
_MOST_ROUNDS = 5
_SCHEMA = {
    "properties": {
        "id": {"type": "integer"},
        **{
            name: {"type": ["string", "null"]}
            for name in ("email", "first_name", "last_name", "title", "mobile_phone")
        },
    }
}


def options_of(chance: random.Random) -> SandboxOptions:
    """A strict sandbox without limits, with random choices where Apollo leaves one."""
    return SandboxOptions(
        strict=True,
        plan=Plan.UNLIMITED,
        seed=chance.randrange(1_000_000),
        shuffle_answers=chance.random() < 0.5,
        unknown_id=chance.choice(list(UnknownId)),
        gone_in_bulk=chance.choice(list(GoneInBulk)),
        bulk_failure=chance.choice(list(BulkFailure)),
        bad_id_names_value=chance.random() < 0.5,
    )


@dataclass
class Person:
    """A person in the world; no two of them share a word of their names."""

    number: int
    email: str
    title: str = "T"
    mobile: str | None = None

    @property
    def name(self) -> tuple[str, str]:
        return f"Ann{self.number}", f"Lee{self.number}"

    def row(self, key: int) -> Values:
        return {
            "id": key,
            "email": self.email,
            "first_name": self.name[0],
            "last_name": self.name[1],
            "title": self.title,
            "mobile_phone": self.mobile,
        }


@dataclass
class Source:
    """A table of one source, and the name of the source.

    Attributes:
        numbered: Keys are numbers of rows, so that they shift; otherwise each row keeps its id.
    """

    name: str
    numbered: bool
    people: list[Person] = field(default_factory=list)
    keys: dict[int, int] = field(default_factory=dict)
    away: list[Person] = field(default_factory=list)

    def rows(self) -> list[Values]:
        if self.numbered:
            return [one.row(number) for number, one in enumerate(self.people, 1)]
        for one in self.people:
            self.keys.setdefault(one.number, 1 + len(self.keys))
        return [one.row(self.keys[one.number]) for one in self.people]


class Story:
    """One story, as it follows from its seed.

    Args:
        seed: Seed of all choices.
        sandbox: An empty team, made with `options_of`.
        sync: Runs the target inside the test.
        folder: An empty folder, for runs that are killed.
        ledger_url: Empty for none.
        rows: Number of rows of each source in the beginning.
        mode: Setting `mode`: ``upsert`` or ``insert``.
        kills: Whether runs are killed in processes of their own; answers get lost anyway.
        plans: Whether a dry run before each run that is not cut off must say what that does.
    """

    def __init__(
        self,
        seed: int,
        sandbox: Sandbox,
        sync: Run,
        folder: Path,
        ledger_url: str,
        *,
        rows: int = 8,
        mode: str = "upsert",
        kills: bool = False,
        plans: bool = False,
    ) -> None:
        self.chance = random.Random(seed)
        self.sandbox = sandbox
        self.store = sandbox.store
        self._sync, self._folder, self._kills = sync, folder, kills
        self._plans = plans
        self._next_person = self._next_address = 0
        self.settings: Values = {
            "sandbox": sandbox,
            "mode": mode,
            "ledger_url": ledger_url,
            "batch_size": self.chance.choice([2, 5, 100]),
            "parallel_requests": self.chance.choice([1, 3]),
            "update_method": self.chance.choice(["individual", "bulk", "auto"]),
            "on_apollo_delete": self.chance.choice(["leave", "recreate"]),
            "max_identity_changes": _ANY_NUMBER,
            "max_retries": 0,
        }
        self.sources = (
            Source("tap-one", numbered=True),
            Source("tap-two", numbered=self.chance.random() < 0.5),
        )
        #: All that was ever true: address -> names of those who had it in a row or in Apollo.
        self.true_names: dict[str, set[str | None]] = {}
        #: Addresses and first names of contacts that somebody deleted or merged in Apollo.
        self.deleted: set[str] = set()
        #: Address -> names of the people whose contacts somebody merged under it, as if they were
        #: one. It counts where no row has the address.
        self.merged_names: dict[str, set[str | None]] = {}
        #: Source and key -> the row when it was last rejected. A row that has not changed since is
        #: rejected in silence.
        self.rejected_rows: dict[tuple[str, int], Values] = {}
        self.problems: list[str] = []
        #: What has happened so far, for whoever looks for the cause of a problem.
        self.told: list[str] = []
        for source in self.sources:
            source.people = [self._new_person() for _ in range(rows)]
        # A few people are in both sources.
        self.sources[1].people[:2] = self.sources[0].people[:2]
        self._note_rows()

    # --- what happens

    def play(self, steps: int) -> list[str]:
        """Runs and changes in turn; what is wrong in the end, and was on the way, as sentences."""
        for _ in range(steps):
            self._run(self.chance.choice(self.sources), cut_off=self.chance.random() < 0.4)
            for _ in range(self.chance.randint(1, 4)):
                happening = self.chance.choice(self._happenings())
                self.told.append(happening.__name__.strip("_"))
                happening()
                self._note_rows()
            # A run of default settings may stop at rows that nobody can tell apart.
            self.settings["max_identity_changes"] = self.chance.choice([0, _ANY_NUMBER])
        self.settings["max_identity_changes"] = _ANY_NUMBER
        self._end()
        return self.problems

    def _happenings(self) -> list[Any]:
        rows = [
            self._change_values, self._change_all_values, self._move_address, self._swap_addresses,
            self._swap_rows, self._vanish, self._come_back, self._add_first, self._add_last,
            self._become_one,
        ]  # fmt: skip
        if self.settings["mode"] == "insert":
            return [*rows, self._make_contact]
        return [*rows, self._make_contact, self._delete, self._merge_into_new, self._merge_two]

    def _end(self) -> None:
        before: object = None
        for _ in range(_MOST_ROUNDS):
            outcomes = []
            for source in self.sources:
                # A rejected row may wait for what another row has until this run.
                done = self._run(source, cut_off=False)
                outcomes.append(done.records)
                if not done.records.get("rejected"):
                    self._run_again(source)
            after = (outcomes, self._whole_store())
            if after == before:
                break
            before = after
        for source in self.sources:
            self._run_again(source)
        for source in self.sources:
            self.check_rows(source, self._run(source, cut_off=False, full_resync=True))
        self.check_records()

    def _run_again(self, source: Source) -> None:
        """A run of rows that were just written, which writes nothing."""
        before = self._whole_store()
        done = self._run(source, cut_off=False)
        if self.settings["ledger_url"] and self._whole_store() != before:
            self.problems.append(f"{source.name}: a run without a change wrote to Apollo")
        if done.records.keys() & {"created", "updated"}:
            self.problems.append(f"{source.name}: a run without a change says {done.records}")

    def _run(self, source: Source, *, cut_off: bool, **more: Any) -> TargetRun:
        settings = {**self.settings, **more, "source": source.name}
        rows = source.rows()
        messages = self.messages(rows)
        if cut_off and self._kills and self.chance.random() < 0.5:
            self._run_and_kill(source, settings, messages)
        elif cut_off:
            endpoint = self.chance.choice(
                ["*", "POST /contacts/bulk_create", "PATCH /contacts/{id}"]
            )
            after = self.chance.randint(0, 4)
            kind = self.chance.choice(_LOST)
            self.sandbox.inject(Fault(endpoint=endpoint, kind=kind, after=after, times=None))
        plan = None
        if self._plans and not cut_off:
            plan = self._sync(messages, **settings, dry_run=True)
        done = self._sync(messages, **settings)
        self._note_rejects(source, done.rejects)
        self.sandbox.clear_faults()
        if plan is not None and _said(plan) != _said(done):
            self.problems.append(f"{source.name}: plan {_said(plan)}, run {_said(done)}")
        self.told.append(
            f"{source.name}, cut off: {cut_off}: exit {done.exit_code}, {done.records}"
        )
        self.told += [f"!! {problem}" for problem in self._wrong_records()]
        if not cut_off:
            self._check_run(source, done, len(rows))
        for state in done.states:
            self._check_state(source, rows[: state["at"]], done)
        return done

    def _run_and_kill(self, source: Source, settings: Values, messages: list[Values]) -> None:
        """A run of its own process that is killed; the run after it mends what it left."""
        config = {
            **{name: value for name, value in settings.items() if name != "sandbox"},
            "api_key": self.sandbox.api_key,
            "api_url": self.sandbox.url,
            "rejects_path": str(self._folder / "killed.singer"),
            "summary_path": str(self._folder / "killed.json"),
            "max_rejected_percent": 100,
            "abort_rejected_percent": 100,
            "state_interval_seconds": 0,
        }
        death = Death(self.chance.choice(MOMENTS), self.chance.randint(1, 6))
        lines = [json.dumps(message).encode() + b"\n" for message in messages]
        killing.run_target(config, self._folder, lines, death)
        rejects = self._folder / "killed.singer"
        if rejects.exists():
            kept = [json.loads(line) for line in rejects.read_text().splitlines()]
            self._note_rejects(source, [one for one in kept if one["type"] == "RECORD"])
            rejects.unlink()

    def _note_rejects(self, source: Source, rejects: Iterable[Values]) -> None:
        for reject in rejects:
            row = {name: value for name, value in reject["record"].items() if name != "_reject"}
            self.rejected_rows[source.name, row["id"]] = row

    def _rejected(self, source: Source, done: TargetRun) -> set[int]:
        """Keys of the rows that a run has rejected, or an earlier one as they still are."""
        keys = {reject["record"]["id"] for reject in done.rejects}
        if done.summary["rejected_before"]:
            keys |= {
                row["id"]
                for row in source.rows()
                if self.rejected_rows.get((source.name, row["id"])) == row
            }
        return keys

    def messages(self, rows: list[Values]) -> list[Values]:
        every = self.chance.choice([1, 3, 100])
        messages: list[Values] = [
            {"type": "SCHEMA", "stream": STREAM, "schema": _SCHEMA, "key_properties": ["id"]}
        ]
        for number, row in enumerate(rows, 1):
            messages.append({"type": "RECORD", "stream": STREAM, "record": row})
            if number % every == 0 or number == len(rows):
                messages.append({"type": "STATE", "value": {"at": number}})
        return messages

    # --- rows

    def _new_person(self) -> Person:
        self._next_person += 1
        mobile = f"+4915{self._next_person:08}" if self.chance.random() < 0.2 else None
        return Person(self._next_person, self._new_address(), mobile=mobile)

    def _new_address(self) -> str:
        self._next_address += 1
        # Addresses of one host make namesakes of a person and their own former contact.
        host = self.chance.choice(["a.com", f"host{self._next_address}.com"])
        return f"p{self._next_address}@{host}"

    def _source(self) -> Source:
        return self.chance.choice([one for one in self.sources if one.people])

    def _somebody(self) -> Person:
        return self.chance.choice(self._source().people)

    def _change_values(self) -> None:
        self._somebody().title += "x"

    def _change_all_values(self) -> None:
        for person in self._source().people:
            person.title += "y"

    def _move_address(self) -> None:
        self._somebody().email = self._new_address()

    def _swap_addresses(self) -> None:
        one, other = self._somebody(), self._somebody()
        one.email, other.email = other.email, one.email

    def _swap_rows(self) -> None:
        people = self._source().people
        one, other = self.chance.randrange(len(people)), self.chance.randrange(len(people))
        people[one], people[other] = people[other], people[one]

    def _vanish(self) -> None:
        source = self._source()
        if len(source.people) > 2:
            gone = source.people.pop(self.chance.choice([0, -1]))
            source.away.append(gone)

    def _come_back(self) -> None:
        source = self.chance.choice(self.sources)
        if source.away:
            source.people.insert(self.chance.choice([0, 1]), source.away.pop())

    def _add_first(self) -> None:
        self._source().people.insert(0, self._new_person())

    def _add_last(self) -> None:
        self._source().people.append(self._new_person())

    def _become_one(self) -> None:
        """Two rows come to be the same person: the source merged them under the other's key."""
        source = self._source()
        if source.numbered and len(source.people) > 3:
            one, other = self.chance.sample(range(len(source.people)), 2)
            source.people[one] = source.people[other]

    def _note_rows(self) -> None:
        for source in self.sources:
            for person in source.people:
                self.true_names.setdefault(person.email, set()).add(person.name[0])

    # --- what people do in Apollo

    def _addresses(self) -> Counter[str]:
        return Counter(address for one in self.store.contacts() for address in _addresses(one))

    def _make_contact(self) -> None:
        """Somebody makes a contact with the address that a person is about to have."""
        person, address = self._somebody(), self._new_address()
        first, last = person.name if self.chance.random() < 0.5 else (None, None)
        self._make(address, first, last)
        if self.chance.random() < 0.7:
            person.email = address

    def _make(self, address: str, first: str | None, last: str | None) -> str:
        self.true_names.setdefault(address, set()).add(first)
        # No run of the story takes it for one that it has made.
        values: Values = {"email": address, "created_at": "2020-01-01T00:00:00.000Z"}
        if first:
            values |= {"first_name": first, "last_name": last}
        return str(self.store.add_contact(**values)["id"])

    def _a_contact(self) -> Values | None:
        there = self.store.contacts()
        return self.chance.choice(there) if there else None

    def _delete(self) -> None:
        contact = self._a_contact()
        if contact is not None:
            take = self.chance.choice([self.store.delete_contact, self.store.forget_contact])
            take(contact["id"])
            self.deleted.update(_addresses(contact))
            self.deleted.add(str(contact.get("first_name")))

    def _merge_into_new(self) -> None:
        """A contact is merged into another one of the same person."""
        contact = self._a_contact()
        if contact is not None:
            made = self._make(
                self._new_address(), contact.get("first_name"), contact.get("last_name")
            )
            self._merge(contact["id"], made)

    def _merge_two(self) -> None:
        """A contact is merged into that of another person, if a ledger knows whose each is."""
        there = self.store.contacts()
        if self.settings["ledger_url"] and len(there) > 1:
            loser, survivor = self.chance.sample(there, 2)
            self._merge(loser["id"], survivor["id"])

    def _merge(self, loser: str, survivor: str) -> None:
        # A row whose address changes too finds neither of them, as if its contact were deleted.
        gone = next(one for one in self.store.contacts() if one["id"] == loser)
        self.deleted.add(str(gone.get("first_name")))
        self.store.merge_contacts(loser, survivor)
        merged = next(one for one in self.store.contacts() if one["id"] == survivor)
        names = {gone.get("first_name"), merged.get("first_name")}
        names.update(*(self.merged_names.get(one, ()) for one in _addresses(merged)))
        # What is the main address afterwards is for Apollo and the person who merged to say.
        name = merged.get("first_name") or gone.get("first_name")
        for address in _addresses(merged):
            self.true_names.setdefault(address, set()).add(name)
            self.merged_names.setdefault(address, set()).update(names)

    # --- what must be so

    def _check_run(self, source: Source, done: TargetRun, rows: int) -> None:
        if done.exit_code == 1 and "max_identity_changes" in done.summary["ended_because"]:
            return
        if done.exit_code != 0:
            self.problems.append(f"{source.name}: exit code {done.exit_code}: {done.log[-2000:]}")
        elif done.last_state != {"at": rows}:
            self.problems.append(f"{source.name}: the last STATE is {done.last_state}, not {rows}")
        if done.summary["records"].get("without_outcome"):
            self.problems.append(f"{source.name}: rows without an outcome")

    def _check_state(self, source: Source, covered: list[Values], done: TargetRun) -> None:
        """Rows before a STATE have their outcome: in Apollo, rejected, or deleted there."""
        there, rejected = self._addresses(), self._rejected(source, done)
        for row in covered:
            is_there = there[row["email"]] or self._is_under_former_address(row)
            if not is_there and row["id"] not in rejected | self._without(row):
                self.problems.append(f"{source.name}: STATE passes row {row['id']}, which is lost")

    def _is_under_former_address(self, row: Values) -> bool:
        """Whether the mode leaves a record as a creation has made it whose answer was lost."""
        names = {one.get("first_name") for one in self.store.contacts()}
        return self.settings["mode"] == "insert" and row["first_name"] in names

    def _without(self, row: Values) -> set[int]:
        return {row["id"]} if {row["email"], row["first_name"]} & self.deleted else set()

    def check_rows(self, source: Source, done: TargetRun) -> None:
        """After a full resync each row is in Apollo, or rejected or skipped with its reason."""
        there, rejected = self._addresses(), self._rejected(source, done)
        missing = [
            row
            for row in source.rows()
            if not there[row["email"]] and not self._is_under_former_address(row)
        ]
        skipped = [row["id"] for row in missing if row["id"] not in rejected]
        lost = [row["id"] for row in missing if row["id"] not in rejected | self._without(row)]
        if lost:
            self.problems.append(f"{source.name}: rows {lost} are neither in Apollo nor rejected")
        if len(skipped) > done.records.get("skipped", 0):
            self.problems.append(f"{source.name}: rows {skipped} are missing, {done.records}")
        if any(not reason for reason in done.reasons):
            self.problems.append(f"{source.name}: rejected without a reason")

    def check_records(self) -> None:
        """Note records of two people, and people of two records."""
        self.problems += self._wrong_records()

    def _wrong_records(self) -> list[str]:
        wrong = [f"more than one record has {address}" for address in sorted(self._twice())]
        in_rows = {person.email for source in self.sources for person in source.people}
        for one in self.store.contacts():
            address, name = str(one.get("email")), one.get("first_name")
            names = set(self.true_names.get(address, ()))
            if address not in in_rows:
                names |= self.merged_names.get(address, set())
                # No row speaks of it: it is another address of a person whom people in Apollo
                # have merged, and whose name is that of the row of any of them.
                for other in _addresses(one):
                    known = self.true_names.get(other, set())
                    names |= known if known & names else set()
            if name and name not in names:
                wrong.append(f"{address} belongs to the name {name} in {one['id']}")
        return wrong

    def _twice(self) -> set[str]:
        """Main addresses of two records; and addresses of two records of one person.

        A merge leaves additional addresses behind, which no update takes away again: that of one
        person on the record of another is not counted.
        """
        main: Counter[str] = Counter()
        of_person: Counter[tuple[str, str | None]] = Counter()
        for one in self.store.contacts():
            addresses = list(_addresses(one))
            main.update(addresses[:1])
            of_person.update((address, one.get("first_name")) for address in addresses)
        twice = {address for address, count in main.items() if count > 1}
        return twice | {address for (address, _), count in of_person.items() if count > 1}

    def _whole_store(self) -> list[Values]:
        return self.store.contacts()


def _addresses(contact: Values) -> Iterable[str]:
    """All addresses of a contact, the main one first."""
    others = (entry["email"] for entry in contact.get("contact_emails") or ())
    return dict.fromkeys(one for one in (contact.get("email"), *others) if one)


def _said(done: TargetRun) -> tuple[int, Values, Values]:
    """The exit code of a run or plan, its outcomes and its identity changes, with their keys."""
    return done.exit_code, done.records, done.summary["identity"]
