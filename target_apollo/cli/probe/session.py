"""What the questions of a probe share: requests, the probe's records, and steps that serve several.

A step that several questions need is done once; if it can't be done, none of them is asked, for the
same reason.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from target_apollo.apollo import (
    ACCOUNT_ENDPOINTS,
    CONTACT_ENDPOINTS,
    JSON,
    Answer,
    AnswerLost,
    ApolloClient,
    EndpointForbidden,
    ObjectEndpoints,
    RequestRefused,
    Transport,
    access_to,
    endpoints,
    request_to,
)
from target_apollo.cli.probe import own_records
from target_apollo.cli.probe.own_records import (
    DOMAIN,
    MOST_ACCOUNTS,
    MOST_RECORDS,
    NAME,
    ONE,
    TWIN,
    OwnRecords,
    RecordsHidden,
)

_Result = TypeVar("_Result")


class NotAsked(Exception):
    """A question is not asked, or can't be answered; the text is the reason."""


@dataclass(frozen=True)
class Observation:
    """The answer to a question.

    Attributes:
        answer: A word of the question's answers.
        note: What else was seen, without any value of the team.
    """

    answer: str
    note: str = ""


def yes_or_no(value: object) -> Observation:
    """The answer to a question that takes yes and no."""
    return Observation("true" if value else "false")


