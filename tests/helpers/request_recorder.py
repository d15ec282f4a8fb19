"""Records the requests of target runs and holds them against a golden file.

A golden file is JSON: the runs of a scenario, each with its requests in order (``endpoint``,
``query``, ``body``, and the ``status`` that Apollo answered) and what it came to. Ids of Apollo
stand there as what they belong to (``<contact p1@a.com>``), since they are new in every team.
"""

from __future__ import annotations

import difflib
import itertools
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from target_apollo.sandbox import Fault, FaultKind, RequestSeen, Sandbox
from tests.promises.conftest import Message, Run, TargetRun, lines_of

CREATE = "POST /contacts/bulk_create"
_ID = re.compile(r"\b[0-9a-f]{24}\b")
_PREFIX = "/api/v1"
_WIDTH = 100
#: Seconds in which the target must have come to the request at which it is killed.
_LONGEST_SECONDS = 30


class Recorder:
    """The runs of one scenario against one team.

    Requests go out one at a time unless a run is told otherwise, so that their order is known.

    Attributes:
        apollo: The team; for what is there before a run, and for faults.
        runs: What was recorded, as it stands in a golden file.
    """

    def __init__(
        self, apollo: Sandbox, sync: Run, write_config: Callable[..., Path], folder: Path
    ) -> None:
        self.apollo = apollo
        self.runs: list[dict[str, Any]] = []
        self._sync = sync
        self._write_config = write_config
        self._folder = folder
        #: Apollo's ids -> what they belong to.
        self._names: dict[str, str] = {}
        self._taken: dict[str, int] = {}

    def run(self, *messages: Message, **settings: Any) -> None:
        """Records a run; where its requests overlap, those of one endpoint are sorted."""
        self._begin()
        done = self._sync(messages, **{"parallel_requests": 1, **settings})
        self._end(done, is_parallel=settings.get("parallel_requests", 1) > 1)

    def run_until_killed(self, *messages: Message, creates: int, **settings: Any) -> None:
        """Records a run that is killed while it waits for the answer to a create.

        Args:
            creates: The number of that request among the creates of contacts, from 1 on.
        """
        self._begin()
        self.apollo.inject(
            Fault(endpoint=CREATE, kind=FaultKind.SLOW, seconds=_LONGEST_SECONDS, after=creates - 1)
        )
        config = self._write_config(self.apollo, **{"parallel_requests": 1, **settings})
        received, printed, log = (self._folder / name for name in ("input", "output", "log"))
        received.write_bytes(lines_of(messages))
        with received.open("rb") as stdin, printed.open("wb") as stdout, log.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "target_apollo", "--config", str(config)],
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                cwd=self._folder,
            )
            try:
                self._wait_for_creates(process, creates)
                # What the target does beside the request comes to an end too.
                time.sleep(0.5)
            finally:
                process.kill()
                exit_code = process.wait()
        self.apollo.clear_faults()
        states = [json.loads(line) for line in printed.read_bytes().splitlines()]
        self._end(TargetRun(exit_code, states, log.read_text()), is_parallel=False)

    def compare(self, golden: Path) -> None:
        """Fails with a diff where the runs are not those of a golden file, or writes the file."""
        found = self._recorded()
        if os.environ.get("REWRITE_TRACES") == "1":
            golden.parent.mkdir(exist_ok=True)
            golden.write_text(found, encoding="utf-8")
        expected = golden.read_text(encoding="utf-8") if golden.exists() else ""
        if found != expected:
            diff = difflib.unified_diff(
                expected.splitlines(), found.splitlines(), "recorded", "now", lineterm="", n=5
            )
            pytest.fail(
                f"The requests of '{golden.stem}' are not those of its golden file. Where that is "
                "meant, run the test with REWRITE_TRACES=1.\n" + "\n".join(diff),
                pytrace=False,
            )

    def _wait_for_creates(self, process: subprocess.Popen[bytes], creates: int) -> None:
        deadline = time.monotonic() + _LONGEST_SECONDS
        while self.apollo.count(CREATE) < creates:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"The target did not come to create no. {creates} of contacts.")
            time.sleep(0.005)

    def _begin(self) -> None:
        self._learn_names()
        self.apollo.reset_log()

    def _end(self, done: TargetRun, *, is_parallel: bool) -> None:
        seen = self.apollo.requests
        self._learn_names()
        requests = [self._named(_request(one)) for one in seen]
        if is_parallel:
            requests = _sorted_by_endpoint(requests)
        self.runs.append({"requests": requests, "outcome": self._named(_outcome(done))})

    def _recorded(self) -> str:
        text = laid_out({"runs": self.runs}) + "\n"
        unknown: dict[str, str] = {}
        # An id that nothing in the team has, such as that of a row's own making.
        return _ID.sub(lambda id_: unknown.setdefault(id_[0], f"<id {len(unknown) + 1}>"), text)

    def _named(self, value: Any) -> Any:
        text = json.dumps(value, ensure_ascii=False)
        return json.loads(_ID.sub(lambda id_: self._names.get(id_[0], id_[0]), text))

    def _learn_names(self) -> None:
        """Names everything in the team once, so that a record keeps its name when it changes."""
        store = self.apollo.store
        self._name("team", store.team_id, "")
        for kind, things, label in (
            ("user", store.users(), "email"),
            ("contact stage", store.contact_stages, "name"),
            ("account stage", store.account_stages, "name"),
            ("field", store.custom_fields(), "name"),
            ("list", store.labels(), "name"),
            ("account", store.accounts(), "domain"),
            ("contact", store.contacts(), "email"),
        ):
            for thing in things:
                self._name(kind, str(thing["id"]), str(thing.get(label) or thing.get("name")))

    def _name(self, kind: str, apollo_id: str, label: str) -> None:
        if apollo_id in self._names:
            return
        name = f"{kind} {label}".strip()
        self._taken[name] = number = self._taken.get(name, 0) + 1
        self._names[apollo_id] = f"<{name}>" if number == 1 else f"<{name}, no. {number}>"


