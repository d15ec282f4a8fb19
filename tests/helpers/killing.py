"""Runs the target in a forked child, which kills itself at a chosen moment of the run.

A fork server, which has already imported the target, starts the children. A run thus takes no
start-up time, and a test can try hundreds of moments.
"""

from __future__ import annotations

import enum
import functools
import itertools
import json
import multiprocessing
import os
import random
import re
import select
import signal
import stat
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import urllib3.connection
from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.default import DefaultDialect

from target_apollo.model.texts.domains import registrable_of
from target_apollo.sync.objects import mark_index
from target_apollo.target.target import TargetApollo

# Read by the first row with a domain, which would be in each child.
registrable_of("example.com")

Values = dict[str, Any]

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])
_LONGEST_SECONDS = 60
#: Transactions that come dozens of times in a run and whose kills are all alike: those that only
#: read, and those by which a run takes its part of the rate windows that its team shares.
_ALIKE = frozenset({"nothing", "INSERT INTO apollo_windows", "UPDATE apollo_windows"})
_WRITE = re.compile(r"(INSERT INTO|UPDATE|DELETE FROM|CREATE TABLE) (\w+)")
_WRITES = "writes"
_ID = re.compile(r"\b[0-9a-f]{24}\b")
#: Value of `Death.nth` with which the run ends normally and its moments are counted.
NEVER = 0


class Moment(enum.Enum):
    """The moments at which a process can kill itself."""

    BEFORE_REQUEST = "before a request goes out"
    BEFORE_ANSWER = "after Apollo has written and before its answer is read"
    AFTER_ANSWER = "after an answer has been read"
    BEFORE_COMMIT = "before a ledger transaction is committed"
    AFTER_COMMIT = "after a ledger transaction is committed"
    BEFORE_SYNC = "before a file is put on disk"
    AFTER_SYNC = "after a file is put on disk"
    BEFORE_STATE = "before a STATE is printed"
    AFTER_STATE = "after a STATE is printed"


@dataclass(frozen=True)
class Death:
    """The `nth` moment of this kind in a run, from 1.

    Attributes:
        at: What the request, transaction or file of the moment is, as in `Ended.passed`; moments of
            others are not counted. None: all are.
    """

    moment: Moment
    nth: int
    at: str | None = None


@dataclass
class Ended:
    """How a child ended."""

    exit_code: int
    states: list[Any]
    log: str
    passed: list[str] = field(default_factory=list)
    """What each moment of the death's kind was that the run passed: the request's method and path,
    what the transaction writes, the file."""

    @property
    def killed(self) -> bool:
        return self.exit_code == -signal.SIGKILL


def run_target(config: Values, folder: Path, messages: list[bytes], death: Death | None) -> Ended:
    """Runs the target on these messages in a child, which kills itself at ``death``, if given."""
    (folder / "messages").write_bytes(b"".join(messages))
    child = _CONTEXT.Process(target=_live, args=(config, folder, death))
    child.start()
    child.join(_LONGEST_SECONDS)
    if child.exitcode is None:
        child.kill()
        child.join()
    log = (folder / "log").read_text(errors="replace")
    lines = (folder / "states").read_bytes().splitlines(keepends=True)
    states = [json.loads(line) for line in lines if line.endswith(b"\n")]
    noted = folder / "moments"
    passed = json.loads(noted.read_text()) if noted.exists() else []
    return Ended(child.exitcode if child.exitcode is not None else -1, states, log, passed)


def some_of_each(
    moment: Moment, passed: list[str], chance: random.Random, most: int = 2
) -> list[Death]:
    """So many moments, at random, of each kind of request, transaction or file that a run has."""
    return [
        Death(moment, nth, at)
        for at, count in sorted(Counter(passed).items())
        for nth in chance.sample(range(1, count + 1), 1 if at in _ALIKE else min(most, count))
    ]


def _live(config: Values, folder: Path, death: Death | None) -> None:
    for number, name in ((1, "states"), (2, "log")):
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(descriptor, number)
    sys.stdout = os.fdopen(1, "w")
    sys.stderr = os.fdopen(2, "w")
    os.chdir(folder)
    # The sandbox's searches show what is new at once.
    mark_index.SHOWN_AFTER = timedelta(0)
    countdown = _Countdown(death or Death(Moment.AFTER_STATE, NEVER))
    if death is not None:
        _INSTALL[death.moment](countdown)
    with (folder / "messages").open("rb") as messages:
        exit_code = TargetApollo(config=config).sync(messages)
    sys.stdout.flush()
    Path("moments").write_text(json.dumps(countdown.passed))
    os._exit(exit_code)


