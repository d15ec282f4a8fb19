"""The one seam to Apollo: a request goes in, an answer or a typed error comes out.

What becomes of a status:

    2xx               the answer, if its body is JSON; else as good as lost
    408, 5xx, no or half an answer   tried again with backoff, up to max_retries; then AnswerLost
    429               waits as told, together with all threads on that endpoint; then QuotaExhausted
                      (the run's own requests are paced so that it does not come to that)
    401               CredentialsRefused, after the credentials had one chance to renew themselves
    403               EndpointForbidden
    other 3xx, 4xx    RequestRefused

Everything may be sent again after a lost answer: updates are idempotent, lists are sets, and
records are only ever created with `run_dedupe: true`, which returns what the first try created as
existing.

Requests go out in their turn, and what comes of each corrects the pace of the next.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Protocol

import backoff

from target_apollo.apollo import endpoints
from target_apollo.apollo.auth import Refreshes
from target_apollo.apollo.decoding import JSON, Refusal, decode_body, encode_body, read_refusal
from target_apollo.apollo.errors import (
    AnswerLost,
    ApolloError,
    CredentialsRefused,
    EndpointForbidden,
    QuotaExhausted,
    RequestRefused,
)
from target_apollo.apollo.http import HttpSession, NoAnswer, Response
from target_apollo.apollo.quota import WINDOW_SECONDS, Quota, Windows, read_usage, read_windows
from target_apollo.apollo.throttle import (
    Counters,
    Course,
    Gates,
    Pacer,
    Turns,
    Wait,
    asked_wait,
    window_named_in,
)
from target_apollo.apollo.urls import check_api_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from requests.auth import AuthBase

    from target_apollo.apollo.http import HttpSession, Response
    from target_apollo.apollo.rate_windows import Standing
    from target_apollo.apollo.throttle import Counters, Course, Pacer, Turns


class PacedExchange:
    """Single requests to one API, each counted and within the quota. Thread-safe; no retries."""

    def __init__(
        self, exchange: HttpSession, *, turns: Turns, pacer: Pacer, counters: Counters, quota: Quota
    ) -> None:
        self._exchange = exchange
        self._turns = turns
        self._pacer = pacer
        self._counters = counters
        self._quota = quota

    def send(
        self,
        course: Course,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None,
        content: bytes | None,
    ) -> Response:
        """Send when there is a slot for it, and read the whole answer, whatever its status.

        Raises `NoAnswer`; RunStopped and QuotaExhausted where the turn does not come.
        """
        endpoint = course.endpoint
        slot = self._turns.take(course)
        course.tries += 1
        self._counters.sent(endpoint)
        try:
            reply = self._exchange.send(method, path, params=params, content=content)
        except NoAnswer as lost:
            if lost.maybe_written:
                self._pacer.answered(endpoint, slot, Windows())
            else:
                self._pacer.not_sent(endpoint, slot)
            raise
        except BaseException:
            # Before it was on its way: there is no token, or it is no request that can be sent.
            self._pacer.not_sent(endpoint, slot)
            raise
        said = read_windows(reply.headers)
        self._counters.answered(reply.status)
        self._quota.note(endpoint, said)
        if reply.status == 429:
            self._pacer.refused(endpoint, slot, said, asked_wait(reply.headers))
        else:
            self._pacer.answered(endpoint, slot, said)
        return reply

    def close(self) -> None:
        """Close the connections that are kept open between requests."""
        self._exchange.close()


_LONGEST_BACKOFF_SECONDS = 30.0
# When nothing tells which window is used up: the shortest, since a run too early costs one request.
_UNKNOWN_WINDOW_SECONDS = 60.0


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


@dataclass(frozen=True)
class Answer:
    """A 2xx with its JSON value. `seconds` counts from the first try on, waits included."""

    status: int
    body: Any = field(repr=False)
    attempts: int
    seconds: float


class Sends(Protocol):
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
        self._on_wait = on_wait
        self._backoff_base = backoff_base_seconds
        self._gates = Gates()
        exchange = HttpSession(
            api_url=check_api_url(api_url),
            auth=auth,
            timeout_seconds=request_timeout_seconds,
            connections=parallel_requests,
        )
        self.quota = Quota()
        self._counters = Counters()
        self._pacer = Pacer(quota_share, window_seconds)
        self._turns = Turns(
            pacer=self._pacer,
            gates=self._gates,
            max_wait_seconds=max_wait_seconds,
            stop=stop,
            on_wait=self._tell,
            counters=self._counters,
        )
        self._exchange = PacedExchange(
            exchange,
            turns=self._turns,
            pacer=self._pacer,
            counters=self._counters,
            quota=self.quota,
        )
        self._limits_to_learn = learns_limits
        self._learning = threading.Lock()

    @property
    def counters(self) -> Counters:
        """Requests, statuses, retries and waits of this transport so far."""
        return self._counters

    def standings(self, endpoint: str) -> tuple[Standing, ...]:
        """Tell how the rate windows of an endpoint stand, shortest first."""
        return self._pacer.standings(endpoint)

    def close(self) -> None:
        """Close the connections that are kept open between requests."""
        self._exchange.close()

    def send(self, request: Request) -> Answer:
        """Send a request, again where that can help, and return Apollo's answer.

        Raises one of the `ApolloError` family; ValueError or TypeError for a body that is no JSON.
        """
        if self._limits_to_learn and request.method != "GET":
            with self._learning:
                if self._limits_to_learn:
                    self._learn_limits()
                    self._limits_to_learn = False
        return self._send(request, Course(request.endpoint, self._delays()))

    def _learn_limits(self) -> None:
        """Ask what is left of all rate limits: POST /usage_stats/api_usage_stats.

        One try and no wait. Not every key may ask, and nothing depends on it: no answer is no
        error.
        """
        request = request_to(endpoints.USAGE)
        course = Course(request.endpoint, self._delays(), failures=self._max_retries)
        course.waited = self._max_wait
        asked_at = time.monotonic()
        try:
            said = self._send(request, course).body
        except ApolloError:
            return
        if isinstance(said, dict):
            self._pacer.learn(read_usage(said), asked_at)

    def _send(self, request: Request, course: Course) -> Answer:
        content = encode_body(request.body)
        started = time.monotonic()
        try:
            while True:
                answer = self._try(request, content, course)
                if answer is not None:
                    return Answer(*answer, course.tries, time.monotonic() - started)
        except ApolloError as error:
            error.maybe_written |= course.maybe_written
            raise

    def _try(
        self, request: Request, content: bytes | None, course: Course
    ) -> tuple[int, Any] | None:
        """Send once. Return status and value, or None when it is to be sent again."""
        try:
            reply = self._exchange.send(
                course, request.method, request.path, params=request.params, content=content
            )
        except NoAnswer as lost:
            self._after_loss(lost, course)
            return None
        if 200 <= reply.status < 300:
            return self._after_success(reply, course)
        if reply.status == 408 or reply.status >= 500:
            self._after_loss(NoAnswer(f"answered {reply.status}", maybe_written=True), course)
            return None
        refusal = read_refusal(reply.headers.get("Content-Type", ""), reply.content)
        if reply.status == 429:
            self._after_429(reply, refusal, course)
            return None
        if reply.status == 401:
            self._after_401(reply, course)
            return None
        if reply.status == 403:
            raise EndpointForbidden(course.endpoint, message=refusal.message, code=refusal.code)
        raise RequestRefused(
            course.endpoint,
            status=reply.status,
            message=refusal.message,
            code=refusal.code,
            details=refusal.details,
            deleted_ids=refusal.deleted_ids,
            from_apollo=refusal.is_json,
        )

    def _after_success(self, reply: Response, course: Course) -> tuple[int, Any] | None:
        try:
            return reply.status, decode_body(reply.content)
        except ValueError:
            what = "without a body" if not reply.content.strip() else "with a body that is no JSON"
        self._after_loss(NoAnswer(f"answered {reply.status} {what}", maybe_written=True), course)
        return None

    def _after_loss(self, lost: NoAnswer, course: Course) -> None:
        course.maybe_written |= lost.maybe_written
        if course.failures >= self._max_retries:
            raise AnswerLost(
                course.endpoint,
                reason=lost.reason,
                attempts=course.tries,
                maybe_written=course.maybe_written,
            ) from None
        course.failures += 1
        self._counters.retried()
        self._turns.pause(course, next(course.delays))

    def _after_429(self, reply: Response, refusal: Refusal, course: Course) -> None:
        said = asked_wait(reply.headers)
        if said is not None:
            # At least one backoff step, so that fractions of a second cannot become a hot loop.
            self._gates.close(course.endpoint, max(said, self._backoff_base))
            return
        if course.failures >= self._max_retries:
            window = (
                window_named_in(refusal.message)
                or read_windows(reply.headers).longest_exhausted
                or _UNKNOWN_WINDOW_SECONDS
            )
            raise QuotaExhausted(course.endpoint, retry_at=_now() + timedelta(seconds=window))
        course.failures += 1
        self._gates.close(course.endpoint, next(course.delays))

    def _after_401(self, reply: Response, course: Course) -> None:
        if not isinstance(self._auth, Refreshes):
            raise CredentialsRefused(course.endpoint, setting="api_key")
        if course.refreshed or not self._auth.refresh(reply.request):
            raise CredentialsRefused(course.endpoint, setting="refresh_token")
        course.refreshed = True

    def _tell(self, wait: Wait) -> None:
        if self._on_wait is not None:
            self._on_wait(wait)

    def _delays(self) -> Iterator[float]:
        steps = backoff.expo(factor=self._backoff_base, max_value=_LONGEST_BACKOFF_SECONDS)
        next(steps)  # the generator's first value only starts it
        return (backoff.full_jitter(step) for step in steps)


def _now() -> datetime:
    return datetime.now(timezone.utc)
