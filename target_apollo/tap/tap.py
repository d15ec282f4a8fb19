"""tap-apollo-sync on the Singer SDK, which does catalog, selection, STATE and stream order."""

from __future__ import annotations

import copy
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, ClassVar, NoReturn

from singer_sdk import Tap
from singer_sdk.contrib.msgspec import MsgSpecWriter
from singer_sdk.helpers.capabilities import (
    CapabilitiesEnum,
    PluginCapabilities,
    TapCapabilities,
)
from singer_sdk.singerlib import Message

from target_apollo.apollo import ApolloClient, CustomField, EndpointForbidden, Transport, Wait
from target_apollo.apollo.record_reader import RecordReader
from target_apollo.config.credentials import transport_of
from target_apollo.config.schema import SCHEMA as TARGET_SCHEMA
from target_apollo.config.sdk import CheckedPlugin
from target_apollo.config.typed_values import with_types
from target_apollo.config.validation import with_defaults
from target_apollo.ledger import Ledger, SharedWindows
from target_apollo.sync.exit import SIGNALLED
from target_apollo.sync.team.connection import connection_of_key, is_team_id
from target_apollo.system import logs
from target_apollo.system.standard_streams import discard_output, why_unwritable
from target_apollo.tap.record_streams import (
    Accounts,
    Contacts,
    Deals,
    Lists,
    Sequences,
)
from target_apollo.tap.settings import NAME, SCHEMA, config_problems, target_settings
from target_apollo.tap.streams import CustomFields, ResultStream, Stages, SyncResults, Users

_NO_READER = "Nobody reads the messages any more: the loader has ended. Look at its log."


class OutputRefused(Exception):
    """Standard output can't be written to; the message is a sentence."""


class MessageWriter(MsgSpecWriter):
    """Writes messages to standard output, and ends the process for a signal.

    A signal's exception would be raised wherever the main thread happens to be, where others may
    catch it or print it. The tap has nothing to finish: the next run goes on from its last STATE.
    """

    def __init__(self) -> None:
        super().__init__()
        self._stopped_by = 0
        self._is_writing = False

    def write_message(self, message: Message) -> None:
        """Writes a message; a signal meanwhile ends the process after its line.

        Raises:
            OutputRefused: Standard output is closed, full, or nobody reads it any more.
        """
        self._is_writing = True
        try:
            super().write_message(message)
        except OSError as problem:
            # Otherwise the interpreter would write the rest again at its exit, and print an error.
            discard_output()
            if isinstance(problem, BrokenPipeError):
                raise OutputRefused(_NO_READER) from None
            raise OutputRefused(why_unwritable(problem)) from None
        finally:
            self._is_writing = False
            if self._stopped_by:
                self._end()

    def stop(self, signal_number: int) -> None:
        """Ends the process after the line that is being written; at once for a second signal."""
        if self._stopped_by:
            os._exit(SIGNALLED + signal_number)
        self._stopped_by = signal_number
        if not self._is_writing:
            self._end()

    def _end(self) -> NoReturn:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        os._exit(SIGNALLED + self._stopped_by)


class TapApolloSync(CheckedPlugin, Tap):
    """Gives what became of each row, and what Apollo has: users, stages, fields, records."""

    name = NAME
    package_name = "target-apollo"
    # A copy, since the SDK adds its own settings to it.
    config_jsonschema = copy.deepcopy(SCHEMA)
    message_writer_class = MessageWriter
    message_writer: MessageWriter
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        TapCapabilities.CATALOG,
        TapCapabilities.DISCOVER,
        TapCapabilities.STATE,
        PluginCapabilities.ABOUT,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]

    def __init__(self, **arguments: Any) -> None:
        logs.quieten(self.logger)
        #: The problems that kept streams from being read in full, in order.
        self.problems: list[Exception] = []
        self._shared_windows: SharedWindows | None = None
        super().__init__(**arguments)

    def check_settings(self, given: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """The tap's settings with defaults, and a sentence for each wrong one."""
        typed = with_types(given, TARGET_SCHEMA)
        own = {name: value for name, value in typed.items() if name in SCHEMA["properties"]}
        return with_defaults(own, SCHEMA), config_problems(typed)

    def discover_streams(self) -> Sequence[ResultStream]:
        """The streams; their records are read later, and those of the last five only if asked."""
        return [
            SyncResults(self),
            Users(self),
            Stages(self),
            CustomFields(self),
            Lists(self),
            Sequences(self),
            Accounts(self),
            Contacts(self),
            Deals(self),
        ]

    @cached_property
    def apollo(self) -> ApolloClient:
        """The client for the streams that Apollo answers; made when the first stream needs it.

        Raises:
            SettingsError: There are no credentials.
        """
        return ApolloClient(self._transport)

    @cached_property
    def reader(self) -> RecordReader:
        """What reads whole objects, within the rate windows that a team's processes share.

        Raises:
            ApolloError: Apollo could not be asked for the team.
            LedgerError: The ledger can't be opened.
            SettingsError: There are no credentials.
        """
        self._share_windows()
        return RecordReader(self._transport)

    @cached_property
    def custom_fields(self) -> Sequence[CustomField]:
        """The custom fields of all objects.

        Raises:
            ApolloError: Apollo could not be asked.
            SettingsError: There are no credentials.
        """
        return self.apollo.custom_fields()

    def _share_windows(self) -> None:
        url = self.config["ledger_url"]
        ledger = Ledger.open_existing(url) if url else None
        if ledger is None:
            return
        try:
            connection = self._connection()
            if connection is not None:
                self._shared_windows = ledger.shared_windows(connection)
                self._transport.share_windows(self._shared_windows)
        finally:
            ledger.close()

    def _connection(self) -> str | None:
        """The team as the ledger calls it; None where nothing tells it, as for a run."""
        try:
            team = self.apollo.profile().team_id
        except EndpointForbidden:
            team = ""
        if is_team_id(team):
            return team
        own = target_settings(self.config)
        return connection_of_key(own.api_url, own.api_key) if own.api_key else None

    @cached_property
    def _transport(self) -> Transport:
        own = target_settings(self.config)
        return transport_of(
            own, threading.Event(), quota_share=own.quota_share, on_wait=self._say_wait
        )

    def _say_wait(self, wait: Wait) -> None:
        self.logger.info(
            "Waiting %.1f s until %s before %s: %s",
            wait.seconds,
            wait.until.isoformat(timespec="seconds"),
            wait.endpoint,
            wait.reason.value,
        )

    def note(self, stream: str, problem: Exception) -> None:
        """Notes and logs the problem that kept a stream from being read in full."""
        self.problems.append(problem)
        self.logger.error("%s is not complete: %s", stream, problem)

    def close(self) -> None:
        """Closes the connections to Apollo, if there are any."""
        if "_transport" in self.__dict__:
            self._transport.close()
        if self._shared_windows is not None:
            self._shared_windows.close()

    def on_signal(self, signal_number: int) -> None:
        """Ends the process after the line that is being written."""
        self.message_writer.stop(signal_number)
