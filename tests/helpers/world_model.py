"""What must be in Apollo after a run, told from the documentation alone.

The model knows the rows that a run was sent, what people did in Apollo, and what Apollo held before
and after the run. It uses no code of the package. Its rules are those of README.md and
docs/how-to/: where these leave something open, the model allows every value that they allow.

The main rule for a field under `overwrite`: after a run that has read a row, the record has the
row's value, unless somebody changed it in Apollo since the row gave it, or another row did.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from tests.helpers.world_facts import (
    ADDRESS,
    Case,
    Entity,
    Link,
    LinkKey,
    Record,
    RunFacts,
    Sent,
    text_of,
)
from tests.helpers.world_places import allowed_places
from tests.helpers.world_values import allowed_values, is_due


class Model:
    """Judges the runs of one world in their order.

    Args:
        has_ledger: Whether the runs have a ledger.
        recreates: Whether `on_apollo_delete` is ``recreate``.
        clears: Whether `null_policy` is ``clear``.
    """

    def __init__(self, *, has_ledger: bool, recreates: bool, clears: bool) -> None:
        self.has_ledger = has_ledger
        self._recreates, self._clears = recreates, clears
        self.entities: dict[int, Entity] = {}
        self.owner_of: dict[str, int] = {}
        self.links: dict[LinkKey, Link] = {}
        self._problems: list[str] = []

    # --- what happens outside of runs

    def add(self, entity: Entity) -> None:
        self.entities[entity.number] = entity
        for address in entity.addresses:
            self.owner_of[address] = entity.number

    def add_address(self, entity: Entity, address: str) -> None:
        entity.addresses.append(address)
        self.owner_of[address] = entity.number

    def edited(self, entity: Entity, names: Iterable[str], at: datetime) -> None:
        entity.edited.update(names)
        entity.edited_at = at

    # --- a run

    def judge(self, run: RunFacts, before: Sequence[Record], after: Sequence[Record]) -> list[str]:
        """What is wrong after a run, as sentences; and note what the ledger must know now."""
        self._problems = []
        old, new = self._by_entity(before), self._by_entity(after)
        self._nobody_is_another(after)
        sent: dict[int, list[Sent]] = defaultdict(list)
        for one in run.sent:
            sent[one.entity].append(one)
        missing = self._missing(run)
        for one in run.sent:
            self._judge_keyless(run, one)
            link = self.links.get((run.source, one.stream, one.key))
            if link is not None and link.entity != one.entity:
                self.entities[link.entity].left = True
        for number, entity in self.entities.items():
            case = Case(
                run, entity, old[number], new[number], sent[number],
                [key for key in missing if self.links[key].entity == number],
                self.links, self.has_ledger, self._clears,
            )  # fmt: skip
            self._judge_one(case)
        return self._problems

    def _judge_keyless(self, run: RunFacts, one: Sent) -> None:
        if not one.is_keyless or not (run.finished or one.number <= run.covered):
            return
        reason = run.rejected.get((one.stream, one.key))
        if reason != "missing_key_property":
            self._wrong(f"wrong: a row whose key is {one.instead_of_key!r} ends as {reason}")

    def _missing(self, run: RunFacts) -> list[LinkKey]:
        """Rows that the ledger knows and that these whole tables do not hold."""
        if not self.has_ledger or run.mode == "insert" or run.place is None:
            return []
        there = {(one.stream, one.key) for one in run.sent}
        return [
            (source, stream, key)
            for source, stream, key in self.links
            if source == run.source
            and stream in run.whole
            and (stream, key) not in there
            and any(one.stream == stream for one in run.sent)
        ]

    def _by_entity(self, records: Iterable[Record]) -> dict[int, list[Record]]:
        found: dict[int, list[Record]] = defaultdict(list)
        for record in records:
            owner = self.owner_of.get(record.address)
            if owner is None:
                self._wrong(f"{record.id} has the address {record.address}, which nobody has")
            else:
                found[owner].append(record)
        return found

    def _nobody_is_another(self, records: Iterable[Record]) -> None:
        mains: dict[str, str] = {}
        for record in records:
            if record.address in mains:
                self._wrong(f"twice: {record.address} is {mains[record.address]} and {record.id}")
            mains[record.address] = record.id
            owner = self.entities.get(self.owner_of.get(record.address, 0))
            if owner is None:
                continue
            strangers = {a for a in record.addresses if self.owner_of.get(a) != owner.number}
            if strangers:
                self._wrong(f"spoiled: {_name(owner)} has the addresses {sorted(strangers)}")
            for name, value in record.values.items():
                if name != ADDRESS[record.kind] and value and str(value) not in owner.values[name]:
                    self._wrong(f"spoiled: {_name(owner)} has the {name} {value!r}")

    # --- one person or firm

    def _judge_one(self, case: Case) -> None:
        is_left = case.entity.left and case.run.place is not None
        if not case.sent and not case.missing and not is_left:
            was, is_ = ([one.whole for one in records] for records in (case.before, case.after))
            if was != is_:
                self._wrong(f"wrong: {_name(case.entity)} changed though no row of it was sent")
            return
        self._note_loose(case)
        self._judge_rejects(case)
        self._judge_count(case)
        if len(case.after) == 1 and len(case.before) <= 1 and not case.entity.loose:
            self._judge_values(case)
            if case.before:
                self._judge_place(case)
        self._note(case)

    def _note_loose(self, case: Case) -> None:
        entity = case.entity
        if not case.before:
            return
        held = {address for record in case.before for address in record.addresses}
        for one in case.live:
            address = one.values.get(ADDRESS[entity.kind])
            link = case.link_of(one)
            follows = (
                self.has_ledger
                and case.run.mode != "insert"
                and link is not None
                and link.known
                and link.entity == entity.number
                and not entity.merged
            )
            if address and address not in held and not follows:
                entity.loose = True

    def _judge_rejects(self, case: Case) -> None:
        run, entity = case.run, case.entity
        for one in (*case.live, *case.marks):
            reason = run.rejected.get((one.stream, one.key))
            if reason is None or run.faults or entity.loose or entity.taken:
                continue
            if not case.is_last(one):
                # The rejects name the key, which means somebody else in a later record.
                continue
            if run.mode == "update" and not case.before:
                continue
            self._wrong(f"wrong: {_name(entity)} is rejected as {reason}")

    def _judge_count(self, case: Case) -> None:
        run, entity = case.run, case.entity
        count, was = len(case.after), len(case.before)
        sure = [one for one in case.live if case.is_sure(one)]
        if entity.loose:
            allowed = set(range(was, was + 2))
            if sure and run.mode != "update" and not case.has_rejects:
                allowed.discard(0)
        elif was or run.mode == "update" or not case.live:
            allowed = {was}
        elif entity.taken and self.has_ledger:
            allowed = self._count_of_taken(case, sure)
        else:
            allowed = {1} if sure else {0, 1}
        if count not in allowed:
            what = "lost" if count < min(allowed) else "twice"
            self._wrong(f"{what}: {_name(entity)} is there {count} times, not {sorted(allowed)}")

    def _count_of_taken(self, case: Case, sure: list[Sent]) -> set[int]:
        links = [case.link_of(one) for one in sure]
        if case.entity.shared or case.run.mode == "insert" or case.run.full_resync or not sure:
            return {0, 1}
        if not all(link and link.known and link.settled and link.given for link in links):
            return {0, 1}
        name = ADDRESS[case.entity.kind]
        if any(
            link.given.get(name) != one.values.get(name)  # type: ignore[union-attr]
            for one, link in zip(sure, links, strict=True)
        ):
            return {0, 1}
        if not self._recreates:
            return {0}
        return {1} if any(is_due(case, one) for one in sure) else {0, 1}

    def _judge_values(self, case: Case) -> None:
        (after,) = case.after
        for name, value in after.values.items():
            allowed = allowed_values(case, name)
            if text_of(value) not in allowed:
                wanted = " or ".join(sorted(map(repr, allowed)))
                self._wrong(f"wrong: {_name(case.entity)}: {name} is {value!r}, not {wanted}")

    def _judge_place(self, case: Case) -> None:
        (after,) = case.after
        allowed = allowed_places(case)
        if (after.stage, after.lists) not in allowed:
            wanted = " or ".join(sorted(f"{stage} {sorted(lists)}" for stage, lists in allowed))
            spot = f"{after.stage} {sorted(after.lists)}"
            self._wrong(f"wrong: {_name(case.entity)} is in {spot}, not in {wanted}")

    # --- what the ledger must know

    def _note(self, case: Case) -> None:
        run, entity = case.run, case.entity
        for one in (*case.live, *case.marks):
            key = (run.source, one.stream, one.key)
            link = case.link_of(one) or Link(entity.number)
            if not case.is_sure(one):
                if case.is_last(one):
                    self.links[key] = replace(link, settled=False)
                continue
            if one.deleted:
                self.links[key] = self._note_deleted(case, link)
                continue
            wrote = run.mode != "insert" or not case.before
            self.links[key] = Link(
                entity.number,
                given=dict(one.values) if wrote else link.given if link.settled else None,
                policies=dict(run.policies) if wrote else link.policies,
                known=bool(case.after) or link.known,
                settled=bool(case.after),
            )
            if wrote and case.after:
                self._note_values(case, one)
        for key in case.missing:
            if run.finished:
                self.links[key] = self._note_deleted(case, self.links[key])
            else:
                self.links[key] = replace(self.links[key], settled=False)
        here = {key for key, link in self.links.items() if link.entity == entity.number}
        entity.shared |= len(here) > 1

    def _note_deleted(self, case: Case, link: Link) -> Link:
        place = case.run.place if case.run.mode != "insert" else None
        before = case.before[0].stage if case.before else None
        return replace(
            link,
            deleted=True,
            moved=place or link.moved,
            stage_before=link.stage_before if link.moved else before,
        )

    def _note_values(self, case: Case, one: Sent) -> None:
        (record, *_) = case.after
        for name, value in one.values.items():
            if value is not None and text_of(record.values.get(name)) == text_of(value):
                case.entity.edited.discard(name)

    def _wrong(self, sentence: str) -> None:
        self._problems.append(sentence)


def _name(entity: Entity) -> str:
    return f"{entity.kind[:-1]} {entity.number}"
