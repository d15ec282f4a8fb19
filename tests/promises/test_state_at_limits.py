"""STATE passes up to the first row without an outcome, also where a limit cuts a flush off.

A team has an hour's limit of requests for each endpoint. Each run of these tests begins behind the
last STATE of the run before, in an hour in which few requests are left.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from target_apollo.sandbox import Fault, FaultKind, Sandbox
from target_apollo.sandbox.serving.rate_windows import PLANS, Plan
from tests.promises.conftest import Message, Run, TargetRun, contact, record, schema, state

HOUR_LIMIT = PLANS[Plan.BASIC].hour
CREATE = {"contacts": "POST /contacts/bulk_create", "accounts": "POST /accounts/bulk_create"}
FULL = pytest.mark.full


def account(number: int, **values: Any) -> Message:
    given = {"id": number, "domain": f"firm{number}.com", "name": f"Firm {number}", **values}
    return record("accounts", **given)


def leave(apollo: Sandbox, **left: int) -> None:
    """A new hour with this number of requests left, by endpoint (`contacts_bulk_create`)."""
    apollo.reset_quota()
    assert HOUR_LIMIT is not None
    for name, requests in left.items():
        stream, action = name.split("_", 1)
        windows = apollo.windows_of(f"api/v1/{stream}/{action}")
        windows.starts[1], windows.used[1] = time.time(), HOUR_LIMIT - requests


@dataclass
class Tap:
    """A tap that sends its rows from the one behind its STATE on, a STATE after each `every`."""

    stream: str
    rows: Sequence[Message]
    every: int = 100
    at: int = 0

    def messages(self) -> list[Message]:
        sent: list[Message] = [schema(self.stream)]
        for number, row in enumerate(self.rows[self.at :], start=self.at + 1):
            sent.append(row)
            if number % self.every == 0 or number == len(self.rows):
                sent.append(state({"n": number}))
        return sent


@dataclass
class Hours:
    """Runs of a tap, one an hour, until all of its rows have passed."""

    apollo: Sandbox
    sync: Run
    tap: Tap
    left: dict[str, int]
    passed: list[int] = field(default_factory=list)

    def run(self, **settings: Any) -> TargetRun:
        leave(self.apollo, **self.left)
        done = self.sync(self.tap.messages(), max_wait_seconds=0, **settings)
        if done.states:
            self.tap.at = done.states[-1]["n"]
        self.passed.append(self.tap.at)
        return done

    def run_all(self, most: int, **settings: Any) -> list[int]:
        """The exit codes of the runs."""
        codes = [self.run(**settings).exit_code]
        while self.tap.at < len(self.tap.rows) and len(codes) < most:
            codes.append(self.run(**settings).exit_code)
        return codes


@pytest.fixture
def hours(apollo: Sandbox, sync: Run) -> Callable[..., Hours]:
    def begin(tap: Tap, **left: int) -> Hours:
        return Hours(apollo, sync, tap, left)

    return begin


def stored(apollo: Sandbox, stream: str) -> list[dict[str, Any]]:
    return apollo.store.contacts() if stream == "contacts" else apollo.store.accounts()


@pytest.mark.parametrize(
    ("stream", "mode", "has_ledger", "count"),
    [
        ("contacts", "upsert", False, 1000),
        *(
            pytest.param(stream, mode, has_ledger, count, marks=FULL)
            for stream in ("contacts", "accounts")
            for mode in ("upsert", "insert")
            for has_ledger in (False, True)
            for count in (1000, 1600)
            if (stream, mode, has_ledger, count) != ("contacts", "upsert", False, 1000)
        ),
    ],
)
def test_each_run_goes_on_behind_the_rows_of_the_last(
    apollo: Sandbox,
    hours: Callable[..., Hours],
    stream: str,
    mode: str,
    has_ledger: bool,
    count: int,
) -> None:
    make = contact if stream == "contacts" else account
    rows = [make(number) for number in range(1, count + 1)]
    begun = hours(Tap(stream, rows), **{f"{stream}_bulk_create": 4})
    own = {} if has_ledger else {"ledger_url": ""}

    codes = begun.run_all(9, mode=mode, **own)

    assert begun.passed == [min(count, 400 * n) for n in range(1, math.ceil(count / 400) + 1)]
    assert codes == [3] * (len(codes) - 1) + [0]
    assert len(stored(apollo, stream)) == count
    assert apollo.count(CREATE[stream]) == count / 100


@pytest.mark.full
@pytest.mark.parametrize(
    ("stream", "method", "left", "a_run"),
    [
        ("contacts", "bulk", {"contacts_bulk_update": 2}, 200),
        pytest.param("accounts", "bulk", {"accounts_bulk_update": 2}, 200, marks=FULL),
        pytest.param("contacts", "individual", {"contacts_update": 150}, 150, marks=FULL),
        # Four threads ask in vain with PUT before PATCH is known to work.
        pytest.param("accounts", "individual", {"accounts_update": 154}, 150, marks=FULL),
    ],
)
def test_updates_pass_state_as_far_as_their_requests_go(
    apollo: Sandbox,
    hours: Callable[..., Hours],
    stream: str,
    method: str,
    left: dict[str, int],
    a_run: int,
) -> None:
    rows = []
    for number in range(1, 501):
        if stream == "contacts":
            there = apollo.store.add_contact(email=f"p{number}@a.com", title="Old")
            rows.append(record("contacts", id=number, apollo_id=there["id"], title="New"))
        else:
            there = apollo.store.add_account(domain=f"firm{number}.com", name="Old")
            rows.append(record("accounts", id=there["id"], name=f"Firm {number}"))
    begun = hours(Tap(stream, rows, every=10), **left)

    begun.run_all(9, mode="update", update_method=method, ledger_url="")

    steps = [after - before for before, after in itertools.pairwise([0, *begun.passed])]
    assert sum(steps) == 500
    # Of the last requests that are left, parallel threads may give one to a later row.
    assert all(a_run - 10 <= step <= a_run for step in steps[:-1])
    assert len(steps) == math.ceil(500 / a_run)


@pytest.mark.full
def test_what_creating_requests_do_not_take_is_written_before_the_run_ends(
    apollo: Sandbox, hours: Callable[..., Hours]
) -> None:
    rows = [contact(n, website_url=f"https://firm{n}.com") for n in range(1, 301)]
    begun = hours(Tap("contacts", rows, every=10), contacts_bulk_create=1)

    begun.run_all(5, ledger_url="", lists=["Synced"], batch_size=50)

    assert begun.passed == [50, 100, 150, 200, 250]
    written = [one for one in apollo.store.contacts() if one["website_url"] and one["label_ids"]]
    assert len(written) == 250


@pytest.mark.full
def test_lists_and_single_requests_follow_for_as_many_rows_as_either_takes(
    apollo: Sandbox, hours: Callable[..., Hours]
) -> None:
    rows = [contact(n, website_url=f"https://firm{n}.com") for n in range(1, 301)]
    begun = hours(Tap("contacts", rows, every=10), contacts_update=100)

    codes = begun.run_all(4, ledger_url="", lists=["Synced"])

    assert (begun.passed, codes) == ([100, 200, 300], [3, 3, 0])
    assert apollo.count("PATCH /contacts/{id}") == 300


@pytest.mark.full
def test_a_row_that_comes_again_at_the_end_of_a_flush_is_written_with_the_first(
    apollo: Sandbox, hours: Callable[..., Hours]
) -> None:
    rows = [contact(n) for n in range(1, 501)]
    begun = hours(Tap("contacts", [*rows, contact(1, title="Last")]), contacts_bulk_create=1)

    begun.run_all(9, ledger_url="")

    assert begun.passed == [100, 200, 300, 400, 500, 501]
    assert len(apollo.store.contacts()) == 500
    assert apollo.store.contacts()[0]["title"] == "Last"


def test_rows_of_one_record_do_not_keep_state_from_passing(
    apollo: Sandbox, hours: Callable[..., Hours]
) -> None:
    rows = [contact(n) for n in range(1, 501)]
    rows.insert(1, contact(900, email="p1@a.com", title="Second"))
    begun = hours(Tap("contacts", rows), contacts_bulk_create=2)

    begun.run_all(9, ledger_url="")

    assert begun.passed[-1] == 501
    assert len(begun.passed) <= 4
    assert len(apollo.store.contacts()) == 500


def test_rows_of_many_owners_pass_state_in_their_order(
    apollo: Sandbox, hours: Callable[..., Hours]
) -> None:
    owners = [apollo.store.add_user(email=f"o{n}@us.com")["id"] for n in range(2)]
    rows = [contact(n, owner_id=owners[n % 2]) for n in range(1, 601)]
    begun = hours(Tap("contacts", rows), contacts_bulk_create=4)

    begun.run_all(9, ledger_url="")

    assert begun.passed == [400, 600]


@pytest.mark.full
def test_two_streams_in_turn_pass_state_up_to_the_first_row_that_waits(
    apollo: Sandbox, sync: Run
) -> None:
    messages: list[Message] = [schema("accounts"), schema("contacts")]
    for n in range(1, 401):
        messages += [account(n), contact(n)]
        if n % 50 == 0:
            messages.append(state({"n": n}))
    leave(apollo, contacts_bulk_create=2, accounts_bulk_create=3)

    done = sync(messages, max_wait_seconds=0, ledger_url="")
    assert (done.exit_code, done.states) == (3, [])
    # Accounts are written first: all of theirs have an outcome before the contacts' begin.
    leave(apollo, contacts_bulk_create=2)
    done = sync(messages, max_wait_seconds=0, ledger_url="")
    assert (done.exit_code, done.last_state) == (3, {"n": 200})


@pytest.mark.parametrize(
    ("limit", "passed"), [({"max_creates": 150}, 150), ({"max_updates": 40}, 40)]
)
def test_a_limit_lets_state_pass_behind_what_was_written(
    apollo: Sandbox, sync: Run, limit: dict[str, int], passed: int
) -> None:
    if "max_updates" in limit:
        for n in range(1, 251):
            apollo.store.add_contact(email=f"p{n}@a.com", title="Old")
    rows = [contact(n, title="New") for n in range(1, 251)]

    done = sync(Tap("contacts", rows, every=10).messages(), **limit)

    assert (done.exit_code, done.last_state) == (1, {"n": passed})


@pytest.mark.parametrize("ledger", [{}, {"ledger_url": ""}])
def test_a_failure_lets_state_pass_behind_what_was_confirmed(
    apollo: Sandbox, sync: Run, ledger: dict[str, str]
) -> None:
    apollo.inject(
        Fault(CREATE["contacts"], FaultKind.ERROR_BEFORE_WRITE, status=500, after=3, times=None)
    )
    rows = [contact(n) for n in range(1, 101)]

    done = sync(
        Tap("contacts", rows, every=1).messages(),
        batch_size=10,
        parallel_requests=10,
        max_retries=0,
        **ledger,
    )

    assert done.exit_code == 1
    stored_numbers = {int(one["email"].split("@")[0][1:]) for one in apollo.store.contacts()}
    oldest_missing = min(set(range(1, 101)) - stored_numbers)
    assert done.states[-1:] == ([{"n": oldest_missing - 1}] if oldest_missing > 1 else [])


def test_no_state_passes_a_record_that_could_not_be_kept_as_rejected(
    apollo: Sandbox, sync: Run, tmp_path: Path
) -> None:
    rows = [contact(1), contact(2, email="no address"), contact(3)]

    done = sync(Tap("contacts", rows, every=1).messages(), on_record_error="fail")

    assert done.exit_code == 1
    assert done.last_state in (None, {"n": 1})


def test_a_summary_says_when_the_quota_is_there_again(apollo: Sandbox, sync: Run) -> None:
    leave(apollo, contacts_bulk_create=0)
    stopped = sync([schema("contacts"), contact(1)], max_wait_seconds=1)
    assert stopped.exit_code == 3
    again = datetime.fromisoformat(stopped.summary["run_again_after"])
    assert again > datetime.now(timezone.utc)
    assert f"{again:%Y-%m-%d %H:%M:%S} UTC" in stopped.summary["ended_because"]
    apollo.reset_quota()
    done = sync([schema("contacts"), contact(1)])
    assert (done.exit_code, done.summary["run_again_after"]) == (0, None)
