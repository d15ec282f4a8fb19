"""A tap of the Meltano SDK as a process, which sends BATCH where `batch_config` is set.

``python -m tests.helpers.batch_tap --config FILE``; the setting `rows` says how many contacts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from singer_sdk import Stream, Tap
from singer_sdk import typing as th
from singer_sdk.helpers.capabilities import (
    CapabilitiesEnum,
    PluginCapabilities,
    TapCapabilities,
)


class Contacts(Stream):
    """Contacts with one address each."""

    name = "contacts"
    primary_keys = ("id",)
    replication_key = "id"
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("id", th.IntegerType, required=True),
        th.Property("email", th.StringType),
        th.Property("first_name", th.StringType),
    ).to_dict()

    def get_records(self, context: Mapping[str, Any] | None) -> Iterable[dict[str, Any]]:
        """Yield the contacts."""
        for number in range(1, self.config["rows"] + 1):
            yield {"id": number, "email": f"p{number}@batch.example", "first_name": "Zoë"}


class BatchTap(Tap):
    """Sends the stream `contacts`."""

    name = "tap-batch"
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("rows", th.IntegerType, required=True)
    ).to_dict()
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        TapCapabilities.CATALOG,
        TapCapabilities.DISCOVER,
        TapCapabilities.STATE,
        PluginCapabilities.BATCH,
    ]

    def discover_streams(self) -> list[Stream]:
        """The one stream."""
        return [Contacts(self)]


if __name__ == "__main__":
    BatchTap.cli()
