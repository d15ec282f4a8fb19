"""New rows are created while other rows of the flush are updated, where their order is open."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from target_apollo.apollo import ApolloClient
from target_apollo.sandbox import Fault, FaultKind, Sandbox
from tests.promises.conftest import Message, Run, contact, record, schema, state

CREATE, UPDATE = "POST /contacts/bulk_create", "PATCH /contacts/{id}"
KNOWN = range(3)


class Order:
    """Watches the order of requests: whether each update still waits when a creation begins.

    Attributes:
        patience: Seconds for which an update waits for a creation.
    """

    def __init__(self) -> None:
        self.patience = 0.0
        self.beside: list[bool] = []
        self._creating = threading.Event()

    def watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        create, update = ApolloClient.create, ApolloClient.update

        def watched_create(*arguments: Any, **named: Any) -> Any:
            self._creating.set()
            return create(*arguments, **named)

        def watched_update(*arguments: Any, **named: Any) -> Any:
            self.beside.append(self._creating.wait(self.patience))
            return update(*arguments, **named)

        monkeypatch.setattr(ApolloClient, "create", watched_create)
        monkeypatch.setattr(ApolloClient, "update", watched_update)


@pytest.fixture(autouse=True)
def order(apollo: Sandbox, sync: Run, monkeypatch: pytest.MonkeyPatch) -> Order:
    """The order of requests from here on; the ledger knows three contacts and an account."""
    sync([schema("accounts"), record("accounts", id=1, domain="a.com", name="A")])
    sync([schema("contacts"), *(contact(n, title="Old", last_name=f"L{n}") for n in KNOWN)])
    order = Order()
    order.watch(monkeypatch)
    assert len(apollo.store.contacts()) == len(KNOWN)
    return order


def flush(**changed: Any) -> list[Message]:
    """Three changed rows and two new ones."""
    rows = [schema("contacts")]
    for n in range(5):
        rows += [contact(n, **({"last_name": f"L{n}", **changed} if n in KNOWN else {})), state(n)]
    return rows


def test_new_rows_are_created_while_others_are_updated(
    apollo: Sandbox, sync: Run, order: Order
) -> None:
    order.patience = 20
    done = sync(flush(title="New"))

    assert done.records == {"received": 5, "created": 2, "updated": 3}
    assert done.last_state == 4
    assert order.beside == [True] * 3
    assert [one["title"] for one in apollo.store.contacts()] == ["New"] * 3 + [None] * 2


@pytest.mark.full
def test_an_address_that_an_update_frees_goes_to_the_new_row(
    apollo: Sandbox, sync: Run, order: Order
) -> None:
    moved = contact(0, last_name="L0", title="Old", email="elsewhere@a.com")

    done = sync([schema("contacts"), moved, contact(9, email="p0@a.com", last_name="L9")])

    assert done.records == {"received": 2, "created": 1, "updated": 1}
    found = {one["email"]: one["last_name"] for one in apollo.store.contacts()}
    assert (found["elsewhere@a.com"], found["p0@a.com"]) == ("L0", "L9")
    assert not any(order.beside)


@pytest.mark.parametrize(
    "settings",
    [{"parallel_requests": 1}, {"max_creates": 9}, {"max_updates": 9}, {"on_record_error": "fail"}],
)
def test_near_a_limit_the_updates_go_first(
    sync: Run, order: Order, settings: dict[str, Any]
) -> None:
    done = sync(flush(title="New"), **settings)

    assert done.records == {"received": 5, "created": 2, "updated": 3}
    assert not any(order.beside)


@pytest.mark.full
def test_updates_that_fail_leave_the_created_rows_their_outcome(apollo: Sandbox, sync: Run) -> None:
    apollo.inject(Fault(UPDATE, FaultKind.RESET_BEFORE_WRITE, times=None))

    cut = sync(flush(title="New"), max_retries=0)

    assert cut.exit_code == 1
    assert cut.last_state is None
    assert cut.records == {"received": 5, "created": 2, "without_outcome": 3}
    apollo.clear_faults()
    done = sync(flush(title="New"))
    assert done.records == {"received": 5, "updated": 3, "unchanged": 2}
    assert len(apollo.store.contacts()) == 5


@pytest.mark.full
def test_a_creation_that_fails_leaves_the_updated_rows_their_outcome(
    apollo: Sandbox, sync: Run
) -> None:
    apollo.inject(Fault(CREATE, FaultKind.RESET_AFTER_WRITE, times=None))

    cut = sync(flush(title="New"), max_retries=0)

    assert cut.exit_code == 1
    assert cut.last_state == 2
    assert cut.records == {"received": 5, "updated": 3, "without_outcome": 2}
    apollo.clear_faults()
    done = sync(flush(title="New"))
    assert done.exit_code == 0
    assert len(apollo.store.contacts()) == 5


@pytest.mark.full
def test_a_record_that_is_gone_gets_its_row_back_after_the_creations(
    apollo: Sandbox, sync: Run
) -> None:
    gone = next(iter(apollo.store.contacts()))["id"]
    apollo.store.forget_contact(str(gone))

    done = sync(flush(title="New"), on_apollo_delete="recreate")

    assert done.exit_code == 0, done.log
    emails = sorted(str(one["email"]) for one in apollo.store.contacts())
    assert emails == [f"p{n}@a.com" for n in range(5)]


def test_accounts_are_written_side_by_side_too(sync: Run, order: Order) -> None:
    order.patience = 20
    changed = record("accounts", id=1, domain="a.com", name="A", phone_number="+49301234")

    done = sync([schema("accounts"), changed, record("accounts", id=2, domain="b.com", name="B")])

    assert done.records == {"received": 2, "created": 1, "updated": 1}
    assert order.beside == [True]
