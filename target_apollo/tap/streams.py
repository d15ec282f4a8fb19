"""The tap's streams: the outcome of each row, and Apollo's users, stages and custom fields.

The outcomes are the ledger's links, read incrementally; the others are whole tables, read anew each
time. A problem with one stream does not stop the others.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import Stream
from singer_sdk import typing as th

from target_apollo.apollo import ApolloError
from target_apollo.config.sdk import OwnBookmark
from target_apollo.config.settings import SettingsError
from target_apollo.ledger import WITHOUT_ROW, Ledger, LedgerError, LinkStatus
from target_apollo.ledger.database import Address
from target_apollo.ledger.results import Result, read_results
from target_apollo.model.objects.registry import OBJECTS
from target_apollo.model.outcomes import Outcome
from target_apollo.tap.bookmark import bookmark_before

if TYPE_CHECKING:
    from target_apollo.tap.tap import TapApolloSync


def no_time(stream: str) -> SettingsError:
    """The error of a stream whose bookmark in the STATE is no time."""
    return SettingsError([f"The bookmark of {stream} in the state file is no time: remove it."])


class ResultStream(Stream):
    """A stream of the tap; a subclass has its name, schema, keys and rows."""

    tap: TapApolloSync

    def __init__(self, tap: TapApolloSync) -> None:
        self.tap = tap
        super().__init__(tap)

    @abstractmethod
    def rows(self) -> Iterable[dict[str, Any]]:
        """Yield the records.

        Raises:
            ApolloError: A request to Apollo failed.
            LedgerError: The ledger can't be read.
            SettingsError: Credentials are missing, or the bookmark in the STATE is wrong.
        """

    def get_records(
        self,
        context: Mapping[str, Any] | None,  # noqa: ARG002 - the SDK's signature
    ) -> Iterable[dict[str, Any]]:
        """Yield the records until a problem ends the stream; the tap notes the problem."""
        try:
            yield from self.rows()
        except (ApolloError, LedgerError, SettingsError) as problem:
            self.tap.note(self.name, problem)


_TIME = th.DateTimeType


class SyncResults(OwnBookmark, ResultStream):
    """A record per row of a source and Apollo team, with its last outcome."""

    name = "apollo_sync_results"
    primary_keys = ("connection", "object", "stream", "source_key", "source")
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
        th.Property(
            "source",
            th.StringType,
            required=True,
            description="Where the row came from, as the setting source has it; empty where "
            "nobody told.",
        ),
        th.Property("apollo_id", th.StringType, description="The record in Apollo."),
        th.Property(
            "outcome",
            th.StringType,
            required=True,
            description="created, updated, unchanged, existing, rejected, gone where somebody "
            "deleted the record in Apollo, or pending while the answer to a request is not known.",
        ),
        th.Property("reason", th.StringType, description="Why the row was rejected."),
        th.Property("first_synced_at", _TIME, description="When it was first in Apollo."),
        th.Property("last_synced_at", _TIME, description="Changes up to then are in Apollo."),
        th.Property("run_id", th.StringType, description="The run that wrote it last."),
        th.Property("changed_at", _TIME, description="When this result came about."),
    ).to_dict()

    def rows(self) -> Iterable[dict[str, Any]]:
        """Yield the links that changed since the bookmark, then set the new bookmark.

        Raises:
            LedgerError: The ledger can't be read.
            SettingsError: The bookmark in the STATE is no time.
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
        with address.errors_as_sentences("Opening"):
            database = address.engine(read_only=True).connect()
        with database:
            bookmark = bookmark_before(address, database)
            for result in read_results(address, database, since):
                if not result.source_key.startswith(WITHOUT_ROW):
                    yield _record(result)
        if self.replication_method == "INCREMENTAL" and bookmark is not None:
            self.stream_state.update(
                replication_key=self.replication_key, replication_key_value=bookmark.isoformat()
            )

    def _bookmark(self) -> datetime | None:
        try:
            return self.get_starting_timestamp(None)
        except (TypeError, ValueError):
            raise no_time(self.name) from None

    def get_replication_key_signpost(
        self,
        context: Mapping[str, Any] | None = None,  # noqa: ARG002 - the SDK's signature
    ) -> None:
        """No limit: `bookmark_before` has one already."""
        return


def _record(result: Result) -> dict[str, Any]:
    rejected = result.status is LinkStatus.ERROR
    return {
        "connection": result.place.connection,
        "object": result.place.object,
        "stream": result.place.stream,
        "source_key": result.source_key,
        "source": result.place.source,
        "apollo_id": result.apollo_id,
        "outcome": Outcome.REJECTED.value if rejected else result.status.value,
        "reason": result.error,
        "first_synced_at": _text(result.first_synced_at),
        "last_synced_at": _text(result.last_synced_at),
        "run_id": result.run_id,
        "changed_at": _text(result.changed_at),
    }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


class Users(ResultStream):
    """The users of the team, deleted users included; source: GET /users/search."""

    name = "apollo_users"
    primary_keys = ("id",)
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("id", th.StringType, required=True),
        th.Property("email", th.StringType, description="In lower case."),
        th.Property("name", th.StringType),
        th.Property("deleted", th.BooleanType, description="A deleted user owns nothing."),
    ).to_dict()

    def rows(self) -> Iterable[dict[str, Any]]:
        """Yield the users."""
        for user in self.tap.apollo.users():
            yield {
                "id": user.id,
                "email": user.email.strip().lower() or None,
                "name": user.name or None,
                "deleted": user.deleted,
            }


class Stages(ResultStream):
    """The stages of contacts and of accounts; source: GET /contact_stages, GET /account_stages."""

    name = "apollo_stages"
    primary_keys = ("object", "id")
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("object", th.StringType, required=True, description="contact or account."),
        th.Property("id", th.StringType, required=True),
        th.Property("name", th.StringType),
        th.Property("display_name", th.StringType, description="The name that people see."),
    ).to_dict()

    def rows(self) -> Iterable[dict[str, Any]]:
        """Yield the stages."""
        for object_type in OBJECTS.values():
            for stage in self.tap.apollo.stages(object_type.endpoints):
                yield {
                    "object": object_type.singular,
                    "id": stage.id,
                    "name": stage.name,
                    "display_name": stage.display_name or None,
                }


class CustomFields(ResultStream):
    """The custom fields; source: GET /fields, and GET /typed_custom_fields for their options."""

    name = "apollo_custom_fields"
    primary_keys = ("object", "id")
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property(
            "object", th.StringType, required=True, description="contact, account or opportunity."
        ),
        th.Property("id", th.StringType, required=True, description="24 hex digits."),
        th.Property("label", th.StringType),
        th.Property("type", th.StringType),
        th.Property(
            "options",
            th.ArrayType(
                th.ObjectType(th.Property("id", th.StringType), th.Property("name", th.StringType))
            ),
            description="What a picklist lets one choose; empty for other types.",
        ),
    ).to_dict()

    def rows(self) -> Iterable[dict[str, Any]]:
        """Yield the custom fields."""
        for field in self.tap.custom_fields:
            yield {
                "object": field.modality,
                "id": field.id,
                "label": field.label,
                "type": field.type,
                "options": [{"id": option, "name": name} for name, option in field.options.items()],
            }
