"""The rate windows that runs of one team share through the ledger, and what if they can't."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from target_apollo.apollo import WindowsNotShared
from target_apollo.ledger import LedgerError, TeamWindowTexts


class SharedWindows:
    """A `WindowStore` in the ledger. Says once if the ledger can't be used for it."""

    def __init__(self, texts: TeamWindowTexts, logger: logging.Logger) -> None:
        self._texts = texts
        self._logger = logger
        self._was_said = False
        self.owner = texts.owner

    def read(self, endpoint: str) -> tuple[str | None, int, float]:
        """As `WindowStore.read`."""
        with self._trouble_said():
            return self._texts.read(endpoint)

    def write(self, endpoint: str, text: str, revision: int) -> bool:
        """As `WindowStore.write`."""
        with self._trouble_said():
            return self._texts.write(endpoint, text, revision)

    def has_ended(self, owner: str) -> bool:
        """As `WindowStore.has_ended`."""
        return self._texts.has_ended(owner)

    def close(self) -> None:
        """Close the connection to the ledger."""
        self._texts.close()

    @contextmanager
    def _trouble_said(self) -> Iterator[None]:
        try:
            yield
        except LedgerError as problem:
            if not self._was_said:
                self._was_said = True
                self._logger.warning(
                    "This run paces its requests without a look at other runs of this team, which "
                    "may cost 429s while they run: %s",
                    problem,
                )
            raise WindowsNotShared from None
