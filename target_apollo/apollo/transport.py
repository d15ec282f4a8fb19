"""Sends requests to Apollo: a request goes in, an answer or a typed error comes out.

`AFTER_STATUS` tells what follows each status. After a lost answer a request is sent again: updates
are idempotent, lists are sets, and `run_dedupe: true` returns the records of an earlier try as
existing. A request that would make a second record goes out once (`once`).
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
    TeamRefused,
)
from target_apollo.apollo.http import HttpSession, Refreshes
from target_apollo.apollo.no_answer import NoAnswer
from target_apollo.apollo.quota import WINDOW_SECONDS, Quota, Windows, read_usage, read_windows
from target_apollo.apollo.retry_after import asked_wait, window_named_in
from target_apollo.apollo.team_refusals import lacks_plan, team_refusal_in, words_without_values
from target_apollo.apollo.throttle import Attempt, Counters, Gates, Pacer, Throttle, Wait
from target_apollo.apollo.urls import check_api_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from requests.auth import AuthBase

    from target_apollo.apollo.http import Response
    from target_apollo.apollo.rate_windows import WindowState
    from target_apollo.apollo.team_pacer import WindowStore

_LONGEST_BACKOFF_SECONDS = 30.0
# If nothing tells which window is used up: the shortest, since a run too early costs one request.
_UNKNOWN_WINDOW_SECONDS = 60.0


class After(enum.Enum):
    """What the transport does after a status."""

    #: Return the answer; a body that is no JSON counts as no answer (RETRY).
    RETURN = "return"
    #: Send again with backoff, up to max_retries times; then raise AnswerLost. The same follows
    #: where no answer came.
    RETRY = "retry"
    #: Send again once the rate limit allows, which all threads on that endpoint wait for; raise
    #: QuotaExhausted if that takes too long. Pacing keeps a run's own requests from a 429.
    WAIT = "wait"
    #: Send again once with renewed credentials; else raise CredentialsRefused.
    RENEW = "renew"
    #: Raise EndpointForbidden.
    FORBID = "forbid"
    #: Raise RequestRefused.
    REFUSE = "refuse"


#: The exceptions to the rule: 2xx returns, 5xx is retried, any other status refuses.
AFTER_STATUS: Final[Mapping[int, After]] = {
    401: After.RENEW,
    403: After.FORBID,
    408: After.RETRY,
    429: After.WAIT,
}


def after_status(status: int) -> After:
    """Return what the transport does after a status."""
    if 200 <= status < 300:
        return After.RETURN
    if status >= 500:
        return After.RETRY
    return AFTER_STATUS.get(status, After.REFUSE)


@dataclass(frozen=True)
class Request:
    """A request; `path` is below api_url, `endpoint` its label ("PATCH /contacts/{id}").

    `once`: it is not sent again after its answer was lost, since carried out twice it does harm.
    """

    method: str
    path: str
    endpoint: str
    body: JSON | None = field(default=None, repr=False)
    params: Mapping[str, Any] | None = field(default=None, repr=False)
    once: bool = False


def request_to(
    endpoint: str,
    body: JSON | None = None,
    *,
    params: Mapping[str, Any] | None = None,
    record_id: str = "",
    once: bool = False,
) -> Request:
    """Return a request to an endpoint by its label, with `record_id` in place of `{id}`."""
    method, path = endpoint.split(" ", 1)
    return Request(method, path.replace("{id}", record_id), endpoint, body, params, once)


class TransportProtocol(Protocol):
    """What the client asks of a transport. Thread-safe."""

    def send(self, request: Request) -> Answer:
        """Return Apollo's answer; raises the `ApolloError` family."""


