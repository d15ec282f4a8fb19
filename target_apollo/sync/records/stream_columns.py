"""What is wrong with the columns of a stream, said before anything of it is written. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from target_apollo.config.settings import SettingsError, StreamSettings
from target_apollo.model.columns import Columns, columns_of
from target_apollo.model.likely_fields import fields_meant
from target_apollo.model.match_keys import CUSTOM, NAME, name_fields
from target_apollo.model.objects.registry import APOLLO_ID, ObjectType
from target_apollo.model.rows import Mode
from target_apollo.model.texts.spelling import letters_of, value_of
from target_apollo.sync.exit import RunError
from target_apollo.sync.team.directory import Directory

#: Prefixes of properties about the record itself, from taps and from the rejects file.
ABOUT_RECORDS = ("_sdc_", "_reject")
#: Most columns that a sentence lists.
_LISTED = 30


def check_columns(stream: str, columns: Columns) -> None:
    """Checks that no two columns of a stream are written to one field.

    Raises:
        RunError: Two are, and neither has exactly the field's name.
    """
    for names in columns.clashes:
        listed = " and ".join(f"'{name}'" for name in names)
        raise RunError(
            f"The columns {listed} of stream '{stream}' would be written to one field of Apollo: "
            "leave out all but one in the catalog or a stream map, or name the custom field of "
            "each in custom_fields.",
            exit_code=2,
        )


def entries_beside_fields(stream: str, mapped: Collection[str], columns: Columns) -> list[str]:
    """A sentence for each column that `custom_fields` names and that has the name of a field.

    Args:
        mapped: The columns that the setting names.
    """
    return [
        f"The entry '{name}' of the setting 'custom_fields' has no effect on stream '{stream}': "
        "the column has the name of a field, and is written to that. Rename it in a stream map."
        for name in sorted(mapped)
        if columns.fields.get(name) == name
    ]


def not_written_because(
    name: str, object_type: ObjectType, columns: Columns, directory: Directory
) -> str:
    """Why a column is not written, or the field that it may mean; empty if nothing is known.

    Raises:
        ApolloError: Apollo could not be asked for its custom fields.
    """
    if name in columns.displaced:
        return f"'{columns.displaced[name]}' has its place"
    same = directory.same_labels(object_type, name)
    if same:
        return f"several custom fields have that label: {', '.join(same)}"
    near = fields_meant(object_type, name, frozenset(columns.fields.values()))
    return f"did you mean {' or '.join(repr(one) for one in near)}?" if near else ""


@dataclass(frozen=True)
class MatchColumns:
    """The columns by one of which the rows of a stream are matched, in modes insert and upsert.

    In mode update the ledger may know the records.

    Attributes:
        own: The settings of the stream.
        labels: The setting `custom_fields`.
        properties: The properties of its schema.
    """

    stream: str
    object_type: ObjectType
    own: StreamSettings
    labels: Mapping[str, str]
    properties: tuple[str, ...]

    def are_in(self, schema: Mapping[str, Any]) -> bool:
        """Whether the schema has one of them; if not, the records may have it.

        Raises:
            SettingsError: The schema has none, and allows no further properties.
        """
        if self.own.mode is Mode.UPDATE or self._is_met_by(self.properties):
            return True
        if schema.get("additionalProperties") is False and "patternProperties" not in schema:
            raise SettingsError([self._sentence(self.properties)])
        return False

    def look_for(self, names: Collection[str]) -> None:
        """Looks for a column to match on among the properties of records.

        Raises:
            RunError: There is none.
        """
        known = (*self.properties, *sorted({*names} - {*self.properties}))
        if not self._is_met_by(known):
            raise RunError(self._sentence(known), exit_code=2)

    def check(self, match_on: Sequence[str], columns: Columns) -> None:
        """Checks the columns again, after the custom fields are known.

        A column such as `E-mail` may belong to a custom field of that label.

        Args:
            match_on: The kinds of keys, with ids of custom fields in place of labels.
            columns: The columns of the schema.

        Raises:
            RunError: None of them is one to match on.
        """
        custom = {f"{CUSTOM}{field_id}" for field_id in columns.custom.values()}
        if not self._is_met(match_on, {*columns.fields.values()}, custom):
            raise RunError(self._sentence(self.properties), exit_code=2)

    def _is_met_by(self, names: Collection[str]) -> bool:
        columns = columns_of(self.object_type, names, self._custom_kind, self.labels)
        fields, custom = {*columns.fields.values()}, {*columns.custom.values()}
        return self._is_met(self.own.match_on, fields, custom)

    def _is_met(
        self, match_on: Sequence[str], fields: Collection[str], custom: Collection[str]
    ) -> bool:
        if self.own.mode is Mode.UPSERT and APOLLO_ID in fields:
            return True
        return any(self._has(kind, fields, custom) for kind in match_on)

    def _has(self, kind: str, fields: Collection[str], custom: Collection[str]) -> bool:
        if kind.startswith(CUSTOM):
            return kind in custom
        if kind == NAME:
            return all(name in fields for name in name_fields(self.object_type))
        more = self.object_type.more_emails if kind == self.object_type.match_field else None
        return kind in fields or more in fields

    def _custom_kind(self, name: str) -> str | None:
        """The kind in `match_on` that is the custom field of a column, without asking Apollo."""
        letters = letters_of(value_of(self.labels, name) or name)
        kinds = [kind for kind in self.own.match_on if kind.startswith(CUSTOM)]
        return next((one for one in kinds if letters_of(one[len(CUSTOM) :]) == letters), None)

    def _sentence(self, names: Collection[str]) -> str:
        kinds = ", ".join(self.own.match_on)
        listed = ", ".join(list(names)[:_LISTED]) or "none"
        if len(names) > _LISTED:
            listed += f" and {len(names) - _LISTED} more"
        meant = [
            f"'{name}' may be meant as '{field}'"
            for name in names
            for field in fields_meant(self.object_type, name, ())
            if field in self.own.match_on
        ]
        hint = f" ({', '.join(meant[:3])})" if meant else ""
        return (
            f"Stream '{self.stream}' has no column by which Apollo recognises "
            f"{self.object_type.kind.value}: mode {self.own.mode.value} needs one of {kinds} "
            f"(match_on), and its columns are {listed}{hint}. Rename one in the warehouse or in a "
            "stream map, or name another key in match_on."
        )
