"""Which process holds a lock, and whether it has ended, as far as that can be seen.

A process id alone does not say whether the holder of a lock still runs: ids are used again, and two
containers may share a host name and number their processes separately. A process is therefore
identified by host name, by *space* (boot and process namespace, within which ids can be compared)
and by id with start time.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process that writes to a ledger: where it runs and which one it is."""

    host: str
    #: Boot id and process namespace on Linux; ``None`` where the system has none.
    space: str | None
    pid: int
    #: Start time in clock ticks since boot, as ``/proc`` gives it; ``None`` where unknown.
    started: str | None

    @classmethod
    def current(cls) -> Process:
        """The process that runs this code."""
        pid = os.getpid()
        stat = _stat(pid)
        return cls(socket.gethostname(), _space(), pid, stat[1] if stat else None)

    def surely_ended(self, seen_from: Process) -> bool:
        """Whether ``seen_from`` can tell that this process has ended."""
        if (self.host, self.space) != (seen_from.host, seen_from.space):
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        stat = _stat(self.pid)
        if stat is None:
            return False
        state, started = stat
        # Z is a zombie: it has ended, and its parent has not noticed yet.
        return state in {"Z", "X"} or (self.started is not None and started != self.started)


def _stat(pid: int) -> tuple[str, str] | None:
    """State letter and start time of a process (proc(5), fields 3 and 22); Linux only."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # Field 2, the command's name in parentheses, may itself have blanks and parentheses.
    fields = text.rpartition(")")[2].split()
    return (fields[0], fields[19]) if len(fields) > 19 else None


def _space() -> str | None:
    """Boot id and process namespace; None where the system has none."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115 - no file to resolve
    except OSError:
        return None
