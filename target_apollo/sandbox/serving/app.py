"""The ASGI application of a sandbox: its routes, and how each request is answered and logged."""

from __future__ import annotations

import functools
import logging
import re
import time
from typing import Protocol
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from target_apollo.sandbox import control
from target_apollo.sandbox.serving import errors
from target_apollo.sandbox.serving.call import Endpoint
from target_apollo.sandbox.serving.endpoints import ENDPOINTS
from target_apollo.sandbox.serving.http import Answer, Request, answered, deliver, read, refused
from target_apollo.sandbox.serving.own_page import OwnPageOnly
from target_apollo.sandbox.serving.pipeline import (
    after_write,
    before_write,
    has_token,
    is_known,
    serve,
)
from target_apollo.sandbox.state import MOST_KEPT, RequestSeen, Sandbox

PREFIX = "/api/v1"
_PREFIXES = (PREFIX, "/v1")  # older clients have the second one
_log = logging.getLogger(__name__)


def build(sandbox: Sandbox, host: str = "") -> Starlette:
    """The ASGI application of a sandbox.

    Args:
        host: The name or address on which it listens, as its user gave it.
    """
    served = Starlette(
        routes=[*control.routes(sandbox), *_routes()],
        middleware=[Middleware(OwnPageOnly, host=host)],
    )
    served.state.sandbox = sandbox
    return served


@functools.cache
def _routes() -> tuple[Route, ...]:
    """Apollo's routes, which all sandboxes of a process share."""
    responders: list[tuple[str, str, _Responder]] = [
        *((one.method, one.path, _ApiEndpoint(one)) for one in ENDPOINTS),
        ("GET", "/auth/health", _HealthCheck()),
        ("POST", "/oauth/token", _TokenEndpoint()),
    ]
    return (
        *(
            Route(prefix + path, _EndpointApp(responder), methods=[method])
            for prefix in _PREFIXES
            for method, path, responder in responders
        ),
        # Apollo answers 404 to the wrong method of a path, where Starlette would answer 405.
        Route("/{rest:path}", _EndpointApp(_UnknownRoute())),
    )


class _Responder(Protocol):
    def label(self, request: Request, /) -> str:
        """The name of the endpoint in logs and faults."""
        ...

    def reply(self, sandbox: Sandbox, request: Request, /) -> Answer:
        """The answer to a request."""
        ...


class _EndpointApp:
    """The ASGI application of one route: reads a request, logs it and sends the answer."""

    def __init__(self, responder: _Responder) -> None:
        self._responder = responder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = await read(scope, receive)
        if request is None:
            return
        sandbox: Sandbox = scope["app"].state.sandbox
        label = self._responder.label(request)
        number = sandbox.log.next_number
        try:
            answer = self._responder.reply(sandbox, request)
        except Exception:  # noqa: BLE001
            # The client must learn of a defect of the sandbox instead of waiting for an answer.
            _log.exception("the sandbox failed on %s", label)
            answer = refused(errors.Refusal(500, {"error": "The sandbox itself failed."}))
        sandbox.log.add(
            RequestSeen(
                method=request.method,
                path=request.path,
                query=request.query,
                endpoint=label,
                raw_body=request.body,
                status=0 if answer.reset else answer.status,
                at=request.at,
                fault=None if answer.fault is None else answer.fault.kind,
                number=number,
                agent=request.headers.get("user-agent", ""),
                connection=request.connection,
                seconds=time.time() - request.at,
                answer=answer.body[:MOST_KEPT],
                answer_bytes=len(answer.body),
                counts=answer.counts,
            )
        )
        compresses = sandbox.options.gzip_answers
        await deliver(scope, receive, send, answer, request, compresses=compresses)


class _ApiEndpoint:
    """Answers an endpoint of `ENDPOINTS`."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._label = endpoint.label

    def label(self, _: Request) -> str:
        return self._label

    def reply(self, sandbox: Sandbox, request: Request) -> Answer:
        return serve(sandbox, self._endpoint, request)


class _HealthCheck:
    """GET /auth/health: 200 for any credentials, so that the status proves nothing."""

    def label(self, _: Request) -> str:
        return "GET /auth/health"

    def reply(self, sandbox: Sandbox, request: Request) -> Answer:
        return answered({"healthy": True, "is_logged_in": is_known(sandbox, request)})


class _TokenEndpoint:
    """POST /oauth/token, whose body is form-encoded."""

    def label(self, _: Request) -> str:
        return "POST /oauth/token"

    def reply(self, sandbox: Sandbox, request: Request) -> Answer:
        fault = sandbox.faults.strikes("POST /oauth/token")
        early = None if fault is None else before_write(sandbox, fault)
        if early is not None:
            return early
        sent = parse_qs(request.body.decode("utf-8", "replace"), keep_blank_values=True)
        form = {name: values[0] for name, values in sent.items()}
        lifetime = sandbox.options.access_token_seconds
        try:
            answer = answered(sandbox.oauth.exchange(form, request.at, lifetime))
        except errors.Refusal as refusal:
            answer = refused(refusal)
        return answer if fault is None else after_write(sandbox, fault, answer)


class _UnknownRoute:
    """Every other route: 404, or 403 for the deletion of a record, which Apollo allows nobody."""

    _deletes = re.compile(r"(?:/api)?/v1/(contacts|accounts)/[^/]+\Z")

    def label(self, request: Request) -> str:
        return f"{request.method} {request.path.removeprefix(PREFIX)}"

    def reply(self, sandbox: Sandbox, request: Request) -> Answer:
        match = self._deletes.match(request.path)
        if match is None or request.method != "DELETE":
            return refused(errors.not_found())
        if not is_known(sandbox, request):
            return refused(errors.invalid_key())
        not_allowed = errors.token_not_allowed if has_token(request) else errors.key_not_allowed
        return refused(not_allowed(f"api/v1/{match[1]}/destroy"))
