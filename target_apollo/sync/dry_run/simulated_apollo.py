"""A simulated Apollo: answers the requests of a dry run that write, without sending them.

Records that exist come from the look-ups. A record that would be created gets a provisional id,
which starts with eight times ``d``. Later requests see the changes of earlier ones.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timezone
from functools import partial
from typing import Any

from target_apollo.apollo import Request, RequestRefused, endpoints
from target_apollo.model.match_keys import addresses
from target_apollo.model.objects.registry import OBJECTS, Json, ObjectKind, ObjectType
from target_apollo.sync.dry_run.known_records import KnownRecords, dedupe_keys
from target_apollo.sync.dry_run.lookups import RecordLookups
from target_apollo.sync.dry_run.simulated_answers import (
    OBJECT_ANSWERS,
    changed_record,
    created_record,
    on_lists,
)
from target_apollo.sync.refusals import consequence_of

_PROVISIONAL = "d" * 8
#: The fields of an account in the answer of POST /accounts/bulk_update.
_SHORT_FORM = ("id", "account_stage_id")


def is_provisional(apollo_id: str) -> bool:
    """Whether an id belongs to a record that the dry run would create."""
    return apollo_id.startswith(_PROVISIONAL)


class SimulatedApollo:
    """The contacts, accounts and lists of a team that a dry run knows. Thread-safe."""

    def __init__(self, records: KnownRecords, lookups: RecordLookups) -> None:
        self._records = records
        self._lookups = lookups
        self._known_labels: list[Json] | None = None
        self._lock = threading.RLock()
        self._made = 0
        self._trusted: dict[ObjectKind, frozenset[str]] = {}
        #: Domains of rows that belong to several accounts, with their Apollo ids.
        self.several_accounts: dict[str, list[str]] = {}
        self._answers: dict[str, Callable[[Request], Any]] = {
            **OBJECT_ANSWERS,
            endpoints.ADD_TO_LISTS: self._add_to_lists,
            endpoints.REMOVE_FROM_LISTS: self._remove_from_lists,
            endpoints.LABELS: lambda _: self._labels,
        }
        for object_type in OBJECTS.values():
            self._answers |= self._answers_of(object_type)

    def _answers_of(self, object_type: ObjectType) -> dict[str, Callable[[Request], Any]]:
        of = object_type.endpoints
        answers: dict[str | None, Callable[[Request], Any]] = {
            of.create: partial(self._create, object_type),
            of.read: partial(self._read, object_type),
            of.update: partial(self._update, object_type),
            of.update_instead: partial(self._update, object_type),
            of.bulk_update: partial(self._bulk_update, object_type),
            of.update_owners: partial(self._assign, object_type),
            of.update_stages: partial(self._assign, object_type),
        }
        return {endpoint: answer for endpoint, answer in answers.items() if endpoint is not None}

    def answer(self, request: Request) -> Any | None:
        """The body of the simulated answer; None where the request must go to Apollo.

        Raises:
            RequestRefused: The record does not exist, so Apollo would refuse the request.
        """
        with self._lock:
            answer = self._answers.get(request.endpoint)
            return None if answer is None else answer(request)

    def trust(self, kind: ObjectKind, apollo_ids: frozenset[str]) -> None:
        """Takes the records with these ids as existing; replaces the ids of an earlier call."""
        with self._lock:
            self._trusted[kind] = apollo_ids

    def known(self, kind: ObjectKind, apollo_id: str) -> Json | None:
        """A record with the changes so far; None where it was neither looked up nor created."""
        with self._lock:
            return self._records.get(kind, apollo_id)

    def _create(self, object_type: ObjectType, request: Request) -> Json:
        body = request.body or {}
        owner_id = body.get("owner_id")
        label_ids = self._label_ids(object_type.kind.value, body.get("append_label_names") or ())
        new = [
            created_record(
                object_type,
                item,
                self._next_id(),
                _now(),
                owner_id=str(owner_id) if owner_id else None,
                label_ids=label_ids,
            )
            for item in _items(body[object_type.kind.value])
        ]
        self._lookups.look_for(object_type, new)
        created: dict[object, Json] = {}
        existing: dict[object, Json] = {}
        if object_type.is_named_by_others:
            self._note_several(object_type, new)
        for record in new:
            match = self._records.first(object_type.kind, dedupe_keys(object_type, record))
            if match is None:
                self._put(object_type, record)
                created[record["id"]] = record
            elif match["id"] not in created:
                existing[match["id"]] = match
        return {
            f"created_{object_type.kind.value}": list(created.values()),
            f"existing_{object_type.kind.value}": list(existing.values()),
        }

    def _note_several(self, object_type: ObjectType, records: Sequence[Json]) -> None:
        for record in records:
            for domain in addresses(object_type, record):
                ids = self._records.ids_of(object_type.kind, f"{object_type.match_field} {domain}")
                if len(ids) > 1:
                    self.several_accounts[domain] = ids

    def _read(self, object_type: ObjectType, request: Request) -> Json | None:
        record = self._records.get(object_type.kind, _id_in(request))
        return None if record is None else {object_type.singular: record}

    def _update(self, object_type: ObjectType, request: Request) -> Json:
        before = self._record(object_type, _id_in(request), request.endpoint)
        after = changed_record(object_type, before, request.body or {}, _now(), bulk=False)
        return {object_type.singular: self._put(object_type, after)}

    def _bulk_update(self, object_type: ObjectType, request: Request) -> Json:
        items = _items((request.body or {})[object_type.endpoints.attributes_key])
        # All or nothing: if one record is missing, Apollo refuses the request and changes nothing.
        befores = [self._record(object_type, str(item["id"]), request.endpoint) for item in items]
        afters = [
            self._put(object_type, changed_record(object_type, before, item, _now(), bulk=True))
            for before, item in zip(befores, items, strict=True)
        ]
        if not object_type.bulk_shows:
            afters = [{name: after.get(name) for name in _SHORT_FORM} for after in afters]
        return {object_type.kind.value: afters}

    def _assign(self, object_type: ObjectType, request: Request) -> Json:
        body = dict(request.body or {})
        ids = [str(apollo_id) for apollo_id in _listed(body.pop(object_type.endpoints.ids_key))]
        befores = [self._record(object_type, apollo_id, request.endpoint) for apollo_id in ids]
        # Requests and answers use the same names for owner and stage.
        afters = [self._put(object_type, {**before, **body}) for before in befores]
        return {object_type.kind.value: afters}

    def _add_to_lists(self, request: Request) -> Json:
        body = request.body or {}
        kind = ObjectKind(str(body["modality"]))
        label_ids = self._label_ids(kind.value, body["label_names"])
        ids = _listed(body["entity_ids"])
        for apollo_id in ids:
            record = self._records.get(kind, str(apollo_id))
            if record is not None:
                self._put(OBJECTS[kind], on_lists(record, label_ids))
        self._count(label_ids, len(ids))
        return {"labels": [label for label in self._labels if label["id"] in label_ids]}

    def _remove_from_lists(self, request: Request) -> Json:
        body = request.body or {}
        kind = ObjectKind(str(body["modality"]))
        labels = [
            label
            for label in self._labels
            if label["name"] in _listed(body["label_names"]) and label["modality"] == kind.value
        ]
        label_ids = {str(label["id"]) for label in labels}
        self._count(label_ids, -len(_listed(body["entity_ids"])))
        for apollo_id in _listed(body["entity_ids"]):
            record = self._records.get(kind, str(apollo_id))
            if record is not None:
                held = _listed(record.get("label_ids"))
                left = [one for one in held if one not in label_ids]
                self._put(OBJECTS[kind], {**record, "label_ids": left})
        return {"labels": labels}

    def _count(self, label_ids: Collection[str], difference: int) -> None:
        """Changes the counts of lists; who was on them before is not known."""
        for label in self._labels:
            if label["id"] in label_ids:
                count = label.get("cached_count")
                before = count if isinstance(count, int) else 0
                label["cached_count"] = max(0, before + difference)

    def _record(self, object_type: ObjectType, apollo_id: str, endpoint: str) -> Json:
        kind = object_type.kind
        record = self._records.get(kind, apollo_id)
        if record is None:
            trusted = apollo_id in self._trusted.get(kind, ())
            try:
                self._lookups.look_for_id(object_type, apollo_id, trusted=trusted)
            except RequestRefused as refusal:
                if not consequence_of(refusal, apollo_id).record_is_gone:
                    raise
                raise _gone(object_type, apollo_id, endpoint) from None
            record = self._records.get(kind, apollo_id)
        if record is None and self._lookups.knows_all(kind):
            raise _gone(object_type, apollo_id, endpoint)
        return record or {"id": apollo_id}

    def _put(self, object_type: ObjectType, record: Json) -> Json:
        self._records.put(object_type.kind, record, dedupe_keys(object_type, record))
        return record

    def _next_id(self) -> str:
        self._made += 1
        return f"{_PROVISIONAL}{self._made:016x}"

    @property
    def _labels(self) -> list[Json]:
        if self._known_labels is None:
            self._known_labels = list(self._lookups.labels())
        return self._known_labels

    def _label_ids(self, modality: str, names: object) -> list[str]:
        """Ids of lists by their names; missing lists are made, as Apollo does."""
        ids = []
        for name in _listed(names):
            label = next(
                (
                    label
                    for label in self._labels
                    if label["name"] == name and label["modality"] == modality
                ),
                None,
            )
            if label is None:
                label = {"id": self._next_id(), "name": name, "modality": modality}
                self._labels.append(label)
            ids.append(str(label["id"]))
        return ids


def _gone(object_type: ObjectType, apollo_id: str, endpoint: str) -> RequestRefused:
    return RequestRefused(
        endpoint,
        status=422,
        message=f"The {object_type.singular} {apollo_id} does not exist in Apollo.",
    )


def _id_in(request: Request) -> str:
    return request.path.rsplit("/", 1)[1]


def _items(value: object) -> list[Json]:
    return [item for item in _listed(value) if isinstance(item, dict)]


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, (list, tuple)) else ()


def _now() -> datetime:
    return datetime.now(timezone.utc)
