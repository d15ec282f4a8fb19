"""Which STATE may pass: the newest one whose records all have an outcome. Pure.

Records are numbered as they come. A sink that holds records says the number of its oldest; a STATE
passes when it came before that number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any


class Checkpoint:
    """Numbers records and holds STATE values back until they are true.

    States move one way: received -> covered (every record before it has an outcome on disk) ->
    passed on, or left out for a newer one that is covered too.
    """

    def __init__(self) -> None:
        self._received = 0
        self._waiting: deque[tuple[int, Any]] = deque()

    @property
    def received(self) -> int:
        """Records received so far; also the number of the newest."""
        return self._received

    def next_record(self) -> int:
        """The number of a record that has just come in; the first is 1."""
        self._received += 1
        return self._received

    def hold(self, value: Any) -> None:
        """Takes in the value of a STATE message that came after the newest record."""
        if self._waiting and self._waiting[-1][0] == self._received:
            self._waiting.pop()
        self._waiting.append((self._received, value))

    def covered(self, oldest_pending: Iterable[int]) -> tuple[Any] | None:
        """The newest STATE that may pass, as a tuple of one, or None.

        Args:
            oldest_pending: For every sink that holds records, the number of its oldest.
        """
        limit = min(oldest_pending, default=self._received + 1)
        found: tuple[Any] | None = None
        while self._waiting and self._waiting[0][0] < limit:
            found = (self._waiting.popleft()[1],)
        return found
