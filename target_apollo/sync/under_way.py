"""Work that pauses while its requests are under way, so that the next records are read meanwhile.

Apollo, or the network to it, takes longer over a request than a run over its rows. So a flush is a
generator: it yields once its requests are out, and goes on with their answers when it is asked to.
All of it stays in one thread, and nothing is taken in hand out of order.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")

#: Yields whenever it would only wait for answers.
Flow = Generator[None, None, T]


def finish(flow: Flow[T]) -> T:
    """Goes through with a flow, waiting wherever it would pause, and gives its result."""
    while True:
        try:
            next(flow)
        except StopIteration as end:
            result: T = end.value
            return result


class UnderWay:
    """The flush of a run whose requests are under way; there is one at most.

    Two at a time could create one and the same record twice.

    Attributes:
        oldest: Number of its first record, which STATE may not pass; None without a flush. It
            stays when the flush fails, since not all of its records have an outcome then.
    """

    def __init__(self) -> None:
        self._flow: Flow[None] | None = None
        self._owner: object = None
        self.oldest: int | None = None

    def begin(self, owner: object, oldest: int | None, flow: Flow[None]) -> None:
        """Starts a flush; returns when its first requests are out, or all of it is done.

        Args:
            owner: Whose flush it is.
            oldest: Number of its first record.

        Raises:
            ApolloError, RunError: The run can't go on.
        """
        self.finish()
        self.oldest = oldest
        try:
            next(flow)
        except StopIteration:
            self.oldest = None
        else:
            self._flow, self._owner = flow, owner

    def is_of(self, owner: object) -> bool:
        """Whether no flush is under way but one of this owner."""
        return self._flow is None or self._owner is owner

    def finish(self) -> None:
        """Goes through with the flush that is under way, if there is one.

        Raises:
            ApolloError, RunError: The run can't go on.
        """
        if self._flow is not None:
            flow, self._flow = self._flow, None
            finish(flow)
            self.oldest = None
