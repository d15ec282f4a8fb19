"""The pace of one endpoint where other processes of the team send to it, too.

`TeamPacer` has the methods of `EndpointPacer`. It sends what its lots allow, and exchanges answers
for the next lot through a `WindowStore`. As long as the store can't be used, it paces as if it were
alone.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from math import isinf
from typing import TYPE_CHECKING, Protocol

from target_apollo.apollo.quota import Windows
from target_apollo.apollo.rate_windows import EndpointPacer, FullUntil, Permit, WindowState
from target_apollo.apollo.team_windows import UNLIMITED_SECONDS, Lot, LotAnswer, TeamWindows

if TYPE_CHECKING:
    from collections.abc import Sequence

# Seconds until a process that must wait for another one's answer looks again.
_LOOK_AGAIN_SECONDS = 0.1
# Seconds without the store after it failed, before it is tried again.
_ALONE_SECONDS = 60.0
# How often windows are put back that another process has changed meanwhile, and the longest pause
# (seconds) before the next try.
_TRIES, _PAUSE_SECONDS = 50, 0.05


class WindowStore(Protocol):
    """Where the processes of a team keep the windows that they share. Thread-safe.

    `owner` is the name of this process, as one of the store's users.
    """

    owner: str

    def read(self, endpoint: str) -> tuple[str | None, int, float] | None:
        """Return what is stored for an endpoint, its revision, and the store's clock (seconds).

        None if the store can't be used now.
        """

    def write(self, endpoint: str, text: str, revision: int) -> bool:
        """Store a text unless there is another revision by now; say whether it was stored."""

    def has_ended(self, owner: str) -> bool:
        """Whether a process has surely ended."""


@dataclass(frozen=True)
class Exchange:
    """What a process tells the others, and whether it asks for a lot. Times are monotonic.

    `learned` are Apollo's statistics, asked for and answered at `learned_at`.
    """

    told: Sequence[LotAnswer]
    under_way: int
    asks: bool
    learned: Windows | None
    learned_at: tuple[float, float]


@dataclass(frozen=True)
class ExchangeResult:
    """What came of an exchange; times are those of the store, which is `ahead` of this process."""

    given: Lot | FullUntil | None
    states: tuple[WindowState, ...]
    ahead: float


class TeamPacer:
    """The pace of one endpoint; not thread-safe except for `carry_out`.

    Args:
        own: What this process knows of the endpoint without the others.
        name: The endpoint's name in the store.
        seconds, share: As for `EndpointPacer`.
    """

    def __init__(
        self,
        own: EndpointPacer,
        store: WindowStore,
        name: str,
        seconds: Sequence[float],
        share: float,
    ) -> None:
        self._own = own
        self._store = store
        self._name = name
        self._seconds = tuple(seconds)
        self._share = share
        # The latest lot, and how much of it is left.
        self._lot: Lot | None = None
        self._left = 0
        self._taken = 0
        # Whether the store has requests of this process as reserved.
        self._holds = False
        # The lots of the requests that are under way, and the answers to tell.
        self._lots: dict[Permit, Lot] = {}
        self._told: list[LotAnswer] = []
        self._learned: Windows | None = None
        self._learned_at = (0.0, 0.0)
        # What the latest exchange told, and when.
        self._states: tuple[WindowState, ...] = ()
        self._looked_at = float("-inf")
        self._ahead = 0.0
        self._full: FullUntil | None = None
        self._exchanging = False
        self._look_again_at = 0.0
        self._alone_until = 0.0

    def acquire(self, now: float) -> Permit | FullUntil | Exchange | None:
        """Return as `EndpointPacer.acquire`, or an exchange that must be carried out first."""
        if now < self._alone_until:
            given = self._own.acquire(now)
            if isinstance(given, Permit) and self._lot is not None:
                self._lots[given] = self._lot
            return given
        if self._exchanging:
            return None
        lot = self._usable_lot(now)
        if lot is not None:
            if lot.requests is not None:
                self._left -= 1
                self._taken += 1
            permit = self._own.admit(now)
            self._lots[permit] = lot
            return permit
        if self._full is not None and now < self._full.moment:
            return self._full
        if now < self._look_again_at:
            return None
        return self._exchange(asks=True)

    def answered(self, permit: Permit, now: float, counts: Windows) -> None:
        """As `EndpointPacer.answered`."""
        self._own.answered(permit, now, counts)
        self._note(permit, now, counts)

    def refused(
        self, permit: Permit, now: float, counts: Windows, retry_after: float | None
    ) -> None:
        """As `EndpointPacer.refused`."""
        self._own.refused(permit, now, counts, retry_after)
        self._note(permit, now, counts, refused=True, retry_after=retry_after)

    def not_sent(self, permit: Permit) -> None:
        """As `EndpointPacer.not_sent`."""
        self._own.not_sent(permit)
        self._lots.pop(permit, None)

    def learn(self, counts: Windows, asked_at: float, now: float) -> None:
        """As `EndpointPacer.learn`; the others learn it with the next exchange."""
        self._own.learn(counts, asked_at, now)
        self._learned, self._learned_at = counts, (asked_at, now)

    def states(self, now: float) -> tuple[WindowState, ...]:
        """Return the states of the windows, shortest first, as the latest exchange told them."""
        own = self._own.states(now)
        if now < self._alone_until or not self._states:
            return own
        return tuple(
            mine if isinf(shared.allowed) else self._by_now(shared, now)
            for shared, mine in zip(self._states, own, strict=True)
        )

    def to_tell(self, now: float) -> Exchange | None:
        """Return an exchange if the others wait for the last answers that this process got."""
        is_idle = not self._own.under_way and not self._left
        if not is_idle or not self._told or self._exchanging or now < self._alone_until:
            return None
        return self._exchange(asks=False)

    def to_look(self, now: float) -> Exchange | None:
        """Return an exchange if this process has not looked lately at what others have told."""
        if self._exchanging or now < self._alone_until or self._usable_lot(now) is not None:
            return None
        if now < self._looked_at + UNLIMITED_SECONDS:
            return None
        return self._exchange(asks=False)

    def to_leave(self, now: float) -> Exchange | None:
        """Return the exchange that gives back the lot of this process; None where it has none."""
        if self._exchanging or not self._holds or now < self._alone_until:
            return None
        return self._exchange(asks=False)

    def carry_out(self, exchange: Exchange) -> ExchangeResult | None:
        """Exchange through the store; None if that fails. Any thread may do it, without a lock."""
        for number in range(_TRIES):
            found = self._store.read(self._name)
            if found is None:
                return None
            text, revision, there = found
            ahead = there - time.monotonic()
            windows = TeamWindows.of(text, len(self._seconds))
            given = self._apply(exchange, windows, there, ahead)
            new = windows.text()
            if new == text or self._store.write(self._name, new, revision):
                states = windows.states(
                    self._store.owner, exchange.under_way, there, self._seconds, self._share
                )
                return ExchangeResult(given, states, ahead)
            # At random, so that processes which came at once do not come at once again.
            time.sleep(random.uniform(0, min(_PAUSE_SECONDS, 0.002 * 2**number)))  # noqa: S311
        return None

    def exchanged(self, result: ExchangeResult | None, now: float) -> None:
        """Take over what came of the exchange that was carried out."""
        self._exchanging = False
        if result is None:
            self._alone_until, self._holds = now + _ALONE_SECONDS, False
            return
        self._ahead, self._states, self._looked_at, self._taken = (
            result.ahead,
            result.states,
            now,
            0,
        )
        given = result.given
        if isinstance(given, Lot):
            self._lot, self._left = given, given.requests or 1
            self._holds = given.requests is not None
        elif isinstance(given, FullUntil):
            self._full = FullUntil(given.moment - result.ahead)
        else:
            self._look_again_at = now + _LOOK_AGAIN_SECONDS

    def _usable_lot(self, now: float) -> Lot | None:
        lot = self._lot
        return lot if lot is not None and self._left and now < lot.until - self._ahead else None

    def _exchange(self, *, asks: bool) -> Exchange:
        self._exchanging = True
        # Nothing more goes out of the lot that there was.
        self._left, self._holds = 0, self._own.under_way > 0
        told, self._told = self._told, []
        learned, self._learned = self._learned, None
        return Exchange(told, self._own.under_way, asks, learned, self._learned_at)

    def _apply(
        self, exchange: Exchange, windows: TeamWindows, there: float, ahead: float
    ) -> Lot | FullUntil | None:
        owner, lengths = self._store.owner, self._seconds
        windows.pass_time(there, lengths)
        # Early, since the next answer tells what they sent.
        others = windows.reserved.keys() - {owner}
        windows.give_up([one for one in others if self._store.has_ended(one)])
        if exchange.learned is not None:
            asked_at, at = exchange.learned_at
            windows.learn(exchange.learned, asked_at + ahead, at + ahead, lengths)
            windows.pass_time(there, lengths)
        windows.tell([_by_store(one, ahead) for one in exchange.told], lengths)
        if not exchange.asks:
            windows.hold(owner, exchange.under_way, there)
            return None
        return windows.take(owner, exchange.under_way, there, lengths, self._share)

    def _note(
        self,
        permit: Permit,
        now: float,
        counts: Windows,
        *,
        refused: bool = False,
        retry_after: float | None = None,
    ) -> None:
        lot = self._lots.pop(permit, None)
        if lot is None:
            return
        if lot.requests is None:
            if not counts.known:
                return
            # There is a limit now.
            self._left = 0
        if now < self._alone_until:
            # The latest answer alone tells what was sent without the store.
            self._told.clear()
        self._told.append(LotAnswer(lot, permit.taken_at, now, counts, refused, retry_after))

    def _by_now(self, shared: WindowState, now: float) -> WindowState:
        passed = now - self._looked_at
        if shared.ends_in is not None and shared.ends_in <= passed:
            return WindowState(shared.seconds, shared.allowed, self._own.under_way)
        used = shared.used + self._taken
        ends_in = None if shared.ends_in is None or not used else shared.ends_in - passed
        return WindowState(shared.seconds, shared.allowed, used, ends_in)


def _by_store(answer: LotAnswer, ahead: float) -> LotAnswer:
    return replace(answer, sent_at=answer.sent_at + ahead, at=answer.at + ahead)
