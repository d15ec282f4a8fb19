"""The streams that read Apollo's records back: contacts, accounts, deals, lists, sequences.

They are selected only by those who ask for them, since they cost a request for a hundred records.
A stream that Apollo's limits end goes on in the next run at the page in the STATE.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from target_apollo.apollo import CustomField, EndpointForbidden
from target_apollo.config.sdk import OwnBookmark
from target_apollo.model.objects.registry import ACCOUNT, CONTACT, Json, ObjectType
from target_apollo.model.times import moment
from target_apollo.sync.reading.pages import (
    DealSearch,
    PagesInOrder,
    Search,
    SequenceSearch,
)
from target_apollo.sync.reading.parts import SHOWN
from target_apollo.sync.reading.walk import Progress, RecordWalk
from target_apollo.tap.columns import (
    ACCOUNT_COLUMNS,
    CONTACT_COLUMNS,
    CUSTOM_COLUMN,
    DEAL_COLUMNS,
    LIST_COLUMNS,
    SEQUENCE_COLUMNS,
    Column,
    CustomFieldNames,
    row_of,
    schema_of,
)
from target_apollo.tap.streams import ResultStream, no_time

if TYPE_CHECKING:
    from target_apollo.tap.tap import TapApolloSync

#: The name of a walk that is under way, in the STATE of its stream.
_READING = "reading"
#: Pages between two STATE messages.
_PAGES_PER_STATE = 10
_OBJECT_OF_LIST = {"contacts": "contact", "accounts": "account", "emailer_campaigns": "sequence"}


class RecordsNotShown(Exception):
    """Apollo has more records than it shows."""

    def __init__(self, total: int, missing: int) -> None:
        super().__init__(
            f"Apollo shows 50,000 records of a search, so {missing} of {total} could not be read, "
            "also not by stages and lists. Move records to other stages or put them on lists, none "
            "of which has more than 100,000, and read the stream anew with --full-refresh."
        )


class SearchEnds(Exception):
    """Apollo has more of them than its search shows, and no filter by which to read the others."""

    def __init__(self, total: int) -> None:
        super().__init__(
            f"Apollo shows 50,000 of {total} and has no filter for the others, so they could not "
            "be read: the table lacks them until some are deleted in Apollo."
        )


class RecordStream(OwnBookmark, ResultStream):
    """Records of one object; a subclass has its name, object and columns."""

    selected_by_default = False
    primary_keys = ("id",)
    object_type: ClassVar[ObjectType]
    columns: ClassVar[Sequence[Column]]

    def rows(self) -> Iterable[dict[str, Any]]:
        """Yield the records that are new to the reader, or all of them.

        Raises:
            ApolloError: Apollo could not be asked; the next run goes on from the STATE.
            SettingsError: Credentials are missing, or the bookmark in the STATE is wrong.
        """
        names = custom_field_names(self.tap, self.name, self.object_type.singular)
        since = self._since()
        walk = self._walk(Progress.of_state(self.stream_state.get(_READING)))
        if since is not None and walk.progress.parts is None:
            yield from self._rows(walk, walk.changed(since), names)
            if walk.too_many_changed:
                self.logger.info(
                    "More than %d records of %s have changed: all of them are read.",
                    SHOWN,
                    self.name,
                )
                walk = self._walk(Progress(newest=walk.progress.newest))
                yield from self._all_rows(walk, names)
        else:
            yield from self._all_rows(walk, names)
        self.stream_state.pop(_READING, None)
        if self._is_incremental and walk.progress.newest:
            self.stream_state.update(
                replication_key=self.replication_key,
                replication_key_value=walk.progress.newest,
            )
        if walk.not_shown and walk.is_split:
            self.tap.note(self.name, RecordsNotShown(walk.progress.total, walk.not_shown))

    def _all_rows(self, walk: RecordWalk, names: CustomFieldNames) -> Iterator[dict[str, Any]]:
        if self._is_incremental and not walk.progress.newest and walk.progress.parts is None:
            walk.note_newest()
        yield from self._rows(walk, walk.all(), names)
        if walk.is_split:
            self.logger.info(
                "%s has %d records, and Apollo shows %d of a search: they were read from both "
                "ends, and by stages and lists where that was not enough.",
                self.name,
                walk.progress.total,
                SHOWN,
            )

    def _rows(
        self, walk: RecordWalk, pages: Iterable[list[Json]], names: CustomFieldNames
    ) -> Iterator[dict[str, Any]]:
        for number, page in enumerate(pages, start=1):
            for record in page:
                yield {**row_of(self.columns, record), CUSTOM_COLUMN: names.readable(record)}
            # The records before are written, so the next run may go on behind them.
            self.stream_state[_READING] = walk.progress.to_state()
            if number % _PAGES_PER_STATE == 0:
                self.tap.state_writer.write_state(self.tap_state)

    def _walk(self, progress: Progress | None) -> RecordWalk:
        of = self.object_type.endpoints
        return RecordWalk(self.tap.apollo, self.tap.reader, of, progress or Progress())

    @property
    def _is_incremental(self) -> bool:
        return bool(self.replication_key) and self.replication_method == "INCREMENTAL"

    def _since(self) -> datetime | None:
        """The time up to which an earlier run has read; None where all records are to be read.

        Raises:
            SettingsError: The bookmark in the STATE is no time.
        """
        written = self.get_starting_replication_key_value(None) if self._is_incremental else None
        since = moment(written)
        if written is not None and since is None:
            raise no_time(self.name)
        return since


def custom_field_names(tap: TapApolloSync, stream: str, modality: str) -> CustomFieldNames:
    """The names of an object's custom fields; none where the key may not read them.

    Raises:
        ApolloError: Apollo could not be asked.
        SettingsError: Credentials are missing.
    """
    fields: Sequence[CustomField] = ()
    try:
        fields = tap.custom_fields
    except EndpointForbidden as refusal:
        tap.logger.warning(
            "The custom fields of %s come by their ids instead of their labels: %s",
            stream,
            refusal,
        )
    return CustomFieldNames(fields, modality)


class Contacts(RecordStream):
    """The contacts, those that changed since the last run; source: POST /contacts/search."""

    name = "apollo_contacts"
    replication_key = "updated_at"
    object_type = CONTACT
    columns = CONTACT_COLUMNS
    schema: ClassVar[dict[str, Any]] = schema_of(CONTACT_COLUMNS, has_custom_fields=True)


class Accounts(RecordStream):
    """The accounts, all of them, since answers have no time of a change: POST /accounts/search."""

    name = "apollo_accounts"
    object_type = ACCOUNT
    columns = ACCOUNT_COLUMNS
    schema: ClassVar[dict[str, Any]] = schema_of(ACCOUNT_COLUMNS, has_custom_fields=True)


class NumberedStream(ResultStream):
    """Objects that Apollo shows page by page without saying in which order.

    A subclass has their search and their columns.
    """

    selected_by_default = False
    primary_keys = ("id",)

    @abstractmethod
    def search(self) -> Search:
        """The search that shows all of them; raises as `rows`."""

    @abstractmethod
    def row(self, found: Json) -> dict[str, Any]:
        """The record of one of them; raises as `rows`."""

    def rows(self) -> Iterable[dict[str, Any]]:
        """Yield all of them, each once.

        Raises:
            ApolloError: Apollo could not be asked; the next run goes on from the STATE.
            SettingsError: Credentials are missing.
        """
        reading = Progress.of_state(self.stream_state.get(_READING)) or Progress()
        pages = PagesInOrder(self.search(), page=reading.page)
        seen: set[str] = set()
        for number, page in enumerate(pages.read(), start=1):
            new = {str(found["id"]): found for found in page if found["id"] not in seen}
            yield from map(self.row, new.values())
            seen.update(new)
            self.stream_state[_READING] = Progress(page=pages.next_page).to_state()
            if number % _PAGES_PER_STATE == 0:
                self.tap.state_writer.write_state(self.tap_state)
        self.stream_state.pop(_READING, None)
        if pages.is_cut and pages.total is not None:
            self.tap.note(self.name, SearchEnds(pages.total))


class Deals(NumberedStream):
    """The deals; source: GET /opportunities/search."""

    name = "apollo_deals"
    schema: ClassVar[dict[str, Any]] = schema_of(DEAL_COLUMNS, has_custom_fields=True)

    def search(self) -> Search:
        """The search for deals."""
        return DealSearch(self.tap.reader)

    def row(self, found: Json) -> dict[str, Any]:
        """The columns of a deal and its custom fields."""
        return {**row_of(DEAL_COLUMNS, found), CUSTOM_COLUMN: self._names.readable(found)}

    @cached_property
    def _names(self) -> CustomFieldNames:
        return custom_field_names(self.tap, self.name, "opportunity")


class Sequences(NumberedStream):
    """The sequences, without their members; source: POST /emailer_campaigns/search."""

    name = "apollo_sequences"
    schema: ClassVar[dict[str, Any]] = schema_of(SEQUENCE_COLUMNS, has_custom_fields=False)

    def search(self) -> Search:
        """The search for sequences."""
        return SequenceSearch(self.tap.reader)

    def row(self, found: Json) -> dict[str, Any]:
        """The columns of a sequence."""
        return row_of(SEQUENCE_COLUMNS, found)


class Lists(ResultStream):
    """The lists of contacts, accounts and sequences, without their members: GET /labels."""

    name = "apollo_lists"
    selected_by_default = False
    primary_keys = ("id",)
    schema: ClassVar[dict[str, Any]] = schema_of(LIST_COLUMNS, has_custom_fields=False)

    def rows(self) -> Iterable[dict[str, Any]]:
        """Yield the lists."""
        for found in self.tap.reader.lists():
            modality = str(found.get("modality"))
            named = {**found, "object": _OBJECT_OF_LIST.get(modality, modality)}
            yield row_of(LIST_COLUMNS, named)
