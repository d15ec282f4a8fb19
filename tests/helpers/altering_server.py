"""A sandbox whose answers are altered on their way out, over a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import Callable, Iterator
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from target_apollo.sandbox import Sandbox, SandboxOptions
from target_apollo.sandbox.serving.app import PREFIX
from target_apollo.sandbox.serving.http import TRANSPORT
from target_apollo.sandbox.serving.server import LoopbackServer
from tests.helpers.altered_answers import TRAP, Reply

#: Label of an endpoint and its answer -> the altered answer; None leaves it as it is.
Alter = Callable[[str, Reply], Reply | None]

_ID_IN_PATH = re.compile(r"(?<=/)[0-9a-f]{24}(?=/|\Z)")
#: Headers of an answer that say what its body is.
_OF_BODY = frozenset({"content-type", "content-length", "content-encoding"})


class AlteringServer(LoopbackServer):
    """A server of sandboxes, one after another, each answer of which may be altered.

    Attributes:
        alter: Alters the answers; None where they stay as they are.
        trap: A socket that listens where altered answers try to send the client.
    """

    def __init__(self) -> None:
        super().__init__()
        self.alter: Alter | None = None
        self.trap = socket.create_server(("127.0.0.1", 0))
        self.trap.setblocking(False)

    def is_trapped(self) -> bool:
        """Whether a client came to the trap since it was asked last."""
        try:
            self.trap.accept()[0].close()
        except BlockingIOError:
            return False
        return True

    @contextlib.contextmanager
    def holding(self, options: SandboxOptions) -> Iterator[Sandbox]:
        """Serve a new sandbox, whose answers stay as they are until `alter` is set."""
        sandbox = Sandbox(options)
        with self.serving(sandbox):
            try:
                yield sandbox
            finally:
                self.alter = None

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        alter = self.alter
        if alter is None:
            await super()._answer(scope, receive, send)
            return
        sent: list[Message] = []

        async def keep(message: Message) -> None:
            sent.append(message)

        await super()._answer(scope, receive, keep)
        altered = alter(_label(scope), _reply(sent)) if sent else None
        if altered is None:
            for message in sent:
                await send(message)
            return
        await self._write(scope["extensions"][TRANSPORT], receive, altered)

    async def _write(self, transport: Any, receive: Receive, reply: Reply) -> None:
        port = self.trap.getsockname()[1]
        content = reply.encoded().replace(TRAP.encode(), b"http://127.0.0.1:%d" % port)
        gone = asyncio.ensure_future(_disconnected(receive))
        for start in range(0, len(content), reply.piece if reply.pause else len(content)):
            if gone.done() or transport.is_closing():
                break
            transport.write(content[start : start + reply.piece] if reply.pause else content)
            if reply.pause:
                await asyncio.wait([gone], timeout=reply.pause)
        transport.close()
        await gone


def _label(scope: Scope) -> str:
    path = str(scope["path"]).removeprefix(PREFIX)
    return f"{scope['method']} {_ID_IN_PATH.sub('{id}', path)}"


def _reply(sent: list[Message]) -> Reply:
    start, *rest = sent
    headers = [(name.decode(), value.decode("latin-1")) for name, value in start["headers"]]
    return Reply(
        start["status"],
        b"".join(message.get("body", b"") for message in rest),
        tuple(one for one in headers if one[0] not in _OF_BODY),
        dict(headers)["content-type"],
    )


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
