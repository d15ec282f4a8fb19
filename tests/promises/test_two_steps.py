"""`create_in_two_steps`: a creation overwrites nothing, whatever Apollo does with what exists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from target_apollo.sandbox import Fault, FaultKind, Sandbox
from target_apollo.sandbox.data.store import Store
from tests.helpers.killing import NEVER, Death, Moment, run_target
from tests.promises.conftest import Message, Run, TargetRun, lines_of, record, schema, state

KINDS = ["contacts", "accounts"]
LEDGERS = pytest.mark.parametrize(
    "ledger", [{}, {"ledger_url": ""}], ids=["ledger", "without_ledger"]
)
ROWS, SIZE = 6, 3
COLUMNS = {
    "contacts": ("first_name", "last_name", "title", "organization_name", "linkedin_url"),
    "accounts": ("name", "phone_number", "raw_address"),
}
ADDRESS = {"contacts": "email", "accounts": "domain"}


def columns(kind: str) -> Message:
    names = ("id", ADDRESS[kind], *COLUMNS[kind], "owner_email", "label_names", "erp_id")
    names += ("salesforce_id", "hubspot_id")
    return schema(kind, {"properties": {name: {} for name in names}})


def row(kind: str, n: int, word: str = "New", **more: Any) -> Message:
    """A row with a value in every column."""
    text = {name: f"{word} {name} {n}" for name in COLUMNS[kind]}
    text |= {"linkedin_url": f"https://linkedin.com/in/{word}{n}"} if kind == "contacts" else {}
    text |= {"phone_number": f"+49 30 {len(word)}{n:05}"} if kind == "accounts" else {}
    return record(kind, id=n, **{ADDRESS[kind]: address(kind, n), **text, **more})


def address(kind: str, n: int) -> str:
    return f"p{n}@mail.example" if kind == "contacts" else f"firm{n}.com"


def rows(kind: str, numbers: range = range(ROWS), **more: Any) -> list[Message]:
    found: list[Message] = [columns(kind)]
    for n in numbers:
        found += [row(kind, n, **more), state({"at": n})]
    return found


def put_there(apollo: Sandbox, kind: str, *numbers: int, firm: str = "Sales'") -> None:
    """Records of earlier days, in which sales has written something into every field.

    Args:
        firm: The first word of an account's name.
    """
    owner = apollo.store.add_user(email="sales@team.example")["id"]
    for n in numbers:
        text = {name: f"Sales' {name}" for name in COLUMNS[kind] if name != "phone_number"}
        text |= {ADDRESS[kind]: address(kind, n), "owner_id": owner}
        text |= {"name": f"{firm} name {n}"} if kind == "accounts" else {}
        add = apollo.store.add_contact if kind == "contacts" else apollo.store.add_account
        add(**text)


def held(apollo: Sandbox, kind: str) -> dict[str, dict[str, Any]]:
    """Address -> record, without the time of its last change."""
    records = apollo.store.contacts() if kind == "contacts" else apollo.store.accounts()
    return {
        str(one[ADDRESS[kind]]): {key: one[key] for key in one if key != "updated_at"}
        for one in records
    }


def count(apollo: Sandbox, kind: str) -> int:
    return len(apollo.store.contacts() if kind == "contacts" else apollo.store.accounts())


def play(sync: Run, messages: list[Message], **settings: Any) -> TargetRun:
    settings = {"batch_size": SIZE, "update_method": "bulk", **settings}
    return sync(messages, create_in_two_steps=True, **settings)


def is_whole(kind: str, one: dict[str, Any], n: int) -> bool:
    """Whether a record shows every text of its row."""
    texts = [name for name in COLUMNS[kind] if name not in ("linkedin_url", "phone_number")]
    return all(one[name] == f"New {name} {n}" for name in texts)


@pytest.mark.parametrize("kind", KINDS)
@LEDGERS
@pytest.mark.parametrize(
    "mode", ["insert", "upsert", pytest.param("update", marks=pytest.mark.full)]
)
def test_a_creation_changes_nothing_of_a_record_that_apollo_overwrites(
    apollo: Sandbox, sync: Run, kind: str, ledger: dict[str, str], mode: str
) -> None:
    put_there(apollo, kind, 1, 4)
    owner = apollo.store.add_user(email="new@team.example")["id"]
    apollo.set_options(matched_in_bulk="overwritten")
    before = held(apollo, kind)
    policies = dict.fromkeys((*COLUMNS[kind], "owner_id"), "create_only")

    done = play(
        sync,
        rows(kind, owner_email="new@team.example"),
        mode=mode,
        field_policy=policies,
        unknown_fields="ignore",
        **ledger,
    )

    after = held(apollo, kind)
    assert done.exit_code == 0, done.log
    assert {name: after[name] for name in before} == before
    made = set(after) - set(before)
    assert len(made) == (0 if mode == "update" else ROWS - 2)
    for name in made:
        n = next(n for n in range(ROWS) if address(kind, n) == name)
        assert is_whole(kind, after[name], n)
        assert after[name]["owner_id"] == owner


@pytest.mark.parametrize("kind", KINDS)
def test_an_existing_record_is_updated_as_its_policies_allow(
    apollo: Sandbox, sync: Run, kind: str
) -> None:
    put_there(apollo, kind, 1)
    apollo.set_options(matched_in_bulk="overwritten")
    kept, written = COLUMNS[kind][0], COLUMNS[kind][2]

    done = play(sync, rows(kind), field_policy={kept: "never"})

    one = held(apollo, kind)[address(kind, 1)]
    assert done.records == {"received": ROWS, "created": ROWS - 1, "updated": 1}
    assert one[kept].startswith("Sales' ")
    assert one[written] == f"New {written} 1"


@pytest.mark.parametrize("kind", KINDS)
@LEDGERS
@pytest.mark.parametrize("mode", [pytest.param("insert", marks=pytest.mark.full), "upsert"])
def test_a_run_whose_creations_duplicate_stops_after_the_first(
    apollo: Sandbox, sync: Run, kind: str, ledger: dict[str, str], mode: str
) -> None:
    # Apollo finds accounts by nothing but their name.
    put_there(apollo, kind, *range(ROWS), firm="New")
    apollo.set_options(matched_in_bulk="duplicated")

    done = play(sync, rows(kind), mode=mode, **ledger)

    assert done.exit_code == 2
    assert count(apollo, kind) == ROWS + SIZE
    assert done.last_state == {"at": SIZE - 1}


@pytest.mark.parametrize("kind", KINDS)
@LEDGERS
def test_a_new_record_has_all_values_of_its_row(
    apollo: Sandbox, sync: Run, kind: str, ledger: dict[str, str]
) -> None:
    owner = apollo.store.add_user(email="ada@team.example")["id"]
    field = apollo.store.add_custom_field(kind[:-1], "ERP id", "string")["id"]
    more = {"owner_email": "ada@team.example", "label_names": ["Fair"], "erp_id": "E7"}

    done = play(sync, rows(kind, **more), **ledger)

    assert done.records == {"received": ROWS, "created": ROWS}
    for n in range(ROWS):
        one = held(apollo, kind)[address(kind, n)]
        assert is_whole(kind, one, n)
        assert one["owner_id"] == owner
        assert one["typed_custom_fields"][field] == "E7"
        assert len(one["label_ids"]) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["insert", "upsert"])
def test_a_run_that_ends_between_the_steps_is_completed_by_the_next(
    apollo: Sandbox, sync: Run, kind: str, mode: str
) -> None:
    second = "POST /contacts/bulk_update" if kind == "contacts" else "PATCH /accounts/{id}"
    policies = dict.fromkeys(COLUMNS[kind], "create_only")
    settings: dict[str, Any] = {"mode": mode, "field_policy": policies, "max_retries": 0}
    apollo.inject(Fault(endpoint=second, kind=FaultKind.RESET_BEFORE_WRITE, times=None))
    first = play(sync, rows(kind), **settings)
    assert first.exit_code == 1
    assert first.last_state is None
    assert not is_whole(kind, held(apollo, kind)[address(kind, 0)], 0)
    apollo.clear_faults()

    done = play(sync, rows(kind), **settings)

    assert done.exit_code == 0, done.log
    assert count(apollo, kind) == ROWS
    assert all(is_whole(kind, held(apollo, kind)[address(kind, n)], n) for n in range(ROWS))
    again = play(sync, rows(kind), **settings)
    outcome = "existing" if mode == "insert" else "unchanged"
    assert again.records == {"received": ROWS, outcome: ROWS}


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_ledger_the_next_upsert_completes_what_was_cut_off(
    apollo: Sandbox, sync: Run, kind: str
) -> None:
    second = "POST /contacts/bulk_update" if kind == "contacts" else "PATCH /accounts/{id}"
    apollo.inject(Fault(endpoint=second, kind=FaultKind.RESET_BEFORE_WRITE, times=None))
    play(sync, rows(kind), ledger_url="", max_retries=0)
    apollo.clear_faults()

    play(sync, rows(kind), ledger_url="")

    assert count(apollo, kind) == ROWS
    assert all(is_whole(kind, held(apollo, kind)[address(kind, n)], n) for n in range(ROWS))


def test_an_insert_without_a_ledger_says_what_a_stop_would_leave(sync: Run) -> None:
    done = play(sync, rows("contacts"), mode="insert", ledger_url="")

    assert done.exit_code == 0
    assert done.log.count("create_in_two_steps in mode insert without a ledger") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_fields_that_only_a_creation_takes_are_not_sent_and_told_once(
    apollo: Sandbox, sync: Run, kind: str
) -> None:
    # Apollo recognises accounts by this id, but not contacts.
    lost = "salesforce_id" if kind == "contacts" else "linkedin_url"
    names = {"properties": {name: {} for name in ("id", ADDRESS[kind], "hubspot_id", lost)}}
    given = [
        record(
            kind, id=n, **{ADDRESS[kind]: address(kind, n), "hubspot_id": f"h{n}", lost: f"l{n}"}
        )
        for n in range(ROWS)
    ]

    done = play(sync, [schema(kind, names), *given])

    assert done.records == {"received": ROWS, "created": ROWS}
    assert done.log.count(f"Apollo takes '{lost}' of {kind} only when it creates them") == 1
    key = "hubspot_vid" if kind == "contacts" else "hubspot_id"
    assert {one[key] for one in held(apollo, kind).values()} == {f"h{n}" for n in range(ROWS)}
    assert not any(one[lost] for one in held(apollo, kind).values())


def test_people_without_an_address_are_recognised_by_their_name(apollo: Sandbox, sync: Run) -> None:
    apollo.store.add_contact(first_name="Ann", last_name="Lee", organization_name="Acme", title="S")
    apollo.set_options(matched_in_bulk="overwritten")
    named = {"first_name": "Ann", "last_name": "Lee", "organization_name": "Acme", "title": "New"}

    play(
        sync,
        [columns("contacts"), record("contacts", id=1, **named)],
        match_on=["email", "name"],
        field_policy={"title": "create_only"},
    )

    assert [one["title"] for one in apollo.store.contacts()] == ["S"]


@pytest.mark.full
def test_a_hundred_new_contacts_take_two_requests(free: Sandbox, sync: Run) -> None:
    done = sync(rows("contacts", range(300)), sandbox=free, create_in_two_steps=True)

    assert done.records == {"received": 300, "created": 300}
    writes = [f"POST /contacts/{name}" for name in ("bulk_create", "bulk_update")]
    assert [free.count(name) for name in writes] == [3, 3]
    assert free.count("PATCH /contacts/{id}") == 0


@pytest.mark.full
@pytest.mark.parametrize("mode", ["upsert", "insert"])
def test_a_run_killed_at_any_request_is_completed(
    apollo: Sandbox, tmp_path: Path, mode: str
) -> None:
    config = {
        "api_key": apollo.api_key,
        "api_url": apollo.url,
        "mode": mode,
        "batch_size": SIZE,
        "state_interval_seconds": 0,
        "create_in_two_steps": True,
        "field_policy": dict.fromkeys(COLUMNS["contacts"], "create_only"),
        "rejects_path": "rejects.singer",
        "summary_path": "summary.json",
    }
    messages = [lines_of(rows("contacts"))]

    def lived(folder: Path, death: Death) -> int:
        folder.mkdir()
        apollo.store = Store()
        own = {**config, "ledger_url": f"sqlite:///{folder}/ledger.db"}
        moments = len(run_target(own, folder, messages, death).passed)
        if death.nth != NEVER:
            assert run_target(own, folder, messages, None).exit_code == 0
        assert count(apollo, "contacts") == ROWS
        found = held(apollo, "contacts")
        assert all(is_whole("contacts", found[address("contacts", n)], n) for n in range(ROWS))
        return moments

    moment = Moment.BEFORE_ANSWER
    moments = lived(tmp_path / "whole", Death(moment, NEVER))
    for nth in range(1, moments + 1):
        lived(tmp_path / str(nth), Death(moment, nth))


def test_an_account_made_for_a_contact_is_named_in_a_second_step(
    apollo: Sandbox, sync: Run
) -> None:
    names = {"properties": {n: {} for n in ("id", "email", "organization_name", "account_domain")}}
    one = record(
        "contacts", id=1, email="a@acme.com", organization_name="Acme", account_domain="acme.com"
    )

    play(sync, [schema("contacts", names), one], missing_accounts="create")

    assert [(a["domain"], a["name"]) for a in apollo.store.accounts()] == [("acme.com", "Acme")]
    first = next(r for r in apollo.requests if r.endpoint == "POST /accounts/bulk_create")
    assert b"Acme" not in first.raw_body
