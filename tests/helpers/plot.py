"""What happens in the warehouse and in Apollo while the target lives and dies."""

from __future__ import annotations

import random
from dataclasses import dataclass

from target_apollo.sandbox import Sandbox
from tests.helpers.oracle import Expectations
from tests.helpers.warehouse import OWNERS, Values, Warehouse

MODES = ("upsert", "insert", "update")
METHODS = ("bulk", "auto", "individual")
#: A record that was there before: older than any run, so that none takes it for its own.
LONG_AGO = "2024-01-01T00:00:00.000+00:00"


@dataclass(frozen=True)
class Scenario:
    """What a seed comes to.

    Attributes:
        rows: Rows of the warehouse at the start, both objects together.
        kills: Most kills in each phase.
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
        """A third of the seeds for each mode, and in each for each way to update.

        PostgreSQL and no ledger at all take their turns.
        """
        ledger = "postgresql" if seed % 5 == 4 else "none" if seed % 6 == 3 else "sqlite"
        method = METHODS[seed // 3 % 3]
        return cls(seed, MODES[seed % 3], ledger, rows, update_method=method)


class Plot:
    """The rows of a scenario, their changes, and what is to become of them.

    Attributes:
        clears: Whether a null empties its field in Apollo.
    """

    def __init__(self, scenario: Scenario, sandbox: Sandbox, chance: random.Random) -> None:
        self._scenario = scenario
        self._sandbox = sandbox
        self._chance = chance
        #: E-mail addresses that several rows have.
        self._shared: set[str] = set()
        #: Rows whose contact somebody made before the first run.
        self._by_hand: set[int] = set()
        self.warehouse = Warehouse(chance)
        self.clears = scenario.mode != "insert" and chance.random() < 0.4
        self.expected = Expectations(mode=scenario.mode, clears=self.clears)

    def begin(self) -> None:
        """The team in Apollo, and the rows before the first run."""
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
        """A contact that somebody made by hand before the first run."""
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
            str(one["email"]) == self._email_of(key) for one in self._sandbox.store.contacts()
        )

    def _email_of(self, key: int) -> str:
        return str(self.warehouse.contacts.rows[key]["email"])

    def _plain(self, count: int) -> list[int]:
        """Contacts about whom there is nothing odd."""
        odd = {key for _, key in self.expected.reasons} | self.expected.may_conflict
        found = [
            key
            for key, row in self.warehouse.contacts.rows.items()
            if key not in odd and row["email"] not in self._shared
        ]
        return self._chance.sample(found, min(count, len(found)))

    def change_values(self, count: int) -> None:
        """Other values of rows that may be on their way, and rows that share a record."""
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
        """Other addresses of rows that may be on their way, where a ledger knows what was sent."""
        if self._scenario.mode == "upsert" and self._scenario.ledger != "none":
            # A contact that nobody's row has met yet stays where it is.
            moving = [key for key in self._plain(count) if key not in self._by_hand]
            for key in moving:
                self.warehouse.move_email(key)

    def change_between_runs(self) -> None:
        """Changes of who is who, of rows whose last write is confirmed, and of values."""
        warehouse, mode = self.warehouse, self._scenario.mode
        self.change_values(self._scenario.rows // 6)
        if mode == "insert":
            warehouse.add_account()
        elif self._scenario.ledger != "none":
            self._change_who_is_who()
        for _ in range(self._scenario.rows // 20):
            key = warehouse.add_contact()
            if mode == "update":
                self.expected.reasons["contacts", key] = "update_needs_id"

    def _change_who_is_who(self) -> None:
        """Deletions in Apollo, and other addresses and domains of known rows."""
        warehouse = self.warehouse
        for key in self._plain(4):
            record = self._record_of(key)
            if record is not None:
                self._sandbox.store.delete_contact(record["id"])
                warehouse.change(warehouse.contacts, key)
                self.expected.reasons["contacts", key] = "deleted_in_apollo"
        for key in self._plain(8):
            warehouse.move_email(key)
        for key in self._plain(3):
            self._hand_over_email(key)
        for key in self._chance.sample(list(warehouse.accounts.rows), 3):
            warehouse.move_domain(key)

    def _hand_over_email(self, key: int) -> None:
        """A row gets an address of its own, and a new row the one that it had."""
        freed = self._email_of(key)
        self.warehouse.move_email(key)
        new = self.warehouse.add_contact(email=freed)
        if self._scenario.mode == "update":
            self.expected.reasons["contacts", new] = "update_needs_id"

    def _record_of(self, key: int) -> Values | None:
        contacts = self._sandbox.store.contacts()
        return next((one for one in contacts if one["email"] == self._email_of(key)), None)
