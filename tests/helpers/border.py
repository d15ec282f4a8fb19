"""Runs of the target whose answers are altered, and the law that holds after each of them.

A case alters one thing in the answers of one endpoint while rows are synced. After that run, and
after two more without alterations, Apollo's records, the rejects, STATE and the log are compared
with the rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from target_apollo.sandbox import Sandbox, SandboxOptions
from tests.helpers.altered_answers import SLOW, Alteration, Other, Reply, slow_alteration
from tests.helpers.altering_server import AlteringServer
from tests.helpers.border_object_play import ObjectPlay
from tests.helpers.border_objects import ObjectScene
from tests.helpers.border_runs import (
    KEY,
    broken_by_any,
    counted_in,
    difference,
    rejected_in,
    run_inside,
)
from tests.helpers.border_scenes import ADA, ROBIN, ROWS, THERE, Scene
from tests.promises.conftest import TargetRun, lines_of, sent_anew

#: What a run asks that has nothing to write.
QUIET = frozenset(
    {"POST /usage_stats/api_usage_stats", "POST /contacts/search", "POST /accounts/search"}
)
#: What tells which custom fields there are.
FIELDS = frozenset({"GET /fields", "GET /typed_custom_fields"})
CREATES = frozenset({"POST /contacts/bulk_create", "POST /accounts/bulk_create"})


@dataclass(frozen=True)
class Case:
    """A scene in which one thing is altered.

    Attributes:
        once: Whether it is altered in the first answer of its endpoint alone.
        goes_on: Whether the rows change before the next run.
    """

    scene: Scene | ObjectScene
    alteration: Alteration
    once: bool = False
    goes_on: bool = False

    def __str__(self) -> str:
        marks = [name for name in ("once", "goes_on") if getattr(self, name)]
        return f"{self.scene}: {self.alteration}{f' ({marks})' if marks else ''}"


@dataclass
class Counts:
    """What was tried, and what broke the law: kind of problem -> sentences."""

    cases: int = 0
    runs: int = 0
    altered: int = 0
    endpoints: set[str] = field(default_factory=set)
    members: set[tuple[str, str]] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        kinds = Counter(one.partition(":")[0] for one in self.problems)
        found = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items())) or "nothing"
        return (
            f"cases {self.cases}, runs {self.runs}, answers altered {self.altered}, "
            f"endpoints {len(self.endpoints)}, members {len(self.members)}; broken: {found}"
        )


class Border:
    """Plays cases, each in a new team of Apollo and in a new folder."""

    def __init__(self, server: AlteringServer, folder: Path, *, postgresql: str = "") -> None:
        self._server = server
        self._folder = folder
        self._postgresql = postgresql
        self._number = 0
        self.counts = Counts()
        #: How many answers of the last case were altered.
        self.touched = 0

    def recorded(self, scene: Scene | ObjectScene) -> dict[str, list[Reply]]:
        """The answers of a scene without alterations, by the label of their endpoint."""
        found: dict[str, list[Reply]] = {}

        def listen(label: str, reply: Reply) -> None:
            found.setdefault(label, []).append(reply)

        problems = self._play(scene, listen, goes_on=True)
        if problems:
            raise AssertionError(f"{scene}, without an alteration: {problems}")
        return found

    def play(self, case: Case) -> list[str]:
        """The problems of a case, each as ``<kind>: <sentence>``."""
        alteration, touched = case.alteration, 0

        def alter(label: str, reply: Reply) -> Reply | None:
            nonlocal touched
            if label != alteration.endpoint or (case.once and touched):
                return None
            if alteration.kind in SLOW:
                altered: Reply | None = slow_alteration(label, alteration.kind, reply)
            else:
                altered = alteration.of(reply, self._play_of.other(label))
            touched += altered is not None
            return altered

        settings = {
            "endpoint": alteration.endpoint,
            "max_wait_seconds": 1 if "Retry-After" in alteration.kind else 0,
            "request_timeout_seconds": 1 if alteration.kind in SLOW else 30,
        }
        problems = self._play(case.scene, alter, settings, goes_on=case.goes_on)
        self.touched = touched
        self.counts.cases += 1
        self.counts.altered += touched
        if touched:
            self.counts.endpoints.add(alteration.endpoint)
            self.counts.members.add((alteration.endpoint, str(alteration.path)))
        self.counts.problems += [f"{problem} [{case}]" for problem in problems]
        return problems

    def _play(
        self,
        scene: Scene | ObjectScene,
        alter: Callable[..., Any],
        settings: Mapping[str, Any] = MappingProxyType({}),
        *,
        goes_on: bool,
    ) -> list[str]:
        self._number += 1
        folder = self._folder / str(self._number)
        folder.mkdir(parents=True)
        options = SandboxOptions(strict=True, api_keys={KEY: None}, gzip_answers=False)
        with self._server.holding(options) as sandbox:
            self._play_of = self._play_for(scene, folder, sandbox)
            problems = self._play_of.begin()
            self._server.alter = alter
            problems += self._play_of.altered(**settings)
            self._server.alter = None
            if self._server.is_trapped():
                problems.append("leaked: a request went where an answer pointed to")
            problems += self._play_of.afterwards(goes_on=goes_on)
        self.counts.runs += self._play_of.runs
        return problems

    def _play_for(
        self, scene: Scene | ObjectScene, folder: Path, sandbox: Sandbox
    ) -> _Play | ObjectPlay:
        if isinstance(scene, ObjectScene):
            return ObjectPlay(scene, folder, sandbox)
        return _Play(scene, folder, sandbox, self._postgresql)


class _Play:
    """One team, its rows, and the runs that sync them."""

    def __init__(self, scene: Scene, folder: Path, sandbox: Sandbox, postgresql: str) -> None:
        self._scene = scene
        self._folder = folder
        self._sandbox = sandbox
        self._settings = {
            "api_key": KEY,
            "api_url": sandbox.url,
            "ledger_url": {
                "sqlite": f"sqlite:///{folder}/ledger.db", "postgresql": postgresql, "none": "",
            }[scene.ledger],
            "state_interval_seconds": 0,
            "rejects_path": str(folder / "rejects.singer"),
            "summary_path": str(folder / "summary.json"),
            "max_rejected_percent": 100,
            "abort_rejected_percent": 100,
            "request_timeout_seconds": 30,
            "max_retries": 0,
            "max_wait_seconds": 5,
            "parallel_requests": 1,
            "batch_size": scene.batch,
            "update_method": scene.method,
            "on_apollo_delete": "recreate",
            **({"field_policy": {"*": scene.policy}} if scene.policy else {}),
        }  # fmt: skip
        self._ids: dict[int, str] = {}
        #: Rows that nobody completes any more, which have their reject.
        self._unfinished: set[int] = set()
        #: Members of which nothing is known while Apollo answers other custom fields.
        self._untold: frozenset[str] = frozenset()
        self.runs = 0

    # --- the team

    def begin(self) -> list[str]:
        store, scene = self._sandbox.store, self._scene
        users = [store.add_user(email=email, first_name=email[:3]) for email in (ADA, ROBIN)]
        for modality in ("contact", "account"):
            store.add_custom_field(modality, "Lead Score", "number")
        store.add_custom_field("contact", "Tier", "picklist", ["gold", "silver"])
        client = store.add_account(domain="client.example", name="Client")
        # Others, one of whom is like somebody of the rows.
        contacts = [
            store.add_contact(
                email=f"stranger{n}@b.com", first_name="Ann1", last_name="Lee1", title="CEO",
                owner_id=users[n]["id"], label_names=["Theirs"], organization_name="A",
            )
            for n in (0, 1)
        ]  # fmt: skip
        accounts = [store.add_account(domain=f"stranger{n}.com", name="Works 1") for n in (0, 1)]
        self._strangers = {one["id"] for one in (*contacts, *accounts, client)}
        self._other = {"contacts": contacts[0]["id"], "accounts": accounts[0]["id"]}
        self._user = users[1]["id"]
        there = ROWS if scene.mode == "update" and not scene.before else THERE
        for key in there:
            old = {scene.match: scene.row(key, 0)[scene.match]}
            if scene.stream == "accounts":
                made = store.add_account(**old, name=f"Works{key}")
            else:
                made = store.add_contact(**old, title="old")
            if scene.mode == "update" and not scene.before:
                self._ids[key] = made["id"]
        problems = []
        if scene.before:
            done = self._run(0, mode="upsert")
            problems = self._all_is_well("before", done, 0)
            if scene.gone:
                gone = self._records()[scene.row(4, 0)[scene.match]][0]["id"]
                delete = (store.forget_account, store.forget_contact)[scene.stream == "contacts"]
                delete(gone)
        self._left_alone = self._strangers_now()
        return problems

    def other(self, label: str) -> Other:
        """The record of somebody else, of the kind that an endpoint answers."""
        store = self._sandbox.store
        part = label.partition(" /")[2].partition("/")[0]
        if part in self._other:
            records = store.contacts() if part == "contacts" else store.accounts()
            return next(one for one in records if one["id"] == self._other[part])
        lists: dict[str, list[Any]] = {
            "contact_stages": store.contact_stages, "account_stages": store.account_stages,
            "labels": store.labels(), "fields": store.custom_fields(),
            "typed_custom_fields": store.custom_fields(),
        }  # fmt: skip
        if part == "users":
            return next(one for one in store.users() if one["id"] == self._user)
        return (lists.get(part) or [{}])[-1]

    # --- the runs

    def altered(self, endpoint: str = "", **settings: Any) -> list[str]:
        if endpoint in FIELDS:
            # A property that no field is called is dropped, with a warning.
            self._untold = frozenset({"typed_custom_fields"})
        done = self._run(1, **settings)
        if (self._scene.mode, self._scene.ledger) == ("insert", "none"):
            # What mode insert has made and not finished is an existing record for the next run.
            open_ = done.exit_code != 0 or counted_in(done).get("without_outcome")
            self._unfinished = set(ROWS) if open_ else rejected_in(done)
        problems = [*self._of_any_run(done), *self._outcomes(done), *self._state(done)]
        if self._scene.mode != "insert":
            self._untold = frozenset()
        return problems

    def afterwards(self, *, goes_on: bool) -> list[str]:
        version = 2 if goes_on else 1
        problems = self._all_is_well("later", self._run(version), version)
        self._sandbox.reset_log()
        problems += self._all_is_well("again", self._run(version), version)
        allowed = QUIET | (CREATES if self._scene.ledger == "none" else frozenset())
        sent = {
            one.endpoint
            for one in self._sandbox.requests
            if one.method != "GET" and one.endpoint not in allowed
        }
        # Nothing is read in mode update, so that only a ledger tells what a record holds.
        if sent and (self._scene.mode, self._scene.ledger) != ("update", "none"):
            problems.append(f"spoiled: the last run sends {sorted(sent)} again")
        return problems

    def _run(self, version: int, **settings: Any) -> TargetRun:
        self.runs += 1
        config = {**self._settings, "mode": self._scene.mode, **settings}
        messages = self._scene.messages(version, self._ids)
        return run_inside(config, sent_anew(lines_of(messages), self._folder), self._folder)

    # --- the law

    def _all_is_well(self, name: str, done: TargetRun, version: int) -> list[str]:
        problems = self._of_any_run(done)
        if done.exit_code != 0 or done.rejects or counted_in(done).get("without_outcome"):
            tail = " | ".join(done.log.splitlines()[-3:])[-600:]
            problems.append(
                f"spoiled: the run '{name}' ends with {done.exit_code}, "
                f"{counted_in(done)} {done.reasons}: {tail}"
            )
        wrong = {
            key: why
            for key in ROWS
            if key not in self._unfinished and (why := self._wrong(key, version))
        }
        if wrong:
            problems.append(f"lost: after the run '{name}': {wrong}")
        return problems

    def _of_any_run(self, done: TargetRun) -> list[str]:
        problems = [*broken_by_any(done)]
        now = self._strangers_now()
        for record_id, former in self._left_alone_or(now).items():
            if now.get(record_id) != former:
                problems.append(f"written over: {difference(former, now.get(record_id, {}))}")
        records = self._records()
        known = {
            self._scene.row(key, version)[self._scene.match] for key in ROWS for version in (0, 1)
        }
        twice = {match: len(same) for match, same in records.items() if len(same) > 1}
        others = records.keys() - known
        if twice or others or sum(map(len, records.values())) > len(ROWS):
            problems.append(f"twice: {twice or sorted(map(str, others)) or sorted(records)}")
        return problems

    def _left_alone_or(self, now: dict[str, Any]) -> dict[str, Any]:
        return getattr(self, "_left_alone", now)

    def _outcomes(self, done: TargetRun) -> list[str]:
        """Each row has one outcome, and what counts as written is there."""
        if not done.summary:
            return ["defect: no summary"]
        counted = counted_in(done)
        received = counted.pop("received", 0)
        problems = []
        if sum(counted.values()) != received:
            problems.append(f"lost: {received} rows have the outcomes {counted}")
        if done.exit_code == 0 and (received != len(ROWS) or counted.get("without_outcome")):
            problems.append(f"lost: exit code 0 with {received} rows and {counted}")
        if len(done.rejects) != counted.get("rejected", 0):
            problems.append(f"lost: {len(done.rejects)} rejects, {counted}")
        kept = [key for key in ROWS if key not in rejected_in(done)]
        right = [key for key in kept if not self._wrong(key, 1)]
        written = sum(counted.get(name, 0) for name in ("created", "updated", "unchanged"))
        written += counted.get("existing", 0)
        if len(right) < written:
            wrong = {key: self._wrong(key, 1) for key in kept if key not in right}
            problems.append(f"lost: {counted} are counted, but {wrong}")
        return problems

    def _state(self, done: TargetRun) -> list[str]:
        read = max((one["n"] for one in done.states), default=0)
        rejected = rejected_in(done)
        ahead = [key for key in ROWS if key <= read and key not in rejected and self._wrong(key, 1)]
        return [f"lost: STATE {read} is ahead of the rows {ahead}"] if ahead else []

    def _records(self) -> dict[str, list[dict[str, Any]]]:
        """E-mail or domain -> the records that are no stranger's."""
        store = self._sandbox.store
        found: dict[str, list[dict[str, Any]]] = {}
        for one in store.accounts() if self._scene.stream == "accounts" else store.contacts():
            if one["id"] not in self._strangers:
                found.setdefault(one.get(self._scene.match), []).append(one)
        return found

    def _strangers_now(self) -> dict[str, Any]:
        store = self._sandbox.store
        return {
            one["id"]: {name: value for name, value in one.items() if name != "num_contacts"}
            for one in (*store.contacts(), *store.accounts())
            if one["id"] in self._strangers
        }

    def _wrong(self, key: int, version: int) -> str:
        """What is wrong with the record of a row; empty if nothing is."""
        scene = self._scene
        (one, *_) = self._records().get(scene.row(key, version)[scene.match]) or [None]
        if one is None:
            return "is not there"
        if scene.policy or (scene.mode == "insert" and key in THERE):
            # What was there before stays.
            return ""
        inserted = scene.mode == "insert" and version > 0
        # A row that is inserted keeps what it had then, or had when its record was completed.
        wanted = [self._wanted(key, v) for v in (range(1, version + 1) if inserted else [version])]
        held = {name: one.get(name) for name in wanted[0]}
        held["typed_custom_fields"] = {
            name: str(value) for name, value in (one.get("typed_custom_fields") or {}).items()
        }
        return ", ".join(
            f"{name} is {value!r}"
            for name, value in held.items()
            if name not in self._untold and all(value != version[name] for version in wanted)
        )

    def _wanted(self, key: int, version: int) -> dict[str, Any]:
        """What a record has to hold."""
        scene, store = self._scene, self._sandbox.store
        row = scene.row(key, version)
        wanted: dict[str, Any] = {
            "title": row.get("title"),
            "typed_custom_fields": self._custom(row),
            "label_ids": [one["id"] for one in store.labels() if one["name"] == "Fair"],
        }
        stages = store.account_stages if scene.stream == "accounts" else store.contact_stages
        stage = f"{scene.stream[:-1]}_stage"
        if stage in row:
            wanted[f"{stage}_id"] = next(one["id"] for one in stages if one["name"] == row[stage])
        if "owner_email" in row:
            wanted["owner_id"] = next(
                one["id"] for one in store.users() if one["email"] == row["owner_email"]
            )
        if "account_domain" in row:
            wanted["account_id"] = next(
                one["id"] for one in store.accounts() if one["domain"] == row["account_domain"]
            )
        return wanted

    def _custom(self, row: dict[str, Any]) -> dict[str, str]:
        wanted = {}
        for one in self._sandbox.store.custom_fields():
            if one["modality"] != self._scene.stream[:-1]:
                continue
            value = row[{"Lead Score": "lead_score", "Tier": "tier"}[one["name"]]]
            options = {option["name"]: option["id"] for option in one["picklist_values"] or ()}
            wanted[one["id"]] = str(options.get(value, value))
        return wanted