class _Countdown:
    """Kills this process when it is called for the nth time, by any thread.

    Attributes:
        passed: What each moment was so far.
    """

    def __init__(self, death: Death) -> None:
        self.passed: list[str] = []
        self._death = death
        self._calls = itertools.count(1)

    def __call__(self, at: str) -> None:
        self.passed.append(at)
        if self._death.at in (None, at) and next(self._calls) == self._death.nth:
            os.kill(os.getpid(), signal.SIGKILL)


def _before(owner: Any, name: str, die: _Countdown, what: Callable[..., str]) -> None:
    real = getattr(owner, name)

    @functools.wraps(real)
    def called(*arguments: Any, **named: Any) -> Any:
        die(what(*arguments))
        return real(*arguments, **named)

    setattr(owner, name, called)


def _after(owner: Any, name: str, die: _Countdown, what: Callable[..., str]) -> None:
    real = getattr(owner, name)

    @functools.wraps(real)
    def called(*arguments: Any, **named: Any) -> Any:
        at = what(*arguments)
        result = real(*arguments, **named)
        die(at)
        return result

    setattr(owner, name, called)


def _request_of(adapter: HTTPAdapter, request: PreparedRequest) -> str:
    return _endpoint(str(request.method), request.path_url)


def _endpoint(method: str, path: str) -> str:
    return f"{method} {_ID.sub('{id}', path.partition('?')[0])}"


def _before_answer(die: _Countdown) -> None:
    connection = urllib3.connection.HTTPConnection
    real, really_put = connection.getresponse, connection.putrequest
    asked: dict[urllib3.connection.HTTPConnection, str] = {}

    @functools.wraps(really_put)
    def putrequest(
        self: urllib3.connection.HTTPConnection, method: str, url: str, **named: Any
    ) -> None:
        asked[self] = _endpoint(method, url)
        really_put(self, method, url, **named)

    @functools.wraps(real)
    def getresponse(self: urllib3.connection.HTTPConnection) -> Any:
        # Once the answer arrives at the socket, Apollo has finished writing.
        select.select([self.sock], [], [])
        die(asked[self])
        return real(self)

    connection.putrequest = putrequest  # type: ignore[method-assign]
    connection.getresponse = getresponse  # type: ignore[method-assign]


def _note_writes(connection: Connection, cursor: object, statement: str, *_: object) -> None:
    """Notes what the transaction of a connection writes, for `_written`."""
    writes = _WRITE.match(statement)
    if writes:
        connection.info.setdefault(_WRITES, {})[f"{writes[1]} {writes[2]}"] = None


def _written(dialect: DefaultDialect, connection: Any) -> str:
    """What the transaction writes that ends now: each verb with its table."""
    return ", ".join(connection.info.pop(_WRITES, ())) or "nothing"


def _commits(install: Callable[..., None], die: _Countdown) -> None:
    event.listen(Engine, "before_cursor_execute", _note_writes)
    install(DefaultDialect, "do_commit", die, _written)


def _file_of(descriptor: int) -> str:
    return "a folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "a file"


def _state(install: Callable[..., None], name: str, die: _Countdown) -> None:
    install(sys.stdout, name, die, lambda *_: "STATE")


_INSTALL: dict[Moment, Callable[[_Countdown], None]] = {
    Moment.BEFORE_REQUEST: lambda die: _before(HTTPAdapter, "send", die, _request_of),
    Moment.BEFORE_ANSWER: _before_answer,
    Moment.AFTER_ANSWER: lambda die: _after(HTTPAdapter, "send", die, _request_of),
    Moment.BEFORE_COMMIT: lambda die: _commits(_before, die),
    Moment.AFTER_COMMIT: lambda die: _commits(_after, die),
    Moment.BEFORE_SYNC: lambda die: _before(os, "fsync", die, _file_of),
    Moment.AFTER_SYNC: lambda die: _after(os, "fsync", die, _file_of),
    Moment.BEFORE_STATE: lambda die: _state(_before, "write", die),
    Moment.AFTER_STATE: lambda die: _state(_after, "flush", die),
}
