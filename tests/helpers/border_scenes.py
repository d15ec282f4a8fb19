"""What is synced while Apollo's answers are altered: streams, modes, ledgers, and the rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.promises.conftest import Message, record, schema, state

ADA, ROBIN = "ada@team.example", "robin@team.example"
ROWS = (1, 2, 3, 4)
#: Rows whose records are in Apollo before the first run.
THERE = (3, 4)


@dataclass(frozen=True)
class Scene:
    """What is synced, and how.

    Attributes:
        stream: ``contacts`` or ``accounts``.
        ledger: ``sqlite``, ``postgresql`` or ``none``.
        before: Whether a run was there before, so that the ledger knows the rows.
        moves: Whether the e-mail or the domain of row 2 is another one from version 1 on.
        gone: Whether the record of row 4 is deleted in Apollo after the run before.
        batch: Rows in a batch.
        policy: The policy of all fields; empty for overwriting.
        plain: Whether rows carry only what the endpoints for many records take.
    """

    stream: str = "contacts"
    mode: str = "upsert"
    ledger: str = "sqlite"
    method: str = "individual"
    before: bool = False
    moves: bool = False
    gone: bool = False
    batch: int = 100
    policy: str = ""
    plain: bool = False

    def __str__(self) -> str:
        parts = [self.stream, self.mode, self.ledger, self.method]
        parts += [name for name in ("before", "moves", "gone", "plain") if getattr(self, name)]
        return "-".join([*parts, *([self.policy] if self.policy else [])])

    def row(self, key: int, version: int) -> dict[str, Any]:
        """The values of a row."""
        moved = "new" if self.moves and key == 2 and version else ""
        own: dict[str, Any] = {"id": key, "lead_score": 10 * version + key, "label_names": ["Fair"]}
        if key % 2 or self.plain:
            own["owner_email"] = (ROBIN, ADA)[version % 2]
        if self.stream == "accounts":
            own |= {"domain": f"firm{key}{moved}.com", "name": f"Works{key}"}
            return (
                own
                if self.plain
                else {
                    **own,
                    "phone_number": f"+4930{version}{key:06}",
                    "account_stage": ("Cold", "Current Client", "Active Opportunity")[version],
                }
            )
        own |= {
            "email": f"p{key}{moved}@a.com",
            "first_name": f"Ann{key}",
            "last_name": f"Lee{key}",
            "title": f"T{version}",
            "tier": ("gold", "silver")[version % 2],
            "contact_stage": ("New", "Replied", "Interested")[version],
        }
        if self.plain:
            return own
        if key in (1, 4):
            own["account_domain"] = "client.example"
        return {**own, "mobile_phone": f"+4915{version}{key:06}"}

    @property
    def match(self) -> str:
        return "domain" if self.stream == "accounts" else "email"

    def messages(self, version: int, ids: dict[int, str]) -> list[Message]:
        """A table, with STATE after every second row.

        Args:
            ids: Key -> id of its record in Apollo, where the rows carry it.
        """
        rows: list[Message] = []
        for key in ROWS:
            known = {"apollo_id": ids[key]} if ids else {}
            rows.append(record(self.stream, **self.row(key, version), **known))
            if key % 2 == 0:
                rows.append(state({"n": key}))
        names = [*self.row(1, 0), "apollo_id"]
        return [schema(self.stream, {"properties": {name: {} for name in names}}), *rows]


SCENES = (
    Scene(),
    Scene(ledger="none", method="bulk"),
    Scene(mode="insert", batch=2),
    Scene(mode="insert", ledger="none"),
    Scene(before=True, method="bulk", moves=True, gone=True),
    Scene(before=True, mode="update", batch=2),
    Scene(mode="update", ledger="none", method="bulk"),
    Scene(before=True, policy="fill_if_empty"),
    Scene(before=True, method="bulk", plain=True),
    Scene("accounts"),
    Scene("accounts", ledger="none", method="bulk"),
    Scene("accounts", mode="insert", batch=2),
    Scene("accounts", mode="insert", ledger="none"),
    Scene("accounts", before=True, method="bulk", moves=True, gone=True),
    Scene("accounts", before=True, method="bulk", plain=True),
    Scene("accounts", before=True, mode="update", batch=2),
    Scene("accounts", mode="update", ledger="none", method="bulk"),
)