class Session:
    """One probe of one team.

    Attributes:
        earlier: The answers of an earlier probe of the team.
        new: The answers of the creating requests of this probe, by question.
    """

    def __init__(self, transport: Transport, earlier: Mapping[str, str], stop: threading.Event):
        self.transport = transport
        self.client = ApolloClient(transport)
        self.earlier = earlier
        self.stop = stop
        self.own = OwnRecords()
        self.new: dict[str, Observation] = {}
        self._steps: dict[str, Any] = {}

    # Requests

    def send(self, endpoint: str, body: JSON | None = None, record_id: str = "") -> Answer:
        """Send a request as it stands; a creation whose answer is lost is not sent again."""
        once = endpoint in (endpoints.CREATE_CONTACTS, endpoints.CREATE_ACCOUNTS)
        return self.transport.send(request_to(endpoint, body, record_id=record_id, once=once))

    def change(self, contact: JSON, values: JSON) -> JSON:
        """Change a contact of the probe by PATCH, and return it as the answer shows it."""
        record = self.client.update(CONTACT_ENDPOINTS, contact["id"], values)
        self.own.note_contact(record)
        return record

    def read(self, contact: JSON) -> JSON:
        """Read a contact of the probe."""
        record = self.client.read(CONTACT_ENDPOINTS, contact["id"])
        self.own.note_contact(record)
        return record

    # The probe's own records

    @property
    def one(self) -> JSON:
        """The contact that most questions are asked with; raises NotAsked if it can't be made."""
        return self._contact(ONE)

    @property
    def twin(self) -> JSON:
        """The second contact."""
        return self._contact(TWIN)

    def _contact(self, last_name: str) -> JSON:
        self.step("contacts", self._make_contacts)
        found = self.own.named(last_name)
        if not found:
            raise NotAsked("Apollo did not answer the creation with the probe's contact")
        return found[0]

    @property
    def account(self) -> JSON:
        """The account of the probe; raises NotAsked if it can't be made."""
        self.step("accounts", self._make_account)
        if self.own.account is None:
            raise NotAsked("Apollo did not answer the creation with the probe's account")
        return self.own.account

    def find_contacts(self) -> None:
        """Find the contacts of earlier probes and restore their values, once."""
        self.step("found contacts", self._find_contacts)

    def _find_contacts(self) -> None:
        own_records.find_contacts(self.client, self.own, self.stop)
        for contact in self.own.named(ONE) + self.own.named(TWIN):
            # A search may show it as it was a while ago.
            self.read(contact)
        own_records.restore_contacts(self.client, self.own)

    def _make_contacts(self) -> None:
        self.find_contacts()
        twins = self.own.named(TWIN)
        rows = [] if self.own.named(ONE) else [own_records.as_new_contact(ONE)]
        if not twins:
            rows.append(own_records.as_new_contact(TWIN))
        if not rows:
            return
        self.check_room(len(rows))
        are_alike = not twins and self._room() > len(rows)
        if are_alike:
            rows.append(own_records.as_new_contact(TWIN))
        created, existing = self.create_contacts(rows)
        if are_alike:
            made = sum(one.get("last_name") == TWIN for one in created)
            again = any(one.get("last_name") == TWIN for one in existing)
            if made:
                one_left = "second_existing" if again else "second_dropped"
                self.new["alike_in_batch"] = Observation("both_created" if made > 1 else one_left)

    def create_contacts(self, rows: Sequence[JSON], **more: Any) -> tuple[list[JSON], list[JSON]]:
        """Send a bulk_create of contacts with the list; returns the created and existing ones."""
        created, existing = self._create(CONTACT_ENDPOINTS, rows, more)
        for record in created:
            self.own.note_contact(record)
        return created, existing

    def _create(
        self, of: ObjectEndpoints, rows: Sequence[JSON], more: JSON
    ) -> tuple[list[JSON], list[JSON]]:
        self.check_room(len(rows))
        body = {of.plural: list(rows), "run_dedupe": True, "append_label_names": [NAME], **more}
        # Until an answer tells what became of them, all may have been made.
        self.own.unseen += len(rows)
        try:
            answer = self.send(of.create, body).body
        except (EndpointForbidden, RequestRefused):
            self.own.unseen -= len(rows)
            raise
        created, existing = (
            records_of(answer, f"{what}_{of.plural}") for what in ("created", "existing")
        )
        self.own.unseen -= min(len(rows), len(created) + len(existing))
        return created, existing

    def find_accounts(self) -> None:
        """Find the accounts of earlier probes, once."""
        self.step(
            "found accounts",
            partial(own_records.find_accounts, self.client, self.own, self.stop),
        )

    def _make_account(self) -> None:
        self.find_accounts()
        if self.own.account is None:
            self.create_accounts({"name": NAME, "domain": DOMAIN})
        else:
            own_records.restore_account(self.client, self.own)

    def create_accounts(self, *rows: JSON) -> tuple[list[JSON], list[JSON]]:
        """Send a bulk_create of accounts with the list; returns the created and existing ones."""
        created, existing = self._create(ACCOUNT_ENDPOINTS, rows, {})
        for record in created:
            self.own.note_account(record)
        return created, existing

    def check_room(self, records: int = 1) -> None:
        """Raise NotAsked if there is no room for so many more records."""
        if self._room() < records:
            raise NotAsked(f"the probe's {MOST_RECORDS} records are made, and asking may make one")

    def _room(self) -> int:
        """How many records may still be made; accounts that can't be seen count as there."""
        try:
            self.find_accounts()
        except NotAsked:
            return self.own.room - max(0, MOST_ACCOUNTS - len(self.own.accounts))
        return self.own.room

    # Steps

    def step(self, name: str, do: Callable[[], _Result]) -> _Result:
        """Do a step once and return its result; if it failed, raise the same each time.

        Raises:
            NotAsked: The step can't be done, for lack of a permission or of records.
            ApolloError: The probe can't go on.
        """
        if name not in self._steps:
            try:
                self._steps[name] = do()
            except AnswerLost:
                # What it wrote is not known. Done again, it might write the same a second time.
                self._steps[name] = NotAsked("Apollo's answer was lost")
                raise
            except (EndpointForbidden, RequestRefused, RecordsHidden, NotAsked) as problem:
                self._steps[name] = NotAsked(reason_of(problem))
        result = self._steps[name]
        if isinstance(result, NotAsked):
            raise result
        return result  # type: ignore[no-any-return]

    @property
    def other_owner(self) -> str:
        """A user who does not own the first contact; raises NotAsked if there is none."""
        return self.step("owner", partial(self._other_owner, self.one.get("owner_id")))

    def other_owner_or_none(self) -> str | None:
        """A user as `other_owner`; None if there is none, or the key may not read the users."""
        try:
            return self.other_owner
        except NotAsked:
            return None

    def _other_owner(self, present: object) -> str:
        for user in self.client.users():
            if not user.deleted and user.id != present:
                return user.id
        raise NotAsked("the team has no second user, to whom the probe's record could be given")

    def restore(self, *, after_loss: bool = False) -> None:
        """Give all contacts of the probe the values with which they were made.

        After a lost answer they are read first, since they may have changed unseen.
        """
        for contact in list(self.own.contacts.values()) if after_loss else []:
            self.read(contact)
        own_records.restore_contacts(self.client, self.own)


def records_of(body: Any, name: str) -> list[JSON]:
    """The records with an id in a list of an answer; none if there is no such list."""
    found = body.get(name) if isinstance(body, dict) else None
    return [
        one
        for one in (found if isinstance(found, list) else [])
        if isinstance(one, dict) and isinstance(one.get("id"), str)
    ]


def reason_of(problem: Exception) -> str:
    """Why a question is not asked, without any value of the team."""
    if isinstance(problem, EndpointForbidden):
        entry = access_to(problem.endpoint).key_entry
        return f"the key lacks the entry {entry}" if entry else "the key may not use the endpoint"
    if isinstance(problem, RequestRefused):
        return f"Apollo refused {problem.endpoint} with status {problem.status}"
    return str(problem)
