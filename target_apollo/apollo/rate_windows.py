"""How many requests may go out now within Apollo's rate windows, and when the rest can. Pure.

Apollo counts the requests of a team to one endpoint in three fixed windows at once. A window opens
with the first request after the previous window ended, not on the clock. An answer tells the count
in the window, its own request included, but never when the window ends. The time is an argument, in
seconds of a monotonic clock.

As long as nobody else calls, the assumed count of a window is never below Apollo's. It is the sum:

    counted    the highest count that an answer told
    unsure     finished requests whose answer told no count, or the count of a window that may have
               ended since. The count in the answer to any later request includes them.
    under way  requests whose answer is outstanding

Two signs tell that a new window has begun. The count has fallen, whoever opened the new window. Or
the time is up: if the period's first answer came at `t`, its window opened before `t` and is over
at `t` + length. Somebody else may have opened it earlier; then it ends earlier, never later.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from target_apollo.apollo.quota import Window, Windows

# Added to the latest end of a window, since Apollo's clock and this one differ a little.
_MARGIN_SHARE, _LONGEST_MARGIN_SECONDS = 0.01, 1.0
# A 429 tells the rest of its window in whole seconds.
_RETRY_AFTER_STEP_SECONDS = 1.0

_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Permit:
    """The permission to send one request.

    `after` is the number of finished requests when the permit was given, `seen` the period and the
    count of each window then.
    """

    taken_at: float
    after: int
    seen: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class WindowState:
    """The state of a window at a moment.

    `seconds` is its length with a margin, after which it has surely ended; `allowed` the requests
    that may go out in it, infinite where Apollo told no limit; `used` the requests that count
    already; `ends_in` the seconds until it has surely ended, None where no window is open.
    """

    seconds: float
    allowed: float
    used: int = 0
    ends_in: float | None = None


def window_states_of(
    counts: Windows, seconds: Sequence[float], share: float
) -> tuple[WindowState, ...]:
    """Return the states of windows as Apollo tells them, each as if it had opened just now."""
    states = []
    for length, window in zip(seconds, counts.each(), strict=True):
        whole, used = length + margin_of(length), window.spent or 0
        states.append(
            WindowState(whole, allowed_of(window.limit, share), used, whole if used else None)
        )
    return tuple(states)


def margin_of(seconds: float) -> float:
    """Return the seconds that are added to a window of this length, to be sure that it is over."""
    return min(seconds * _MARGIN_SHARE, _LONGEST_MARGIN_SECONDS)


def allowed_of(limit: int | None, share: float) -> float:
    """Return the requests that a share of a limit allows; infinite without a limit."""
    if limit is None:
        return float("inf")
    # At least one request, however small the share: otherwise nothing would ever be sent.
    return max(min(limit, 1), int(limit * share + _ROUNDING))


@dataclass(frozen=True)
class FullUntil:
    """There is no room before `moment` (clock seconds), whatever the outstanding answers say."""

    moment: float


@dataclass(frozen=True)
class _FinishedRequest:
    """A request sent at `sent_at` and finished at `at`; `number` counts in order of finishing."""

    number: int
    sent_at: float
    at: float


@dataclass(frozen=True)
class _Ends:
    """The moments between which a window ends; `earliest` is a guess if others opened it."""

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
        self._finished = 0
        # Finished requests that a window may have to count as unsure later, oldest first.
        self._recent: deque[_FinishedRequest] = deque()

    def acquire(self, now: float) -> Permit | FullUntil | None:
        """Return a permit for a request that goes out now.

        Where there is no room, return until when; None where that depends on outstanding answers.
        In a new window, the second request waits for the first answer, which tells when the window
        opened and how much others have used.
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
        return self._permit(now)

    def admit(self, now: float) -> Permit:
        """Return a permit that somebody else has granted, for a request that goes out now."""
        for window in self._windows:
            window.close_if_over(now, self._recent)
        return self._permit(now)

    @property
    def under_way(self) -> int:
        """The number of requests whose answer is outstanding."""
        return len(self._under_way)

    def _permit(self, now: float) -> Permit:
        permit = Permit(now, self._finished, tuple(window.enter() for window in self._windows))
        self._under_way.add(permit)
        return permit

    def answered(self, permit: Permit, now: float, counts: Windows) -> None:
        """Note an answer, or a lost answer with an empty `counts`: both count as requests."""
        self._under_way.remove(permit)
        self._finished += 1
        request = _FinishedRequest(self._finished, permit.taken_at, now)
        meanwhile = list(
            takewhile(lambda other: other.number > permit.after, reversed(self._recent))
        )
        oldest = min((other.taken_at for other in self._under_way), default=now)
        for window, seen, count in self._each(permit, counts):
            window.answered(request, permit, seen, count, meanwhile, oldest)
        self._recent.append(request)
        self._forget()

    def refused(
        self, permit: Permit, now: float, counts: Windows, retry_after: float | None
    ) -> None:
        """Note a 429, which Apollo does not count; full windows end after `retry_after` seconds."""
        self._under_way.remove(permit)
        for window, seen, count in self._each(permit, counts):
            window.refused(now, seen, count, retry_after)

    def not_sent(self, permit: Permit) -> None:
        """Take back the permit of a request that never reached Apollo."""
        self._under_way.remove(permit)
        for window, seen in zip(self._windows, permit.seen, strict=True):
            window.leave(seen)

    def states(self, now: float) -> tuple[WindowState, ...]:
        """Return the states of the windows, shortest first."""
        return tuple(window.state(now, len(self._under_way)) for window in self._windows)

    def learn(self, counts: Windows, asked_at: float, now: float) -> None:
        """Take over Apollo's statistics, asked for at `asked_at`; ignored after a first request."""
        if not self._finished and not self._under_way:
            for window, count in zip(self._windows, counts.each(), strict=True):
                window.learn(count, asked_at, now)

    def _each(
        self, permit: Permit, counts: Windows
    ) -> Iterable[tuple[RateWindow, tuple[int, int], Window]]:
        return zip(self._windows, permit.seen, counts.each(), strict=True)

    def _forget(self) -> None:
        needed = min((permit.after for permit in self._under_way), default=self._finished)
        late = min(window.earliest_end for window in self._windows)
        recent = self._recent
        while recent and recent[0].number <= needed and recent[0].at < late:
            recent.popleft()


