"""The team of a world in Apollo: its records, as the model sees them, and what people do there."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timezone

import requests

from target_apollo.sandbox import Sandbox
from tests.helpers.world_facts import ADDRESS, Entity, Record, Values
from tests.helpers.world_model import Model
from tests.helpers.world_tables import CHANGING, NAMES, Tables

#: Stages that both contacts and accounts have.
PLACES = ("Former", "Closed")
#: Before any run, so that no run takes a record for one that it has made.
_LONG_AGO = "2020-01-01T00:00:00.000Z"


class Team:
    """A team in the sandbox.

    Args:
        sandbox: An empty team.
        model: Is told what people do.
        tables: Give values that nobody ever had.
    """

    def __init__(self, sandbox: Sandbox, model: Model, tables: Tables) -> None:
        self._sandbox, self._store = sandbox, sandbox.store
        self._model, self._tables = model, tables
        store = self._store
        self._custom = {
            "lead_score": store.add_custom_field("contact", "Lead Score", "string")["id"],
            "tier": store.add_custom_field("account", "Tier", "string")["id"],
        }
        for stages in (store.contact_stages, store.account_stages):
            for stage, name in zip(stages[-3:-1], PLACES, strict=True):
                stage["name"] = name
        self._stages = {
            kind: {one["id"]: one["name"] for one in stages}
            for kind, stages in (
                ("contacts", store.contact_stages),
                ("accounts", store.account_stages),
            )
        }

    @property
    def happenings(self) -> list[Callable[[random.Random], str]]:
        """What people may do between runs; each does it and says what it was."""
        return [self._edit, self._edit, self._take, self._merge, self._make_before]

    def records(self) -> list[Record]:
        """All records, as the model sees them."""
        contacts = [self._record("contacts", one) for one in self._store.contacts()]
        return contacts + [self._record("accounts", one) for one in self._store.accounts()]

    def _record(self, kind: str, one: Values) -> Record:
        address = str(one.get(ADDRESS[kind]))
        others = [entry["email"] for entry in one.get("contact_emails") or ()]
        custom = one.get("typed_custom_fields") or {}
        values = {ADDRESS[kind]: address}
        for name in (*NAMES[kind], *CHANGING[kind]):
            if name in self._custom:
                values[name] = custom.get(self._custom[name])
            elif name == "mobile_phone":
                phones = [p for p in one.get("phone_numbers") or () if p["type"] == "mobile"]
                values[name] = ", ".join(p["raw_number"] for p in phones) or None
            else:
                values[name] = one.get("phone" if name == "phone_number" else name) or None
        labels = {label["id"]: label["name"] for label in self._store.labels()}
        updated_at = one.get("updated_at") if kind == "contacts" else None
        return Record(
            one["id"], kind, address, frozenset([address, *others]), values,
            self._stages[kind].get(str(one.get(f"{kind[:-1]}_stage_id"))),
            frozenset(labels[label] for label in one.get("label_ids") or ()),
            _moment(updated_at) if updated_at else None, one,
        )  # fmt: skip

    # --- what people do

    def _an_entity(self, chance: random.Random) -> tuple[Entity, Record] | None:
        there = [
            (self._model.entities[self._model.owner_of[record.address]], record)
            for record in self.records()
        ]
        return chance.choice(there) if there else None

    def _edit(self, chance: random.Random) -> str:
        found = self._an_entity(chance)
        if found is None:
            return "nobody is there to edit"
        entity, record = found
        name = chance.choice([*CHANGING[entity.kind], "stage"])
        if name == "stage":
            stages = self._stages[entity.kind]
            stage_id = chance.choice(list(stages))
            self._patch(record, {f"{entity.kind[:-1]}_stage_id": stage_id})
            return f"in Apollo {entity.number} is put into {stages[stage_id]}"
        value = "" if chance.random() < 0.2 else self._tables.new_value(entity, name)
        if name in self._custom:
            self._patch(record, {"typed_custom_fields": {self._custom[name]: value}})
        elif name == "linkedin_url":
            # No endpoint for a single record takes it, but people do.
            own = self._store.contact_by_id[record.id].own
            own["linkedin_url"] = value or None
            own["updated_at"] = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        else:
            self._patch(record, {"phone" if name == "phone_number" else name: value})
        self._model.edited(entity, [name], datetime.now(timezone.utc))
        return f"in Apollo {entity.number} gets {name} {value!r}"

    def _patch(self, record: Record, values: Values) -> None:
        answer = requests.patch(
            f"{self._sandbox.url}/{record.kind}/{record.id}",
            json=values,
            headers={"x-api-key": self._sandbox.api_key},
            timeout=10,
        )
        if answer.status_code != 200:
            raise AssertionError(f"{values}: {answer.status_code} {answer.text}")

    def _take(self, chance: random.Random) -> str:
        found = self._an_entity(chance)
        if found is None or chance.random() < 0.4:
            return self._edit(chance)
        entity, record = found
        deletes = chance.random() < 0.5
        if entity.kind == "contacts":
            (self._store.delete_contact if deletes else self._store.forget_contact)(record.id)
        else:
            (self._store.delete_account if deletes else self._store.forget_account)(record.id)
        entity.taken = True
        return f"in Apollo {entity.number} is {'deleted' if deletes else 'forgotten'}"

    def _merge(self, chance: random.Random) -> str:
        """A contact is merged with another one of the same person."""
        found = self._an_entity(chance)
        if found is None or found[0].kind != "contacts" or chance.random() < 0.4:
            return self._edit(chance)
        entity, record = found
        former = entity.addresses[-1]
        address = self._tables.new_address(entity, chance)
        # The address of its rows stays the one before.
        entity.addresses.remove(former)
        entity.addresses.append(former)
        other = self.make_record(entity, address)
        pair = [record.id, other] if chance.random() < 0.5 else [other, record.id]
        self._store.merge_contacts(*pair)
        entity.merged = True
        self._model.edited(
            entity, [*CHANGING["contacts"], "email", "first_name", "last_name"],
            datetime.now(timezone.utc),
        )  # fmt: skip
        return f"in Apollo {entity.number} is merged with {address}"

    def _make_before(self, chance: random.Random) -> str:
        """Somebody makes the record of a person whose row comes later."""
        table = chance.choice(self._tables.all)
        entity = self._tables.new_entity(table.kind, chance)
        self.make_record(entity, entity.addresses[-1])
        table.put(table.next_key, self._tables.row(entity, chance))
        table.next_key += 1
        return f"{table}: {entity.number} is made in Apollo, and inserted as {table.next_key - 1}"

    def make_record(self, entity: Entity, address: str) -> str:
        """Somebody makes a record in Apollo; returns its id."""
        values: Values = {"created_at": _LONG_AGO, ADDRESS[entity.kind]: address}
        values |= {name: self._tables.name_of(entity, name) for name in NAMES[entity.kind]}
        if entity.kind == "accounts":
            return str(self._store.add_account(**values)["id"])
        if entity.number % 2:
            values["title"] = self._tables.new_value(entity, "title")
        return str(self._store.add_contact(**values)["id"])


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
