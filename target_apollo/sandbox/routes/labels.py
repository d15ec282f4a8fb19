"""The endpoints of lists, which Apollo calls labels."""

from __future__ import annotations

from typing import Any

from target_apollo.sandbox.data import lists
from target_apollo.sandbox.data.records import Account, Contact, label_object
from target_apollo.sandbox.data.workspace import MODALITIES
from target_apollo.sandbox.serving.call import Call
from target_apollo.sandbox.serving.errors import record_not_found, unprocessable


def index(call: Call) -> Any:
    """GET /labels: an array of all lists, without pages."""
    workspace = call.store.workspace
    if not call.options.list_counts_late:
        return list(workspace.labels.values())
    told = workspace.counts_told
    shown = [
        {**label, "cached_count": told.get(label_id, 0)}
        for label_id, label in workspace.labels.items()
    ]
    told.update((label["id"], label["cached_count"]) for label in workspace.labels.values())
    return shown


def create(call: Call) -> Any:
    """POST /labels: creates a list; its name must be new in its modality."""
    name = _name(call)
    modality = call.body.get("modality")
    if not modality:
        raise unprocessable("Please enter a non-empty modality!")
    if modality not in MODALITIES:
        raise unprocessable("Please enter a valid modality!")
    workspace = call.store.workspace
    if workspace.label_named(modality, name) is not None:
        raise unprocessable(f"{name} already exists", skip_alert_dialog=True)
    label = workspace.label(call.stamp, modality, name, call.user_id)
    _set_book_of_business(call, label)
    return {"label": _answer(label)}


def update(call: Call) -> Any:
    """PATCH /labels/{id}: renames a list."""
    workspace = call.store.workspace
    label = workspace.labels.get(call.record_id)
    if label is None:
        raise record_not_found("label", call.record_id)
    name = _name(call)
    other = workspace.label_named(label["modality"], name)
    if other is not None and other is not label:
        raise unprocessable(f"{name} already exists", skip_alert_dialog=True)
    workspace.rename_label(call.stamp, label, name)
    _set_book_of_business(call, label)
    return {"label": _answer(label)}


def add_records(call: Call) -> Any:
    """POST /labels/add_entity_ids_to_label_names: lists are made, unknown record ids ignored."""
    return _change_membership(call, adding=True)


def remove_records(call: Call) -> Any:
    """POST /labels/remove_entity_ids_from_label_names: unknown lists and record ids are ignored."""
    return _change_membership(call, adding=False)


def _change_membership(call: Call, *, adding: bool) -> Any:
    store, workspace = call.store, call.store.workspace
    modality = call.body.get("modality")
    if modality not in MODALITIES:
        raise unprocessable(f"Invalid modality: {modality}.")
    names = call.names("label_names")
    known = store.contact_by_id if modality == "contacts" else store.account_by_id
    records: list[Contact | Account] = [
        known[record_id] for record_id in call.names("entity_ids") if record_id in known
    ]
    if not names or not records:
        return {"message": "No Models or Lists provided"}
    labels = [
        label
        for name in names
        if (
            label := workspace.label(call.stamp, modality, name, call.user_id)
            if adding
            else workspace.label_named(modality, name)
        )
        is not None
    ]
    ids = [label["id"] for label in labels]
    for record in records:
        record.keep_former(call.now, call.options.search_lag_seconds)
    lists.change(store, records, ids, adding=adding)
    if call.body.get("async") is True:
        kind = "add_entities_to_labels" if adding else "remove_entities_from_labels"
        return {
            "entity_progress_job": {
                "id": store.new_id(),
                "user_id": call.user_id,
                "job_type": kind,
                "entity_ids": [record.own["id"] for record in records],
                "params": {"modality": modality, "label_names": names},
                "progress": -1,
                "batch_size": None,
            }
        }
    return {"labels": [_answer(label) for label in labels]}


def _name(call: Call) -> str:
    name = str(call.body.get("name") or "").strip()
    if not name:
        raise unprocessable("Please enter a non-empty name!")
    return name


def _set_book_of_business(call: Call, label: dict[str, Any]) -> None:
    # Only lists of accounts have the mark.
    wanted = call.body.get("book_of_business")
    if isinstance(wanted, bool) and label["modality"] == "accounts":
        label["book_of_business"] = wanted
        call.store.keep("labels", label["id"], label)


def _answer(label: dict[str, Any]) -> dict[str, Any]:
    return {**label_object(label), "book_of_business": label.get("book_of_business")}
