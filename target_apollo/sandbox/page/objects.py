"""The tables of lists, sequences, deals and tasks: searched, narrowed and in parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from target_apollo.sandbox.data import enrolment
from target_apollo.sandbox.data.deals import Deal
from target_apollo.sandbox.data.sequences import Sequence
from target_apollo.sandbox.data.tasks import Task
from target_apollo.sandbox.page.choice import Choice, View, address
from target_apollo.sandbox.page.names import Names
from target_apollo.sandbox.page.records import narrowed_to
from target_apollo.sandbox.page.tables import (
    Cell,
    Look,
    Table,
    Text,
    cell,
    holds,
    plural,
    shown,
    sliced,
    stamped,
    table_of,
)
from target_apollo.sandbox.state import Sandbox

_STATUS_LOOKS = {"active": Look.GOOD, "completed": Look.GOOD, "paused": Look.WARN}


def lists_table(sandbox: Sandbox, choice: Choice, names: Names) -> Table:
    """The lists with their members. The caller holds the store's lock."""
    words = choice.search.lower().split()
    belongs = narrowed_to(sandbox, choice)
    found = (
        label
        for label in reversed([*sandbox.store.workspace.labels.values()])
        if holds(label["name"], words) and (belongs is None or belongs(label))
    )
    some = sliced(found, None, choice.part)
    rows = (
        [
            cell(Text(shown(label["name"]), href=_members_of(label))),
            cell(Text(plural(label["cached_count"], label["modality"][:-1]))),
            cell(names.user(label["user_id"])),
            cell(stamped(label["updated_at"])),
            names.origin(label["id"]),
        ]
        for label in some.items
    )
    heads = ("List", "Members", "Made by", "Changed", "Came from")
    return table_of("Lists", heads, some, rows, _none(choice, "list"))


def sequences_table(sandbox: Sandbox, choice: Choice, names: Names) -> Table:
    """The sequences with who is enrolled. The caller holds the store's lock."""
    store = sandbox.store
    some = sliced(_found(sandbox, choice, store.sequences.by_id, ("name", "id")), None, choice.part)
    counts: dict[str, Counter[str]] = {}
    for contact in store.contact_by_id.values() if some.items else ():
        for status in enrolment.statuses(contact):
            of_one = counts.setdefault(status["emailer_campaign_id"], Counter())
            of_one[status["status"]] += 1
    heads = ("Sequence", "State", "Enrolments", "Removed", "Came from")
    rows = (_sequence_row(names, one, counts.get(one.own["id"], Counter())) for one in some.items)
    return table_of("Sequences", heads, some, rows, _none(choice, "sequence"))


def deals_table(sandbox: Sandbox, choice: Choice, names: Names) -> Table:
    """The deals, newest first. The caller holds the store's lock."""
    found = _found(
        sandbox, choice, sandbox.store.deals.by_id, ("name", "id", "description"), "contact"
    )
    some = sliced(found, None, choice.part)
    heads = ("Deal", "Account and contacts", "Amount", "Owner and stage", "Closes", "Came from")
    rows = (_deal_row(names, deal) for deal in some.items)
    return table_of("Deals", heads, some, rows, _none(choice, "deal"))


def tasks_table(sandbox: Sandbox, choice: Choice, names: Names) -> Table:
    """The tasks, newest first. The caller holds the store's lock."""
    found = _found(
        sandbox, choice, sandbox.store.tasks.by_id, ("title", "note", "type", "id", "status")
    )
    some = sliced(found, None, choice.part)
    heads = ("Task", "Contact", "Owner", "Due", "Status", "Came from")
    rows = (_task_row(names, task) for task in some.items)
    return table_of("Tasks", heads, some, rows, _none(choice, "task"))


def status_text(status: object) -> Text:
    """A status of an enrolment or a task, in its colour."""
    return Text(shown(status), _STATUS_LOOKS.get(str(status), Look.SOFT))


def _found(
    sandbox: Sandbox,
    choice: Choice,
    known: Mapping[str, Any],
    searched: Iterable[str],
    own_members: str = "",
) -> Iterator[Any]:
    """The records of a table that the choice asks for, newest first.

    Args:
        own_members: The narrowing that the record itself answers, by its `contact_ids`.
    """
    words = choice.search.lower().split()
    belongs = _belongs(sandbox, choice, is_member=choice.by == own_members)
    for one in reversed([*known.values()]):
        text = "\n".join([str(one.own.get(key) or "") for key in searched])
        if belongs(one) and holds(text, words):
            yield one


def _belongs(sandbox: Sandbox, choice: Choice, *, is_member: bool) -> Callable[[Any], bool]:
    if choice.by and is_member:
        return lambda one: choice.of in one.contact_ids
    of_own = narrowed_to(sandbox, choice)
    return lambda one: of_own is None or of_own(one.own)


def _members_of(label: Mapping[str, Any]) -> str:
    return address(View(label["modality"]), list=label["id"])


def _sequence_row(names: Names, sequence: Sequence, statuses: Counter[str]) -> list[Cell]:
    own = sequence.own
    if own.get("archived"):
        state = Text("archived", Look.SOFT)
    elif own.get("active", True):
        state = Text("active", Look.GOOD)
    else:
        state = Text("inactive", Look.WARN)
    return [
        cell(names.sequence(own["id"])),
        cell(state),
        cell(*(Text(f"{count:,} {shown(status)}") for status, count in statuses.items())),
        cell(f"{len(sequence.removed):,}" if sequence.removed else None),
        names.origin(own["id"]),
    ]


def _deal_row(names: Names, deal: Deal) -> list[Cell]:
    own = deal.own
    amount = own.get("amount")
    return [
        cell(Text(shown(own.get("name") or own["id"]), href=address(View.DEALS, own["id"]))),
        cell(names.account(own.get("account_id")), *map(names.contact, deal.contact_ids[:3])),
        cell(None if amount is None else f"{amount:,}", number=True),
        cell(names.user(own.get("owner_id")), names.stage(own.get("opportunity_stage_id"))),
        cell(stamped(own.get("closed_date"))),
        names.origin(own["id"]),
    ]


def _task_row(names: Names, task: Task) -> list[Cell]:
    own = task.own
    title = own.get("title") or own.get("note") or own.get("type") or own["id"]
    return [
        cell(
            Text(shown(title), href=address(View.TASKS, own["id"])),
            Text(f"{shown(own.get('type'))}, {own.get('priority', 'medium')}", Look.SOFT),
        ),
        cell(names.contact(own.get("contact_id"))),
        cell(names.user(own.get("user_id"))),
        cell(stamped(own.get("due_at"))),
        cell(status_text(task.status)),
        names.origin(own["id"]),
    ]


def _none(choice: Choice, kind: str) -> str:
    return f"No {kind} is like that." if choice.search or choice.by else f"There is no {kind} yet."
