"""What is wrong before a run begins: faults, which would end it, and warnings.

The checks are those of a run, which raises at the first fault. `Remarks.about` notes it and lets
the next check begin, so that `apollo-sync check` can name everything at once.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from target_apollo.apollo import ApolloError, CredentialsRefused, TeamRefused
from target_apollo.config.settings import SettingsError
from target_apollo.ledger import LedgerError
from target_apollo.sync.exit import RunError
from target_apollo.sync.source_schema import UnusableSchema

#: What a remark is about that belongs to no stream.
SETTINGS = "settings"


class Weight(enum.Enum):
    """How a run reacts to it."""

    #: It ends, and nothing more is written.
    FAULT = "fault"
    #: It goes on, and something is not written, or not as its user may expect.
    WARNING = "warning"


@dataclass(frozen=True)
class Remark:
    """One thing that is wrong, or may be.

    Attributes:
        about: The stream; `SETTINGS` for none.
        sentence: As a run would log it, with what to do.
    """

    weight: Weight
    about: str
    sentence: str


class Remarks(logging.Handler):
    """Collects remarks, each once. As a handler of a log it takes a run's warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._found: dict[str, Remark] = {}
        self._about = SETTINGS

    @property
    def all(self) -> tuple[Remark, ...]:
        """The remarks so far: faults first, each kind in its order."""
        found = self._found.values()
        return tuple(sorted(found, key=lambda one: one.weight is not Weight.FAULT))

    def fault(self, sentence: str) -> None:
        """Notes what would end a run."""
        self._note(Weight.FAULT, sentence)

    def warning(self, sentence: str) -> None:
        """Notes what a run would go on with."""
        self._note(Weight.WARNING, sentence)

    def _note(self, weight: Weight, sentence: str) -> None:
        self._found.setdefault(sentence, Remark(weight, self._about, sentence))

    def emit(self, record: logging.LogRecord) -> None:
        """Takes a line of the log as a warning."""
        self.warning(record.getMessage())

    @contextmanager
    def about(self, topic: str) -> Iterator[None]:
        """Notes the fault that ends a check, and lets what follows go on.

        Args:
            topic: A stream, or `SETTINGS`.

        Raises:
            CredentialsRefused, TeamRefused: No further check would be answered.
        """
        before, self._about = self._about, topic
        try:
            yield
        except SettingsError as wrong:
            for sentence in wrong.problems:
                self.fault(sentence)
        except (RunError, LedgerError, UnusableSchema) as wrong:
            self.fault(str(wrong))
        except (CredentialsRefused, TeamRefused):
            raise
        except ApolloError as unasked:
            self.warning(f"This could not be looked up, so it is not checked: {unasked}")
        finally:
            self._about = before
