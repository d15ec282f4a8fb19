"""The steps of an API request: credentials, rate windows, checks of form, faults, the endpoint.

The order is Apollo's, as far as a client can tell. 401 and 403 answers have no rate headers, so the
credentials are checked before the windows. Each later answer, refusals included, counts as a
request in the windows.
"""

from __future__ import annotations

from dataclasses import replace
from email.utils import formatdate
from typing import Any

import msgspec

from target_apollo.sandbox.checks import strict
from target_apollo.sandbox.data.formats import timestamp
from target_apollo.sandbox.data.origins import Origin
from target_apollo.sandbox.options import RetryAfter
from target_apollo.sandbox.serving import errors, rate_windows
from target_apollo.sandbox.serving.call import Call, Endpoint
from target_apollo.sandbox.serving.endpoints import ENDPOINTS
from target_apollo.sandbox.serving.faults import (
    GARBAGE,
    HTML_PAGE,
    Fault,
    FaultKind,
    first_records,
    without_records,
)
from target_apollo.sandbox.serving.http import Answer, Request, answered, html, refused
from target_apollo.sandbox.serving.oauth import EVERYTHING
from target_apollo.sandbox.state import Sandbox


def admit(sandbox: Sandbox, request: Request, entry: str, scope: str) -> None:
    """Check the credentials of a request to an endpoint.

    An API key has a list of endpoints (``entry``), an access token has scopes.

    Raises:
        Refusal: 401, the credentials are not valid; 403, they do not cover this endpoint.
    """
    bearer = _bearer(request)
    if bearer:
        held = sandbox.oauth.scopes(bearer, request.at)
        if held is None:
            raise errors.invalid_token()
        if EVERYTHING not in held and scope not in held:
            raise errors.token_not_allowed(entry)
        return
    # Old clients send the key in the URL; Apollo no longer accepts it there.
    key = request.headers.get("x-api-key", "")
    keys = sandbox.options.api_keys
    if key not in keys:
        raise errors.invalid_key()
    allowed = keys[key]
    if allowed is not None and entry not in allowed:
        raise errors.key_not_allowed(entry)


def is_known(sandbox: Sandbox, request: Request) -> bool:
    """Whether the credentials are valid, for any endpoint."""
    bearer = _bearer(request)
    if bearer:
        return sandbox.oauth.scopes(bearer, request.at) is not None
    return request.headers.get("x-api-key", "") in sandbox.options.api_keys


def has_token(request: Request) -> bool:
    """Whether a request has an access token, which goes before an API key."""
    return bool(_bearer(request))


def _bearer(request: Request) -> str:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


_decode = msgspec.json.Decoder().decode


def serve(sandbox: Sandbox, endpoint: Endpoint, request: Request) -> Answer:
    """The answer of an endpoint to a request, with the faults that are ordered for it."""
    try:
        admit(sandbox, request, endpoint.entry, endpoint.scope)
    except errors.Refusal as refusal:
        return refused(refusal)
    schedule = sandbox.options.schedule()
    windows = sandbox.windows_of(endpoint.entry)
    exhausted = windows.count(schedule, request.at)
    limits = rate_windows.headers(windows.usage(schedule, request.at))
    if exhausted is not None:
        return refused(
            errors.too_many_calls(endpoint.controller, exhausted.limit, exhausted.window),
            [*limits, *_retry_after(sandbox.options.retry_after, request, exhausted)],
        )
    fault: Fault | None = None
    try:
        call = _call(sandbox, endpoint, request)
        fault = sandbox.faults.strikes(endpoint.label)
        early = None if fault is None else before_write(sandbox, fault)
        if early is not None:
            return early
        if fault is not None:
            call.body = first_records(call.body, fault)
            call.query = first_records(dict(call.query), fault)
        agent = request.headers.get("user-agent", "")
        origin = Origin(sandbox.log.next_number, request.at, endpoint.label, agent)
        answer = _write(call, fault, limits, origin)
    except errors.Refusal as refusal:
        answer = refused(refusal, limits)
    return answer if fault is None else after_write(sandbox, fault, answer)


