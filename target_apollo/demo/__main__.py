"""``python -m target_apollo.demo`` runs the demo."""

from __future__ import annotations

import fcntl
import signal
import sys
from typing import TYPE_CHECKING

from target_apollo.demo import meltano, steps
from target_apollo.demo.meltano import MeltanoError
from target_apollo.demo.postgres import PostgresError
from target_apollo.demo.sandbox import SandboxError
from target_apollo.demo.warehouse import WarehouseError

if TYPE_CHECKING:
    from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_EXPECTED = (MeltanoError, PostgresError, SandboxError, WarehouseError, steps.CheckFailed)


class Interrupted(BaseException):
    """A signal ended the demo; raised so that every context manager cleans up."""


def main() -> int:
    """Run the demo; returns 0 if all checks pass, 1 if not, 128 + the signal that stopped it."""
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    folder = meltano.ROOT / ".demo"
    folder.mkdir(mode=0o700, exist_ok=True)
    try:
        with (folder / "lock").open("w", encoding="ascii") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print("The demo is running already in this folder.", file=sys.stderr)
                return 1
            steps.run_demo(folder)
    except _EXPECTED as problem:
        print(f"\nThe demo stopped. {problem}", file=sys.stderr)
        return 1
    except Interrupted as interrupted:
        print("\nStopped; PostgreSQL, Meltano and the sandbox are stopped too.", file=sys.stderr)
        return 128 + int(interrupted.args[0])
    return 0


def _interrupt(number: int, _frame: FrameType | None) -> None:
    # A second Ctrl-C must not interrupt the clean-up.
    for other in _SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise Interrupted(number)


if __name__ == "__main__":
    sys.exit(main())
