"""tap-apollo-sync, on the Singer SDK: catalog, selection, STATE and stream order are the SDK's."""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from functools import cached_property
from types import FrameType
from typing import Any, ClassVar, NoReturn

from singer_sdk import Tap
from singer_sdk.contrib.msgspec import MsgSpecWriter
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers.capabilities import (
    CapabilitiesEnum,
    PluginCapabilities,
    TapCapabilities,
)

from target_apollo import logs
from target_apollo.apollo import ApolloClient, Transport
from target_apollo.config.credentials import auth_of
from target_apollo.tap import settings
from target_apollo.tap.lookup_streams import CustomFields, Stages, Users
from target_apollo.tap.stream import ResultStream
from target_apollo.tap.streams import SyncResults


class TapApolloSync(Tap):
    """Gives what became of each row, and Apollo's users, stages and custom fields."""

    name = settings.NAME
    package_name = "target-apollo"
    # The SDK adds settings of its own to it.
    config_jsonschema = copy.deepcopy(settings.SCHEMA)
    message_writer_class = MsgSpecWriter
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        TapCapabilities.CATALOG,
        TapCapabilities.DISCOVER,
        TapCapabilities.STATE,
        PluginCapabilities.ABOUT,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]

    def __init__(self, **arguments: Any) -> None:
        logs.quieten(self.logger)
        #: What kept streams from being read in full, in the order in which it came.
        self.problems: list[Exception] = []
        super().__init__(**arguments)

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        # The SDK's own check shows values, of secrets too.
        problems = settings.problems(self._config)
        if problems and raise_errors:
            raise ConfigValidationError(
                "The settings are wrong.", errors=problems, schema=self.config_jsonschema
            )
        self._config = settings.with_defaults(self._config)
        return problems

    def discover_streams(self) -> Sequence[ResultStream]:
        """The four streams; what is in them is read later."""
        return [SyncResults(self), Users(self), Stages(self), CustomFields(self)]

    @cached_property
    def apollo(self) -> ApolloClient:
        """The client for what Apollo knows; made when the first stream asks for it.

        Raises:
            SettingsError: There are no credentials.
        """
        return ApolloClient(self._transport)

    @cached_property
    def _transport(self) -> Transport:
        own = settings.target_settings(self.config)
        stop = threading.Event()
        return Transport(
            api_url=own.api_url,
            auth=auth_of(own, stop),
            max_retries=own.max_retries,
            request_timeout_seconds=own.request_timeout_seconds,
            max_wait_seconds=own.max_wait_seconds,
            parallel_requests=1,
            stop=stop,
        )

    def note(self, stream: str, problem: Exception) -> None:
        """Takes in, and says, what kept a stream from being read in full."""
        self.problems.append(problem)
        self.logger.error("%s is not complete: %s", stream, problem)

    def close(self) -> None:
        """Ends connections to Apollo, if there are any."""
        if "_transport" in self.__dict__:
            self._transport.close()

    def _handle_termination(
        self,
        signum: int,
        frame: FrameType | None,  # noqa: ARG002 - the SDK's signature
    ) -> NoReturn:
        # All STATE there is has been printed; the SDK would print it again, inside another line.
        raise SystemExit(128 + signum)
