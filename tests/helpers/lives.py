"""One target process of a chaos test, which gets rows as from a tap and may be killed."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from target_apollo.sandbox import Sandbox

_LONGEST_LIFE_SECONDS = 120


class ChaosError(AssertionError):
    """The target did what it must never do, whatever Apollo answers."""


@dataclass(frozen=True)
class Kill:
    """A signal, and when to send it.

    Attributes:
        number: The signal.
        requests: It is sent after this number of requests of the process; None for no number.
        states: It is sent after this number of printed STATEs; None for no number.
        then_seconds: How much later it is sent.
    """

    number: signal.Signals
    requests: int | None
    states: int | None
    then_seconds: float

    @classmethod
    def random(cls, chance: random.Random, *, most_requests: int) -> Kill:
        number = chance.choices([signal.SIGKILL, signal.SIGTERM, signal.SIGINT], weights=[7, 2, 1])[
            0
        ]
        at_state = chance.random() < 0.3
        return cls(
            number,
            None if at_state else chance.randint(1, most_requests),
            chance.randint(1, 6) if at_state else None,
            chance.choice([0.0, 0.0, chance.random() * 0.02]),
        )


class Life:
    """One target process, from its start to its end."""

    def __init__(self, config: Path, sandbox: Sandbox, messages: Iterator[bytes]) -> None:
        self._sandbox = sandbox
        self._log = config.with_suffix(".log")
        self.states: list[Any] = []
        self.killed = False
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "target_apollo", "--config", str(config)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=config.parent,
            )
        self._threads = [
            threading.Thread(target=self._feed, args=(list(messages),), daemon=True),
            threading.Thread(target=self._listen, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def end(self, kill: Kill | None) -> int:
        """Waits until the process ends, by the signal if there is one; returns the exit code."""
        if kill is not None and self._waited_for(kill):
            self.process.send_signal(kill.number)
            self.killed = True
        try:
            self.process.wait(_LONGEST_LIFE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise ChaosError(f"The target did not come to an end:\n{self.log}") from None
        finally:
            for thread in self._threads:
                thread.join(10)
        return self.process.returncode

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")[-6_000:]

    def _waited_for(self, kill: Kill) -> bool:
        before = self._requests()
        while self.process.poll() is None:
            if kill.requests is not None and self._requests() - before >= kill.requests:
                break
            if kill.states is not None and len(self.states) >= kill.states:
                break
            time.sleep(0.001)
        time.sleep(kill.then_seconds)
        return self.process.poll() is None

    def _requests(self) -> int:
        return sum(self._sandbox.log.counts().values())

    def _feed(self, lines: list[bytes]) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            for start in range(0, len(lines), 20):
                self.process.stdin.write(b"".join(lines[start : start + 20]))
                self.process.stdin.flush()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            # A line that a kill cut off is no STATE.
            if line.endswith(b"\n"):
                self.states.append(json.loads(line))
