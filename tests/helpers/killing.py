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
import select
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import urllib3.connection
from requests.adapters import HTTPAdapter
from sqlalchemy import Engine, event
from sqlalchemy.engine.default import DefaultDialect

from target_apollo.sync import deal_index
from target_apollo.target.target import TargetApollo

Values = dict[str, Any]

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])
_LONGEST_SECONDS = 60
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
    """The `nth` moment of this kind in a run, from 1."""

    moment: Moment
    nth: int


@dataclass
class Ended:
    """How a child ended."""

    exit_code: int
    states: list[Any]
    log: str
    moments: int = 0
    """Number of moments of the death's kind that the run passed."""

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
    counted = folder / "moments"
    moments = int(counted.read_text()) if counted.exists() else 0
    return Ended(child.exitcode if child.exitcode is not None else -1, states, log, moments)


def _live(config: Values, folder: Path, death: Death | None) -> None:
    for number, name in ((1, "states"), (2, "log")):
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(descriptor, number)
    sys.stdout = os.fdopen(1, "w")
    sys.stderr = os.fdopen(2, "w")
    os.chdir(folder)
    # The sandbox's search shows a deal at once.
    deal_index.SHOWN_AFTER = timedelta(0)
    countdown = _Countdown(NEVER if death is None else death.nth)
    if death is not None:
        _INSTALL[death.moment](countdown)
    with (folder / "messages").open("rb") as messages:
        exit_code = TargetApollo(config=config).sync(messages)
    sys.stdout.flush()
    Path("moments").write_text(str(countdown.calls()))
    os._exit(exit_code)


class _Countdown:
    """Kills this process when it is called for the nth time, by any thread."""

    def __init__(self, nth: int) -> None:
        self._calls = itertools.count(1)
        self._nth = nth

    def __call__(self, *_: object) -> None:
        if next(self._calls) == self._nth:
            os.kill(os.getpid(), signal.SIGKILL)

    def calls(self) -> int:
        """The number of calls so far; may be used only once, at the end."""
        return next(self._calls) - 1


def _before(owner: Any, name: str, die: Callable[..., None]) -> None:
    real = getattr(owner, name)

    @functools.wraps(real)
    def called(*arguments: Any, **named: Any) -> Any:
        die()
        return real(*arguments, **named)

    setattr(owner, name, called)


def _after(owner: Any, name: str, die: Callable[..., None]) -> None:
    real = getattr(owner, name)

    @functools.wraps(real)
    def called(*arguments: Any, **named: Any) -> Any:
        result = real(*arguments, **named)
        die()
        return result

    setattr(owner, name, called)


def _before_answer(die: Callable[..., None]) -> None:
    connection = urllib3.connection.HTTPConnection
    real = connection.getresponse

    @functools.wraps(real)
    def getresponse(self: urllib3.connection.HTTPConnection) -> Any:
        # Once the answer arrives at the socket, Apollo has finished writing.
        select.select([self.sock], [], [])
        die()
        return real(self)

    connection.getresponse = getresponse  # type: ignore[method-assign]


def _state(install: Callable[..., None], name: str, die: Callable[..., None]) -> None:
    install(sys.stdout, name, die)


_INSTALL: dict[Moment, Callable[[Callable[..., None]], None]] = {
    Moment.BEFORE_REQUEST: lambda die: _before(HTTPAdapter, "send", die),
    Moment.BEFORE_ANSWER: _before_answer,
    Moment.AFTER_ANSWER: lambda die: _after(HTTPAdapter, "send", die),
    Moment.BEFORE_COMMIT: lambda die: event.listen(Engine, "commit", die),
    Moment.AFTER_COMMIT: lambda die: _after(DefaultDialect, "do_commit", die),
    Moment.BEFORE_SYNC: lambda die: _before(os, "fsync", die),
    Moment.AFTER_SYNC: lambda die: _after(os, "fsync", die),
    Moment.BEFORE_STATE: lambda die: _state(_before, "write", die),
    Moment.AFTER_STATE: lambda die: _state(_after, "flush", die),
}
