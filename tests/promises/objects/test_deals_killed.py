"""Deals under kills and faults: each row has one deal, with its last values, and no stranger's."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from target_apollo.sandbox import Fault, FaultKind, Sandbox, SandboxOptions
from target_apollo.sandbox.serving.rate_windows import Plan
from target_apollo.sync.objects import mark_index
from tests.helpers.killing import NEVER, Death, Ended, Moment, Values, run_target, some_of_each
from tests.helpers.new_sandbox import new_sandbox
from tests.promises.conftest import Message, TargetRun, lines_of, record, schema, state

ROWS = 12
#: Rows that a deal was made of before.
KNOWN = 4
#: Where no row is rejected, nothing but the ledger is put on disk.
MOMENTS = [one for one in Moment if one not in (Moment.BEFORE_SYNC, Moment.AFTER_SYNC)]


@pytest.fixture(scope="module")
def place() -> Iterator[Sandbox]:
    with new_sandbox(SandboxOptions(strict=True, plan=Plan.UNLIMITED)) as sandbox:
        sandbox.store.add_custom_field("opportunity", "External id", "string")
        yield sandbox


class Point:
    """Deals of twelve rows, of which four were made and changed since."""

    def __init__(self, apollo: Sandbox, folder: Path, *, has_ledger: bool = True) -> None:
        self._apollo = apollo
        self._folder = folder
        folder.mkdir()
        for deal in apollo.store.deals.all():
            apollo.store.deals.delete(deal["id"])
        self._config: Values = {
            "api_key": apollo.api_key,
            "api_url": apollo.url,
            "ledger_url": f"sqlite:///{folder}/ledger.db" if has_ledger else "",
            "rejects_path": str(folder / "rejects.singer"),
            "summary_path": str(folder / "summary.json"),
            "streams": {"deals": {"object": "deals"}},
            "state_interval_seconds": 0,
        }
        assert self.run(None, range(KNOWN), version=1).exit_code == 0

    def run(self, death: Death | None, rows: range = range(ROWS), version: int = 2) -> Ended:
        lines = lines_of(messages(rows, version)).splitlines(keepends=True)
        return run_target(self._config, self._folder, lines, death)

    def problems(self) -> list[str]:
        return problems_of(self._apollo)


def messages(rows: range, version: int) -> list[Message]:
    properties = {"properties": {name: {} for name in ("id", "name", "amount")}}
    return [
        schema("deals", properties),
        *(record("deals", id=n, name=f"Deal {n}", amount=n + 100 * version) for n in rows),
        state({"at": len(rows)}),
    ]


def problems_of(apollo: Sandbox, rows: int = ROWS, version: int = 2) -> list[str]:
    found: dict[str, list[object]] = {}
    for deal in apollo.store.deals.all():
        found.setdefault(str(deal["name"]), []).append(deal["amount"])
    wanted: dict[str, list[object]] = {f"Deal {n}": [n + 100 * version] for n in range(rows)}
    return [] if found == wanted else [f"{found} in place of {wanted}"]


def killed_and_run_again(apollo: Sandbox, folder: Path, death: Death, **more: bool) -> list[str]:
    point = Point(apollo, folder, **more)
    point.run(death)
    done = point.run(None)
    return point.problems() + ([] if done.exit_code == 0 else [done.log])


@pytest.mark.parametrize("has_ledger", [True, False])
def test_a_run_killed_at_a_sampled_moment_makes_each_deal_once(
    place: Sandbox, tmp_path: Path, has_ledger: bool
) -> None:
    # Of the requests, all but the first few make or change a deal.
    nth = random.Random(f"{tmp_path}{has_ledger}").randint(5, 10)
    death = Death(Moment.BEFORE_ANSWER, nth)
    assert killed_and_run_again(place, tmp_path / "one", death, has_ledger=has_ledger) == []


@pytest.mark.full
@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.name.lower())
def test_a_run_killed_at_any_kind_of_moment_makes_each_deal_once(
    place: Sandbox, tmp_path: Path, moment: Moment
) -> None:
    passed = Point(place, tmp_path / "whole").run(Death(moment, NEVER)).passed
    deaths = some_of_each(moment, passed, random.Random(str(tmp_path)))
    assert deaths
    problems = {
        death: found
        for number, death in enumerate(deaths)
        if (found := killed_and_run_again(place, tmp_path / str(number), death))
    }
    assert problems == {}


@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(n, marks=pytest.mark.full) for n in range(2, 9))]
)
@pytest.mark.parametrize("has_ledger", [True, False])
def test_faults_of_every_kind_make_no_deal_twice_and_lose_none(
    place: Sandbox,
    sync: Callable[..., TargetRun],
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    has_ledger: bool,
) -> None:
    monkeypatch.setattr(mark_index, "SHOWN_AFTER", mark_index.SHOWN_AFTER * 0)
    for deal in place.store.deals.all():
        place.store.deals.delete(deal["id"])
    chance = random.Random(seed)
    settings: Values = {"streams": {"deals": {"object": "deals"}}, "max_retries": 0}
    if not has_ledger:
        settings["ledger_url"] = ""
    kinds = [kind for kind in FaultKind if kind is not FaultKind.SLOW]
    for version in (1, 2):
        for turn in range(12):
            endpoints = ("POST /opportunities", "PATCH /opportunities/{id}")
            endpoints += ("GET /opportunities/search", "GET /fields")
            for endpoint in endpoints if turn < 9 else ():
                fault = Fault(
                    endpoint, chance.choice(kinds), times=1, after=chance.randrange(6), records=1
                )
                place.inject(fault)
            done = sync(messages(range(ROWS), version), sandbox=place, **settings)
            place.clear_faults()
            if done.exit_code == 0 and not done.rejects:
                break
        assert problems_of(place, ROWS, version) == [], done.log
