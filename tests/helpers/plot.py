"""What happens in the warehouse and in Apollo during a chaos test."""

from __future__ import annotations

import random
from dataclasses import dataclass

from target_apollo.sandbox import Sandbox
from tests.helpers.oracle import Expectations
from tests.helpers.warehouse import OWNERS, Values, Warehouse

MODES = ("upsert", "insert", "update")
METHODS = ("bulk", "auto", "individual")
#: Creation time of records that exist before: before any run, so that no run takes one for its own.
LONG_AGO = "2024-01-01T00:00:00.000+00:00"


@dataclass(frozen=True)
class Scenario:
    """A chaos test, as it follows from a seed.

    Attributes:
        seed: Seed of all random choices.
        mode: Setting `mode` of the target.
        ledger: ``sqlite``, ``postgresql`` or ``none``.
        rows: Number of rows in the warehouse at the start, contacts and accounts together.
        phases: Number of phases; each is a sync up to its end.
        kills: Most kills in each phase.
        update_method: Setting `update_method` of the target.
    """

    seed: int
    mode: str
    ledger: str
    rows: int = 300
    phases: int = 3
    kills: int = 3
    update_method: str = "auto"

    @classmethod
    def of(cls, seed: int, *, rows: int = 300) -> Scenario:
        """The scenario of a seed.

        A third of the seeds has each mode, and of these a third each update method. Some seeds have
        a ledger in PostgreSQL, some have none.
        """
        ledger = "postgresql" if seed % 5 == 4 else "none" if seed % 6 == 3 else "sqlite"
        method = METHODS[seed // 3 % 3]
        return cls(seed, MODES[seed % 3], ledger, rows, update_method=method)


class Plot:
    """The rows of a scenario, their changes, and what must become of them.

    Attributes:
        warehouse: The rows.
        clears: Whether a null clears its field in Apollo.
        expected: What the runs must leave in Apollo.
    """

    def __init__(self, scenario: Scenario, sandbox: Sandbox, chance: random.Random) -> None:
        self._scenario = scenario
        self._sandbox = sandbox
        self._chance = chance
        #: E-mail addresses that several rows have.
        self._shared: set[str] = set()
        #: Rows whose contact exists before the first run.
        self._by_hand: set[int] = set()
        self.warehouse = Warehouse(chance)
        self.clears = scenario.mode != "insert" and chance.random() < 0.4
        self.expected = Expectations(mode=scenario.mode, clears=self.clears)

    def begin(self) -> None:
        """Makes the team in Apollo and the rows before the first run."""
        warehouse, store, chance = self.warehouse, self._sandbox.store, self._chance
        for email in OWNERS:
            store.add_user(email=email)
        store.add_custom_field("contact", "Lead Score", "number")
        for _ in range(self._scenario.rows // 3):
            warehouse.add_account()
        people = [warehouse.add_contact() for _ in range(self._scenario.rows * 2 // 3)]
        for key in chance.sample(people, 12):
            self._put_in_apollo(key)
        others = [key for key in people if not self._is_spared(key)]
        twins = [warehouse.add_twin(key) for key in chance.sample(others, 6)]
        self._shared = {self._email_of(key) for key in twins}
        apart = [key for key in others if self._email_of(key) not in self._shared]
        for key in chance.sample(apart, 3):
            self.expected.may_conflict |= {key, warehouse.add_namesake(key)}
        for _ in range(4):
            self.expected.reasons["contacts", warehouse.add_malformed()] = "malformed_email"

    def _put_in_apollo(self, key: int) -> None:
        """Adds the contact of a row to Apollo, as if a person had created it there."""
        self._by_hand.add(key)
        row = self.warehouse.contacts.rows[key]
        record = self._sandbox.store.add_contact(
            email=row["email"], first_name="By", last_name=f"Hand {key}", created_at=LONG_AGO
        )
        if self._scenario.mode == "insert":
            kept = ("first_name", "last_name", "title", "phone_numbers", "owner_id", "label_ids")
            shown = next(c for c in self._sandbox.store.contacts() if c["id"] == record["id"])
            self.expected.spared["contacts", row["email"]] = {name: shown[name] for name in kept}
        elif self._scenario.mode == "update":
            self.warehouse.contacts.put({**row, "apollo_id": record["id"]})

    def _is_spared(self, key: int) -> bool:
        return any(
            str(contact["email"]) == self._email_of(key)
            for contact in self._sandbox.store.contacts()
        )

    def _email_of(self, key: int) -> str:
        return str(self.warehouse.contacts.rows[key]["email"])

    def _plain(self, count: int) -> list[int]:
        """Some contacts of which the target must take no special care."""
        known = {*self.expected.reasons, *self.expected.left_alone}
        special = {key for _, key in known} | self.expected.may_conflict
        plain = [
            key
            for key, row in self.warehouse.contacts.rows.items()
            if key not in special and row["email"] not in self._shared
        ]
        return self._chance.sample(plain, min(count, len(plain)))

    def change_values(self, count: int) -> None:
        """Changes values of rows, some of which share a record; a run may be sending these rows."""
        warehouse, chance = self.warehouse, self._chance
        for key in self._plain(count):
            warehouse.change(warehouse.contacts, key)
        firms = list(warehouse.accounts.rows)
        for key in chance.sample(firms, min(count // 3, len(firms))):
            warehouse.change(warehouse.accounts, key)
        shared = [k for k in warehouse.contacts.rows if self._email_of(k) in self._shared]
        for key in chance.sample(shared, min(4, len(shared))):
            now = warehouse.tick()
            warehouse.change(warehouse.contacts, key, title=f"Shared {now}", updated_at=now)
        if self.clears:
            for key in self._plain(count // 5):
                values = dict.fromkeys(("title", "mobile_phone", "linkedin_url"))
                warehouse.change(
                    warehouse.contacts, key, **values, lead_score=None, updated_at=warehouse.tick()
                )

    def change_addresses(self, count: int) -> None:
        """Changes e-mail addresses of rows that a run may be sending, if there is a ledger."""
        if self._scenario.mode == "upsert" and self._scenario.ledger != "none":
            # Without its address, a contact that no run has linked yet could not be found.
            moving = [key for key in self._plain(count) if key not in self._by_hand]
            for key in moving:
                self.warehouse.move_email(key)

    def change_between_runs(self) -> None:
        """Changes values and identities, adds rows and deletes records; no run may be under way."""
        warehouse, mode = self.warehouse, self._scenario.mode
        self.change_values(self._scenario.rows // 6)
        if mode == "insert":
            warehouse.add_account()
        elif self._scenario.ledger != "none":
            self._change_identities()
        for _ in range(self._scenario.rows // 20):
            key = warehouse.add_contact()
            if mode == "update":
                self.expected.reasons["contacts", key] = "update_needs_id"

    def _change_identities(self) -> None:
        """Deletes and loses contacts in Apollo, and changes addresses and domains of rows."""
        warehouse = self.warehouse
        for key in self._plain(4):
            record = self._record_of(key)
            if record is not None:
                store = self._sandbox.store
                take = self._chance.choice([store.delete_contact, store.forget_contact])
                take(record["id"])
                warehouse.change(warehouse.contacts, key)
                self.expected.left_alone.add(("contacts", key))
        for key in self._plain(8):
            warehouse.move_email(key)
        for key in self._plain(3):
            self._hand_over_email(key)
        for key in self._chance.sample(list(warehouse.accounts.rows), 3):
            warehouse.move_domain(key)

    def _hand_over_email(self, key: int) -> None:
        """Gives a row a new e-mail address, and its old one to a new row."""
        freed = self._email_of(key)
        self.warehouse.move_email(key)
        new = self.warehouse.add_contact(email=freed)
        if self._scenario.mode == "update":
            self.expected.reasons["contacts", new] = "update_needs_id"

    def _record_of(self, key: int) -> Values | None:
        contacts = self._sandbox.store.contacts()
        email = self._email_of(key)
        return next((contact for contact in contacts if contact["email"] == email), None)
