"""New sandboxes for tests, on servers that are reused, since to stop one takes 0.2 s."""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from contextlib import contextmanager

from target_apollo.sandbox import Sandbox, SandboxOptions
from target_apollo.sandbox.serving.server import LoopbackServer

_idle: list[LoopbackServer] = []


@contextmanager
def new_sandbox(options: SandboxOptions | None = None) -> Iterator[Sandbox]:
    """A served sandbox with these options, an empty store and an empty log.

    Sandboxes that are used at the same time have different servers. A test that stops a server or
    checks its port or its connections uses ``running_sandbox`` instead.
    """
    server = _idle.pop() if _idle else _started()
    sandbox = Sandbox(options)
    try:
        with server.serving(sandbox):
            yield sandbox
    finally:
        _idle.append(server)


def _started() -> LoopbackServer:
    server = LoopbackServer()
    server.start()
    return server


@atexit.register
def _stop_all() -> None:
    while _idle:
        _idle.pop().stop()
