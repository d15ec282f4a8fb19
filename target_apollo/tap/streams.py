"""What became of each row of the warehouse: the ledger's links as a stream, incremental."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar

from singer_sdk import typing as th
from sqlalchemy import Row

from target_apollo.config.settings import SettingsError
from target_apollo.ledger import Ledger, LinkStatus
from target_apollo.ledger.creations import intents_of
from target_apollo.ledger.database import Address
from target_apollo.ledger.link_rows import read_creations, read_links
from target_apollo.model.outcomes import Outcome
from target_apollo.tap.bookmark import bookmark_before
from target_apollo.tap.stream import ResultStream

_TIME = th.DateTimeType


class SyncResults(ResultStream):
    """A record per source key and Apollo team, with its last outcome."""

    name = "apollo_sync_results"
    primary_keys = ("connection", "object", "stream", "source_key")
    replication_key = "changed_at"
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("connection", th.StringType, required=True, description="Apollo team id."),
        th.Property("object", th.StringType, required=True, description="contact or account."),
        th.Property("stream", th.StringType, required=True, description="The source's stream."),
        th.Property(
            "source_key",
            th.StringType,
            required=True,
            description="The row's key as the ledger spells it; with an @ in it, its hash.",
        ),
        th.Property("apollo_id", th.StringType, description="The record in Apollo."),
        th.Property(
            "outcome",
            th.StringType,
            required=True,
            description="created, updated, unchanged, existing, rejected, or pending while the "
            "answer to a request is not known.",
        ),
        th.Property("reason", th.StringType, description="Why the row was rejected."),
        th.Property("first_synced_at", _TIME, description="When it was first in Apollo."),
        th.Property("last_synced_at", _TIME, description="Changes up to then are in Apollo."),
        th.Property("run_id", th.StringType, description="The run that wrote it last."),
        th.Property("changed_at", _TIME, description="When this result came about."),
    ).to_dict()

    def rows(self) -> Iterable[dict[str, Any]]:
        """Yield the links that changed since the bookmark, and move it behind the last of them.

        Raises:
            LedgerError: The ledger can't be read.
            SettingsError: The bookmark in the STATE is none.
        """
        url = self.config["ledger_url"]
        if not url:
            self.logger.warning(
                "The setting ledger_url is empty: without a ledger nobody knows what became of "
                "rows, and %s has no records.",
                self.name,
            )
            return
        since = self._bookmark()
        # Upgrades a ledger that an older release wrote.
        ledger = Ledger.open_existing(url)
        if ledger is None:
            self.logger.warning(
                "There is no ledger at the address in the setting ledger_url yet: %s has no "
                "records. The first run of target-apollo makes one.",
                self.name,
            )
            return
        ledger.close()
        address = Address.of(url)
        with address.engine(read_only=True).connect() as database:
            bookmark = bookmark_before(address, database)
            # Before the links, so that a create that ends meanwhile is told of last as it ended.
            for creations in read_creations(address, database, since):
                yield from _pending(creations)
            for row in read_links(address, database, since):
                yield _record(row)
        if self.replication_method == "INCREMENTAL" and bookmark is not None:
            self.stream_state.update(
                replication_key=self.replication_key, replication_key_value=bookmark.isoformat()
            )

    def _bookmark(self) -> datetime | None:
        try:
            return self.get_starting_timestamp(None)
        except (TypeError, ValueError):
            raise SettingsError(
                [f"The bookmark of {self.name} in the state file is no time: remove it."]
            ) from None

    def get_replication_key_signpost(
        self,
        context: Mapping[str, Any] | None = None,  # noqa: ARG002 - the SDK's signature
    ) -> None:
        """No other limit of the bookmark than its own."""
        return

    def _increment_stream_state(
        self, latest_record: Mapping[str, Any], *, context: Mapping[str, Any] | None = None
    ) -> None:
        """Leave the bookmark alone, which the SDK would set to the newest record's `changed_at`."""


def _record(row: Row[Any]) -> dict[str, Any]:
    rejected = row.status == LinkStatus.ERROR.value
    return {
        "connection": row.connection,
        "object": row.object,
        "stream": row.stream,
        "source_key": row.source_key,
        "apollo_id": row.apollo_id,
        "outcome": Outcome.REJECTED.value if rejected else row.status,
        "reason": row.error,
        "first_synced_at": _text(row.first_synced_at),
        "last_synced_at": _text(row.last_synced_at),
        "run_id": row.run_id,
        "changed_at": _text(row.changed_at),
    }


def _pending(creations: Row[Any]) -> Iterable[dict[str, Any]]:
    for intent in intents_of(creations):
        yield {
            "connection": creations.connection,
            "object": creations.object,
            "stream": creations.stream,
            "source_key": intent.source_key,
            "apollo_id": None,
            "outcome": LinkStatus.PENDING.value,
            "reason": None,
            "first_synced_at": None,
            "last_synced_at": None,
            "run_id": creations.run_id,
            "changed_at": _text(creations.changed_at),
        }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
