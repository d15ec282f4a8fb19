"""Compares Apollo with the warehouse row by row, and finds rows that are lost, double or wrong.

It sees only the warehouse, the sandbox's store and the rejects file, and nothing of the target.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from target_apollo.sandbox.data.store import Store
from tests.helpers.warehouse import Table, Values, Warehouse

Key = tuple[str, int]

#: Reasons for which a good row may be rejected: Apollo kept leaving it out of its answers.
PASSING = frozenset({"not_confirmed"})
_MATCH = {"accounts": "domain", "contacts": "email"}
_NEVER_COMPARED = frozenset({"id", "updated_at", "apollo_id"})
#: Fields that can be cleared. A record always keeps an owner, and lists only grow.
_CLEARABLE = frozenset(
    {"title", "mobile_phone", "linkedin_url", "lead_score", "account_domain", "raw_address"}
)


@dataclass
class Expectations:
    """What must be in Apollo apart from "every row is there once, with its last values".

    Attributes:
        mode: Mode of the last run; `insert` keeps the first values of a row.
        clears: Whether a null must have cleared its field.
        reasons: Row that must be rejected -> the reason.
        left_alone: Rows whose record somebody deleted in Apollo, which are neither there nor
            rejected.
        spared: (stream, match value) -> values that mode insert must leave unchanged.
        may_conflict: Rows that may be rejected because Apollo matches them with another record.
    """

    mode: str = "upsert"
    clears: bool = False
    reasons: dict[Key, str] = field(default_factory=dict)
    left_alone: set[Key] = field(default_factory=set)
    spared: dict[tuple[str, str], Values] = field(default_factory=dict)
    may_conflict: set[int] = field(default_factory=set)


@dataclass
class Findings:
    """The problems as sentences; `passing` are good rows that must be sent again."""

    rows: int = 0
    lost: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    passing: list[Key] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        return [*self.lost, *self.duplicates, *self.wrong, *self.unexplained]

    def counts(self) -> str:
        return (
            f"lost {len(self.lost)}, duplicates {len(self.duplicates)}, "
            f"wrong {len(self.wrong)}, unexplained {len(self.unexplained)}"
        )


def judge(
    warehouse: Warehouse,
    store: Store,
    rejects: Iterable[Mapping[str, Any]],
    expected: Expectations,
) -> Findings:
    """Compares every row of the warehouse with the records of the sandbox.

    Args:
        warehouse: The rows.
        store: The records.
        rejects: The RECORD messages of the rejects file, oldest first.
        expected: What may or must differ.
    """
    findings = Findings()
    judge_ = _Judge(warehouse, store, expected, _reasons_of(rejects), findings)
    for table in warehouse.tables:
        judge_.table(table)
    return findings


def _reasons_of(rejects: Iterable[Mapping[str, Any]]) -> dict[tuple[str, int, int], str]:
    """(stream, key, time of change) -> the reason of the last reject."""
    reasons: dict[tuple[str, int, int], str] = {}
    for message in rejects:
        record = message["record"]
        if "_reject" in record:
            version = (message["stream"], record["id"], record["updated_at"])
            reasons[version] = record["_reject"]["reason"]
    return reasons


class _Judge:
    def __init__(
        self,
        warehouse: Warehouse,
        store: Store,
        expected: Expectations,
        reasons: Mapping[tuple[str, int, int], str],
        findings: Findings,
    ) -> None:
        self._warehouse = warehouse
        self._expected = expected
        self._reasons = reasons
        self._findings = findings
        self._records = {"accounts": store.accounts(), "contacts": store.contacts()}
        self._owners = {user["id"]: str(user["email"]).lower() for user in store.users()}
        self._stages = {stage["id"]: stage["name"] for stage in store.contact_stages}
        self._lists = {label["id"]: label["name"] for label in store.labels()}
        self._scores = [field["id"].split(".")[-1] for field in store.custom_fields()]
        self._domains = {record["id"]: record.get("domain") for record in self._records["accounts"]}

    def table(self, table: Table) -> None:
        records: dict[str, list[Values]] = defaultdict(list)
        for record in self._records[table.stream]:
            records[str(record.get(_MATCH[table.stream])).lower()].append(record)
        groups: dict[str, list[int]] = defaultdict(list)
        for key, row in table.rows.items():
            groups[self._match_of(table, key, row)].append(key)
        for match, keys in groups.items():
            self._findings.rows += len(keys)
            self._group(table, keys, records.get(match, []))
        for match, same in records.items():
            if len(same) > 1:
                self._findings.duplicates.append(f"{table.stream}: {len(same)} records are {match}")
            if match not in groups and (table.stream, match) not in self._expected.spared:
                self._findings.duplicates.append(f"{table.stream}: no row (any more) is {match}")
        self._same_person(table)

    def _match_of(self, table: Table, key: int, row: Values) -> str:
        # Mode insert never changes a record, so it keeps the row's first address.
        first = table.history[key][0] if self._expected.mode == "insert" else row
        return str(first[_MATCH[table.stream]]).lower()

    def _same_person(self, table: Table) -> None:
        if table.stream == "accounts":
            return
        namesakes = {*self._warehouse.namesakes.values()}
        people = Counter(str(contact.get("first_name")) for contact in self._records["contacts"])
        excused = {self._warehouse.contacts.rows[key]["first_name"] for key in namesakes}
        for person, times in people.items():
            if times > 1 and person.startswith("F") and person not in excused:
                self._findings.duplicates.append(f"contacts: {person} is there {times} times")

    def _group(self, table: Table, keys: list[int], records: list[Values]) -> None:
        """Checks the rows of one record; of several rows, the last one must have won."""
        rejected = [key for key in keys if (table.stream, key) in self._expected.reasons]
        for key in rejected:
            self._must_be_rejected(table, key, self._expected.reasons[table.stream, key])
        left_alone = [key for key in keys if (table.stream, key) in self._expected.left_alone]
        for key in left_alone:
            self._must_not_be_there(table, key, records)
        keys = [key for key in keys if key not in rejected and key not in left_alone]
        if not keys:
            return
        rows = sorted(
            (table.rows[key] for key in keys), key=lambda row: (row["updated_at"], row["id"])
        )
        last = rows[-1]
        name = f"{table.stream} {last['id']} (v{len(table.history[last['id']])})"
        if not records:
            if self._is_excused(table, last):
                return
            self._findings.lost.append(f"{name}: neither in Apollo nor rejected")
            return
        missed = self._missed(table, keys, last, records[0])
        if missed and not self._is_excused(table, last):
            self._findings.wrong.append(f"{name}: {', '.join(missed)}")

    def _must_not_be_there(self, table: Table, key: int, records: list[Values]) -> None:
        given = self._reasons.get((table.stream, key, table.rows[key]["updated_at"]))
        if records:
            self._findings.wrong.append(f"{table.stream} {key}: was deleted and is there again")
        elif given is not None:
            self._findings.unexplained.append(f"{table.stream} {key}: rejected as {given}")

    def _must_be_rejected(self, table: Table, key: int, reason: str) -> None:
        given = self._reasons.get((table.stream, key, table.rows[key]["updated_at"]))
        if given is None:
            self._findings.lost.append(f"{table.stream} {key}: should be rejected as {reason}")
        elif given != reason:
            self._findings.unexplained.append(f"{table.stream} {key}: {given}, not {reason}")

    def _is_excused(self, table: Table, row: Values) -> bool:
        reason = self._reasons.get((table.stream, row["id"], row["updated_at"]))
        if reason is None:
            return False
        if reason in PASSING:
            self._findings.passing.append((table.stream, row["id"]))
        elif not (
            # A row that never got an id because of a conflict can't be updated either.
            reason in ("identity_conflict", "update_needs_id")
            and table.stream == "contacts"
            and row["id"] in self._expected.may_conflict
        ) and not (reason == "update_needs_id" and self._was_passing(table, row["id"])):
            self._findings.unexplained.append(f"{table.stream} {row['id']}: rejected as {reason}")
        return True

    def _was_passing(self, table: Table, key: int) -> bool:
        """Whether an earlier version was rejected because of a fault, so that its id is unknown."""
        return any(
            reason in PASSING
            for (stream, rejected, _), reason in self._reasons.items()
            if (stream, rejected) == (table.stream, key)
        )

    def _missed(self, table: Table, keys: list[int], last: Values, record: Values) -> list[str]:
        """Names of the fields with a wrong value."""
        names = [name for name in last if name not in _NEVER_COMPARED]
        spared = self._expected.spared.get((table.stream, str(last[_MATCH[table.stream]])))
        if spared is not None:
            return [name for name in spared if record.get(name) != spared[name]]
        if self._expected.mode != "insert":
            return [name for name in names if not self._holds(record, name, last[name])]
        # In mode insert, the record has the values of one of the rows, in any of its versions.
        best = names
        for key in keys:
            versions = table.history[key]
            missed = [
                name
                for name in names
                if not any(self._shows(record, name, version[name]) for version in versions)
            ]
            best = min(best, missed, key=len)
        return best

    def _holds(self, record: Values, name: str, value: object) -> bool:
        if value is None:
            return not self._expected.clears or self._shows(record, name, None)
        return self._shows(record, name, value)

    def _shows(self, record: Values, name: str, value: object) -> bool:
        if value is None and name not in _CLEARABLE:
            return True
        shown = self._value_of(record, name)
        if name == "label_names":
            return set(value or ()) <= shown  # type: ignore[call-overload]
        if isinstance(shown, set):
            return not shown if value is None else value in shown
        if name == "lead_score" and value is not None:
            return bool(shown) and float(shown) == float(str(value))
        return (shown or None) == value

    def _value_of(self, record: Values, name: str) -> Any:
        phones = record.get("phone_numbers") or ()
        if name == "phone_number":
            numbers = {number["raw_number"] for number in phones}
            return numbers | ({record["phone"]} if record.get("phone") else set())
        if name == "mobile_phone":
            return {number["raw_number"] for number in phones if number["type"] == "mobile"}
        if name == "owner_email":
            return self._owners.get(str(record.get("owner_id")))
        if name == "contact_stage":
            return self._stages.get(str(record.get("contact_stage_id")))
        if name == "label_names":
            return {self._lists[label_id] for label_id in record.get("label_ids") or ()}
        if name == "account_domain":
            return self._domains.get(str(record.get("account_id")))
        if name == "lead_score":
            custom = record.get("typed_custom_fields") or {}
            return next((custom[id_] for id_ in self._scores if custom.get(id_)), None)
        return record.get(name)
