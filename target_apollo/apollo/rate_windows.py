"""How many requests may go out now within Apollo's rate windows, and when the rest can. Pure.

Apollo counts the requests of a team to one endpoint in three fixed windows at once. A window opens
with the first request after the last one ended, not on the clock; an answer tells the count in the
window, its own request included, and never when the window ends. The time is an argument, in
seconds of a clock that only goes forward.

The count of a window is never taken for lower than it can be, as long as nobody else calls:

    counted    the highest count that an answer told
    unsure     requests that are over, but whose answer told no count, or one of a window that may
               have ended since. An answer to a request that went out later has them in its count.
    under way  requests whose answer is still out

A new window is known in two ways. The count has fallen: there is a new one, whoever opened it. Or
the time is up: what was counted by the moment `t` of the period's first answer began before `t` and
is over at `t` + length. That window can have been opened earlier, by somebody else, and then it
ends earlier; it never ends later.

`schedule` and `forecast` tell how long so many requests take: as much goes out as all windows of an
endpoint leave, then nothing until the fullest has surely ended. A run can be earlier, where an
answer tells that a window is over before that is sure. The time until an answer is left out: it
counts only where no window is full.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from target_apollo.apollo.quota import Window, Windows

# Behind the latest end of a window, so that two clocks need not agree to the millisecond.
_MARGIN_SHARE, _LONGEST_MARGIN_SECONDS = 0.01, 1.0
# A 429 tells the rest of its window in whole seconds.
_RETRY_AFTER_STEP_SECONDS = 1.0

_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Permit:
    """A request that may go out.

    `after` is how many requests were over when the permit was given, `seen` each window's period
    and count then.
    """

    taken_at: float
    after: int
    seen: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class WindowState:
    """The state of a window at a moment.

    `seconds` is its length, up to when it has surely ended; `allowed` the requests that may go out
    in it, infinite where Apollo told no limit; `used` those that count already; `ends_in` the
    seconds until it has surely ended, None where none is open.
    """

    seconds: float
    allowed: float
    used: int = 0
    ends_in: float | None = None


def window_states_of(
    said: Windows, seconds: Sequence[float], share: float
) -> tuple[WindowState, ...]:
    """Return the states of windows by what Apollo said; nobody knows when they were opened."""
    found = []
    for length, window in zip(seconds, said.each(), strict=True):
        whole, used = length + _margin(length), window.spent or 0
        found.append(
            WindowState(whole, _allowed(window.limit, share), used, whole if used else None)
        )
    return tuple(found)


def _margin(seconds: float) -> float:
    return min(seconds * _MARGIN_SHARE, _LONGEST_MARGIN_SECONDS)


def _allowed(limit: int | None, share: float) -> float:
    if limit is None:
        return float("inf")
    # The smallest share of a limit is one request: a share must not mean a standstill.
    return max(min(limit, 1), int(limit * share + _ROUNDING))


@dataclass(frozen=True)
class FullUntil:
    """There is no room before this moment, whatever the outstanding answers say."""

    moment: float


@dataclass(frozen=True)
class _Over:
    """A request that is over. `number` counts them in the order in which they came to it."""

    number: int
    sent_at: float
    at: float


@dataclass(frozen=True)
class _Ends:
    """A window ends between these moments; `earliest` is a guess where others opened it."""

    earliest: float
    latest: float


class EndpointPacer:
    """The three windows of one endpoint and the requests to it that are under way.

    `seconds` are the lengths of minute, hour and day; `share` (above 0, to 1) is the part of each
    limit after which nothing is sent, whoever used it.
    """

    def __init__(self, seconds: Sequence[float], share: float) -> None:
        self._windows = tuple(RateWindow(length, share) for length in seconds)
        self._under_way: set[Permit] = set()
        self._over = 0
        # Answers that a window may have to take for unsure later on, oldest first.
        self._recent: deque[_Over] = deque()

    def acquire(self, now: float) -> Permit | FullUntil | None:
        """Return a permit for a request that goes out now.

        Where there is no room, return until when, or None where the answers that are outstanding
        decide whether there is any. Of a new window, the first answer is waited for before a second
        request goes out: it tells when the window opened, and what others have used.
        """
        for window in self._windows:
            window.close_if_over(now, self._recent)
        under_way = len(self._under_way)
        full = [window for window in self._windows if not window.has_room(under_way)]
        certain = [window for window in full if not under_way or window.used_up]
        if certain:
            return FullUntil(max(window.full_until(now) for window in certain))
        if full or any(window.awaits_first_answer for window in self._windows):
            return None
        permit = Permit(now, self._over, tuple(window.enter() for window in self._windows))
        self._under_way.add(permit)
        return permit

    def answered(self, permit: Permit, now: float, said: Windows) -> None:
        """Note an answer or the loss of one (`said` is empty then): it counts as a request."""
        self._under_way.remove(permit)
        self._over += 1
        over = _Over(self._over, permit.taken_at, now)
        meanwhile = list(
            takewhile(lambda other: other.number > permit.after, reversed(self._recent))
        )
        oldest = min((other.taken_at for other in self._under_way), default=now)
        for window, seen, one in self._each(permit, said):
            window.answered(over, permit, seen, one, meanwhile, oldest)
        self._recent.append(over)
        self._forget()

    def refused(self, permit: Permit, now: float, said: Windows, retry_after: float | None) -> None:
        """Note a 429, which Apollo does not count; full windows end after `retry_after` seconds."""
        self._under_way.remove(permit)
        for window, seen, one in self._each(permit, said):
            window.refused(now, seen, one, retry_after)

    def not_sent(self, permit: Permit) -> None:
        """Take a permit back whose request never reached Apollo."""
        self._under_way.remove(permit)
        for window, seen in zip(self._windows, permit.seen, strict=True):
            window.leave(seen)

    def states(self, now: float) -> tuple[WindowState, ...]:
        """Return the states of the windows, shortest first."""
        return tuple(window.state(now, len(self._under_way)) for window in self._windows)

    def learn(self, said: Windows, asked_at: float, now: float) -> None:
        """Take over what Apollo's statistics say, before the first request to the endpoint."""
        if not self._over and not self._under_way:
            for window, one in zip(self._windows, said.each(), strict=True):
                window.learn(one, asked_at, now)

    def _each(
        self, permit: Permit, said: Windows
    ) -> Iterable[tuple[RateWindow, tuple[int, int], Window]]:
        return zip(self._windows, permit.seen, said.each(), strict=True)

    def _forget(self) -> None:
        needed = min((permit.after for permit in self._under_way), default=self._over)
        late = min(window.earliest_end for window in self._windows)
        recent = self._recent
        while recent and recent[0].number <= needed and recent[0].at < late:
            recent.popleft()


