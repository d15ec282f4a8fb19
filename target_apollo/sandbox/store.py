"""What a sandbox knows: contacts, accounts and the team, in memory or also in a file.

Indexes by id and by every key of ``matching`` (e-mails, CRM ids, name with company, domain) make a
create with deduplication cost the same in a full store as in an empty one. One lock guards it all:
a test's thread may use it while the server answers.

An index from match keys to records: almost every key has one record, a few have several.

The SQLite file behind a store: every record as JSON, written in one transaction a request.

Written through before the answer goes out, so that a sandbox ended in any way loses nothing it
confirmed.
"""

from __future__ import annotations

import itertools
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from target_apollo.sandbox import matching, seeding
from target_apollo.sandbox.records import (
    FOUND_ACCOUNT,
    Account,
    Contact,
    account_object,
    contact_object,
    id_source,
    timestamp,
)
from target_apollo.sandbox.workspace import Workspace

Indexed = TypeVar("Indexed")


class KeyIndex(Generic[Indexed]):
    """Key -> the records that carry it, oldest first.

    A key is kept as its 64-bit hash, which takes a third of its text's memory. That two of the four
    million keys of a million contacts have one hash has a chance of less than one in a million.
    """

    __slots__ = ("_only", "_several")

    def __init__(self) -> None:
        self._only: dict[int, Indexed] = {}
        self._several: dict[int, list[Indexed]] = {}

    def first(self, keys: Iterable[str]) -> Indexed | None:
        """The oldest record of the first key that has one."""
        only = self._only
        for key in keys:
            record = only.get(hash(key))
            if record is not None:
                return record
        return None

    def every(self, key: str) -> list[Indexed]:
        """All records of a key, oldest first."""
        code = hash(key)
        only = self._only.get(code)
        if only is None:
            return []
        return [only, *self._several.get(code, ())]

    def add(self, keys: Iterable[str], record: Indexed) -> None:
        """Enter a record under its keys."""
        only = self._only
        for key in keys:
            code = hash(key)
            present = only.setdefault(code, record)
            if present is not record:
                self._several.setdefault(code, []).append(record)

    def remove(self, keys: Iterable[str], record: Indexed) -> None:
        """Take a record out of its keys."""
        for code in map(hash, keys):
            others = self._several.get(code)
            if self._only.get(code) is record:
                if others:
                    self._only[code] = others.pop(0)
                else:
                    del self._only[code]
            elif others and record in others:
                others.remove(record)
            if others is not None and not others:
                del self._several[code]


_TABLES = ("facts", "contacts", "accounts", "labels", "fields", "users", "tokens")


class Journal:
    """Rows of named tables: id -> JSON. Not safe for threads: the store holds its lock."""

    def __init__(self, path: str) -> None:
        file = Path(path).expanduser()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600, exist_ok=True)
        self._connection = sqlite3.connect(
            file, check_same_thread=False, isolation_level=None, timeout=30
        )
        execute = self._connection.execute
        # WAL with NORMAL survives the end of the process at any point, which is what matters here.
        execute("pragma journal_mode = wal")
        execute("pragma synchronous = normal")
        for table in _TABLES:
            execute(f"create table if not exists {table} (id text primary key, body blob not null)")

    def rows(self, table: str) -> Iterator[tuple[str, Any]]:
        """Every row of a table in the order of first writing, decoded."""
        decode = msgspec.json.decode
        for record_id, body in self._connection.execute(
            f"select id, body from {_known(table)} order by rowid"  # noqa: S608  # nosec B608
        ):
            yield record_id, decode(body)

    def write(self, changes: Iterable[tuple[str, str, Any]]) -> None:
        """Write ``(table, id, value)`` in one transaction; a value of None deletes the row."""
        encode = msgspec.json.Encoder().encode
        upserts: dict[str, list[tuple[str, bytes]]] = {}
        deletes: list[tuple[str, str]] = []
        for table, record_id, value in changes:
            if value is None:
                deletes.append((table, record_id))
            else:
                upserts.setdefault(_known(table), []).append((record_id, encode(value)))
        execute = self._connection.execute
        execute("begin")
        try:
            for table, rows in upserts.items():
                self._connection.executemany(
                    f"insert into {table} values (?, ?) "  # noqa: S608  # nosec B608
                    "on conflict (id) do update set body = excluded.body",
                    rows,
                )
            for table, record_id in deletes:
                execute(f"delete from {_known(table)} where id = ?", (record_id,))  # noqa: S608  # nosec B608
        except BaseException:
            execute("rollback")
            raise
        execute("commit")

    def clear(self) -> None:
        """Empty every table."""
        for table in _TABLES:
            self._connection.execute(f"delete from {table}")  # noqa: S608  # nosec B608

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def _known(table: str) -> str:
    if table not in _TABLES:
        raise ValueError(f"no table {table}")
    return table


