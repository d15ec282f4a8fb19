"""The rate windows of one endpoint as all processes of a team share them. Pure.

`TeamWindows` is what a store keeps for an endpoint, as text. A process takes it out, says what its
requests were answered, asks for the next ones, and puts it back; the store makes sure that nobody
else did so in between. Times are seconds of the store's clock, which is the same for all processes.

A process gets a *lot*: permission for a number of requests within a short time. Until it tells
their answers, they count as sent, so that the processes together never send more than a window
allows. The count of a window is the sum that `rate_windows` describes, over all processes:

    counted    the highest count that an answer told
    unsure     requests whose answer told no count, or whose process went away. The count in the
               answer to any request of a later lot includes them.
    reserved   the requests of the lots that processes have

A process that ends without a word loses its lots, at once where another process sees that it has
ended, else when they expire. What it had is then unsure, and so for one more answer at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from target_apollo.apollo.rate_windows import FullUntil, WindowState, allowed_of, margin_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from target_apollo.apollo.quota import Window, Windows

#: Requests of a lot at most. A process pays two statements for a lot.
MOST_IN_A_LOT = 25
#: All lots together take this part of the room. Small, since what a process of another machine had
#: when it was killed is lost for the window, if the others use all the rest before it expires.
_PART_OF_ROOM = 8
#: Seconds within which the requests of a lot go out.
LOT_SECONDS = 2.0
#: Seconds after which the requests of a lot count as sent and answered, if its process is silent.
EXPIRES_AFTER_SECONDS = 10.0
#: A lot without limit is asked for again after this time.
UNLIMITED_SECONDS = 60.0
#: The form of the text. A text of another form is not understood, and replaced.
_FORM = 1


@dataclass(frozen=True)
class Lot:
    """Permission to send requests.

    Attributes:
        requests: How many; None without limit.
        until: The moment until which they may go out.
        number: Counts the lots of an endpoint and what makes its count unsure.
        answered: Answers that processes had told when the lot was given.
        seen: The period and the count of each window then.
    """

    requests: int | None
    until: float
    number: int
    answered: int
    seen: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class LotAnswer:
    """An answer to a request of a lot, sent and answered at these moments.

    `counts` are empty where the answer told none, or was lost. `refused`: it was a 429, which
    Apollo does not count, and which asked to wait `retry_after` seconds.
    """

    lot: Lot
    sent_at: float
    at: float
    counts: Windows
    refused: bool = False
    retry_after: float | None = None


class _Reservation(msgspec.Struct, array_like=True):
    requests: int
    expires: float


class _Window(msgspec.Struct, array_like=True):
    limit: int | None = None
    period: int = 0
    counted: int = 0
    unsure: int = 0
    # The number of the lot after which the latest request became unsure.
    unsure_at: int = 0
    heard: bool = False
    # Who was given the first request of the period.
    asked: str | None = None
    # The moments between which the window ends; `earliest` is a guess if others opened it.
    earliest: float = 0.0
    ends: float | None = None
    # No answer before this moment belongs to this period.
    opens_after: float = 0.0
    # When the request was sent and answered whose answer told `counted`.
    told_at: float = 0.0
    answered_at: float = 0.0

    def begin(self, counted: int, unsure: int, *, heard: bool, after: float) -> None:
        self.period += 1
        self.counted, self.unsure, self.heard = counted, unsure, heard
        self.asked, self.ends, self.earliest, self.opens_after = None, None, 0.0, after

    def close_if_over(self, now: float, seconds: float) -> None:
        if self.ends is None:
            return
        # The clock may have been set back.
        self.ends = min(self.ends, now + seconds + margin_of(seconds))
        if now >= self.ends:
            self.begin(0, 0, heard=False, after=self.earliest)

    def learn(self, counted: int, unsure: int, asked_at: float, at: float, seconds: float) -> None:
        """Begin a period whose count Apollo's statistics told."""
        self.begin(counted, unsure, heard=True, after=self.opens_after)
        self.told_at, self.answered_at = asked_at, at
        if counted:
            # Somebody opened it, at any time before.
            self.earliest, self.ends = asked_at, at + seconds + margin_of(seconds)

    def end_at(self, sent_at: float, at: float, seconds: float) -> None:
        """Note that the window was open at some moment between a request and its answer."""
        latest = at + seconds + margin_of(seconds)
        if self.ends is None:
            self.earliest, self.ends = sent_at + seconds, latest
        else:
            self.ends = min(self.ends, latest)

    def count(self, spent: int, answer: LotAnswer) -> None:
        """Note the count that an answer told."""
        self.counted, self.told_at, self.answered_at = spent, answer.sent_at, answer.at

    def full_until(self, now: float, seconds: float) -> float:
        if self.ends is None:
            self.earliest, self.ends = now, now + seconds + margin_of(seconds)
        return self.ends


