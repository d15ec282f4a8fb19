"""The records of a sandbox: contacts, accounts and the team, in memory and optionally in a file.

Records are indexed by id and by match key (`matching`), so that a create with deduplication takes
the same time in a full store as in an empty one. One lock guards all of it: the thread of a test
may use the store while the server answers.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from target_apollo.sandbox.data import by_hand, matching
from target_apollo.sandbox.data.deals import Deals
from target_apollo.sandbox.data.formats import timestamp
from target_apollo.sandbox.data.journal import Journal
from target_apollo.sandbox.data.matching import KeyIndex
from target_apollo.sandbox.data.records import (
    FOUND_ACCOUNT,
    Account,
    Contact,
    account_object,
    contact_object,
)
from target_apollo.sandbox.data.sequences import Sequences
from target_apollo.sandbox.data.tasks import Tasks
from target_apollo.sandbox.data.workspace import Workspace

Record = TypeVar("Record")


class Store:
    """The state of one team. A new store, unless it opens an existing file, makes a new team.

    ``path`` names the SQLite file; None keeps the state in memory only.
    """

    def __init__(self, path: str | None = None) -> None:
        journal = Journal(path)
        self.lock, self.new_id = journal.lock, journal.new_id
        self.keep, self.commit, self.close = journal.keep, journal.commit, journal.close
        self.acting, self.origins = journal.acting, journal.origins
        self.contact_by_id: dict[str, Contact] = {}
        self.account_by_id: dict[str, Account] = {}
        self.deleted_contacts: set[str] = set()
        self.deleted_accounts: set[str] = set()
        self.contact_index: KeyIndex[Contact] = KeyIndex()
        self.account_index: KeyIndex[Account] = KeyIndex()
        self.tokens: dict[str, dict[str, Any]] = {}
        self.workspace = Workspace(self.new_id, self.keep)
        self._restore(journal)
        if not self.workspace.team_id:
            self.workspace.create_team(timestamp(time.time()))
        self.deals = Deals(journal, self.workspace)
        self.sequences = Sequences(journal, self.workspace, self.contact_by_id)
        self.tasks = Tasks(journal, self.workspace)
        self.commit()

    # For tests and seeds: these methods take the lock.

    @property
    def team_id(self) -> str:
        """Id of the team."""
        return self.workspace.team_id

    @property
    def admin_id(self) -> str:
        """Id of the user on whose behalf API keys and tokens act."""
        return self.workspace.admin_id

    @property
    def contact_stages(self) -> list[dict[str, Any]]:
        """The contact stages, default first: ``{id, name, display_order, category, …}``."""
        return self.workspace.contact_stages

    @property
    def account_stages(self) -> list[dict[str, Any]]:
        """The account stages, default first."""
        return self.workspace.account_stages

    def users(self) -> list[dict[str, Any]]:
        """Every user of the team, the acting admin first."""
        with self.lock:
            return list(self.workspace.users.values())

    def labels(self) -> list[dict[str, Any]]:
        """Every list: ``{id, name, modality, cached_count, …}``."""
        with self.lock:
            return [dict(label) for label in self.workspace.labels.values()]

    def custom_fields(self) -> list[dict[str, Any]]:
        """Every custom field: ``{id, modality, name, type, …}``; its ids have no prefix."""
        with self.lock:
            return list(self.workspace.fields.values())

    def contacts(self, last: int = 0) -> list[dict[str, Any]]:
        """Whole contact objects, oldest first, and the written fields that Apollo never shows.

        ``last`` is how many of the newest to return; 0 returns all.
        """
        with self.lock:
            return [
                {**contact_object(contact), **(contact.hidden or {})}
                for contact in _newest(self.contact_by_id.values(), last)
            ]

    def accounts(self, last: int = 0) -> list[dict[str, Any]]:
        """Whole account objects, oldest first, with ``num_contacts``; ``last`` as for contacts."""
        with self.lock:
            counts = self.contacts_per_account()
            return [
                {
                    **account_object(account, FOUND_ACCOUNT),
                    "num_contacts": counts[account.own["id"]],
                    **(account.hidden or {}),
                }
                for account in _newest(self.account_by_id.values(), last)
            ]

    def add_contact(
        self,
        *,
        additional_emails: Sequence[str] = (),
        label_names: Sequence[str] = (),
        **fields: Any,
    ) -> dict[str, Any]:
        """Add a contact without the checks of the API, and return the whole contact object.

        ``fields`` are keys of the contact object. ``source="email_import"`` makes the contact a
        placeholder, which a matching bulk_create overwrites.

        Raises:
            ValueError: The contact object has no such key.
        """
        with self.lock:
            stamp = timestamp(time.time())
            own = by_hand.contact_fields(self.new_id(), self.workspace, stamp, fields)
            if label_names:
                own["label_ids"] = self._labels_with_one_more(stamp, "contacts", label_names)
            contact = Contact(own, [other.strip().lower() for other in additional_emails])
            self.insert_contact(contact)
            self.commit()
            return contact_object(contact)

    def add_account(self, *, label_names: Sequence[str] = (), **fields: Any) -> dict[str, Any]:
        """Add an account by keys of the account object, and return the whole object.

        Raises:
            ValueError: The account object has no such key.
        """
        with self.lock:
            stamp = timestamp(time.time())
            hidden = {key: fields.pop(key) for key in ("merged_crm_ids",) if key in fields}
            own = by_hand.account_fields(self.new_id(), self.workspace, stamp, fields)
            if label_names:
                own["label_ids"] = self._labels_with_one_more(stamp, "accounts", label_names)
            account = Account(own, stamp, hidden or None)
            self.insert_account(account)
            self.commit()
            return account_object(account)

    def add_user(self, **fields: Any) -> dict[str, Any]:
        """Add a user: ``email``, ``first_name``, ``last_name``, ``title``, ``deleted``."""
        with self.lock:
            user = self.workspace.add_user(timestamp(time.time()), **fields)
            self.commit()
            return user

    def add_custom_field(
        self,
        modality: str,
        label: str,
        type: str,  # noqa: A002
        picklist_values: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Add a custom field of ``contact`` or ``account``; its ids have no prefix."""
        with self.lock:
            field = self.workspace.add_field(
                timestamp(time.time()), modality, label, type, picklist_values
            )
            self.commit()
            return field

    def delete_contact(self, contact_id: str) -> None:
        """Delete a contact as a user does in Apollo's app; raises ValueError for an unknown id."""
        with self.lock:
            self._take_contact(contact_id)
            self.deleted_contacts.add(contact_id)
            self.keep("contacts", contact_id, {"deleted": True})
            self.commit()

    def delete_account(self, account_id: str) -> None:
        """Delete an account; its contacts stay, without a link. Raises ValueError as above."""
        with self.lock:
            self._take_account(account_id, successor=None)
            self.deleted_accounts.add(account_id)
            self.keep("accounts", account_id, {"deleted": True})
            self.commit()

    def forget_contact(self, contact_id: str) -> None:
        """Make a contact vanish, as if it had never existed for this API key.

        Raises:
            ValueError: There is no such contact.
        """
        with self.lock:
            self._take_contact(contact_id)
            self.keep("contacts", contact_id, None)
            self.commit()

    def forget_account(self, account_id: str) -> None:
        """Make an account vanish; its contacts stay, without a link. Raises ValueError as above."""
        with self.lock:
            self._take_account(account_id, successor=None)
            self.keep("accounts", account_id, None)
            self.commit()

    def merge_contacts(self, loser_id: str, survivor_id: str) -> dict[str, Any]:
        """Merge a contact into another, as a user does in Apollo's app; the loser is deleted.

        Returns:
            The whole object of the survivor, with the addresses and CRM ids of both.

        Raises:
            ValueError: There is no such contact, or both are the same.
        """
        with self.lock:
            survivor = _other(self.contact_by_id, "contact", loser_id, survivor_id)
            keys = self.keys_of(survivor)
            by_hand.merge_contact(survivor, self._take_contact(loser_id))
            self.deals.merge_contacts(loser_id, survivor_id)
            self.tasks.merge_contacts(loser_id, survivor_id)
            self.deleted_contacts.add(loser_id)
            self.keep("contacts", loser_id, {"deleted": True})
            survivor.own["updated_at"] = timestamp(time.time())
            self.changed_contact(survivor, keys)
            self.commit()
            return contact_object(survivor)

    def merge_accounts(self, loser_id: str, survivor_id: str) -> dict[str, Any]:
        """Merge an account into another, which takes over its contacts and CRM ids.

        Returns:
            The whole object of the survivor.

        Raises:
            ValueError: There is no such account, or both are the same.
        """
        with self.lock:
            survivor = _other(self.account_by_id, "account", loser_id, survivor_id)
            keys = self.keys_of_account(survivor)
            by_hand.merge_account(survivor, self._take_account(loser_id, successor=survivor_id))
            self.deals.merge_accounts(loser_id, survivor_id)
            self.deleted_accounts.add(loser_id)
            self.keep("accounts", loser_id, {"deleted": True})
            survivor.updated_at = timestamp(time.time())
            self.changed_account(survivor, keys)
            self.commit()
            return account_object(survivor)

    def _take_contact(self, contact_id: str) -> Contact:
        contact = self.contact_by_id.pop(contact_id, None)
        if contact is None:
            raise ValueError(f"There is no contact {contact_id}.")
        self.contact_index.remove(self.keys_of(contact), contact)
        self._leave_lists(contact.own)
        return contact

    def _take_account(self, account_id: str, *, successor: str | None) -> Account:
        account = self.account_by_id.pop(account_id, None)
        if account is None:
            raise ValueError(f"There is no account {account_id}.")
        self.account_index.remove(self.keys_of_account(account), account)
        self._leave_lists(account.own)
        for contact in self.contact_by_id.values():
            if contact.own.get("account_id") == account_id:
                contact.own["account_id"] = successor
                self.changed_contact(contact, self.keys_of(contact))
        return account

    def _leave_lists(self, own: dict[str, Any]) -> None:
        for label_id in own.get("label_ids", ()):
            self.workspace.count_label(label_id, -1)

    # For the endpoints: the caller holds the lock.

    def contacts_per_account(self) -> Counter[str]:
        """How many contacts are linked to each account."""
        return Counter(
            account_id
            for contact in self.contact_by_id.values()
            if (account_id := contact.own.get("account_id"))
        )

    @staticmethod
    def keys_of(contact: Contact) -> list[str]:
        """Match keys of a contact."""
        return matching.contact_keys(contact.own, contact.emails)

    @staticmethod
    def keys_of_account(account: Account) -> list[str]:
        """Match keys of an account."""
        return matching.account_keys({**account.own, **(account.hidden or {})})

    def insert_contact(self, contact: Contact, keys: Iterable[str] | None = None) -> None:
        """Add a new contact; ``keys`` are its match keys, if the caller has them already."""
        contact_id = contact.own["id"]
        self.contact_by_id[contact_id] = contact
        self.contact_index.add(self.keys_of(contact) if keys is None else keys, contact)
        self.keep("contacts", contact_id, contact)

    def changed_contact(self, contact: Contact, keys_before: list[str]) -> None:
        """Update the index after a change of a contact, and mark it for the next commit."""
        keys = self.keys_of(contact)
        if keys != keys_before:
            self.contact_index.remove(keys_before, contact)
            self.contact_index.add(keys, contact)
        self.keep("contacts", contact.own["id"], contact)

    def insert_account(self, account: Account) -> None:
        """Add a new account."""
        account_id = account.own["id"]
        self.account_by_id[account_id] = account
        self.account_index.add(self.keys_of_account(account), account)
        self.keep("accounts", account_id, account)

    def changed_account(self, account: Account, keys_before: list[str]) -> None:
        """Update the index after a change of an account, and mark it for the next commit."""
        keys = self.keys_of_account(account)
        if keys != keys_before:
            self.account_index.remove(keys_before, account)
            self.account_index.add(keys, account)
        self.keep("accounts", account.own["id"], account)

    def _labels_with_one_more(self, stamp: str, modality: str, names: Sequence[str]) -> list[str]:
        ids = [self.workspace.label(stamp, modality, name, self.admin_id)["id"] for name in names]
        for label_id in ids:
            self.workspace.count_label(label_id, 1)
        return ids

    def _restore(self, journal: Journal) -> None:
        team = dict(journal.rows("facts")).get("team")
        if team is None:
            return
        users, labels, fields = (journal.rows(table) for table in ("users", "labels", "fields"))
        self.workspace.restore(team, users, labels, fields)
        self.tokens = dict(journal.rows("tokens"))
        for contact_id, row in journal.rows("contacts"):
            if "deleted" in row:
                self.deleted_contacts.add(contact_id)
                continue
            contact = Contact(**row)
            self.contact_by_id[contact_id] = contact
            self.contact_index.add(self.keys_of(contact), contact)
        for account_id, row in journal.rows("accounts"):
            if "deleted" in row:
                self.deleted_accounts.add(account_id)
                continue
            account = Account(**row)
            self.account_by_id[account_id] = account
            self.account_index.add(self.keys_of_account(account), account)


def _newest(records: Collection[Record], last: int) -> Iterable[Record]:
    return itertools.islice(records, max(0, len(records) - last) if last else 0, None)


def _other(known: Mapping[str, Record], kind: str, loser_id: str, survivor_id: str) -> Record:
    if loser_id == survivor_id:
        raise ValueError(f"The {kind} {loser_id} can't be merged into itself.")
    for record_id in (loser_id, survivor_id):
        if record_id not in known:
            raise ValueError(f"There is no {kind} {record_id}.")
    return known[survivor_id]
