"""The one way to Apollo: a request goes in, an answer or a typed error comes out.

What is done after each status is an `After`. Everything may be sent again after a lost answer:
updates are idempotent, lists are sets, and records are only ever created with `run_dedupe: true`,
which returns what the first try created as existing.
"""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Final, Protocol

import backoff
import msgspec

from target_apollo.apollo import endpoints
from target_apollo.apollo.answers import JSON, Answer, Refusal, decode_body, read_refusal
from target_apollo.apollo.errors import (
    AnswerLost,
    ApolloError,
    CredentialsRefused,
    EndpointForbidden,
    QuotaExhausted,
    RequestRefused,
)
from target_apollo.apollo.http import HttpSession, NoAnswer, Refreshes, check_api_url
from target_apollo.apollo.quota import WINDOW_SECONDS, Quota, Windows, read_usage, read_windows
from target_apollo.apollo.throttle import (
    Attempt,
    Counters,
    Gates,
    Pacer,
    Throttle,
    Wait,
    asked_wait,
    window_named_in,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from requests.auth import AuthBase

    from target_apollo.apollo.http import Response
    from target_apollo.apollo.rate_windows import WindowState

_LONGEST_BACKOFF_SECONDS = 30.0
# When nothing tells which window is used up: the shortest, since a run too early costs one request.
_UNKNOWN_WINDOW_SECONDS = 60.0


class After(enum.Enum):
    """What is done after a status."""

    #: The answer; a body that is no JSON is as good as no answer.
    RETURN = "return"
    #: Sent again with backoff, up to max_retries times; then AnswerLost. So is what got no answer.
    RETRY = "retry"
    #: Sent again once the rate limit allows, together with all threads on that endpoint; then
    #: QuotaExhausted. A run's own requests are paced so that it does not come to that.
    WAIT = "wait"
    #: Sent again once with credentials that have renewed themselves; else CredentialsRefused.
    RENEW = "renew"
    #: EndpointForbidden.
    FORBID = "forbid"
    #: RequestRefused.
    REFUSE = "refuse"


#: Statuses beside those that answer (2xx), call for a retry (5xx) or refuse (all others).
AFTER_STATUS: Final[Mapping[int, After]] = {
    401: After.RENEW,
    403: After.FORBID,
    408: After.RETRY,
    429: After.WAIT,
}


def after_status(status: int) -> After:
    """Return what is done after a status."""
    if 200 <= status < 300:
        return After.RETURN
    if status >= 500:
        return After.RETRY
    return AFTER_STATUS.get(status, After.REFUSE)


@dataclass(frozen=True)
class Request:
    """A request below api_url. `endpoint` is its label ("PATCH /contacts/{id}") for the counts."""

    method: str
    path: str
    endpoint: str
    body: JSON | None = field(default=None, repr=False)
    params: Mapping[str, Any] | None = field(default=None, repr=False)


def request_to(
    endpoint: str,
    body: JSON | None = None,
    *,
    params: Mapping[str, Any] | None = None,
    record_id: str = "",
) -> Request:
    """Return a request to an endpoint by its label, in which `record_id` stands for `{id}`."""
    method, path = endpoint.split(" ", 1)
    return Request(method, path.replace("{id}", record_id), endpoint, body, params)


class TransportProtocol(Protocol):
    """What the client asks of a transport. Thread-safe."""

    def send(self, request: Request) -> Answer:
        """Return Apollo's answer; raises the `ApolloError` family."""


class Transport:
    """Sends requests with retries, waits and typed errors. Shared by all threads of a run.

    `api_url` is checked (`check_api_url`). Times are in seconds: `request_timeout_seconds` bounds a
    connection and each silence while reading, `max_wait_seconds` all rate-limit waits of one
    request together. `stop` ends every wait at once. `on_wait` is told of each wait, by the thread
    that waits; threads that wait for the same rate limit count as one. `quota_share` (above 0, to
    1) is the part of each rate limit after which nothing is sent, whoever used it; with
    `learns_limits`, Apollo is asked what is left before the first request that is no GET.
    `window_seconds` are the lengths of Apollo's windows, shortest first.

    `counters` counts requests, statuses, retries and waits so far; `quota` is what Apollo last said
    of its rate limits.
    """

    def __init__(
        self,
        *,
        api_url: str,
        auth: AuthBase,
        max_retries: int,
        request_timeout_seconds: float,
        max_wait_seconds: float,
        parallel_requests: int,
        stop: threading.Event,
        on_wait: Callable[[Wait], None] | None = None,
        backoff_base_seconds: float = 0.5,
        quota_share: float = 1.0,
        learns_limits: bool = False,
        window_seconds: Sequence[float] = WINDOW_SECONDS,
    ) -> None:
        self._auth = auth
        self._max_retries = max_retries
        self._max_wait = max_wait_seconds
        self._backoff_base = backoff_base_seconds
        self.counters = Counters()
        self.quota = Quota()
        self._session = HttpSession(
            api_url=check_api_url(api_url),
            auth=auth,
            timeout_seconds=request_timeout_seconds,
            connections=parallel_requests,
        )
        self._pacer = Pacer(quota_share, window_seconds)
        self._gates = Gates()
        self._throttle = Throttle(
            pacer=self._pacer,
            gates=self._gates,
            max_wait_seconds=max_wait_seconds,
            stop=stop,
            on_wait=on_wait,
            counters=self.counters,
        )
        self._limits_to_learn = learns_limits
        self._learning = threading.Lock()

    def window_states(self, endpoint: str) -> tuple[WindowState, ...]:
        """Return the state of an endpoint's rate windows, shortest first."""
        return self._pacer.window_states(endpoint)

    def close(self) -> None:
        """Close the connections that are kept open between requests."""
        self._session.close()

    def send(self, request: Request) -> Answer:
        """Send a request, again where that can help, and return Apollo's answer.

        Raises one of the `ApolloError` family; ValueError or TypeError for a body that is no JSON.
        """
        if self._limits_to_learn and request.method != "GET":
            with self._learning:
                if self._limits_to_learn:
                    self._learn_limits()
                    self._limits_to_learn = False
        return self._send(request, Attempt(request.endpoint, self._delays()))

    def _learn_limits(self) -> None:
        """Ask what is left of all rate limits: POST /usage_stats/api_usage_stats.

        One try and no wait. Not every key may ask, and nothing depends on it: no answer is no
        error.
        """
        request = request_to(endpoints.USAGE)
        attempt = Attempt(request.endpoint, self._delays(), failures=self._max_retries)
        attempt.waited = self._max_wait
        asked_at = time.monotonic()
        try:
            usage = self._send(request, attempt).body
        except ApolloError:
            return
        if isinstance(usage, dict):
            self._pacer.learn(read_usage(usage), asked_at)

    def _send(self, request: Request, attempt: Attempt) -> Answer:
        content = encode_body(request.body)
        started = time.monotonic()
        try:
            while True:
                answer = self._try(request, content, attempt)
                if answer is not None:
                    return Answer(*answer, attempt.tries, time.monotonic() - started)
        except ApolloError as error:
            error.maybe_written |= attempt.maybe_written
            raise

    def _try(
        self, request: Request, content: bytes | None, attempt: Attempt
    ) -> tuple[int, Any] | None:
        """Send once. Return status and value, or None when it is to be sent again."""
        try:
            response = self._exchange(request, content, attempt)
            after = after_status(response.status)
            if after is After.RETURN:
                return response.status, _value_of(response)
            if after is After.RETRY:
                raise NoAnswer(f"answered {response.status}", maybe_written=True)
        except NoAnswer as failure:
            self._retry_later(failure, attempt)
            return None
        refusal = read_refusal(response.headers.get("Content-Type", ""), response.content)
        if after is After.WAIT:
            self._wait_as_told(response, refusal, attempt)
            return None
        if after is After.RENEW:
            self._renew_credentials(response, attempt)
            return None
        if after is After.FORBID:
            raise EndpointForbidden(attempt.endpoint, message=refusal.message, code=refusal.code)
        raise RequestRefused(
            attempt.endpoint,
            status=response.status,
            message=refusal.message,
            code=refusal.code,
            details=refusal.details,
            deleted_ids=refusal.deleted_ids,
            from_apollo=refusal.is_json,
        )

    def _exchange(self, request: Request, content: bytes | None, attempt: Attempt) -> Response:
        """Send when the rate windows have room, and read the whole response, whatever its status.

        What comes of the request corrects the pace of the next ones. Raises `NoAnswer`; RunStopped
        and QuotaExhausted where there is no room in time.
        """
        endpoint = attempt.endpoint
        permit = self._throttle.acquire(attempt)
        attempt.tries += 1
        self.counters.sent(endpoint)
        try:
            response = self._session.send(
                request.method, request.path, params=request.params, content=content
            )
        except NoAnswer as failure:
            if failure.maybe_written:
                self._pacer.answered(endpoint, permit, Windows())
            else:
                self._pacer.not_sent(endpoint, permit)
            raise
        except BaseException:
            # Before it was on its way: there is no token, or it is no request that can be sent.
            self._pacer.not_sent(endpoint, permit)
            raise
        windows = read_windows(response.headers)
        self.counters.answered(response.status)
        self.quota.note(endpoint, windows)
        if response.status == 429:
            self._pacer.refused(endpoint, permit, windows, asked_wait(response.headers))
        else:
            self._pacer.answered(endpoint, permit, windows)
        return response

    def _retry_later(self, failure: NoAnswer, attempt: Attempt) -> None:
        attempt.maybe_written |= failure.maybe_written
        if attempt.failures >= self._max_retries:
            raise AnswerLost(
                attempt.endpoint,
                reason=failure.reason,
                attempts=attempt.tries,
                maybe_written=attempt.maybe_written,
            ) from None
        attempt.failures += 1
        self.counters.retried()
        self._throttle.pause(attempt, next(attempt.delays))

    def _wait_as_told(self, response: Response, refusal: Refusal, attempt: Attempt) -> None:
        seconds = asked_wait(response.headers)
        if seconds is not None:
            # At least one backoff step, so that fractions of a second cannot become a hot loop.
            self._gates.close(attempt.endpoint, max(seconds, self._backoff_base))
            return
        if attempt.failures >= self._max_retries:
            window = (
                window_named_in(refusal.message)
                or read_windows(response.headers).longest_exhausted
                or _UNKNOWN_WINDOW_SECONDS
            )
            raise QuotaExhausted(attempt.endpoint, retry_at=_now() + timedelta(seconds=window))
        attempt.failures += 1
        self._gates.close(attempt.endpoint, next(attempt.delays))

    def _renew_credentials(self, response: Response, attempt: Attempt) -> None:
        if not isinstance(self._auth, Refreshes):
            raise CredentialsRefused(attempt.endpoint, setting="api_key")
        if attempt.refreshed or not self._auth.refresh(response.request):
            raise CredentialsRefused(attempt.endpoint, setting="refresh_token")
        attempt.refreshed = True

    def _delays(self) -> Iterator[float]:
        """Yield the seconds before each retry: a random part of a time that doubles.

        The waits themselves are the throttle's, which a stop ends at once.
        """
        steps = backoff.expo(factor=self._backoff_base, max_value=_LONGEST_BACKOFF_SECONDS)
        next(steps)  # the generator's first value only starts it
        return (backoff.full_jitter(step) for step in steps)


def encode_body(body: JSON | None) -> bytes | None:
    """Return a request's body as JSON.

    The values of a row are texts without lone surrogates, so that there is nothing in them that
    JSON or UTF-8 has no form for.
    """
    return None if body is None else msgspec.json.encode(body)


def _value_of(response: Response) -> Any:
    try:
        return decode_body(response.content)
    except ValueError:
        what = "with a body that is no JSON" if response.content.strip() else "without a body"
    raise NoAnswer(f"answered {response.status} {what}", maybe_written=True)


def _now() -> datetime:
    return datetime.now(timezone.utc)
