"""What the tap's streams have in common: a problem with one keeps none of the others from going."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from singer_sdk import Stream

from target_apollo.apollo import ApolloError
from target_apollo.config.settings import SettingsError
from target_apollo.ledger import LedgerError

if TYPE_CHECKING:
    from target_apollo.tap.tap import TapApolloSync


class ResultStream(Stream):
    """A stream of the tap; a subclass gives name, schema, keys and rows."""

    tap: TapApolloSync

    def __init__(self, tap: TapApolloSync) -> None:
        self.tap = tap
        super().__init__(tap)

    @abstractmethod
    def rows(self) -> Iterable[dict[str, Any]]:
        """Yield the records.

        Raises:
            ApolloError: Apollo did not give what was asked for.
            LedgerError: The ledger can't be read.
            SettingsError: The settings do not reach what the stream is read from.
        """

    def get_records(
        self,
        context: Mapping[str, Any] | None,  # noqa: ARG002 - the SDK's signature
    ) -> Iterable[dict[str, Any]]:
        """Yield the records that could be read; what kept others away is left with the tap."""
        try:
            yield from self.rows()
        except (ApolloError, LedgerError, SettingsError) as problem:
            self.tap.note(self.name, problem)
