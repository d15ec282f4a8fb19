"""Killed at every request, transaction and STATE of a run of 300 rows, and started again.

Each point is one run that dies there, a second one from the last STATE printed, and a look at every
row: lost 0, duplicates 0, wrong 0.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from target_apollo.ledger import Ledger, LinkOutcome, LinkStatus, Place, source_key
from target_apollo.sandbox import Sandbox, SandboxOptions
from target_apollo.sandbox.data.store import Store
from tests.helpers.killing import NEVER, Death, Ended, Moment, Values, run_target, some_of_each
from tests.helpers.new_sandbox import new_sandbox
from tests.helpers.oracle import Expectations, judge
from tests.helpers.plot import LONG_AGO
from tests.helpers.tiers import present_commit
from tests.helpers.warehouse import OWNERS, Warehouse
from tests.promises.conftest import read_rejects

Problems = dict[Death, list[str]]

ROWS = 300
_KNOWN_BY_LEDGER = range(120, 125)
_KNOWN_BY_EMAIL = range(130, 135)
_MOST_POINTS = 400
_NO_LIMIT = 10**9


@pytest.fixture(scope="module")
def apollo() -> Iterator[Sandbox]:
    options = SandboxOptions(
        strict=True, minute_limit=_NO_LIMIT, hour_limit=_NO_LIMIT, day_limit=_NO_LIMIT
    )
    with new_sandbox(options) as sandbox:
        yield sandbox


def the_warehouse(*, phones: int = 50) -> Warehouse:
    """300 rows, of which one in `phones` contacts has a number that takes a request of its own."""
    chance = random.Random(300)
    warehouse = Warehouse(chance)
    for _ in range(ROWS // 3):
        warehouse.add_account()
    for number in range(ROWS * 2 // 3):
        warehouse.add_contact(
            mobile_phone=f"+4915{number:08}" if number % phones == 0 else None,
            email="not an address" if number % 50 == 49 else f"p{number}@mail.example",
        )
    return warehouse


class Point:
    """A new Apollo, a new ledger and the warehouse's 300 rows."""

    def __init__(self, apollo: Sandbox, folder: Path, mode: str, *, phones: int = 50) -> None:
        folder.mkdir()
        self._apollo = apollo
        apollo.reset_quota()
        apollo.store = Store()
        self._store = apollo.store
        self._folder = folder
        self._warehouse = the_warehouse(phones=phones)
        self._state: Values | None = None
        self._expected = Expectations(mode=mode)
        self._config = {
            "api_key": apollo.api_key,
            "api_url": apollo.url,
            "mode": mode,
            "batch_size": 50,
            "parallel_requests": 2,
            "state_interval_seconds": 0,
            "ledger_url": f"sqlite:///{folder}/ledger.db",
            "rejects_path": str(folder / "rejects.singer"),
            "summary_path": str(folder / "summary.json"),
            "max_rejected_percent": 100,
            "abort_rejected_percent": 100,
        }
        for email in OWNERS:
            self._store.add_user(email=email)
        self._store.add_custom_field("contact", "Lead Score", "number")
        for key, row in self._warehouse.contacts.rows.items():
            if row["email"] == "not an address":
                self._expected.reasons["contacts", key] = "malformed_email"
        self._fill_apollo(mode)

    def _fill_apollo(self, mode: str) -> None:
        """Contacts of earlier days: some by their e-mail only, some by a link to their row."""
        rows = self._warehouse.contacts.rows
        for key in _KNOWN_BY_EMAIL:
            made = self._store.add_contact(email=rows[key]["email"], created_at=LONG_AGO)
            if mode == "insert":
                kept = ("first_name", "title", "phone_numbers", "owner_id", "label_ids")
                self._expected.spared["contacts", rows[key]["email"]] = {
                    name: made.get(name) for name in kept
                }
        if mode == "insert":
            return
        with Ledger.open(str(self._config["ledger_url"])) as ledger:
            ledger.record_outcomes(
                Place(self._store.team_id, "contact", "contacts"),
                "earlier",
                [
                    LinkOutcome(
                        source_key((key,)),
                        LinkStatus.CREATED,
                        self._store.add_contact(email=f"old{key}@mail.example")["id"],
                        payload_hash="of other values",
                    )
                    for key in _KNOWN_BY_LEDGER
                ],
            )

    def leave_updates(self, count: int) -> None:
        """A new hour, in which Apollo takes this many single updates of contacts."""
        self._apollo.reset_quota()
        windows = self._apollo.windows_of("api/v1/contacts/update")
        windows.starts[1], windows.used[1] = time.time(), _NO_LIMIT - count
        self._config["max_wait_seconds"] = 0

    def waiting(self) -> int:
        """Number of records with fields that are still to be sent."""
        with Ledger.open(str(self._config["ledger_url"])) as ledger:
            return len(ledger.pending_fields(self._store.team_id, ROWS))

    def run(self, death: Death | None) -> Ended:
        messages = list(self._warehouse.messages(self._state, state_every=10))
        ended = run_target(self._config, self._folder, messages, death)
        if ended.states:
            self._state = ended.states[-1]
        return ended

    def problems(self) -> list[str]:
        rejects = read_rejects(self._folder / "rejects.singer")
        findings = judge(self._warehouse, self._store, rejects, self._expected)
        assert findings.rows == ROWS
        return [*findings.problems, *(f"passing: {key}" for key in findings.passing)]


# What insert does differently lies between its requests; ledger, rejects and STATE know no modes.
_REQUESTS = (Moment.BEFORE_ANSWER,)