class Transport:
    """Sends requests with retries, waits and typed errors. Shared by all threads of a run.

    Args:
        api_url: Checked with `check_api_url`, which may raise ValueError.
        max_retries: Further tries after a lost answer.
        request_timeout_seconds: Bounds connecting, and each silence while reading; a whole answer
            has twice that time.
        max_wait_seconds: Bounds the sum of one request's waits for rate limits.
        parallel_requests: Connections that are kept open.
        stop: Ends every wait at once when set.
        on_wait: Called with each wait, by the thread that waits; threads that wait for the same
            rate limit call it once.
        quota_share: The part of each rate limit (above 0, to 1) after which nothing is sent,
            whoever used it.
        learns_limits: Whether to ask Apollo what is left before the first request that is no GET.
        window_seconds: The lengths of Apollo's windows, shortest first.

    Attributes:
        counters: Requests, statuses, retries and waits so far.
        quota: The rate limits as Apollo last told them.
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

    def share_windows(self, store: WindowStore) -> None:
        """Pace together with the other processes of the team that use this store."""
        self._pacer.share_windows(store)

    def close(self) -> None:
        """Close the connections that are kept open; give back what other processes could use."""
        self._session.close()
        self._pacer.leave()

    def send(self, request: Request) -> Answer:
        """Send a request, with retries where they can help, and return Apollo's answer.

        Raises one of the `ApolloError` family; ValueError or TypeError for a body that is no JSON.
        """
        if request.method != "GET":
            self.learn_limits()
        return self._send(request, Attempt(request.endpoint, self._delays()))

    def learn_limits(self) -> None:
        """Ask Apollo what is left of its limits, once, if the transport is one that asks."""
        if self._limits_to_learn:
            with self._learning:
                if self._limits_to_learn:
                    self._ask_limits()
                    self._limits_to_learn = False

    def _ask_limits(self) -> None:
        """Ask what is left of all rate limits: POST /usage_stats/api_usage_stats.

        One try and no wait. Not every key may use the endpoint, and nothing depends on the answer:
        errors are ignored.
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
                    value, response = answer
                    seconds = time.monotonic() - started
                    return Answer(response.status, value, attempt.tries, seconds, response.headers)
        except ApolloError as error:
            error.maybe_written |= attempt.maybe_written
            raise

    def _try(
        self, request: Request, content: bytes | None, attempt: Attempt
    ) -> tuple[Any, Response] | None:
        """Send once. Return value and response, or None if the request must be sent again."""
        try:
            response = self._exchange(request, content, attempt)
            after = after_status(response.status)
            if after is After.RETURN:
                return _value_of(response), response
            if after is After.RETRY:
                raise NoAnswer(f"answered {response.status}", maybe_written=True)
        except NoAnswer as failure:
            self._retry_later(failure, attempt, once=request.once)
            return None
        refusal = read_refusal(response.headers.get("Content-Type", ""), response.content)
        words = ""
        if refusal.is_json:
            words = words_without_values(refusal.message, request.body, request.params)
            of_team = team_refusal_in(response.status, words)
            if of_team is not None:
                raise TeamRefused(
                    attempt.endpoint, status=response.status, refusal=of_team, words=words
                )
        if after is After.WAIT:
            self._wait_as_told(response, refusal, attempt)
            return None
        if after is After.RENEW:
            self._renew_credentials(response, attempt)
            return None
        if after is After.FORBID or (response.status in (402, 422) and lacks_plan(words)):
            raise EndpointForbidden(
                attempt.endpoint,
                message=refusal.message,
                code=refusal.code,
                status=response.status,
            )
        raise RequestRefused(
            attempt.endpoint,
            status=response.status,
            message=refusal.message,
            words=words,
            code=refusal.code,
            details=refusal.details,
            deleted_ids=refusal.deleted_ids,
            from_apollo=refusal.is_json,
        )

    def _exchange(self, request: Request, content: bytes | None, attempt: Attempt) -> Response:
        """Send when the rate windows have room, and return the response, whatever its status.

        The response corrects the pace of the next requests. Raises NoAnswer; RunStopped and
        QuotaExhausted where there is no room in time.
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
            # Nothing was sent: there is no token, or the request is not valid.
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

    def _retry_later(self, failure: NoAnswer, attempt: Attempt, *, once: bool) -> None:
        attempt.maybe_written |= failure.maybe_written
        if attempt.failures >= self._max_retries or (once and attempt.maybe_written):
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
            # At least one backoff step, so that waits of a few milliseconds are no busy loop.
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

        The throttle waits for them, since a stop ends its waits at once.
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
