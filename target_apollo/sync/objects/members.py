"""Finds the records that rows of lists and sequences name as their members.

The ledger knows those that this tool has written, by address or by the key of their row, without a
request. Others are looked up in Apollo, contacts one search each, accounts as for `account_domain`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from target_apollo.ledger import CONFIRMED, Place, match_hash, source_key
from target_apollo.model.objects.members import (
    APOLLO_ID,
    DOMAIN,
    EMAIL,
    MEMBER_KEY,
    Member,
    member_of,
)
from target_apollo.model.objects.registry import OBJECTS, ObjectKind
from target_apollo.model.outcomes import Reason, RecordError, Rejection
from target_apollo.model.rows import Row
from target_apollo.sync.identity.finder import RecordFinder
from target_apollo.sync.run import SyncRun


@dataclass
class FoundMembers:
    """What was found of the rows of a batch, by row number; a row is in one of the three.

    Attributes:
        ids: Object and Apollo id of the member.
        unknown: Why the member is not known.
        failure: The error that ends the run; the other rows were not looked up before it.
    """

    ids: dict[int, tuple[ObjectKind, str]] = field(default_factory=dict)
    unknown: dict[int, Rejection] = field(default_factory=dict)
    failure: Exception | None = None


class MemberFinder:
    """Looks up the members of one stream; for one thread, for the length of a run.

    Args:
        members_of: The stream whose keys `member_key` has; None if the setting does not tell it.
    """

    def __init__(self, run: SyncRun, stream: str, members_of: str | None) -> None:
        self._run = run
        self._stream = stream
        self._members_of = members_of
        self._finders = {kind: RecordFinder(run, of) for kind, of in OBJECTS.items()}

    def find(self, rows: Sequence[Row]) -> FoundMembers:
        """The members that rows name."""
        found = FoundMembers()
        members: dict[int, Member] = {}
        for row in rows:
            try:
                members[row.number] = member_of(row.values)
            except RecordError as problem:
                found.unknown[row.number] = problem.rejection
        for kind in OBJECTS:
            some = {number: one for number, one in members.items() if one.kind is kind}
            if some:
                self._find(kind, some, found)
        return found

    def _find(self, kind: ObjectKind, members: Mapping[int, Member], found: FoundMembers) -> None:
        known = self._known(kind, members)
        left: dict[int, Member] = {}
        for number, member in members.items():
            if member.by == APOLLO_ID:
                found.ids[number] = (kind, member.value)
            elif number in known:
                found.ids[number] = (kind, known[number])
            elif member.by == MEMBER_KEY:
                found.unknown[number] = self._no_such_row(kind)
            else:
                left[number] = member
        if left and kind is ObjectKind.ACCOUNTS:
            self._find_accounts(left, found)
        elif left:
            self._search(kind, left, found)

    def _known(self, kind: ObjectKind, members: Mapping[int, Member]) -> dict[int, str]:
        """Row number -> id of the record, of those that the ledger knows."""
        run = self._run
        if run.ledger is None:
            return {}
        place = Place(run.connection, OBJECTS[kind].singular, self._members_of or "", "")
        by_hash = {
            match_hash(one.value): number
            for number, one in members.items()
            if one.by in (EMAIL, DOMAIN)
        }
        links_of = run.ledger.links_by_match(place, list(by_hash))
        ids: dict[str, str] = {}
        for hashed, links in links_of.items():
            held = {one.apollo_id for one in links if one.apollo_id and one.status in CONFIRMED}
            if len(held) == 1:
                ids[hashed] = held.pop()
        known = {
            number: ids[match_hash(one.value)]
            for number, one in members.items()
            if one.by in (EMAIL, DOMAIN) and match_hash(one.value) in ids
        }
        keys = {
            number: source_key(json.loads(one.value))
            for number, one in members.items()
            if one.by == MEMBER_KEY
        }
        if keys and self._members_of:
            # Links of any source: the stream that is named may come from another tap.
            place = place._replace(source=run.settings.source)
            of_stream = run.ledger.links(place, sorted(set(keys.values())))
            for number, key in keys.items():
                link = of_stream.get(key)
                if link is not None and link.apollo_id and link.status in CONFIRMED:
                    known[number] = link.apollo_id
        return known

    def _find_accounts(self, members: Mapping[int, Member], found: FoundMembers) -> None:
        run = self._run
        if run.ledger is not None:
            trusts = not run.settings.full_resync
            run.companies.use_ledger(run.ledger, run.connection, trusts_ledger=trusts)
        run.companies.look_up({one.value for one in members.values()}, may_wait=False)
        for number, member in members.items():
            account = run.companies.find(member.value)
            if account is not None:
                found.ids[number] = (ObjectKind.ACCOUNTS, account)
            else:
                found.unknown[number] = _not_in_apollo("account with that domain")

    def _search(self, kind: ObjectKind, members: Mapping[int, Member], found: FoundMembers) -> None:
        rows = [
            Row(number, (number,), member.value, {EMAIL: member.value})
            for number, member in members.items()
        ]
        searched = self._finders[kind].find(rows)
        failure = searched.failure or searched.forbidden
        for number in members:
            ids = searched.ids.get(number)
            if ids is None:
                found.failure = found.failure or failure
            elif len(ids) == 1:
                found.ids[number] = (kind, ids[0])
            elif ids:
                listed = ", ".join(ids[:5])
                detail = f"several contacts of Apollo have that address: {listed}"
                found.unknown[number] = Rejection(Reason.IDENTITY_CONFLICT, detail)
            else:
                found.unknown[number] = _not_in_apollo("contact with that address")

    def _no_such_row(self, kind: ObjectKind) -> Rejection:
        if self._members_of is None:
            why = (
                f"'{MEMBER_KEY}' has the key of a row, and it is not told of which stream: name it "
                f"as 'members_of' of stream '{self._stream}' in the setting 'streams'"
            )
        else:
            why = (
                f"the ledger has no {OBJECTS[kind].singular} of stream '{self._members_of}' with "
                f"the key in '{MEMBER_KEY}'"
            )
        return Rejection(Reason.UNKNOWN_NAME, why)


def _not_in_apollo(what: str) -> Rejection:
    return Rejection(
        Reason.UNKNOWN_NAME, f"Apollo has no {what}: write it first, in a stream of its own"
    )