class TeamWindows(msgspec.Struct):
    """The windows of an endpoint, and the lots that processes have, by the name of the process."""

    form: int
    windows: list[_Window]
    reserved: dict[str, _Reservation]
    #: See `Lot.number` and `Lot.answered`.
    number: int = 0
    answered: int = 0

    @classmethod
    def of(cls, text: str | None, windows: int) -> TeamWindows:
        """Read what is stored; without anything that can be read, nothing is known."""
        try:
            found = msgspec.json.decode(text or "", type=cls)
        except (TypeError, ValueError):
            found = None
        if found is not None and found.form == _FORM and len(found.windows) == windows:
            return found
        return cls(_FORM, [_Window() for _ in range(windows)], {})

    def text(self) -> str:
        """What is stored."""
        return msgspec.json.encode(self).decode()

    def pass_time(self, now: float, seconds: Sequence[float]) -> None:
        """End the windows whose time is up, and the lots that have expired.

        Args:
            seconds: The lengths of the windows.
        """
        for window, length in zip(self.windows, seconds, strict=True):
            window.close_if_over(now, length)
        longest = now + EXPIRES_AFTER_SECONDS
        self.give_up(
            [
                owner
                for owner, held in self.reserved.items()
                # The clock may have been set back.
                if not now < held.expires <= longest
            ]
        )

    def give_up(self, owners: Collection[str]) -> None:
        """Take the lots of processes that have ended; nobody knows what they sent."""
        for owner in owners:
            requests = self.reserved.pop(owner).requests
            for window in self.windows:
                self._become_unsure(window, requests)

    def learn(self, counts: Windows, asked_at: float, at: float, seconds: Sequence[float]) -> None:
        """Take over Apollo's statistics, asked for and answered at these moments.

        Numbers that contradict each other are ignored. Of a window that is known already the limit
        is taken over, since the team may have another plan by now, and a count that has fallen,
        which shows that another window is open.
        """
        for window, count, length in zip(self.windows, counts.each(), seconds, strict=True):
            if count.limit is None or count.usage is None or count.left is None:
                continue
            if count.usage + count.left != count.limit:
                continue
            if window.ends is None and not window.heard and window.asked not in self.reserved:
                window.limit = count.limit
                window.learn(count.usage, 0, asked_at, at, length)
            elif window.limit is not None:
                window.limit = count.limit
                if count.usage < window.counted and window.answered_at < asked_at:
                    window.learn(count.usage, window.unsure, asked_at, at, length)

    def tell(self, answers: Sequence[LotAnswer], seconds: Sequence[float]) -> None:
        """Note the answers to requests; `take` or `hold` must follow."""
        for answer in answers:
            counts, seen = answer.counts.each(), answer.lot.seen
            for window, one, before, length in zip(
                self.windows, counts, seen, seconds, strict=True
            ):
                if answer.refused:
                    _refused(window, answer, before, one, length)
                else:
                    self._answered(window, answer, before, one, length)
            self.answered += not answer.refused

    def _answered(
        self,
        window: _Window,
        answer: LotAnswer,
        seen: tuple[int, int],
        counts: Window,
        seconds: float,
    ) -> None:
        period, counted = seen
        if period != window.period:
            if answer.at >= window.opens_after:
                self._become_unsure(window, 1)
            return
        window.heard, window.asked = True, None
        if counts.limit is None or counts.spent is None:
            self._become_unsure(window, 1)
            return
        had_limit, window.limit = window.limit is not None, counts.limit
        if not had_limit or counts.spent < counted:
            # Some of the answers since then may be those of the new window.
            meanwhile = self.answered - answer.lot.answered
            window.begin(counts.spent, meanwhile, heard=True, after=window.told_at)
            window.unsure_at = self.number
        window.end_at(answer.sent_at, answer.at, seconds)
        if counts.spent >= window.counted:
            window.count(counts.spent, answer)
        if answer.lot.number > window.unsure_at:
            window.unsure = 0

    def _become_unsure(self, window: _Window, requests: int) -> None:
        if window.limit is not None:
            window.unsure += requests
            window.unsure_at = self.number

    def take(
        self, owner: str, under_way: int, now: float, seconds: Sequence[float], share: float
    ) -> Lot | FullUntil | None:
        """Give a process its next lot, which takes the place of the one that it had.

        Returns until when there is none; None where that depends on what other requests are
        answered. In a new window the second request waits for the first answer, whoever sent it.

        Args:
            under_way: The process' requests whose answer is outstanding.
            share: The part of each limit after which this process sends nothing.
        """
        if all(window.heard and window.limit is None for window in self.windows):
            self.hold(owner, 0, now)
            return self._lot(None, now + UNLIMITED_SECONDS)
        self.hold(owner, under_way, now)
        reserved = sum(held.requests for held in self.reserved.values())
        full: list[float] = []
        room = float("inf")
        for window, length in zip(self.windows, seconds, strict=True):
            allowed = allowed_of(window.limit, share)
            left = allowed - window.counted - window.unsure - reserved
            if left < 1 and (not reserved or window.counted >= allowed):
                full.append(window.full_until(now, length))
            room = min(room, left)
        if full:
            return FullUntil(max(full))
        if room < 1 or any(
            not window.heard and window.asked in self.reserved for window in self.windows
        ):
            return None
        requests = self._size_of_lot(owner, room)
        for window in self.windows:
            if not window.heard:
                window.asked = owner
        self.hold(owner, under_way + requests, now)
        return self._lot(requests, now + LOT_SECONDS)

    def hold(self, owner: str, requests: int, now: float) -> None:
        """Note how many requests a process may have sent whose answers it has not told."""
        if requests:
            self.reserved[owner] = _Reservation(requests, now + EXPIRES_AFTER_SECONDS)
        else:
            self.reserved.pop(owner, None)

    def states(
        self, owner: str, under_way: int, now: float, seconds: Sequence[float], share: float
    ) -> tuple[WindowState, ...]:
        """Return the windows as a process sees them that has `under_way` requests outstanding."""
        others = sum(held.requests for name, held in self.reserved.items() if name != owner)
        return tuple(
            WindowState(
                length + margin_of(length),
                allowed_of(window.limit, share),
                window.counted + window.unsure + others + under_way,
                None if window.ends is None else window.ends - now,
            )
            for window, length in zip(self.windows, seconds, strict=True)
        )

    def _size_of_lot(self, owner: str, room: float) -> int:
        if not all(window.heard for window in self.windows):
            return 1
        processes = len(self.reserved.keys() | {owner})
        return int(max(1, min(MOST_IN_A_LOT, room // (_PART_OF_ROOM * processes))))

    def _lot(self, requests: int | None, until: float) -> Lot:
        self.number += 1
        seen = tuple((window.period, window.counted) for window in self.windows)
        return Lot(requests, until, self.number, self.answered, seen)


def _refused(
    window: _Window, answer: LotAnswer, seen: tuple[int, int], counts: Window, seconds: float
) -> None:
    if seen[0] == window.period:
        window.heard, window.asked = True, None
    if counts.limit is None or counts.spent is None:
        return
    had_limit, window.limit = window.limit is not None, counts.limit
    if had_limit and seen[0] != window.period:
        return
    if counts.spent >= window.counted:
        window.count(counts.spent, answer)
    window.end_at(answer.sent_at, answer.at, seconds)
    if counts.spent >= counts.limit and answer.retry_after is not None and window.ends is not None:
        window.ends = min(window.ends, answer.at + answer.retry_after)
