"""What a SCHEMA message says of its stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from singer_sdk.singerlib.exceptions import InvalidInputLine

from target_apollo.sync.rejects_file import without_reject


@dataclass(frozen=True)
class Described:
    """A stream as its tap describes it.

    Attributes:
        schema: JSON schema of its records, without the property that the rejects file adds; None
            as long as no SCHEMA has come.
        key_properties: The properties that tell its rows apart.
        bookmark_properties: Those by which the tap finds what changed; none where it sends the
            whole table each time.
    """

    schema: Mapping[str, Any] | None = None
    key_properties: tuple[str, ...] = ()
    bookmark_properties: tuple[str, ...] = ()

    @classmethod
    def by(cls, message: Mapping[str, Any]) -> Described:
        """Reads a SCHEMA message.

        Raises:
            InvalidInputLine: It does not name the properties of records.
        """
        schema = message.get("schema")
        if not isinstance(schema, dict) or not isinstance(schema.get("properties"), dict):
            raise InvalidInputLine(
                f"The SCHEMA of stream '{message['stream']}' has no 'properties': mend the tap's "
                "catalog."
            )
        return cls(
            without_reject(schema),
            tuple(message.get("key_properties") or ()),
            tuple(message.get("bookmark_properties") or ()),
        )


#: A stream whose SCHEMA has not come.
UNDESCRIBED = Described()
