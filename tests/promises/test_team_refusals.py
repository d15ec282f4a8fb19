"""A refusal that is about the whole team ends the run at once, with Apollo's reason."""

from __future__ import annotations

from typing import Any

import pytest

from target_apollo.sandbox import Fault, FaultKind, Sandbox
from tests.promises.conftest import Run, contact, record, schema, state

CREATE = "POST /contacts/bulk_create"
UPDATE = "PATCH /contacts/{id}"
ROOM = "its plan has no room for more records"


def contacts(count: int, **values: Any) -> list[Any]:
    rows = [contact(n, last_name=f"L{n}", **values) for n in range(1, count + 1)]
    return [schema("contacts"), *rows, state({"at": count})]


def accounts(count: int, **values: Any) -> list[Any]:
    rows = [
        record("accounts", id=n, domain=f"firm{n}.example", name=f"Firm {n}", **values)
        for n in range(1, count + 1)
    ]
    return [schema("accounts"), *rows, state({"at": count})]


def requests_to(apollo: Sandbox, label: str) -> int:
    return sum(one.endpoint == label for one in apollo.requests)


def refuse(apollo: Sandbox, label: str, words: str, status: int = 422) -> None:
    apollo.inject(
        Fault(
            label,
            FaultKind.ERROR_BEFORE_WRITE,
            times=None,
            status=status,
            body={"error": words},
        )
    )


@pytest.mark.parametrize("status", ["unprocessable", "forbidden"])
def test_a_full_plan_ends_the_run_with_a_request_per_thread_and_says_why(
    free: Sandbox, sync: Run, status: str
) -> None:
    free.set_options(max_contacts=0, full_plan=status)

    done = sync(contacts(600), sandbox=free)

    assert done.exit_code == 2
    assert ROOM in done.summary["ended_because"]
    assert "limit of 0 contacts of your plan" in done.summary["ended_because"]
    assert requests_to(free, CREATE) <= 4
    assert (done.rejects, done.states) == ([], [])


def test_rows_that_a_full_plan_left_out_are_created_once_there_is_room(
    free: Sandbox, sync: Run
) -> None:
    free.set_options(max_contacts=30)
    assert sync(contacts(120), sandbox=free).exit_code == 2
    free.set_options(max_contacts=None)

    done = sync(contacts(120), sandbox=free)

    assert done.exit_code == 0, done.log
    assert len(free.store.contacts()) == 120
    assert done.last_state == {"at": 120}


@pytest.mark.parametrize(
    ("label", "method"), [(UPDATE, "individual"), ("POST /contacts/bulk_update", "bulk")]
)
def test_a_locked_team_ends_the_run_at_the_first_update(
    free: Sandbox, sync: Run, label: str, method: str
) -> None:
    sync(contacts(150), sandbox=free)
    refuse(free, label, "Your account has been suspended. Contact support.", 403)

    done = sync(contacts(150, title="CEO"), sandbox=free, update_method=method)

    assert done.exit_code == 2
    assert "locked, suspended or deactivated" in done.summary["ended_because"]
    assert requests_to(free, label) <= 8
    assert done.rejects == []


def test_an_expired_plan_ends_a_run_of_accounts(free: Sandbox, sync: Run) -> None:
    refuse(free, "POST /accounts/bulk_create", "Your trial has expired.", 402)

    done = sync(accounts(250), sandbox=free)

    assert done.exit_code == 2
    assert "its plan or trial has ended" in done.summary["ended_because"]
    assert requests_to(free, "POST /accounts/bulk_create") <= 4


def test_a_refusal_of_the_team_is_told_where_lists_are_looked_up(free: Sandbox, sync: Run) -> None:
    refuse(free, "*", "Your subscription has expired.", 422)

    done = sync(contacts(5, label_names=["Hot"]), sandbox=free)

    assert done.exit_code == 2
    assert "its plan or trial has ended" in done.summary["ended_because"]


@pytest.mark.parametrize("label", ["POST /contacts/bulk_create", "POST /accounts/bulk_create"])
def test_the_same_refusal_of_all_rows_in_unknown_words_ends_the_run_after_a_few_requests(
    free: Sandbox, sync: Run, label: str
) -> None:
    refuse(free, label, "Computer says no.")

    messages = contacts(100) if "contacts" in label else accounts(100)
    done = sync(messages, sandbox=free)

    assert done.exit_code == 1
    assert "alike for all records" in done.summary["ended_because"]
    assert "Apollo's words: Computer says no." in done.summary["ended_because"]
    assert requests_to(free, label) == 7
    assert (done.rejects, done.states) == ([], [])


def test_the_same_refusal_of_all_updates_in_bulk_ends_the_run_after_a_few_requests(
    free: Sandbox, sync: Run
) -> None:
    sync(contacts(100), sandbox=free)
    refuse(free, "POST /contacts/bulk_update", "Computer says no.")

    done = sync(contacts(100, title="CEO"), sandbox=free, update_method="bulk")

    assert done.exit_code == 1
    assert requests_to(free, "POST /contacts/bulk_update") == 7


def test_bad_rows_in_both_halves_are_still_rejected_alone(free: Sandbox, sync: Run) -> None:
    messages = contacts(100)
    for place in (3, 70, 71):
        messages[place]["record"]["owner_id"] = "f" * 24
    free.set_options(bad_id_names_value=False)

    done = sync(messages, sandbox=free)

    assert len(done.rejects) == 3
    assert len(free.store.contacts()) == 97