class RateWindow:
    """One of an endpoint's windows, over and over: each time is a period.

    When a period begins is a guess, which answers correct.
    """

    def __init__(self, seconds: float, share: float) -> None:
        self._seconds = seconds
        self._share = share
        self._margin = _margin(seconds)
        self._limit: int | None = None
        self._period = 0
        self._counted = 0
        self._unsure: list[_Over] = []
        self._entered = 0
        self._heard = False
        self._ends: _Ends | None = None

    @property
    def awaits_first_answer(self) -> bool:
        """Whether the first request of the period is out and nothing has come back."""
        return not self._heard and self._entered > 0

    @property
    def earliest_end(self) -> float:
        """The earliest moment at which the window can end; infinite where nothing is known."""
        return self._ends.earliest if self._ends else float("inf")

    @property
    def used_up(self) -> bool:
        """Whether answers have told that there is no room."""
        return self._counted >= self._allowed

    @property
    def _allowed(self) -> float:
        return _allowed(self._limit, self._share)

    def has_room(self, under_way: int) -> bool:
        """Whether one more request fits, with so many under way."""
        return self._counted + len(self._unsure) + under_way < self._allowed

    def state(self, now: float, under_way: int) -> WindowState:
        """Return the state of the window, with so many requests under way."""
        length = self._seconds + self._margin
        if self._ends is None or now >= self._ends.latest:
            return WindowState(length, self._allowed, under_way)
        used = self._counted + len(self._unsure) + under_way
        return WindowState(length, self._allowed, used, self._ends.latest - now)

    def full_until(self, now: float) -> float:
        """The moment at which a full window has surely ended."""
        if self._ends is None:
            # Whatever is open now ends within one length.
            self._ends = _Ends(now, now + self._seconds + self._margin)
        return self._ends.latest

    def enter(self) -> tuple[int, int]:
        """Let a request in; return the period and the count that it has seen."""
        self._entered += 1
        return self._period, self._counted

    def leave(self, seen: tuple[int, int]) -> None:
        """Let a request out that was never sent."""
        if seen[0] == self._period:
            self._entered -= 1

    def close_if_over(self, now: float, recent: Iterable[_Over]) -> None:
        """Begin a new period when the time is up."""
        if self._ends is not None and now >= self._ends.latest:
            # Answers that came so late may belong to the next window already.
            late = [over for over in recent if over.at >= self._ends.earliest]
            self._begin(0, late, heard=False)

    def answered(
        self,
        over: _Over,
        permit: Permit,
        seen: tuple[int, int],
        said: Window,
        meanwhile: list[_Over],
        oldest: float,
    ) -> None:
        """Note what an answer said; `meanwhile` others came in, `oldest` of those out was sent."""
        period, counted = seen
        self._heard |= period == self._period
        if said.limit is None or said.spent is None:
            if self._limit is not None:
                self._unsure.append(over)
            return
        known, self._limit = self._limit is not None, said.limit
        if known and period != self._period:
            self._unsure.append(over)
            return
        if not known or said.spent < counted:
            self._begin(said.spent, meanwhile, heard=True)
        if self._ends is None:
            self._ends = self._ends_of(over, said.spent, oldest)
        self._counted = max(self._counted, said.spent)
        self._unsure = [other for other in self._unsure if other.number > permit.after]

    def refused(
        self, now: float, seen: tuple[int, int], said: Window, retry_after: float | None
    ) -> None:
        """Note what a 429 said."""
        self._heard |= seen[0] == self._period
        if said.limit is None or said.spent is None:
            return
        known, self._limit = self._limit is not None, said.limit
        if known and seen[0] != self._period:
            return
        self._counted = max(self._counted, said.spent)
        latest = self.full_until(now)
        if said.spent >= said.limit and retry_after is not None and self._ends is not None:
            over = now + retry_after
            earliest = min(self._ends.earliest, over - _RETRY_AFTER_STEP_SECONDS)
            self._ends = _Ends(earliest, min(latest, over))

    def learn(self, said: Window, asked_at: float, now: float) -> None:
        """Take over a window of the statistics, unless its numbers contradict each other."""
        if said.limit is None or said.usage is None or said.left is None:
            return
        if said.usage + said.left != said.limit:
            return
        self._limit = said.limit
        self._begin(said.usage, [], heard=True)
        if said.usage:
            # It was opened at any time before, by somebody else.
            self._ends = _Ends(asked_at, now + self._seconds + self._margin)

    def _begin(self, counted: int, unsure: list[_Over], *, heard: bool) -> None:
        self._period += 1
        self._counted = counted
        self._unsure = unsure
        self._entered = 0
        self._heard = heard
        self._ends = None

    def _ends_of(self, over: _Over, spent: int, oldest: float) -> _Ends:
        """When the window of an answer ends: it was open when the answer was on its way."""
        opened = over.sent_at
        if spent > 1:
            opened = min(opened, oldest, *(other.sent_at for other in self._unsure))
        return _Ends(opened + self._seconds, over.at + self._seconds + self._margin)


