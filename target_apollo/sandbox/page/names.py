"""Names in place of ids: users, stages, lists, accounts, contacts, custom fields, origins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from target_apollo.sandbox.data.origins import Origin
from target_apollo.sandbox.page.choice import View, address
from target_apollo.sandbox.page.tables import Cell, Look, Text, cell, clock, shown
from target_apollo.sandbox.state import Sandbox

#: Lists and custom fields of a row of a table; one record's own view has all.
_MOST = 4


class Names:
    """The names of a team at the time of one request. The caller holds the store's lock."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._store = store = sandbox.store
        self._users = store.workspace.users
        self._stages = {
            stage["id"]: stage["name"]
            for stage in (*store.contact_stages, *store.account_stages, *store.deals.stages)
        }
        kept = sandbox.requests
        self._oldest_kept = kept[0].number if kept else sandbox.log.next_number

    def user(self, user_id: object) -> str:
        """The name of a user, or the id of an unknown one."""
        user = self._users.get(str(user_id))
        return shown(user["name"] or user["email"]) if user else shown(user_id)

    def stage(self, stage_id: object) -> str:
        """The name of a stage of contacts, accounts or deals."""
        return shown(self._stages.get(str(stage_id), stage_id))

    def lists(self, label_ids: Sequence[str], modality: View, most: int = _MOST) -> list[Text]:
        """The lists of a record, each with the address of its members."""
        known = self._store.workspace.labels
        texts = [
            Text(shown(known[one]["name"]), Look.CHIP, address(modality, list=one))
            for one in label_ids[:most]
            if one in known
        ]
        return [*texts, *_more(len(label_ids) - most)]

    def account(self, account_id: object) -> Text | None:
        """An account with its address; None if there is none."""
        account = self._store.account_by_id.get(str(account_id))
        if account is None:
            return None
        name = account.own.get("name") or account.own.get("domain") or account.own["id"]
        return Text(shown(name), href=address(View.ACCOUNTS, account.own["id"]))

    def contact(self, contact_id: object) -> Text | None:
        """A contact with its address; None if there is none."""
        contact = self._store.contact_by_id.get(str(contact_id))
        if contact is None:
            return None
        name = contact.own.get("name") or contact.own.get("email") or contact.own["id"]
        return Text(shown(name), href=address(View.CONTACTS, contact.own["id"]))

    def sequence(self, sequence_id: object) -> Text:
        """A sequence with the address of its contacts."""
        sequence = self._store.sequences.by_id.get(str(sequence_id))
        if sequence is None:
            return Text(shown(sequence_id), Look.CODE)
        return Text(shown(sequence.own["name"]), href=address(View.CONTACTS, sequence=sequence_id))

    def custom(self, values: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Labels of custom fields with their values; options of a picklist by their names."""
        known = self._store.workspace.fields
        return [
            (shown(field["name"]), self._value(field, value))
            for field_id, value in values.items()
            for field in (known.get(field_id) or {"name": field_id, "picklist_values": ()},)
        ]

    def custom_cell(self, values: Mapping[str, Any]) -> Cell:
        """The first custom fields of a record."""
        some = dict(list(values.items())[:_MOST])
        texts = [Text(f"{label}: {value}", Look.CHIP) for label, value in self.custom(some)]
        return cell(*texts, *_more(len(values) - _MOST))

    def origin(self, record_id: str) -> Cell:
        """What made a record, and what changed it last."""
        made, changed = self._store.origins.made(record_id), self._store.origins.changed(record_id)
        if made is None and changed is None:
            return cell(Text("earlier start", Look.SOFT))
        texts = [] if made is None else [self.deed(made)]
        if changed is not None and changed != made:
            texts += [self.deed(changed, "then ")]
        return cell(*texts)

    def deed(self, origin: Origin, before: str = "") -> Text:
        """What wrote a record, with the address of the request while the log has it."""
        words = f"{before}{shown(origin.deed)} {clock(origin.at)}"
        if not origin.number:
            return Text(words, Look.WARN)
        words = f"{before}#{origin.number} {shown(origin.deed)} {clock(origin.at)}"
        if origin.number < self._oldest_kept:
            return Text(words, Look.SOFT)
        return Text(words, href=address(View.REQUESTS, str(origin.number)))

    def _value(self, field: Mapping[str, Any], value: object) -> str:
        options = {option["id"]: option["name"] for option in field["picklist_values"]}
        if not options:
            return shown(value)
        ids: Iterable[object] = value if isinstance(value, list) else str(value).split(",")
        return shown([options.get(str(one).strip(), one) for one in ids])


def _more(count: int) -> list[Text]:
    return [Text(f"+ {count} more", Look.SOFT)] if count > 0 else []
