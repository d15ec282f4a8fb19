"""Runs of deals, tasks and sequences with altered answers, and the law that holds after each.

A row of these may end as rejected in a run whose answers were altered, and stays so until it
changes: nothing tells whether its record was written. Then its record is there once, or not at all.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from target_apollo.apollo import object_clients, sequences
from target_apollo.model.outcomes import Reason
from target_apollo.sandbox import Sandbox
from target_apollo.sync.objects import deal_index, mark_index
from tests.helpers.altered_answers import Other
from tests.helpers.border_objects import TEAMS, ObjectScene, ObjectTeam
from tests.helpers.border_runs import (
    KEY,
    broken_by_any,
    counted_in,
    difference,
    rejected_in,
    run_inside,
)
from tests.promises.conftest import TargetRun, lines_of, sent_anew

#: Requests that write.
_WRITING = (
    "POST /opportunities", "PATCH /opportunities/{id}", "POST /tasks", "PATCH /tasks/{id}",
    "POST /tasks/{id}/complete", "POST /tasks/{id}/skip",
    "POST /emailer_campaigns/{id}/add_contact_ids",
    "POST /emailer_campaigns/remove_or_stop_contact_ids",
)  # fmt: skip
#: Reasons for which a row of an earlier run waits until it changes.
_WAITS = frozenset(
    one.value
    for one in (
        Reason.NOT_CONFIRMED,
        Reason.OUTCOME_UNKNOWN,
        Reason.CUSTOM_FIELD_REFUSED,
        Reason.REFUSED,
    )
)
#: Records on a page, so that few make several.
_PER_PAGE = 2


class ObjectPlay:
    """One team, its rows, and the runs that sync them."""

    def __init__(self, scene: ObjectScene, folder: Path, sandbox: Sandbox) -> None:
        self._scene = scene
        self._folder = folder
        self._sandbox = sandbox
        self._team: ObjectTeam = TEAMS[scene.stream](scene, sandbox)
        self._settings = {
            "api_key": KEY,
            "api_url": sandbox.url,
            "ledger_url": f"sqlite:///{folder}/ledger.db" if scene.ledger == "sqlite" else "",
            "state_interval_seconds": 0,
            "rejects_path": str(folder / "rejects.singer"),
            "summary_path": str(folder / "summary.json"),
            "max_rejected_percent": 100,
            "abort_rejected_percent": 100,
            "request_timeout_seconds": 30,
            "max_retries": 0,
            "max_wait_seconds": 5,
            "parallel_requests": 1,
            "on_apollo_delete": "recreate",
            "streams": self._streams(scene.mode),
            **({"field_policy": {"*": scene.policy}} if scene.policy else {}),
            **self._team.settings,
        }
        #: Rows that wait until they change.
        self._waiting: set[int] = set()
        self.runs = 0

    # --- the team

    def begin(self) -> list[str]:
        """Makes what is there before the first altered answer."""
        scene, team = self._scene, self._team
        team.add_own()
        problems = []
        if scene.before:
            mode = "upsert" if scene.mode == "update" else scene.mode
            done = self._run(0, streams=self._streams(mode))
            problems = self._all_is_well("before", done, 0)
        if scene.gone:
            team.delete_own()
        if scene.is_ledger_lost:
            (self._folder / "ledger.db").unlink()
        self._left_alone = self._strangers_now()
        return problems

    def _streams(self, mode: str) -> dict[str, Any]:
        stream = self._scene.stream
        return {stream: {"object": stream, "mode": mode}}

    def other(self, label: str) -> Other:
        """The record of somebody else, of the kind that an endpoint answers."""
        part = label.partition(" /")[2].partition("/")[0]
        if label.endswith("contact_ids"):
            part = "contacts"
        if part == "users":
            return self._team.users[1]
        found = self._team.others().get(part)
        return found if found is not None else {}

    # --- the runs

    def altered(self, endpoint: str = "", **settings: Any) -> list[str]:
        """Syncs the rows while answers are altered."""
        done = self._run(1, **settings)
        self._waiting = {
            one["record"]["id"]
            for one in done.rejects
            if one["record"]["_reject"]["reason"] in _WAITS
        }
        return [*self._of_any_run(done), *self._outcomes(done), *self._state(done)]

    def afterwards(self, *, goes_on: bool) -> list[str]:
        """Syncs twice more without alterations."""
        version = 2 if goes_on else 1
        problems = self._all_is_well("later", self._run(version), version)
        self._sandbox.reset_log()
        problems += self._all_is_well("again", self._run(version), version)
        sent = {one.endpoint for one in self._sandbox.requests if one.endpoint in _WRITING}
        if sent:
            problems.append(f"spoiled: the last run sends {sorted(sent)} again")
        return problems

    def _run(self, version: int, **settings: Any) -> TargetRun:
        self.runs += 1
        sent = sent_anew(lines_of(self._team.messages(version)), self._folder)
        with _small_pages():
            return run_inside({**self._settings, **settings}, sent, self._folder)

    # --- the law

    def _all_is_well(self, name: str, done: TargetRun, version: int) -> list[str]:
        problems = self._of_any_run(done)
        counted = counted_in(done)
        others = rejected_in(done) - self._waiting - self._team.never
        if done.exit_code != 0 or others or counted.get("without_outcome"):
            tail = " | ".join(done.log.splitlines()[-3:])[-600:]
            problems.append(
                f"spoiled: the run '{name}' ends with {done.exit_code}, "
                f"{counted} {done.reasons}: {tail}"
            )
        wrong = {key: why for key in self._team.keys(version) if (why := self._lost(key, version))}
        wrong |= dict.fromkeys(self._left_in(version), "is still in")
        if wrong:
            problems.append(f"lost: after the run '{name}': {wrong}")
        return problems

    def _lost(self, key: int, version: int) -> str:
        return "" if key in self._waiting else self._team.wrong(key, version)

    def _left_in(self, version: int) -> list[int]:
        return [
            key
            for key in self._team.gone_by(version)
            if any(one["status"] == "active" for one in self._team.owned(key))
        ]

    def _of_any_run(self, done: TargetRun) -> list[str]:
        problems = [*broken_by_any(done)]
        now = self._strangers_now()
        for record_id, former in getattr(self, "_left_alone", {}).items():
            if now.get(record_id) != former:
                problems.append(f"written over: {difference(former, now.get(record_id, {}))}")
        team = self._team
        keys = {*team.keys(0), *team.keys(1)}
        owned = {key: team.owned(key) for key in keys}
        twice = {key: len(found) for key, found in owned.items() if len(found) > 1}
        of_nobody = len(team.records()) - len(now) - sum(map(len, owned.values()))
        if twice or of_nobody > 0:
            problems.append(f"twice: {twice}, and {of_nobody} of no row")
        return problems + [
            f"written over: the protected {key} gets e-mail"
            for key in team.never
            if any(one["status"] == "active" for one in team.owned(key))
        ]

    def _outcomes(self, done: TargetRun) -> list[str]:
        """Each row has one outcome, and what counts as written is there."""
        if not done.summary:
            return ["defect: no summary"]
        counted, keys = counted_in(done), self._team.keys(1)
        received = counted.pop("received", 0)
        removed = counted.pop("removed", 0)
        problems = []
        if sum(counted.values()) != received:
            problems.append(f"lost: {received} rows have the outcomes {counted}")
        if done.exit_code == 0 and (received != len(keys) or counted.get("without_outcome")):
            problems.append(f"lost: exit code 0 with {received} rows and {counted}")
        # The run before has put them into the file already.
        known = len(self._team.never - rejected_in(done)) if self._scene.before else 0
        if not 0 <= counted.get("rejected", 0) - len(done.rejects) <= known:
            problems.append(f"lost: {len(done.rejects)} rejects, {counted}")
        kept = [key for key in keys if key not in rejected_in(done)]
        wrong = {key: why for key in kept if (why := self._team.wrong(key, 1))}
        written = sum(
            counted.get(name, 0) for name in ("created", "updated", "unchanged", "existing")
        )
        if len(kept) - len(wrong) < written:
            problems.append(f"lost: {counted} are counted, but {wrong}")
        if removed > len(self._team.gone_by(1)) - len(self._left_in(1)):
            problems.append(f"lost: {removed} are counted as removed")
        return problems

    def _state(self, done: TargetRun) -> list[str]:
        read = max((one["n"] for one in done.states), default=0)
        rejected, keys = rejected_in(done), self._team.keys(1)
        ahead = [key for key in keys[:read] if key not in rejected and self._team.wrong(key, 1)]
        return [f"lost: STATE {read} is ahead of the rows {ahead}"] if ahead else []

    def _strangers_now(self) -> dict[str, Any]:
        return {one["id"]: one for one in self._team.records() if one["id"] in self._team.strangers}


@contextlib.contextmanager
def _small_pages() -> Iterator[None]:
    """Lets few records fill several pages, and a search show them at once."""
    at_once = timedelta(0)
    with (
        patch.object(object_clients, "PER_PAGE", _PER_PAGE),
        patch.object(deal_index, "PER_PAGE", _PER_PAGE),
        patch.object(sequences, "PER_PAGE", _PER_PAGE),
        patch.object(mark_index, "SHOWN_AFTER", at_once),
    ):
        yield
