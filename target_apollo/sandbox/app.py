"""The application: its routes, and the way from a request on the wire to an answer on it."""

from __future__ import annotations

import logging
import re
from typing import Protocol
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from target_apollo.sandbox import control, errors
from target_apollo.sandbox.call import Endpoint
from target_apollo.sandbox.endpoints import ENDPOINTS
from target_apollo.sandbox.http import Answer, Request, answered, deliver, read, refused
from target_apollo.sandbox.pipeline import after_write, before_write, is_known, serve
from target_apollo.sandbox.state import RequestSeen, Sandbox

PREFIX = "/api/v1"
_log = logging.getLogger(__name__)


def build(sandbox: Sandbox) -> Starlette:
    """The ASGI application of a sandbox."""
    routes = [
        Route(PREFIX + endpoint.path, _Door(sandbox, _Served(endpoint)), methods=[endpoint.method])
        for endpoint in ENDPOINTS
    ]
    return Starlette(
        routes=[
            *control.routes(sandbox),
            *routes,
            Route(PREFIX + "/auth/health", _Door(sandbox, _Health()), methods=["GET"]),
            Route(PREFIX + "/oauth/token", _Door(sandbox, _Token()), methods=["POST"]),
            # Before Starlette's own 405 for a path of another method: Apollo knows only routes.
            Route("/{rest:path}", _Door(sandbox, _Nowhere())),
        ]
    )


class _Desk(Protocol):
    def label(self, request: Request, /) -> str: ...

    def reply(self, sandbox: Sandbox, request: Request, /) -> Answer: ...


class _Door:
    """Takes a request off the wire, has it answered and logged, and sends the answer."""

    def __init__(self, sandbox: Sandbox, desk: _Desk) -> None:
        self._sandbox = sandbox
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = await read(scope, receive)
        if request is None:
            return
        label = self._desk.label(request)
        try:
            answer = self._desk.reply(self._sandbox, request)
        except Exception:  # noqa: BLE001
            # A failure of the sandbox itself must say so, and not hang the client.
            _log.exception("the sandbox failed on %s", label)
            answer = refused(errors.Refusal(500, {"error": "The sandbox itself failed."}))
        self._sandbox.log.add(
            RequestSeen(
                method=request.method,
                path=request.path,
                query=request.query,
                endpoint=label,
                raw_body=request.body,
                status=0 if answer.reset else answer.status,
                at=request.at,
                fault=None if answer.fault is None else answer.fault.kind,
            )
        )
        packs = self._sandbox.options.gzip_answers
        await deliver(scope, receive, send, answer, request, packs=packs)


class _Served:
    """An endpoint of the table."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._label = endpoint.label

    def label(self, _: Request) -> str:
        return self._label

    def reply(self, sandbox: Sandbox, request: Request) -> Answer:
        return serve(sandbox, self._endpoint, request)


class _Health:
    """GET /auth/health: 200 whatever the credentials, which is why it proves nothing."""

    def label(self, _: Request) -> str:
        return "GET /auth/health"

    def reply(self, sandbox: Sandbox, request: Request) -> Answer:
        return answered({"healthy": True, "is_logged_in": is_known(sandbox, request)})


class _Token:
    """POST /oauth/token, form-encoded."""

    def label(self, _: Request) -> str:
        return "POST /oauth/token"

    def reply(self, sandbox: Sandbox, request: Request) -> Answer:
        fault = sandbox.faults.strikes("POST /oauth/token")
        early = None if fault is None else before_write(sandbox, fault)
        if early is not None:
            return early
        sent = parse_qs(request.body.decode("utf-8", "replace"), keep_blank_values=True)
        form = {name: values[0] for name, values in sent.items()}
        life = sandbox.options.access_token_seconds
        try:
            answer = answered(sandbox.oauth.exchange(form, request.at, life))
        except errors.Refusal as refusal:
            answer = refused(refusal)
        return answer if fault is None else after_write(sandbox, fault, answer)


class _Nowhere:
    """Everything else: deleting exists but is open to nobody; other routes do not exist."""

    _deletes = re.compile(PREFIX + r"/(contacts|accounts)/[^/]+\Z")

    def label(self, request: Request) -> str:
        return f"{request.method} {request.path.removeprefix(PREFIX)}"

    def reply(self, sandbox: Sandbox, request: Request) -> Answer:
        match = self._deletes.match(request.path)
        if match is None or request.method != "DELETE":
            return refused(errors.not_found())
        if not is_known(sandbox, request):
            return refused(errors.invalid_key())
        return refused(errors.token_not_allowed(f"api/v1/{match[1]}/destroy"))