#: The windows of an endpoint, shortest first.
WINDOWS = ("minute", "hour", "day")


@dataclass(frozen=True)
class Schedule:
    """When requests to one endpoint can go out.

    Attributes:
        left: What each window leaves now, shortest first; None where Apollo told no limit.
        fits: Whether all requests fit what a window leaves.
        seconds: Until the last request can go out; infinite where a limit is 0.
        longest_wait: The longest time in which none can, in seconds.
    """

    requests: int
    left: tuple[int | None, ...]
    fits: tuple[bool, ...]
    seconds: float
    longest_wait: float


@dataclass
class _Window:
    length: float
    allowed: float
    used: float
    ends_at: float | None


def schedule(requests: int, states: Sequence[WindowState]) -> Schedule:
    """When so many requests can go out, one after another, to an endpoint with these windows."""
    left = [max(0.0, one.allowed - one.used) for one in states]
    seconds, longest_wait = _simulate(requests, states)
    return Schedule(
        requests=requests,
        left=tuple(None if count == float("inf") else int(count) for count in left),
        fits=tuple(requests <= count for count in left),
        seconds=seconds,
        longest_wait=longest_wait,
    )


def _simulate(requests: int, states: Sequence[WindowState]) -> tuple[float, float]:
    windows = [
        _Window(
            one.seconds,
            one.allowed,
            one.used,
            # What is used up was so in a window that is open; at the latest it opened just now.
            (one.seconds if one.ends_in is None else one.ends_in) if one.used else None,
        )
        for one in states
    ]
    if requests and any(window.allowed < 1 for window in windows):
        return float("inf"), float("inf")
    now, longest_wait, open_requests = 0.0, 0.0, requests
    while True:
        for window in windows:
            if window.ends_at is not None and now >= window.ends_at:
                window.used, window.ends_at = 0, None
        room = min((window.allowed - window.used for window in windows), default=float("inf"))
        sent = min(open_requests, max(0, room))
        open_requests -= int(sent)
        if not open_requests:
            return now, longest_wait
        for window in windows:
            window.used += sent
            if window.ends_at is None and window.used:
                window.ends_at = now + window.length
        ends = [
            window.ends_at
            for window in windows
            if window.ends_at is not None and window.used >= window.allowed
        ]
        longest_wait = max(longest_wait, max(ends) - now)
        now = max(ends)


@dataclass(frozen=True)
class Forecast:
    """What a run's requests come to.

    Attributes:
        schedules: By endpoint.
        seconds: Until all are answered; infinite where they never can be.
        stops: Whether a wait is longer than a run waits, so that it takes several.
    """

    schedules: Mapping[str, Schedule]
    seconds: float
    stops: bool


def forecast(
    requests: Mapping[str, int],
    states: Mapping[str, Sequence[WindowState]],
    *,
    max_wait_seconds: float,
    seconds_per_request: float,
    parallel_requests: int,
) -> Forecast:
    """When a run is done that sends these requests.

    Endpoints are counted apart, so that their windows pass at the same time.

    Args:
        states: By endpoint; one that is missing takes any number of requests.
        max_wait_seconds: The longest wait of a run.
        seconds_per_request: From a request to its answer.
    """
    schedules = {
        endpoint: schedule(count, states.get(endpoint, ())) for endpoint, count in requests.items()
    }
    sending = sum(requests.values()) * seconds_per_request / parallel_requests
    waiting = max((one.seconds for one in schedules.values()), default=0.0)
    return Forecast(
        schedules=schedules,
        seconds=max(sending, waiting),
        stops=any(one.longest_wait > max_wait_seconds for one in schedules.values()),
    )