Record = TypeVar("Record")


class Store:
    """All state of one team; each new store is a new team with its own id."""

    def __init__(self, path: str | None = None) -> None:
        self.lock = threading.RLock()
        self.new_id = id_source()
        self.contact_by_id: dict[str, Contact] = {}
        self.account_by_id: dict[str, Account] = {}
        self.deleted_contacts: set[str] = set()
        self.contact_index: KeyIndex[Contact] = KeyIndex()
        self.account_index: KeyIndex[Account] = KeyIndex()
        self.tokens: dict[str, dict[str, Any]] = {}
        self._journal = None if path is None else Journal(path)
        self._changes: dict[tuple[str, str], Any] = {}
        self.workspace = Workspace(self.new_id, self.keep)
        if self._journal is not None:
            self._restore(self._journal)
        if not self.workspace.team_id:
            self.workspace.found(timestamp(time.time()))
        self.commit()

    # What tests and seeds use.

    @property
    def team_id(self) -> str:
        """Id of the team that this store is."""
        return self.workspace.team_id

    @property
    def admin_id(self) -> str:
        """Id of the user as whom API keys and tokens act."""
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
        """Every custom field: ``{id, modality, name, type, picklist_values}`` with bare ids."""
        with self.lock:
            return list(self.workspace.fields.values())

    def contacts(self, last: int = 0) -> list[dict[str, Any]]:
        """Whole contact objects, oldest first, with written fields that Apollo never shows.

        ``last`` limits them to the newest ones; 0 is all of them.
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
        """Put a contact in as it is, by the keys of the contact object; returns the whole object.

        ``source="email_import"`` makes it a placeholder, which a bulk_create merges into.
        """
        with self.lock:
            stamp = timestamp(time.time())
            own = seeding.contact_fields(self.new_id(), self.workspace, stamp, fields)
            if label_names:
                own["label_ids"] = self._labels_with_one_more(stamp, "contacts", label_names)
            contact = Contact(own, tuple(other.strip().lower() for other in additional_emails))
            self.insert_contact(contact)
            self.commit()
            return contact_object(contact)

    def add_account(self, *, label_names: Sequence[str] = (), **fields: Any) -> dict[str, Any]:
        """Put an account in, by the keys of the account object; returns the whole object."""
        with self.lock:
            stamp = timestamp(time.time())
            hidden = {key: fields.pop(key) for key in ("merged_crm_ids",) if key in fields}
            own = seeding.account_fields(self.new_id(), self.workspace, stamp, fields)
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
        """Add a custom field of ``contact`` or ``account``; returns it with bare ids."""
        with self.lock:
            field = self.workspace.add_field(
                timestamp(time.time()), modality, label, type, picklist_values
            )
            self.commit()
            return field

    def delete_contact(self, contact_id: str) -> None:
        """Delete a contact as a person would in Apollo's app; raises KeyError for an unknown id."""
        with self.lock:
            contact = self.contact_by_id.pop(contact_id)
            self.contact_index.remove(self.keys_of(contact), contact)
            for label_id in contact.own.get("label_ids", ()):
                self.workspace.count_label(label_id, -1)
            self.deleted_contacts.add(contact_id)
            self.keep("contacts", contact_id, {"deleted": True})
            self.commit()

    # What the endpoints use, under the lock.

    def contacts_per_account(self) -> Counter[str]:
        """How many contacts are linked to each account."""
        return Counter(
            account_id
            for contact in self.contact_by_id.values()
            if (account_id := contact.own.get("account_id"))
        )

    @staticmethod
    def keys_of(contact: Contact) -> list[str]:
        """Keys under which a contact is found."""
        return matching.contact_keys(contact.own, contact.emails)

    @staticmethod
    def keys_of_account(account: Account) -> list[str]:
        """Keys under which an account is found."""
        return matching.account_keys({**account.own, **(account.hidden or {})})

    def insert_contact(self, contact: Contact, keys: Iterable[str] | None = None) -> None:
        """Take in a new contact; ``keys`` if they are known already."""
        contact_id = contact.own["id"]
        self.contact_by_id[contact_id] = contact
        self.contact_index.add(self.keys_of(contact) if keys is None else keys, contact)
        if self._journal is not None:
            self._changes["contacts", contact_id] = contact

    def changed_contact(self, contact: Contact, keys_before: list[str]) -> None:
        """Index a changed contact anew and have it kept."""
        keys = self.keys_of(contact)
        if keys != keys_before:
            self.contact_index.remove(keys_before, contact)
            self.contact_index.add(keys, contact)
        if self._journal is not None:
            self._changes["contacts", contact.own["id"]] = contact

    def insert_account(self, account: Account) -> None:
        """Take in a new account."""
        account_id = account.own["id"]
        self.account_by_id[account_id] = account
        self.account_index.add(self.keys_of_account(account), account)
        if self._journal is not None:
            self._changes["accounts", account_id] = account

    def changed_account(self, account: Account, keys_before: list[str]) -> None:
        """Index a changed account anew and have it kept."""
        keys = self.keys_of_account(account)
        if keys != keys_before:
            self.account_index.remove(keys_before, account)
            self.account_index.add(keys, account)
        if self._journal is not None:
            self._changes["accounts", account.own["id"]] = account

    def keep(self, table: str, record_id: str, value: Any) -> None:
        """Note a change for the next commit; a value of None deletes."""
        if self._journal is not None:
            self._changes[table, record_id] = value

    def commit(self) -> None:
        """Write what changed since the last commit to the file, if there is one."""
        if self._journal is None or not self._changes:
            return
        changes, self._changes = self._changes, {}
        self._journal.write(
            (table, record_id, value.row() if isinstance(value, (Contact, Account)) else value)
            for (table, record_id), value in changes.items()
        )

    def close(self) -> None:
        """Commit and close the file."""
        with self.lock:
            self.commit()
            if self._journal is not None:
                self._journal.close()
                self._journal = None

    def _labels_with_one_more(self, stamp: str, modality: str, names: Sequence[str]) -> list[str]:
        ids = [self.workspace.label(stamp, modality, name, self.admin_id)["id"] for name in names]
        for label_id in ids:
            self.workspace.count_label(label_id, 1)
        return ids

    def _restore(self, journal: Journal) -> None:
        team = dict(journal.rows("facts")).get("team")
        if team is None:
            return
        self.workspace.restore(
            team, journal.rows("users"), journal.rows("labels"), journal.rows("fields")
        )
        self.tokens = dict(journal.rows("tokens"))
        for contact_id, row in journal.rows("contacts"):
            if "deleted" in row:
                self.deleted_contacts.add(contact_id)
                continue
            contact = Contact.of_row(row)
            self.contact_by_id[contact_id] = contact
            self.contact_index.add(self.keys_of(contact), contact)
        for account_id, row in journal.rows("accounts"):
            account = Account.of_row(row)
            self.account_by_id[account_id] = account
            self.account_index.add(self.keys_of_account(account), account)


def _newest(records: Collection[Record], last: int) -> Iterable[Record]:
    return itertools.islice(records, max(0, len(records) - last) if last else 0, None)