def _request(seen: RequestSeen) -> dict[str, Any]:
    request: dict[str, Any] = {
        "endpoint": f"{seen.method} {seen.path.removeprefix(_PREFIX)}",
        "query": dict(parse_qsl(seen.query, keep_blank_values=True)),
        # The order of the keys of an object says nothing.
        "body": json.loads(json.dumps(seen.body, sort_keys=True)),
        "status": seen.status,
    }
    return {name: value for name, value in request.items() if value not in ({}, None)}


def _outcome(done: TargetRun) -> dict[str, Any]:
    summary = done.summary
    outcome = {
        "exit_code": done.exit_code,
        "states": done.states,
        "records": {name: count for name, count in summary.get("records", {}).items() if count},
        "rejected": {
            stream: counts["rejected_because"]
            for stream, counts in summary.get("streams", {}).items()
            if counts["rejected_because"]
        },
        "deleted": summary.get("deleted"),
        "protected": summary.get("protected"),
        "duplicates": summary.get("duplicates", {}).get("found"),
        "closed": sorted(summary.get("api", {}).get("closed", ())),
        "diffs": summary.get("diffs"),
        "estimate": summary["estimate"]["requests"] if summary.get("dry_run") else None,
    }
    kept = ("exit_code", "states")
    return {name: value for name, value in outcome.items() if name in kept or value}


def _sorted_by_endpoint(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Requests one after another to one endpoint, in an order that does not depend on threads."""
    return [
        request
        for _, together in itertools.groupby(requests, key=_method_and_object)
        for request in sorted(together, key=lambda one: json.dumps(one, ensure_ascii=False))
    ]


def _method_and_object(request: dict[str, Any]) -> str:
    return re.sub(r"<[^>]*>|[0-9a-f]{24}", "{id}", str(request["endpoint"]))


def laid_out(value: Any, indent: str = "") -> str:
    """JSON in which everything that fits has one line, so that a diff shows whole records."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, (dict, list)) or len(indent) + len(line) < _WIDTH:
        return line
    inner = indent + "  "
    parts: Iterable[str]
    if isinstance(value, dict):
        opening, closing = "{", "}"
        parts = (f"{json.dumps(name)}: {laid_out(one, inner)}" for name, one in value.items())
    else:
        opening, closing = "[", "]"
        parts = (laid_out(one, inner) for one in value)
    lines = ",\n".join(f"{inner}{part}" for part in parts)
    return f"{opening}\n{lines}\n{indent}{closing}"