class RateWindow:
    """One of an endpoint's three windows. Each time that it opens, a new period begins.

    The beginning of a period is a guess, which answers correct.
    """

    def __init__(self, seconds: float, share: float) -> None:
        self._seconds = seconds
        self._share = share
        self._margin = margin_of(seconds)
        self._limit: int | None = None
        self._period = 0
        self._counted = 0
        self._unsure: list[_FinishedRequest] = []
        self._entered = 0
        self._heard = False
        self._ends: _Ends | None = None

    @property
    def awaits_first_answer(self) -> bool:
        """Whether the first request of the period is outstanding."""
        return not self._heard and self._entered > 0

    @property
    def earliest_end(self) -> float:
        """The earliest moment at which the window can end; infinite where nothing is known."""
        return self._ends.earliest if self._ends else float("inf")

    @property
    def used_up(self) -> bool:
        """Whether the count that answers told leaves no room."""
        return self._counted >= self._allowed

    @property
    def _allowed(self) -> float:
        return allowed_of(self._limit, self._share)

    def has_room(self, under_way: int) -> bool:
        """Whether one more request fits, with `under_way` requests outstanding."""
        return self._counted + len(self._unsure) + under_way < self._allowed

    def state(self, now: float, under_way: int) -> WindowState:
        """Return the state of the window, with `under_way` requests outstanding."""
        length = self._seconds + self._margin
        if self._ends is None or now >= self._ends.latest:
            return WindowState(length, self._allowed, under_way)
        used = self._counted + len(self._unsure) + under_way
        return WindowState(length, self._allowed, used, self._ends.latest - now)

    def full_until(self, now: float) -> float:
        """The moment at which a full window has surely ended."""
        if self._ends is None:
            # A window that is open now ends within its length.
            self._ends = _Ends(now, now + self._seconds + self._margin)
        return self._ends.latest

    def enter(self) -> tuple[int, int]:
        """Count a request into the period; return the period and the count at this moment."""
        self._entered += 1
        return self._period, self._counted

    def leave(self, seen: tuple[int, int]) -> None:
        """Take a request that was never sent out of the period."""
        if seen[0] == self._period:
            self._entered -= 1

    def close_if_over(self, now: float, recent: Iterable[_FinishedRequest]) -> None:
        """Begin a new period when the time is up."""
        if self._ends is not None and now >= self._ends.latest:
            # Answers after the earliest end may belong to the next window already.
            late = [request for request in recent if request.at >= self._ends.earliest]
            self._begin(0, late, heard=False)

    def answered(
        self,
        request: _FinishedRequest,
        permit: Permit,
        seen: tuple[int, int],
        counts: Window,
        meanwhile: list[_FinishedRequest],
        oldest: float,
    ) -> None:
        """Note the counts of an answer.

        `meanwhile`: requests that finished since the permit was given; `oldest`: when the oldest
        outstanding request was sent.
        """
        period, counted = seen
        self._heard |= period == self._period
        if counts.limit is None or counts.spent is None:
            if self._limit is not None:
                self._unsure.append(request)
            return
        had_limit, self._limit = self._limit is not None, counts.limit
        if had_limit and period != self._period:
            self._unsure.append(request)
            return
        if not had_limit or counts.spent < counted:
            self._begin(counts.spent, meanwhile, heard=True)
        if self._ends is None:
            self._ends = self._ends_of(request, counts.spent, oldest)
        self._counted = max(self._counted, counts.spent)
        self._unsure = [other for other in self._unsure if other.number > permit.after]

    def refused(
        self, now: float, seen: tuple[int, int], counts: Window, retry_after: float | None
    ) -> None:
        """Note the counts of a 429 and the wait that it asks for."""
        self._heard |= seen[0] == self._period
        if counts.limit is None or counts.spent is None:
            return
        had_limit, self._limit = self._limit is not None, counts.limit
        if had_limit and seen[0] != self._period:
            return
        self._counted = max(self._counted, counts.spent)
        latest = self.full_until(now)
        if counts.spent >= counts.limit and retry_after is not None and self._ends is not None:
            ends = now + retry_after
            earliest = min(self._ends.earliest, ends - _RETRY_AFTER_STEP_SECONDS)
            self._ends = _Ends(earliest, min(latest, ends))

    def learn(self, counts: Window, asked_at: float, now: float) -> None:
        """Take over a window of the statistics, unless its numbers contradict each other."""
        if counts.limit is None or counts.usage is None or counts.left is None:
            return
        if counts.usage + counts.left != counts.limit:
            return
        self._limit = counts.limit
        self._begin(counts.usage, [], heard=True)
        if counts.usage:
            # Somebody else opened it, at any time before.
            self._ends = _Ends(asked_at, now + self._seconds + self._margin)

    def _begin(self, counted: int, unsure: list[_FinishedRequest], *, heard: bool) -> None:
        self._period += 1
        self._counted = counted
        self._unsure = unsure
        self._entered = 0
        self._heard = heard
        self._ends = None

    def _ends_of(self, request: _FinishedRequest, spent: int, oldest: float) -> _Ends:
        """When the window of an answer ends: it was open between the request and its answer."""
        opened = request.sent_at
        if spent > 1:
            opened = min(opened, oldest, *(other.sent_at for other in self._unsure))
        return _Ends(opened + self._seconds, request.at + self._seconds + self._margin)
