"""Lists, which Apollo calls labels: their members, and what people do with them in Apollo's app.

The functions for tests and seeds take the store's lock. A list is named by its modality too, since
a list of contacts and one of accounts may have the same name.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from target_apollo.sandbox.data.formats import timestamp
from target_apollo.sandbox.data.records import Account, Contact
from target_apollo.sandbox.data.store import Store
from target_apollo.sandbox.data.workspace import MODALITIES


def members(store: Store, name: str, modality: str = "contacts") -> list[str]:
    """Ids of the records on a list, oldest first; none if there is no such list."""
    with store.lock:
        label = store.workspace.label_named(modality, name)
        return [] if label is None else _on(store, modality, label["id"])


def all_members(store: Store) -> list[dict[str, Any]]:
    """Every list with its members: ``{name, modality, members}``."""
    with store.lock:
        return [
            {
                "name": label["name"],
                "modality": label["modality"],
                "members": _on(store, label["modality"], label_id),
            }
            for label_id, label in store.workspace.labels.items()
        ]


def add(
    store: Store, name: str, modality: str = "contacts", members: Sequence[str] = ()
) -> dict[str, Any]:
    """Put records on a list by hand; the list is made if it does not exist. Returns the list.

    Args:
        store: The store.
        name: Name of the list.
        modality: ``contacts`` or ``accounts``.
        members: Ids of records, or e-mail addresses of contacts and domains of accounts.

    Raises:
        ValueError: There is no such modality or record.
    """
    if modality not in MODALITIES:
        raise ValueError(f"`modality` must be one of {', '.join(MODALITIES)}.")
    with store.lock:
        records = [_record(store, modality, member) for member in members]
        stamp = timestamp(time.time())
        label = store.workspace.label(stamp, modality, name, store.admin_id)
        change(store, records, [label["id"]], adding=True)
        store.commit()
        return dict(label)


def take_off(
    store: Store, name: str, modality: str = "contacts", members: Sequence[str] = ()
) -> dict[str, Any]:
    """Take records off a list by hand, as `add` puts them on it. Raises ValueError as there."""
    with store.lock:
        label = _label(store, name, modality)
        records = [_record(store, modality, member) for member in members]
        change(store, records, [label["id"]], adding=False)
        store.commit()
        return dict(label)


def rename(store: Store, name: str, to: str, modality: str = "contacts") -> dict[str, Any]:
    """Rename a list by hand; raises ValueError if there is no such list, or if one has the name."""
    with store.lock:
        label = _label(store, name, modality)
        if store.workspace.label_named(modality, to) is not None:
            raise ValueError(f"There is a list {to} already.")
        store.workspace.rename_label(timestamp(time.time()), label, to)
        store.commit()
        return dict(label)


def delete(store: Store, name: str, modality: str = "contacts") -> dict[str, Any]:
    """Delete a list by hand; its records stay. Raises ValueError if there is no such list."""
    with store.lock:
        label = _label(store, name, modality)
        known = _records(store, modality)
        on_it = [known[record_id] for record_id in _on(store, modality, label["id"])]
        change(store, on_it, [label["id"]], adding=False)
        store.workspace.delete_label(label)
        store.commit()
        return dict(label)


def change(
    store: Store, records: Iterable[Contact | Account], label_ids: Sequence[str], *, adding: bool
) -> None:
    """Put records on lists or take them off; the caller holds the lock."""
    for record in records:
        present = record.own.get("label_ids", ())
        wanted = (
            [*present, *label_ids]
            if adding
            else [label_id for label_id in present if label_id not in label_ids]
        )
        store.workspace.set_labels(record.own, wanted)
        if isinstance(record, Contact):
            store.changed_contact(record, store.keys_of(record))
        else:
            store.changed_account(record, store.keys_of_account(record))


def _label(store: Store, name: str, modality: str) -> dict[str, Any]:
    label = store.workspace.label_named(modality, name)
    if label is None:
        raise ValueError(f"There is no list {name} of {modality}.")
    return label


def _records(store: Store, modality: str) -> dict[str, Contact] | dict[str, Account]:
    return store.contact_by_id if modality == "contacts" else store.account_by_id


def _on(store: Store, modality: str, label_id: str) -> list[str]:
    return [
        record_id
        for record_id, record in _records(store, modality).items()
        if label_id in record.own.get("label_ids", ())
    ]


def _record(store: Store, modality: str, member: str) -> Contact | Account:
    records = _records(store, modality)
    key = "email" if modality == "contacts" else "domain"
    found = records.get(member) or next(
        (record for record in records.values() if record.own.get(key) == member), None
    )
    if found is None:
        raise ValueError(f"There is no {modality[:-1]} {member}.")
    return found