def _call(sandbox: Sandbox, endpoint: Endpoint, request: Request) -> Call:
    options = sandbox.options
    body = _body(endpoint.label, request, is_strict=options.strict)
    query = request.parameters()
    if options.strict:
        known = sandbox.store.workspace.fields
        strict.check(endpoint.label, body, query, known, options)
    return Call(
        endpoint=endpoint,
        store=sandbox.store,
        options=options,
        chance=sandbox.chance,
        windows=sandbox.windows,
        endpoints=ENDPOINTS,
        user_id=sandbox.store.admin_id,
        record_id=request.record_id,
        query=query,
        body=body,
        now=request.at,
        stamp=timestamp(request.at),
    )


def _write(
    call: Call, fault: Fault | None, limits: list[tuple[str, str]], origin: Origin
) -> Answer:
    # The answer is encoded under the lock, since it shares lists and dicts with the store.
    with call.store.acting(origin):
        try:
            value = call.endpoint.answer(call)
        finally:
            # A bulk request that is refused may have written its first records.
            call.store.commit()
        if fault is not None and fault.kind is FaultKind.RECORDS_LEFT_OUT:
            value = without_records(value, fault.records or 1)
        return answered(value, limits)


def _body(label: str, request: Request, *, is_strict: bool) -> dict[str, Any]:
    if not request.body:
        return {}
    is_json = request.headers.get("content-type", "").lower().startswith("application/json")
    try:
        body = _decode(request.body) if is_json else None
    except msgspec.DecodeError:
        raise errors.Refusal(
            400, {"error": "There was a problem in the JSON you submitted."}
        ) from None
    if isinstance(body, dict):
        return body
    if is_strict:
        raise strict.unread_body(label, is_json=is_json)
    return {}


def _retry_after(
    form: RetryAfter, request: Request, exhausted: rate_windows.Exhausted
) -> list[tuple[str, str]]:
    if form is RetryAfter.MISSING:
        return []
    if form is RetryAfter.SECONDS:
        return [("retry-after", str(exhausted.retry_after))]
    # The date is cut to whole seconds; one more puts it after the end of the window.
    return [("retry-after", formatdate(request.at + exhausted.retry_after + 1, usegmt=True))]


def before_write(sandbox: Sandbox, fault: Fault) -> Answer | None:
    """The answer of a fault that strikes before the write; None for faults of other kinds."""
    if fault.kind is FaultKind.RESET_BEFORE_WRITE:
        return Answer(0, b"", fault=fault)
    if fault.kind is FaultKind.HTML_PAGE:
        return replace(html(fault.status, HTML_PAGE.format(status=fault.status)), fault=fault)
    if fault.kind is FaultKind.RATE_LIMITED:
        headers = [] if fault.retry_after is None else [("retry-after", str(fault.retry_after))]
        body = fault.body or {"message": "The maximum number of api calls allowed is reached."}
        return replace(refused(errors.Refusal(429, body), headers), fault=fault)
    if fault.kind is FaultKind.ERROR_BEFORE_WRITE:
        return replace(_error(sandbox, fault), fault=fault)
    return None


def after_write(sandbox: Sandbox, fault: Fault, answer: Answer) -> Answer:
    """The answer as a fault changes it after the write."""
    if fault.kind is FaultKind.ERROR_AFTER_WRITE:
        answer = _error(sandbox, fault)
    elif fault.kind is FaultKind.GARBAGE_BODY:
        answer = replace(answer, status=200, body=GARBAGE)
    elif fault.kind is FaultKind.EMPTY_BODY:
        answer = replace(answer, status=200, body=b"")
    return replace(answer, fault=fault)


def _error(sandbox: Sandbox, fault: Fault) -> Answer:
    if fault.body is not None:
        return refused(errors.Refusal(fault.status, fault.body))
    if fault.status >= 500 and sandbox.options.server_error_html:
        return html(fault.status, HTML_PAGE.format(status=fault.status))
    if fault.status == 401:
        return refused(errors.invalid_key())
    if fault.status == 403:
        return refused(errors.key_not_allowed(fault.endpoint))
    if fault.status == 404:
        return refused(errors.not_found())
    return refused(errors.Refusal(fault.status, {"error": "An error occurred. Please try again."}))