each_kind_of_moment = pytest.mark.parametrize(
    ("moment", "mode"),
    [(moment, "upsert") for moment in Moment] + [(moment, "insert") for moment in _REQUESTS],
    ids=lambda value: value.name.lower() if isinstance(value, Moment) else value,
)


def swept(
    apollo: Sandbox, folder: Path, mode: str, deaths: Iterable[Death]
) -> tuple[int, Problems]:
    """Kills a run at each of these moments; how many it met, and what was wrong afterwards."""
    killed, broken = 0, {}
    for number, death in enumerate(deaths):
        point = Point(apollo, folder / str(number), mode)
        ended = point.run(death)
        if not ended.killed and death.at is None:
            break
        if ended.killed:
            killed += 1
            ended = point.run(None)
        assert ended.exit_code == 0, f"{death}: {ended.log}"
        problems = point.problems()
        if problems:
            broken[death] = problems
    return killed, broken


def passed(apollo: Sandbox, folder: Path, moment: Moment, mode: str) -> list[str]:
    """What each moment of this kind is in a run that nobody kills."""
    whole = Point(apollo, folder / "whole", mode).run(Death(moment, NEVER))
    # As many as a run has: a sweep that met none would prove nothing.
    assert len(whole.passed) >= _LEAST_POINTS[moment]
    return whole.passed


@pytest.mark.full
@pytest.mark.chaos
@each_kind_of_moment
def test_a_run_killed_at_any_moment_is_made_whole_by_the_next(
    apollo: Sandbox, tmp_path: Path, moment: Moment, mode: str
) -> None:
    every = (Death(moment, nth) for nth in range(1, _MOST_POINTS))

    killed, broken = swept(apollo, tmp_path, mode, every)

    assert not broken
    assert killed >= _LEAST_POINTS[moment]
    print(f"{moment.value} ({mode}): {killed} points")  # noqa: T201


@pytest.mark.full
@each_kind_of_moment
def test_a_run_killed_at_each_request_transaction_and_file_is_made_whole_by_the_next(
    apollo: Sandbox, tmp_path: Path, moment: Moment, mode: str
) -> None:
    """Two points of each that a run has several of; KILL_SAMPLE repeats those of a failure."""
    sample = os.environ.get("KILL_SAMPLE") or present_commit()
    chance = random.Random(f"{sample} {moment} {mode}: each")
    print(f"KILL_SAMPLE={sample}: {moment.value} ({mode})")  # noqa: T201
    deaths = some_of_each(moment, passed(apollo, tmp_path, moment, mode), chance)

    killed, broken = swept(apollo, tmp_path, mode, deaths)

    assert not broken
    # The last ones may be missing: how many there are depends on which thread comes first.
    assert killed > len(deaths) * 2 // 3


@each_kind_of_moment
def test_a_run_killed_at_a_sampled_moment_is_made_whole_by_the_next(
    apollo: Sandbox, tmp_path: Path, moment: Moment, mode: str
) -> None:
    """One point of the sweep, another with each commit; KILL_SAMPLE repeats that of a failure."""
    moments = len(passed(apollo, tmp_path, moment, mode))
    sample = os.environ.get("KILL_SAMPLE") or present_commit()
    nth = 1 + random.Random(f"{sample} {moment} {mode}").randrange(moments)
    print(f"KILL_SAMPLE={sample}: {moment.value}, {nth} of {moments} ({mode})")  # noqa: T201

    point = Point(apollo, tmp_path / str(nth), mode)
    killed = point.run(Death(moment, nth))
    ended = point.run(None)

    # The last moments may be missing: how many there are depends on which thread comes first.
    assert killed.killed or nth > _LEAST_POINTS[moment]
    assert ended.exit_code == 0, ended.log
    assert point.problems() == []


_WHILE_FIELDS_FOLLOW = [
    Moment.AFTER_ANSWER,
    *(
        pytest.param(moment, marks=pytest.mark.full)
        for moment in (
            Moment.BEFORE_REQUEST,
            Moment.BEFORE_ANSWER,
            Moment.BEFORE_COMMIT,
            Moment.AFTER_COMMIT,
            Moment.AFTER_STATE,
        )
    ),
]


@pytest.mark.parametrize("moment", _WHILE_FIELDS_FOLLOW, ids=lambda one: one.name.lower())
def test_fields_that_follow_their_rows_outlive_a_kill(
    apollo: Sandbox, tmp_path: Path, moment: Moment
) -> None:
    """A run is killed that leaves fields to be sent, then one that sends them."""
    sample = os.environ.get("KILL_SAMPLE") or present_commit()
    chance = random.Random(f"{sample} {moment}: fields")
    first, second = chance.randint(1, 30), chance.randint(1, 15)
    print(f"KILL_SAMPLE={sample}: {moment.value}, {first} and {second}")  # noqa: T201
    point = Point(apollo, tmp_path / "point", "upsert", phones=5)

    point.leave_updates(7)
    point.run(Death(moment, first))
    point.leave_updates(7)
    ended = point.run(None)
    assert ended.exit_code == 0, ended.log
    assert point.waiting() > 10

    point.leave_updates(1_000)
    point.run(Death(moment, second))
    ended = point.run(None)
    assert ended.exit_code == 0, ended.log
    assert (point.problems(), point.waiting()) == ([], 0)


_LEAST_POINTS = {
    Moment.BEFORE_REQUEST: 20,
    Moment.BEFORE_ANSWER: 20,
    Moment.AFTER_ANSWER: 20,
    Moment.BEFORE_COMMIT: 10,
    Moment.AFTER_COMMIT: 10,
    Moment.BEFORE_SYNC: 3,
    Moment.AFTER_SYNC: 3,
    Moment.BEFORE_STATE: 3,
    Moment.AFTER_STATE: 4,
}
