"""Where bulk_create does not recognise what exists, a run stops before its second request."""

from __future__ import annotations

from typing import Any

import pytest

from target_apollo.sandbox import Sandbox, SandboxOptions
from tests.helpers.new_sandbox import new_sandbox
from tests.promises.conftest import Message, Run, TargetRun, contact, record, schema, state

KINDS = ["contacts", "accounts"]
ROWS, SIZE = 10, 4


def rows(kind: str, count: int = ROWS, word: str = "New") -> list[Message]:
    found: list[Message] = [schema(kind)]
    for n in range(count):
        if kind == "contacts":
            found.append(contact(n, title=word))
        else:
            found.append(record("accounts", id=n, domain=f"firm{n}.com", name=f"Firm {n}"))
        found.append(state({"at": n}))
    return found


def put_there(apollo: Sandbox, kind: str, *numbers: int) -> list[str]:
    """Records of earlier days; their ids."""
    store = apollo.store
    if kind == "contacts":
        return [str(store.add_contact(email=f"p{n}@a.com", title="Old")["id"]) for n in numbers]
    return [str(store.add_account(domain=f"firm{n}.com", name=f"Firm {n}")["id"]) for n in numbers]


def held(apollo: Sandbox, kind: str) -> list[dict[str, Any]]:
    return list(apollo.store.contacts() if kind == "contacts" else apollo.store.accounts())


def sent(apollo: Sandbox, kind: str) -> tuple[int, int]:
    """Creating requests, and searches."""
    return apollo.count(f"POST /{kind}/bulk_create"), apollo.count(f"POST /{kind}/search")


def play(sync: Run, messages: list[Message], **settings: Any) -> TargetRun:
    return sync(messages, batch_size=SIZE, **settings)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ledger", [{}, {"ledger_url": ""}], ids=["ledger", "no_ledger"])
@pytest.mark.parametrize("mode", ["upsert", "insert"])
def test_a_run_stops_after_one_request_that_duplicated_what_was_there(
    apollo: Sandbox, sync: Run, kind: str, ledger: dict[str, str], mode: str
) -> None:
    first, *_ = put_there(apollo, kind, *range(ROWS))
    apollo.set_options(matched_in_bulk="duplicated")

    done = play(sync, rows(kind), mode=mode, **ledger)

    assert done.exit_code == 2
    assert len(held(apollo, kind)) == ROWS + SIZE
    assert sent(apollo, kind) == (1, 1)
    assert done.last_state == {"at": SIZE - 1}
    assert done.records == {"received": ROWS, "created": SIZE, "without_outcome": ROWS - SIZE}
    because = done.summary["ended_because"]
    assert first in because
    assert held(apollo, kind)[ROWS]["id"] in because
    assert "merge" in because


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_whose_records_are_there_once_pays_one_search(
    apollo: Sandbox, sync: Run, kind: str
) -> None:
    done = play(sync, [*rows(kind), *rows(kind, ROWS + 9)])

    assert done.exit_code == 0, done.log
    assert len(held(apollo, kind)) == ROWS + 9
    assert sent(apollo, kind)[1] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_with_one_creating_request_pays_nothing(
    apollo: Sandbox, sync: Run, kind: str
) -> None:
    play(sync, rows(kind, SIZE))

    assert sent(apollo, kind) == (1, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_in_which_apollo_names_an_existing_record_pays_nothing(
    apollo: Sandbox, sync: Run, kind: str
) -> None:
    put_there(apollo, kind, 1)

    done = play(sync, rows(kind))

    assert done.exit_code == 0, done.log
    assert sent(apollo, kind) == (3, 0)
    assert len(held(apollo, kind)) == ROWS


@pytest.mark.parametrize("kind", KINDS)
def test_a_search_that_does_not_show_new_records_yet_stops_nothing(
    apollo: Sandbox, sync: Run, kind: str
) -> None:
    apollo.set_options(search_lag_seconds=3600)

    done = play(sync, rows(kind))

    assert done.exit_code == 0, done.log
    assert len(held(apollo, kind)) == ROWS
    assert sent(apollo, kind) == (3, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_search_that_shows_only_the_older_record_stops_the_run(
    apollo: Sandbox, sync: Run, kind: str
) -> None:
    put_there(apollo, kind, 0)
    apollo.set_options(matched_in_bulk="duplicated", search_lag_seconds=3600)

    done = play(sync, rows(kind))

    assert done.exit_code == 2
    assert len(held(apollo, kind)) == 1 + SIZE


def test_a_key_that_may_not_search_is_told_once_and_goes_on(sync: Run) -> None:
    allowed = [f"api/v1/{one}" for one in ("users/api_profile", "contacts/bulk_create")]
    options = SandboxOptions(strict=True, api_keys={"narrow": allowed})
    with new_sandbox(options) as apollo:
        done = play(sync, rows("contacts"), sandbox=apollo)

        assert done.exit_code == 0, done.log
        assert len(held(apollo, "contacts")) == ROWS
        assert done.log.count("could not be looked for") == 1


def test_a_record_that_the_ledger_knows_from_another_stream_is_looked_for_first(
    apollo: Sandbox, sync: Run
) -> None:
    # Of four rows only the last one is there already.
    other = [schema("old_contacts"), record("old_contacts", id=3, email="p3@a.com", title="Old")]
    streams = {"old_contacts": {"object": "contacts"}}
    sync(other, streams=streams)
    apollo.set_options(matched_in_bulk="duplicated")

    done = play(sync, rows("contacts"), streams=streams)

    assert done.exit_code == 2
    assert len(held(apollo, "contacts")) == 1 + SIZE


def test_a_dry_run_counts_the_search(apollo: Sandbox, sync: Run) -> None:
    done = play(sync, rows("contacts"), dry_run=True)

    assert done.exit_code == 0, done.log
    assert done.summary["estimate"]["requests"]["POST /contacts/search"] == 1
