"""A sequence in the sandbox, and messages of a stream of sequence members."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from target_apollo.sandbox import Sandbox
from target_apollo.sandbox.data import enrolment
from target_apollo.sandbox.data.enrolment import Leaving
from tests.promises.conftest import Message, TargetRun, contact, record, schema, state

ADD = "POST /emailer_campaigns/{id}/add_contact_ids"
LEAVE = "POST /emailer_campaigns/remove_or_stop_contact_ids"
BOX = "rep@sandbox.example"
MIRROR = {"streams": {"sequence_members": {"mode": "mirror"}}}
_COLUMNS = (
    "id", "sequence", "email", "apollo_id", "member_key", "mailbox", "status", "auto_unpause_at",
    "_sdc_deleted_at",
)  # fmt: skip


def row(number: int, **more: Any) -> Message:
    return {"sequence": "Spring", "email": f"p{number}@a.com", **more}


def members(*rows: Message, key: str | None = None) -> list[Message]:
    properties = {"properties": {name: {} for name in _COLUMNS}}
    return [
        schema("sequence_members", properties, key=key),
        *(record("sequence_members", **{"mailbox": BOX, **one}) for one in rows),
    ]


def whole(*rows: Message) -> list[Message]:
    """A whole table, as a tap sends it."""
    version = int(datetime.now(timezone.utc).timestamp() * 1000)
    active = {"type": "ACTIVATE_VERSION", "stream": "sequence_members", "version": version}
    head, *records = members(*rows)
    return [head, *({**one, "version": version} for one in records), active, state({"at": 1})]


class Spring:
    """A sequence with a mailbox, and syncs that may enrol into it."""

    def __init__(self, apollo: Sandbox, sync: Callable[..., TargetRun] | None = None) -> None:
        self.apollo = apollo
        self.sequences = apollo.store.sequences
        self.mailbox = self.sequences.add_email_account(BOX)["id"]
        self.id = self.sequences.add("Spring")["id"]
        self._sync = sync

    def people(self, number: int) -> dict[str, str]:
        """Contacts that the ledger knows: address -> id."""
        done = self.sync([schema("contacts"), *(contact(n) for n in range(number))])
        assert done.exit_code == 0, done.log
        return {str(one["email"]): str(one["id"]) for one in self.apollo.store.contacts()}

    def sync(self, messages: Sequence[Message] | bytes, **settings: Any) -> TargetRun:
        assert self._sync is not None
        return self._sync(messages, **{"allow_sequences": ["Spring"], **settings})

    @property
    def states(self) -> dict[str, str]:
        """Address of a member -> its state in the sequence."""
        of = {str(one["id"]): str(one["email"]) for one in self.apollo.store.contacts()}
        found = [
            (of[one["contact_id"]], one["status"])
            for one in self.sequences.enrolments()
            if one["emailer_campaign_id"] == self.id
        ]
        assert len(found) == len(dict(found)), "a contact is in the sequence twice"
        return dict(found)

    @property
    def active(self) -> set[str]:
        """Addresses of those who get e-mail."""
        return {email for email, status in self.states.items() if status == "active"}

    def enrol_by_person(self, contact: str) -> None:
        """Enrols a contact, as a user did in Apollo's app yesterday."""
        made = self.sequences.enrol("Spring", contact)
        for status in self.apollo.store.contact_by_id[made["contact_id"]].own[
            "contact_campaign_statuses"
        ]:
            status["added_at"] = (datetime.now(timezone.utc) - timedelta(days=1)).isoformat()

    def take_out(self, contact_id: str) -> None:
        """Removes a contact, as a user does in Apollo's app."""
        stored = self.apollo.store.contact_by_id[contact_id]
        enrolment.leave(stored, [self.id], Leaving.REMOVE, "2026-01-01T00:00:00.000+00:00")
