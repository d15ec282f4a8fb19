"""Whatever modes, policies and stops come one after another: a record has what it is to be given.

Rows change from run to run, and so do the settings. The model is plain: under `overwrite` a record
has the row's value after each run that ends well, under another policy it has that or what it had.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from target_apollo.sandbox import Fault, FaultKind, Sandbox
from tests.helpers.tiers import mostly_chaos, sampled
from tests.helpers.updates import BULK, CREATE, LISTS, PATCH, STAGES
from tests.ledger.conftest import postgresql_server, postgresql_url
from tests.promises.conftest import Message, Run, TargetRun, record, schema

__all__ = ["postgresql_server", "postgresql_url"]

Values = dict[str, Any]

PROTECTED = "Do Not Contact"
FIELDS = ("email", "title", "last_name", "contact_stage", "owner_email", "mobile_phone")
SCHEMA = {
    "properties": {
        name: {"type": ["string", "integer", "null"]}
        for name in (*FIELDS, "id", "first_name", "salesforce_lead_id", "_sdc_deleted_at")
    }
    | {"updated_at": {"type": ["string", "null"]}}
}
POLICIES: Sequence[dict[str, str]] = (
    {},
    {},
    {"email": "create_only"},
    {"title": "create_only", "email": "fill_if_empty"},
    {"*": "fill_if_empty"},
    {"*": "create_only"},
    {"contact_stage": "create_only", "owner_email": "create_only"},
    {"*": "newest"},
    {"last_name": "never"},
)
STOPS: Sequence[tuple[str, FaultKind]] = (
    (CREATE, FaultKind.RESET_AFTER_WRITE),
    (CREATE, FaultKind.ERROR_BEFORE_WRITE),
    (PATCH, FaultKind.RESET_AFTER_WRITE),
    (PATCH, FaultKind.ERROR_BEFORE_WRITE),
    (BULK, FaultKind.RESET_AFTER_WRITE),
    (STAGES, FaultKind.RESET_AFTER_WRITE),
    (LISTS, FaultKind.ERROR_BEFORE_WRITE),
)
NEWER, OLDER = "2999-01-01T00:00:00Z", "2001-01-01T00:00:00Z"


@dataclass
class Person:
    """A row of the table.

    Attributes:
        sent: The address with which a run last ended well; None before.
        open: Whether the last run that read it was stopped, so that its record may have either of
            two addresses.
        unsure: Whether a run that created it was cut off: its record gets all values once more.
        rejected: Whether the last run that read it has rejected it.
    """

    row: Values
    sent: str | None = None
    open: bool = False
    unsure: bool = False
    deleted: bool = False
    rejected: bool = False


@dataclass
class Law:
    """A table and Apollo, and what follows from a run for the two."""

    apollo: Sandbox
    sync: Run
    chance: random.Random
    settings: Values
    people: list[Person] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    addresses: int = 0

    @property
    def has_ledger(self) -> bool:
        return bool(self.settings["ledger_url"])

    def play(self, runs: int) -> None:
        for _ in range(runs):
            if len(self.people) < 3 or self.chance.random() < 0.3:
                self.add_person()
            self.one_run()

    def add_person(self) -> None:
        number = len(self.people)
        row = {
            "id": number,
            "first_name": f"Person{number}",
            "salesforce_lead_id": f"00Q{number}",
            "contact_stage": self.chance.choice(["New", PROTECTED]),
        }
        self.people.append(Person({**row, "email": self.address(), "updated_at": NEWER}))

    def address(self) -> str:
        self.addresses += 1
        return f"a{self.addresses}@a.com"

    # --- a run

    def one_run(self) -> None:
        chance = self.chance
        own: Values = {
            "mode": chance.choice(["upsert", "upsert", "upsert", "update", "insert"]),
            "field_policy": chance.choice(POLICIES),
            "protected_stages": chance.choice([[PROTECTED], [PROTECTED], []]),
            "update_method": chance.choice(["individual", "bulk"]),
            "unresolved": {"owner_email": "drop"},
            "match_on": chance.choice([["email"], ["email"], ["salesforce_lead_id", "email"]]),
            "on_delete": "list:Gone",
        }
        coming = [one for one in self.people if chance.random() < 0.8]
        if own["mode"] == "insert":
            # There a new address means a new person.
            coming = [one for one in coming if not one.open or one.sent is None]
        for person in coming:
            self.change(person, own["mode"])
        stop = chance.random()
        if stop < 0.2:
            endpoint, kind = chance.choice(STOPS)
            self.apollo.inject(Fault(endpoint=endpoint, kind=kind, status=500, times=None))
            own["max_retries"] = 0
        elif stop < 0.3:
            own["max_updates"] = 1
        before = self.held()
        done = self.run(coming, own)
        self.apollo.clear_faults()
        self.check_twins()
        if done.exit_code == 0:
            self.check(coming, own, before, done)
        else:
            for person in coming:
                person.unsure = person.unsure or person.sent is None
                person.open = True

    def change(self, person: Person, mode: str) -> None:
        chance, row = self.chance, person.row
        person.deleted = self.has_ledger and mode != "insert" and chance.random() < 0.1
        if chance.random() < 0.4:
            # Nothing but the settings changes.
            return
        if mode == "insert":
            row["email"] = person.sent or row["email"]
        elif self.has_ledger and not person.unsure and mode != "insert" and chance.random() < 0.3:
            row["email"] = self.address()
        if chance.random() < 0.4:
            row["title"] = chance.choice(["A", "B", "C"])
        if chance.random() < 0.3:
            row["last_name"] = chance.choice(["Lee", "Ray"])
        if chance.random() < 0.3:
            row["contact_stage"] = chance.choice(["Interested", "New", PROTECTED])
        if chance.random() < 0.3:
            row["owner_email"] = chance.choice(["one@team.com", "two@team.com", "new@team.com"])
        if chance.random() < 0.2:
            row["mobile_phone"] = chance.choice(["+4917111111", "+4917122222"])
        row["updated_at"] = chance.choice([NEWER, OLDER])

    def run(self, coming: Sequence[Person], own: Values) -> TargetRun:
        rows: list[Message] = []
        for person in coming:
            mark = {"_sdc_deleted_at": "2026-01-01T00:00:00Z"} if person.deleted else {}
            rows.append(record("contacts", **person.row, **mark))
        self.story.append(f"{own}\n    " + "\n    ".join(str(one["record"]) for one in rows))
        done = self.sync([schema("contacts", SCHEMA), *rows], **{**self.settings, **own})
        self.story.append(f"  -> {done.exit_code} {done.records if done.summary else done.log}")
        return done

    # --- Apollo

    def held(self) -> dict[str, Values]:
        """First name -> the values of the record, in the words of a row."""
        store = self.apollo.store
        stages = {one["id"]: one["name"] for one in store.contact_stages}
        owners = {one["id"]: one["email"] for one in store.users()}
        lists = {one["id"]: one["name"] for one in store.labels()}
        return {
            str(one["first_name"]): {
                **{name: one.get(name) or None for name in ("email", "title", "last_name")},
                "contact_stage": stages.get(one["contact_stage_id"]),
                "owner_email": owners.get(one["owner_id"]),
                "mobile_phone": next(
                    (n["raw_number"] for n in one["phone_numbers"] if n["type"] == "mobile"), None
                ),
                "lists": sorted(lists[label] for label in one["label_ids"]),
            }
            for one in store.contacts()
        }

    def check_twins(self) -> None:
        names = sorted(str(one["first_name"]) for one in self.apollo.store.contacts())
        assert names == sorted(set(names)), self.told()

    def told(self) -> str:
        return "\n".join([*self.story, str(self.held())])

    # --- the law

    def check(
        self, coming: Sequence[Person], own: Values, before: Mapping[str, Values], done: TargetRun
    ) -> None:
        after = self.held()
        rejected = {reject["record"]["id"] for reject in done.rejects}
        if done.summary["rejected_before"]:
            # Kept in the rejects file of an earlier run, and not once more.
            rejected |= {person.row["id"] for person in coming if person.rejected}
        known = {str(one["email"]) for one in self.apollo.store.users()}
        for person in coming:
            name = person.row["first_name"]
            person.rejected = person.row["id"] in rejected
            if person.deleted:
                assert before.get(name, {}).get("email") == after.get(name, {}).get("email")
                continue
            if person.row["id"] in rejected:
                assert own["mode"] == "update", self.told()
                assert name not in before, self.told()
                continue
            assert name in after, self.told()
            for of in FIELDS:
                wrong = self.wrong(person, of, own, before.get(name), after[name], known)
                assert not wrong, f"{name}: {of} {wrong}\n{self.told()}"
            if own["mode"] != "insert" or name not in before:
                person.sent, person.unsure, person.open = person.row["email"], False, False
        if coming and own["mode"] != "insert" and not rejected and self.chance.random() < 0.5:
            self.check_quiet(coming, own)

    def wrong(
        self,
        person: Person,
        of: str,
        own: Values,
        before: Values | None,
        after: Values,
        known: set[str],
    ) -> str:
        """What is wrong with a field of a record, if anything is."""
        value, held = person.row.get(of), after[of]
        had = None if before is None else before[of]
        policy = own["field_policy"].get(of, own["field_policy"].get("*", "overwrite"))
        keeps = own["mode"] == "insert" or policy in ("create_only", "never")
        may_have = {value}
        if before is None:
            may_have = {None} if policy == "never" else {value}
        elif keeps or (policy == "fill_if_empty" and had is not None):
            may_have = {had, value} if person.unsure else {had}
        elif policy == "newest":
            may_have = {had, value}
        is_there = before is not None
        if is_there and own["protected_stages"] and (of, had) == ("contact_stage", PROTECTED):
            may_have = {had}
        if value is None or (of == "owner_email" and value not in known):
            may_have = {had if is_there else held}
        return "" if held in may_have else f"is {held!r} and may be {may_have}"

    def check_quiet(self, coming: Sequence[Person], own: Values) -> None:
        before = self.held()
        self.apollo.reset_log()
        done = self.run(coming, own)
        assert self.held() == before, self.told()
        if self.has_ledger:
            sent = [r.endpoint for r in self.apollo.requests if r.method in ("PATCH", "PUT")]
            assert not sent, self.told()
            assert not done.records.keys() & {"created", "updated"}, self.told()


def play(apollo: Sandbox, sync: Run, seed: int, runs: int = 14, **settings: Any) -> None:
    chance = random.Random(seed)
    for rep in ("one@team.com", "two@team.com"):
        apollo.store.add_user(email=rep)
    law = Law(apollo, sync, chance, settings)
    law.play(runs // 2)
    apollo.store.add_user(email="new@team.com")
    law.play(runs - runs // 2)


@pytest.mark.parametrize("seed", [*sampled(range(1, 6)), *mostly_chaos(range(6, 16), 0)])
def test_a_record_has_what_it_is_to_be_given(
    free: Sandbox, sync: Run, tmp_path: Any, seed: int
) -> None:
    play(free, sync, seed, sandbox=free, ledger_url=f"sqlite:///{tmp_path}/ledger.db")


@pytest.mark.full
@pytest.mark.parametrize("seed", mostly_chaos(range(100, 103)))
def test_a_record_has_what_it_is_to_be_given_with_a_ledger_in_postgresql(
    free: Sandbox, sync: Run, postgresql_url: str, seed: int
) -> None:
    play(free, sync, seed, sandbox=free, ledger_url=postgresql_url)


@pytest.mark.full
@pytest.mark.parametrize("seed", mostly_chaos(range(200, 203)))
def test_a_record_has_what_it_is_to_be_given_without_a_ledger(
    free: Sandbox, sync: Run, seed: int
) -> None:
    play(free, sync, seed, sandbox=free, ledger_url="")
