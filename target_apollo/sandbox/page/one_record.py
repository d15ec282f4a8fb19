"""One contact, account, deal or task with all that is known of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from target_apollo.sandbox.data import enrolment
from target_apollo.sandbox.page.choice import Choice, View, address
from target_apollo.sandbox.page.names import Names
from target_apollo.sandbox.page.objects import status_text
from target_apollo.sandbox.page.tables import Cell, Look, Text, cell, shown, stamped
from target_apollo.sandbox.state import Sandbox

_LONGEST = 2000
#: Fields of a record that are shown as something else, or say nothing.
_LEFT_OUT = frozenset(
    (
        "id", "team_id", "owner_id", "user_id", "creator_id", "created_by_id", "account_id",
        "contact_id", "contact_stage_id", "account_stage_id", "opportunity_stage_id",
        "opportunity_pipeline_id", "label_ids", "typed_custom_fields", "emailer_campaign_ids",
        "contact_campaign_statuses", "name", "email", "domain",
    )
)  # fmt: skip
_OWNERS = {"owner_id": "Owner", "user_id": "Owner", "creator_id": "Created by"}
_STAGES = ("contact_stage_id", "account_stage_id", "opportunity_stage_id")


@dataclass(frozen=True)
class Group:
    """A part of the view: its heading and its facts, each a name and what it is."""

    heading: str
    facts: Sequence[tuple[str, Cell]]


@dataclass(frozen=True)
class OneRecord:
    """A record in detail."""

    title: str
    kind: str
    groups: Sequence[Group]


def one_record(sandbox: Sandbox, choice: Choice, names: Names) -> OneRecord | None:
    """The record that a choice names; None if it is not there (any more).

    The caller holds the store's lock.
    """
    store = sandbox.store
    known: dict[View, Mapping[str, Any]] = {
        View.CONTACTS: store.contact_by_id,
        View.ACCOUNTS: store.account_by_id,
        View.DEALS: store.deals.by_id,
        View.TASKS: store.tasks.by_id,
    }
    record = known.get(choice.view, {}).get(choice.record)
    if record is None:
        return None
    own: Mapping[str, Any] = {**record.own, **(getattr(record, "hidden", None) or {})}
    title = own.get("name") or own.get("email") or own.get("title") or own.get("note") or own["id"]
    custom = names.custom(own.get("typed_custom_fields") or {})
    groups = [
        Group("Links", _links(sandbox, choice.view, record, own, names)),
        Group("Custom fields", [(label, cell(value)) for label, value in custom]),
        Group("Sequences", _enrolments(choice.view, record, names)),
        Group("Fields", _fields(own, getattr(record, "emails", ()))),
        Group("Where it came from", _origin(sandbox, names, own)),
    ]
    kind = choice.view.value[:-1]
    return OneRecord(shown(title), kind, [group for group in groups if group.facts])


def _links(
    sandbox: Sandbox, view: View, record: Any, own: Mapping[str, Any], names: Names
) -> list[tuple[str, Cell]]:
    record_id = own["id"]
    facts = [(word, cell(names.user(own[key]))) for key, word in _OWNERS.items() if own.get(key)]
    facts += [("Stage", cell(names.stage(own[key]))) for key in _STAGES if own.get(key)]
    facts += [("Account", cell(names.account(own.get("account_id"))))]
    contacts = getattr(record, "contact_ids", None) or [own.get("contact_id")]
    facts += [("Contact", cell(*map(names.contact, contacts)))]
    facts += [("Lists", cell(*names.lists(own.get("label_ids", ()), view, most=1000)))]
    narrowed = {View.CONTACTS: "contact", View.ACCOUNTS: "account"}.get(view)
    if narrowed:
        others = {View.CONTACTS: narrowed == "account", View.DEALS: True, View.TASKS: True}
        texts = [
            Text(other.value, href=address(other, **{narrowed: record_id}))
            for other, is_linked in others.items()
            if is_linked and _has_any(sandbox, other, narrowed, record_id)
        ]
        facts += [("Linked", cell(*texts))]
    return [(name, found) for name, found in facts if not found.is_empty]


def _has_any(sandbox: Sandbox, view: View, by: str, of: str) -> bool:
    store = sandbox.store
    if view is View.CONTACTS:
        return any(one.own.get("account_id") == of for one in store.contact_by_id.values())
    if view is View.DEALS and by == "contact":
        return any(of in deal.contact_ids for deal in store.deals.by_id.values())
    records: Mapping[str, Any] = store.deals.by_id if view is View.DEALS else store.tasks.by_id
    return any(one.own.get(f"{by}_id") == of for one in records.values())


def _enrolments(view: View, record: Any, names: Names) -> list[tuple[str, Cell]]:
    if view is not View.CONTACTS:
        return []
    return [
        (
            shown(names.sequence(status["emailer_campaign_id"]).text),
            cell(
                status_text(status["status"]),
                Text(f"added {stamped(status['added_at'])}", Look.SOFT),
                Text(shown(status["inactive_reason"]), Look.SOFT),
            ),
        )
        for status in enrolment.statuses(record)
    ]


def _fields(own: Mapping[str, Any], emails: Sequence[str]) -> list[tuple[str, Cell]]:
    facts = [("Id", cell(Text(shown(own["id"]), Look.CODE)))]
    facts += [(name, cell(own[name])) for name in ("email", "domain") if own.get(name)]
    facts += [("further e-mails", cell(shown(list(emails), _LONGEST)))] if emails else []
    facts += [
        (name, cell(_value(value)))
        for name, value in own.items()
        if name not in _LEFT_OUT and value not in (None, "", [], {})
    ]
    return [(shown(name.replace("_", " ")), found) for name, found in facts if not found.is_empty]


def _value(value: object) -> str:
    if isinstance(value, dict):
        return shown(", ".join(f"{key}: {shown(one)}" for key, one in value.items()), _LONGEST)
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        parts = [_value(one) for one in value]
        return shown("; ".join(parts), _LONGEST)
    return shown(value, _LONGEST)


def _origin(sandbox: Sandbox, names: Names, own: Mapping[str, Any]) -> list[tuple[str, Cell]]:
    origins, record_id = sandbox.store.origins, own["id"]
    made, changed = origins.made(record_id), origins.changed(record_id)
    facts = [
        (word, cell(names.deed(origin), Text(shown(origin.agent), Look.SOFT)))
        for word, origin in (("Made", made), ("Last changed", changed))
        if origin is not None
    ]
    if made is None:
        facts.insert(0, ("Made", cell("before this sandbox was started: its file had it")))
    if changed is None and made is not None:
        facts.append(("Last changed", cell("not since it was made")))
    return facts
