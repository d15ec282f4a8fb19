"""A world: tables, settings and people in Apollo that change between runs, from a seed.

After each run `world_model` says what is lost, twice, wrong or spoiled. `many_worlds` plays worlds.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from target_apollo.sandbox import Fault, FaultKind, Sandbox
from target_apollo.target.target import TargetApollo
from tests.helpers import killing
from tests.helpers.killing import Death, Moment
from tests.helpers.new_sandbox import new_sandbox
from tests.helpers.world_facts import (
    ADDRESS,
    LABELS,
    Place,
    Record,
    RunFacts,
    Sent,
    Values,
)
from tests.helpers.world_input import Taps, message_of
from tests.helpers.world_model import Model
from tests.helpers.world_tables import (
    CHANGING,
    FULL,
    INCREMENTAL,
    LOG,
    NO_KEY,
    TRUE,
    Table,
    Tables,
)
from tests.helpers.world_team import PLACES, Team
from tests.promises.conftest import TargetRun, left_behind, lines_of, sent_anew

_LOST = (
    FaultKind.RESET_BEFORE_WRITE,
    FaultKind.RESET_AFTER_WRITE,
    FaultKind.ERROR_AFTER_WRITE,
    FaultKind.ERROR_BEFORE_WRITE,
    FaultKind.TRUNCATED_BODY,
    FaultKind.GARBAGE_BODY,
    FaultKind.RATE_LIMITED,
)
_ENDPOINTS = ("*", "*", "POST /contacts/bulk_create", "PATCH /contacts/{id}")
_MOMENTS = (
    Moment.BEFORE_REQUEST,
    Moment.BEFORE_ANSWER,
    Moment.AFTER_ANSWER,
    Moment.BEFORE_COMMIT,
    Moment.AFTER_COMMIT,
)
_POLICIES = ("create_only", "fill_if_empty", "newest", "never")
#: Requests that a run without changes may send: they are no writes of records.
_ASKS = frozenset({"POST /usage_stats/api_usage_stats"})
_SEARCHES = frozenset({"POST /contacts/search", "POST /accounts/search"})
_HOUR_LIMIT = 10_000
_PROFILE = "GET /users/api_profile"
_CREATES = frozenset({"POST /contacts/bulk_create", "POST /accounts/bulk_create"})


@dataclass
class Figures:
    """What was tried, and what was found."""

    worlds: int = 0
    runs: int = 0
    kills: int = 0
    cut_off: int = 0
    records: int = 0
    checks: int = 0
    followed: int = 0
    problems: list[str] = field(default_factory=list)

    def __iadd__(self, other: Figures) -> Figures:
        for name in ("worlds", "runs", "kills", "cut_off", "records", "checks", "followed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.problems.extend(other.problems)
        return self

    def __str__(self) -> str:
        kinds = Counter(one.split(":")[0] for one in self.problems)
        found = ", ".join(f"{kind} {kinds[kind]}" for kind in ("lost", "twice", "wrong", "spoiled"))
        return (
            f"worlds {self.worlds}, runs {self.runs}, cut off {self.cut_off}, kills {self.kills}, "
            f"records {self.records}, fields that followed {self.followed}; {found}"
        )


class World:
    """One world.

    Args:
        seed: Seed of all choices.
        sandbox: An empty team, made with `options_of`.
        folder: An empty folder.
        ledger_url: Empty for none.
        is_slow: Whether Apollo takes hardly any single updates from most runs, so that fields
            follow: after each such run one without rows sends them.
    """

    def __init__(
        self,
        seed: int,
        sandbox: Sandbox,
        folder: Path,
        ledger_url: str,
        *,
        is_slow: bool = False,
    ) -> None:
        self.seed, self.sandbox = seed, sandbox
        self._is_slow = is_slow
        self._folder = folder
        self._chance = chance = random.Random(f"{seed}: the world")
        self.figures = Figures(worlds=1)
        self.told: list[str] = []
        self._settings: Values = {
            "ledger_url": ledger_url,
            "batch_size": chance.choice([1, 2, 5, 100]),
            "parallel_requests": chance.choice([1, 3]),
            "update_method": chance.choice(["individual", "bulk", "auto"]),
            "on_apollo_delete": chance.choice(["leave", "recreate"]),
            "null_policy": chance.choice(["ignore", "ignore", "clear"]),
        }
        self.model = Model(
            has_ledger=bool(ledger_url),
            recreates=self._settings["on_apollo_delete"] == "recreate",
            clears=self._settings["null_policy"] == "clear",
        )
        self._mode = chance.choice(["upsert", "upsert", "insert", "update"])
        self._policies: dict[str, str] = {}
        self._place: Place | None = None
        marks_carry = chance.random() < 0.5
        self._shares = chance.random() < 0.3
        #: Whether the key may not ask which team it is for.
        self._is_untold = chance.random() < 0.2
        self.tables = Tables(self.model, self._made_tables())
        self._taps = Taps(self.tables, marks_carry=marks_carry, are_times=bool(seed % 2))
        self.team = Team(sandbox, self.model, self.tables)
        self.told.append(f"{self._settings}; tables {', '.join(map(str, self.tables.all))}")
        for table in self.tables.all:
            for _ in range(chance.randint(1, 6)):
                entity = self.tables.new_entity(table.kind, chance)
                table.put(table.next_key, self.tables.row(entity, chance))
                table.next_key += 1
        self._put_in_apollo()

    def _made_tables(self) -> list[Table]:
        chance, made = self._chance, []
        for source in ["tap-one", "tap-two"][: chance.choice([1, 1, 2])]:
            names = ["contacts", "accounts", "old-contacts"][: chance.choice([1, 2, 2, 3])]
            for name in names:
                kind = "accounts" if name == "accounts" else "contacts"
                columns = chance.sample(CHANGING[kind], chance.randint(2, len(CHANGING[kind])))
                method = chance.choice([FULL, FULL, INCREMENTAL, LOG])
                made.append(Table(source, name, kind, method, columns))
        return made

    def _put_in_apollo(self) -> None:
        """Some people have a record before the first run."""
        for table in self.tables.all:
            for row in list(table.rows.values()):
                if self._chance.random() < 0.15:
                    self.team.make_record(row.entity, row.values[ADDRESS[table.kind]])

    # --- the story

    def play(self, steps: Sequence[int]) -> list[str]:
        """Plays the steps of these numbers, and then runs until all is written.

        Returns:
            What is wrong, as sentences, after the first run that left anything wrong.
        """
        for number in steps:
            chance = random.Random(f"{self.seed}: step {number}")
            self._happen(chance)
            source = chance.choice(sorted({table.source for table in self.tables.all}))
            found = self._run(chance, source, cut_off=chance.random() < 0.35)
            if found:
                return found
        return self._end()

    def _end(self) -> list[str]:
        chance = random.Random(f"{self.seed}: the end")
        if self._mode == "insert" and chance.random() < 0.5:
            self._mode = "upsert"
        for again in (False, True):
            for source in sorted({table.source for table in self.tables.all}):
                if again:
                    self._taps.bookmarks.pop(source, None)
                found = self._run(chance, source, cut_off=False, last=True)
                if found:
                    return found
        return self._load_another_team() if self.model.has_ledger and self._is_untold else []

    def _happen(self, chance: random.Random) -> None:
        tables = self.tables
        doing: list[Callable[[random.Random], str]] = [
            tables.insert, tables.change, tables.change, tables.change, tables.delete,
            tables.delete, tables.come_back, tables.reuse, tables.move, tables.change_columns,
            tables.insert_true, tables.insert_keyless,
            *self.team.happenings,
        ]  # fmt: skip
        if self._shares:
            doing.append(tables.share)
        for _ in range(chance.randint(1, 5)):
            self.told.append("  " + chance.choice(doing)(chance))
        if chance.random() < 0.4:
            self._change_settings(chance)

    def _change_settings(self, chance: random.Random) -> None:
        which = chance.choice(["mode", "policies", "policies", "place", "place"])
        if which == "mode":
            self._mode = chance.choice(["upsert", "upsert", "insert", "update"])
        elif which == "policies":
            self._policies = self._some_policies(chance)
        else:
            self._place = chance.choice(
                [
                    None,
                    Place(list_name=chance.choice(["Gone", "Left"])),
                    Place(stage=chance.choice(PLACES)),
                ]
            )
        self.told.append(f"  mode {self._mode}, {self._policies}, on_delete {self._place}")

    def _some_policies(self, chance: random.Random) -> dict[str, str]:
        names = [*CHANGING["contacts"], *CHANGING["accounts"]]
        labels = {own: label for label, own in LABELS.items()}
        chosen = chance.sample(names, chance.randint(0, 3))
        policies = {labels.get(name, name): chance.choice(_POLICIES) for name in chosen}
        if chance.random() < 0.25:
            policies["*"] = chance.choice([*_POLICIES[:3], "overwrite"])
        return policies

    # --- a run

    def _run(
        self, chance: random.Random, source: str, *, cut_off: bool, last: bool = False
    ) -> list[str]:
        facts, messages, bookmarks = self._taps.messages(chance, source)
        settings = {
            **self._settings,
            "source": source,
            "mode": self._mode,
            "field_policy": self._policies,
            "on_delete": str(self._place) if self._place else "ignore",
            "full_resync": facts["full_resync"],
        }
        how = chance.choice(["kill", "fault", "fault", "limit"]) if cut_off else "to its end"
        limits: Values = {}
        if how == "limit":
            name = chance.choice(["max_records", "max_updates", "max_creates"])
            limits[name] = chance.randint(1 if name == "max_records" else 0, 4)
        if how == "fault":
            self._order_fault(chance)
            settings["max_retries"] = chance.choice([0, 0, 1])
        slow = self._is_slow and not last
        if slow:
            how = "few updates" if how == "to its end" else how
            settings["max_wait_seconds"] = 0
            self._leave_few_updates()
        before = self.team.records()
        self.sandbox.reset_log()
        self._hide_team(self.sandbox)
        done = (
            self._run_and_kill(settings, messages, chance)
            if how == "kill"
            else self._sync(messages, {**settings, **limits})
        )
        self.sandbox.clear_faults()
        problems = self._send_what_waits(settings) if slow else []
        after = self.team.records()
        self.figures.runs += 1
        self.figures.cut_off += how != "to its end"
        self.figures.records += len(facts["sent"])
        self.told.append(
            f"{source} {self._mode} {how} {limits or ''}: exit {done.exit_code}, "
            f"{len(facts['sent'])} sent, STATE {done.last_state}, "
            f"{done.summary.get('records')}, rejects {_rejected(done)}"
        )
        problems += self._judge_end(done, facts, how, bookmarks)
        if "max_records" in limits:
            facts["sent"] = facts["sent"][: limits["max_records"]]
            facts["whole"] = frozenset()
        covered = [state["at"] for state in done.states]
        run = RunFacts(
            source, self._mode, dict(self._policies), self._place,
            **facts,
            covered=max(covered, default=0),
            finished=(done.exit_code == 0 and how != "kill") or done.exit_code == 0,
            rejected=_rejected(done),
            faults=how in ("kill", "fault"),
        )  # fmt: skip
        problems += self.model.judge(run, before, after)
        self.figures.checks += len(after)
        if covered:
            self._taps.bookmarks[source] = done.states[-1]["bookmarks"]
        if problems or how != "to its end" or done.exit_code != 0:
            return problems
        if (last or chance.random() < 0.3) and _is_plain(facts["sent"]):
            return self._run_again(messages, {**settings, "full_resync": False}, facts)
        return []

    def _leave_few_updates(self) -> None:
        """Lets Apollo take hardly any single updates in this hour."""
        chance = random.Random(f"{self.seed}: updates of run {self.figures.runs}")
        self.sandbox.set_options(hour_limit=_HOUR_LIMIT)
        self.sandbox.reset_quota()
        for kind in ("contacts", "accounts"):
            windows = self.sandbox.windows_of(f"api/v1/{kind}/update")
            windows.starts[1] = time.time()
            windows.used[1] = _HOUR_LIMIT - chance.randint(0, 2)

    def _send_what_waits(self, settings: Values) -> list[str]:
        """Sends fields that wait, in a new hour, by a run without rows."""
        self.sandbox.reset_quota()
        self._hide_team(self.sandbox)
        done = self._sync([], {**settings, "full_resync": False})
        self.sandbox.clear_faults()
        self.figures.followed += sum(done.summary.get("followed", {}).values())
        self.told.append(f"  then: {done.summary.get('followed')}, {done.summary.get('to_follow')}")
        if done.exit_code or done.summary.get("to_follow"):
            return [f"wrong: fields are left, exit code {done.exit_code}: {done.log[-1500:]}"]
        return []

    def judge_once_more(self, after: list[Record], before: list[Record] | None = None) -> list[str]:
        """What the model says if a run of the first source's rows leaves these records."""
        source = self.tables.all[0].source
        self._taps.bookmarks.pop(source, None)
        facts, _, states = self._taps.messages(random.Random(0), source)
        run = RunFacts(
            source, self._mode, dict(self._policies), self._place,
            **{**facts, "full_resync": False},
            covered=states[-1]["at"],
        )  # fmt: skip
        return self.model.judge(run, self.team.records() if before is None else before, after)

    def _judge_end(
        self, done: TargetRun, facts: Values, how: str, bookmarks: list[Values]
    ) -> list[str]:
        problems = []
        if any(state not in bookmarks for state in done.states):
            problems.append("wrong: a STATE was printed that no tap sent")
        if done.exit_code not in ({0} if how == "to its end" else {0, 1, 3, -9}):
            problems.append(f"wrong: exit code {done.exit_code}: {done.log[-1500:]}")
        if "Traceback" in done.log or "a defect" in done.log:
            problems.append(f"wrong: a defect: {done.log[-1500:]}")
        if how == "to its end":
            if bookmarks and done.last_state != bookmarks[-1]:
                problems.append(f"lost: the last STATE is {done.last_state}, not {bookmarks[-1]}")
            counts = dict(done.summary.get("records") or {})
            received = counts.pop("received", None)
            if received != len(facts["sent"]) or sum(counts.values()) != received:
                problems.append(f"wrong: {len(facts['sent'])} records, {done.summary['records']}")
        return problems

    def _run_again(self, messages: list[Values], settings: Values, facts: Values) -> list[str]:
        """The same input once more sends nothing that writes, and changes nothing."""
        before = [record.whole for record in self.team.records()]
        self.sandbox.reset_log()
        self._hide_team(self.sandbox)
        for message in messages:
            if message["type"] == "ACTIVATE_VERSION":
                message["version"] += 1
        done = self._sync(messages, settings)
        self.figures.runs += 1
        sent = Counter(
            request.endpoint
            for request in self.sandbox.requests
            if request.method != "GET" and request.endpoint not in _ASKS
        )
        allowed = _SEARCHES if self.model.has_ledger else _SEARCHES | _CREATES
        if done.summary["records"].get("rejected") or done.summary["records"].get("skipped"):
            allowed = _SEARCHES | _CREATES
        changed = [record.whole for record in self.team.records()] != before
        self.told.append(f"  again: {done.summary.get('records')}, {dict(sent)}")
        # Without a ledger, mode update compares nothing.
        is_compared = self.model.has_ledger or self._mode != "update"
        if not is_compared:
            return ["wrong: the same input again changes records"] if changed else []
        problems = []
        if changed or sent.keys() - allowed:
            problems.append(f"wrong: the same input again sends {dict(sent)}, changed: {changed}")
        if {k for k, n in done.summary["records"].items() if n} & {"created", "updated"}:
            problems.append(f"wrong: the same input again: {done.summary['records']}")
        return problems

    def _hide_team(self, sandbox: Sandbox) -> None:
        if self._is_untold:
            forbidden = FaultKind.ERROR_BEFORE_WRITE
            sandbox.inject(Fault(_PROFILE, forbidden, times=None, status=403))

    def _load_another_team(self) -> list[str]:
        """Sends the rows to another team with the same ledger; it gets all of them."""
        before = [record.whole for record in self.team.records()]
        problems: list[str] = []
        source = self.tables.all[0].source
        tables = self.tables.of(source)
        rows = [one for table in tables for one, _ in table.read(None, marks_carry=True)]
        messages = [table.schema() for table in tables] + [message_of(one) for one in rows]
        with new_sandbox() as other:
            for kind, name in (("contact", "Lead Score"), ("account", "Tier")):
                other.store.add_custom_field(kind, name, "string")
            self._hide_team(other)
            settings = {**self._settings, "source": source, "mode": "upsert"}
            api = {"api_url": other.url, "api_key": other.api_key}
            done = self._sync(messages, {**settings, **api})
            there = [*other.store.contacts(), *other.store.accounts()]
        self.figures.runs += 1
        self.figures.records += len(rows)
        held = Counter(str(one.get("email") or one.get("domain")) for one in there)
        for one in rows:
            address = one.values[ADDRESS[self.model.entities[one.entity].kind]]
            if held[address] != 1:
                what = "twice" if held[address] else "lost"
                problems.append(f"{what}: another team has {address} {held[address]} times")
        if [record.whole for record in self.team.records()] != before:
            problems.append("spoiled: a run for another team changed this one")
        self.told.append(f"another team: exit {done.exit_code}, {done.summary.get('records')}")
        return problems

    def _order_fault(self, chance: random.Random) -> None:
        kind = chance.choice(_LOST)
        times = chance.choice([1, 1, None])
        self.sandbox.inject(
            Fault(
                endpoint=chance.choice(_ENDPOINTS),
                kind=kind,
                after=chance.randint(0, 5),
                times=1 if kind is FaultKind.RATE_LIMITED else times,
                status=chance.choice([500, 502, 503]),
                retry_after=0 if kind is FaultKind.RATE_LIMITED else None,
            )
        )

    def _config(self, settings: Values) -> Values:
        return {
            "api_key": self.sandbox.api_key,
            "api_url": self.sandbox.url,
            "state_interval_seconds": 0,
            "rejects_path": str(self._folder / "rejects.singer"),
            "summary_path": str(self._folder / "summary.json"),
            "max_rejected_percent": 100,
            "abort_rejected_percent": 100,
            "max_retries": 0,
            **settings,
        }

    def _sync(self, messages: list[Values], settings: Values) -> TargetRun:
        sent = sent_anew(messages, self._folder)
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        out, log = io.StringIO(), io.StringIO()
        listener = logging.StreamHandler(log)
        logger = logging.getLogger("target-apollo")
        logger.addHandler(listener)
        logger.setLevel(logging.INFO)
        try:
            with contextlib.redirect_stdout(out):
                exit_code = TargetApollo(config=self._config(settings)).sync(io.BytesIO(sent))
        finally:
            logger.removeHandler(listener)
            for number, handler in handlers.items():
                signal.signal(number, handler)
        return left_behind(self._folder, exit_code, out.getvalue().splitlines(), log.getvalue())

    def _run_and_kill(
        self, settings: Values, messages: list[Values], chance: random.Random
    ) -> TargetRun:
        death = Death(chance.choice(_MOMENTS), chance.randint(1, 8))
        self.told.append(f"  killed {death.moment.value}, number {death.nth}")
        lines = lines_of(messages).splitlines(keepends=True)
        sent_anew([], self._folder)
        ended = killing.run_target(self._config(settings), self._folder, lines, death)
        self.figures.kills += ended.killed
        states = [json.dumps(state) for state in ended.states]
        return left_behind(self._folder, ended.exit_code, states, ended.log)


def _rejected(done: TargetRun) -> dict[tuple[str, int], str]:
    return {
        (reject["stream"], _key_of(reject["record"])): reject["record"]["_reject"]["reason"]
        for reject in done.rejects
    }


def _key_of(record: Values) -> int:
    key = record.get("id")
    if key is True:
        return TRUE
    return key if isinstance(key, int) else NO_KEY


def _is_plain(sent: Sequence[Sent]) -> bool:
    """Whether no row and nobody comes twice, so that the same input again asks for nothing."""
    keys = Counter((one.stream, one.key) for one in sent)
    people = Counter(one.entity for one in sent)
    return max([*keys.values(), *people.values()], default=1) == 1
