"""Turns Singer records into rows: finds the field of each property and normalises its value.

Each sink has one `RowParser`, made from the stream's settings and schema. For each property of a
record it does a look-up and calls a normaliser. Names of owners, stages and accounts stay names:
`sync.team.names` looks up their ids, for rows that need them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from target_apollo.model import values as normalisers
from target_apollo.model.columns import Columns, columns_of
from target_apollo.model.match_keys import CUSTOM, keys_of_row
from target_apollo.model.objects.registry import (
    ACCOUNT_DOMAIN,
    APOLLO_ID,
    BY_EMAIL,
    LABEL_NAMES,
    Compare,
    ObjectType,
    RecordType,
)
from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.model.rows import KeyFlag, Mode, NullPolicy, Row, Values
from target_apollo.model.setters import (
    SHAPES,
    Draft,
    Setter,
    Shape,
    custom_setter,
    field_setter,
    leave_out,
    named_setter,
    set_lists,
)
from target_apollo.model.texts import emails
from target_apollo.model.texts.characters import is_blank
from target_apollo.model.texts.domains import company_domain, company_of
from target_apollo.model.texts.placeholders import NULL
from target_apollo.model.texts.spelling import value_of
from target_apollo.model.times import moment


class CustomFields(Protocol):
    """Finds custom fields. `sync.team.directory.Directory` asks Apollo; tests use a dictionary."""

    def custom_value(
        self, object_type: RecordType, name: str
    ) -> tuple[str, Callable[[str, object], str | None]] | None:
        """Id and normaliser of the custom field for a property; None where there is none."""


_NO_SHAPE: tuple[Shape | None, str] = (None, "")
#: Looked up once, since Python 3.11 takes 0.15 microseconds for a member of an enum.
_TEXT, _EMAIL, _PHONE = Shape.TEXT, Shape.EMAIL, Shape.PHONE
_DIGITS, _SCHEMES = frozenset("0123456789"), ("https://", "http://")

#: The written properties of a record, each with its setter, the shape of its field's usual values,
#: and its field.
_Layout = list[tuple[str, Setter, "Shape | None", str]]

#: Apollo documents no way to take a record's owner away.
_OWNER = "owner_id"
#: Most setters that a parser caches for properties outside the schema, whose number is unlimited.
_MOST_REMEMBERED = 1000
#: Most layouts that a parser caches, and most properties of such a layout: a tap that leaves out
#: nulls sends many different sets of properties.
_LAYOUTS_REMEMBERED, _WIDEST_REMEMBERED = 200, 200


@dataclass
class RowParser:
    """Reads the records of one sink.

    Attributes:
        key_properties: The source key; empty where the stream has none.
        properties: Properties of the stream's schema.
        mapped: Properties that the setting `custom_fields` names.
        null_policy: The null policy of properties that are not in `null_policies`.
        null_policies: Property -> its own null policy.
        kept_out: Name of a field, or custom field id -> whether no row may write it.
        updated_at_field: Property with the time of a row's last change; None if it is not needed.
        lists: Names of the lists that every record is added to.
        drops: Name of a property -> whether its value is left out, and the row written, if it is no
            option of its custom field.
        dropped: Property -> number of values left out for that.
        links_by_email: Whether a contact is linked to the account of its e-mail's domain.
        allowed_domains: Hosts that count as a company's own though many companies share them.
        match_on: Kinds of keys by which rows are recognised, in order, as `match_keys.keys_of_row`
            takes them; empty for the e-mail or domain alone.
        emails_left_out: Number of malformed addresses beside valid ones so far.
    """

    object_type: ObjectType
    mode: Mode
    key_properties: Sequence[str]
    properties: frozenset[str]
    custom_fields: CustomFields
    null_policy: NullPolicy = NullPolicy.IGNORE
    null_policies: Mapping[str, NullPolicy] = field(default_factory=dict)
    kept_out: Callable[[str], bool] = frozenset[str]().__contains__
    updated_at_field: str | None = None
    lists: tuple[str, ...] = ()
    drops: Callable[[str], bool] = frozenset[str]().__contains__
    dropped: Counter[str] = field(default_factory=Counter)
    links_by_email: bool = False
    allowed_domains: frozenset[str] = frozenset()
    match_on: tuple[str, ...] = ()
    mapped: frozenset[str] = frozenset()
    emails_left_out: int = 0
    _setters: dict[str, Setter | None] = field(default_factory=dict)
    _layouts: dict[tuple[str, ...], _Layout] = field(default_factory=dict)
    #: Properties so far whose usual values are taken as they are -> their shape and field.
    _shapes: dict[str, tuple[Shape | None, str]] = field(default_factory=dict)
    _others: int = 0
    _columns: Columns | None = None
    #: The property with the Apollo id; empty for none, None before it is looked for.
    _id_column: str | None = None

    def __post_init__(self) -> None:
        self.lists = normalisers.names("lists", list(self.lists))
        self.recognise_by(self.match_on)

    def recognise_by(self, match_on: tuple[str, ...]) -> None:
        """Sets the kinds of keys by which rows are recognised; before any row is read."""
        self.match_on = () if match_on == (self.object_type.match_field,) else match_on

    def read(self, number: int, record: Mapping[str, object]) -> Row:
        """The row of a record.

        Raises:
            RecordError: The record can't be written as it is; the rest of the stream can.
        """
        draft = Draft()
        values = draft.values
        names = tuple(record)
        for name, setter, shape, field_name in self._layouts.get(names) or self._layout(names):
            value = record[name]
            # What the setter does with a usual value, as most are, without its calls.
            if shape is not None and type(value) is str:
                written = value.strip()
                if shape is _TEXT:
                    is_usual = written.isprintable() and written != NULL
                elif shape is _EMAIL:
                    written = written.lower()
                    is_usual = emails.is_plain(written) is not None
                elif shape is _PHONE:
                    is_usual = written.isprintable() and written[-1:] in _DIGITS
                else:
                    is_usual = written.isprintable() and written.startswith(_SCHEMES)
                if written and is_usual:
                    values[field_name] = written
                    continue
            setter(name, value, draft)
        key = key_of_record(self.key_properties, record)
        more_emails = self._settle_emails(draft)
        match_key = address = values.get(self.object_type.match_field)
        more_keys: tuple[str, ...] = ()
        if self.match_on:
            match_key, more_keys = self._keys_of(draft)
        target_id = self._target_id(draft, key)
        self._check_identity(match_key, target_id)
        if self.links_by_email and address:
            self._link_by_email(draft, address)
        return Row(
            number,
            key or (match_key or target_id,),
            match_key,
            values,
            draft.custom,
            tuple(dict.fromkeys((*self.lists, *draft.lists))) if draft.lists else self.lists,
            target_id,
            changed_at=moment(record.get(self.updated_at_field)) if self.updated_at_field else None,
            names=draft.names_without_id() if draft.names else {},
            more_emails=more_emails,
            more_keys=more_keys,
        )

    def read_deleted(
        self, number: int, record: Mapping[str, object], values: Values, lists: tuple[str, ...]
    ) -> Row:
        """The row of a record that was deleted at its source.

        Args:
            values: Field values that are written to the record instead of its own values.
            lists: Names of the lists that the record is added to.

        Raises:
            RecordError: The record has no key, match key or Apollo id.
        """
        key = key_of_record(self.key_properties, record)
        draft = Draft()
        for name in tuple(record) if self.match_on else self._naming_the_record:
            with suppress(RecordError):
                setter = self._setter(name)
                if setter is not None:
                    setter(name, record.get(name), draft)
        with suppress(RecordError):
            self._settle_emails(draft)
        match_key, more_keys = self._keys_of(draft)
        target_id = self._target_id(draft, key)
        if not key and match_key is None and target_id is None:
            raise RecordError(
                self._missing_match, "nothing tells which row was deleted: it has no key"
            )
        return Row(
            number=number,
            key=key or (match_key or target_id,),
            match_key=match_key,
            values=dict(values),
            lists=lists,
            apollo_id=target_id,
            deleted=True,
            more_keys=more_keys,
        )

    @property
    def columns(self) -> Columns:
        """The fields of the schema's properties.

        Raises:
            ApolloError: Apollo could not be asked for its custom fields.
        """
        # A `cached_property` would make all attributes of the parser slower.
        if self._columns is None:
            self._columns = columns_of(
                self.object_type, self.properties, self._custom_id, self.mapped
            )
        return self._columns

    @property
    def _naming_the_record(self) -> tuple[str, ...]:
        """The properties that name a record where `match_on` is not set."""
        fields = (self.object_type.match_field, self.object_type.more_emails, APOLLO_ID)
        found = [self.columns.column_of(name) or name for name in fields if name is not None]
        return tuple(found)

    @property
    def _has_id_column(self) -> bool:
        if self._id_column is None:
            self._id_column = self.columns.column_of(APOLLO_ID) or ""
        return bool(self._id_column)

    def _custom_id(self, name: str) -> str | None:
        found = self.custom_fields.custom_value(self.object_type, name)
        return None if found is None else found[0]

    def is_mapped(self, name: str) -> bool:
        """Whether a property is written to a field, custom field or list, or is the id."""
        return self._setter_of(name) is not None

    def try_value(self, name: str, value: object) -> None:
        """Reads a value of a property as `read` does; nothing where it is not written.

        Raises:
            RecordError: No row with this value can be written.
        """
        setter = self._setter_of(name)
        if setter is not None:
            setter(name, value, Draft())

    def _layout(self, names: tuple[str, ...]) -> _Layout:
        """The setters for records with these properties; properties without a setter are left out.

        Cached, since most records of a stream have the same few sets of properties.
        """
        placed = [(name, self._setter_of(name)) for name in names]
        layout = [
            (name, setter, *self._shapes.get(name, _NO_SHAPE)) for name, setter in placed if setter
        ]
        if len(self._layouts) < _LAYOUTS_REMEMBERED and len(names) <= _WIDEST_REMEMBERED:
            self._layouts[names] = layout
        return layout

    def _setter_of(self, name: str) -> Setter | None:
        """The setter of a property, from the cache unless that is full."""
        if name in self._setters:
            return self._setters[name]
        setter = self._setter(name)
        if name not in self.properties:
            if self._others >= _MOST_REMEMBERED:
                return setter
            self._others += 1
        self._setters[name] = setter
        return setter

    def _target_id(self, draft: Draft, key: tuple[object, ...]) -> str | None:
        if draft.apollo_id or self.mode is not Mode.UPDATE or self._has_id_column:
            return draft.apollo_id
        if len(key) == 1 and isinstance(key[0], str) and normalisers.is_apollo_id(key[0].lower()):
            return key[0].lower()
        return None

    def _check_identity(self, match_key: str | None, target_id: str | None) -> None:
        if self.mode is Mode.UPDATE:
            # The ledger may know the Apollo id.
            return
        if match_key is None and not (self.mode is Mode.UPSERT and target_id):
            raise RecordError(self._missing_match, self._why_missing)

    @property
    def _missing_match(self) -> Reason:
        return Reason.MISSING_MATCH_KEY if self.match_on else self.object_type.missing_match

    @property
    def _why_missing(self) -> str:
        if not self.match_on:
            field = self.object_type.match_field
            return f"'{field}' is missing; mode {self.mode.value} needs it"
        names = [
            "custom field" if kind.startswith(CUSTOM) else f"'{kind}'" for kind in self.match_on
        ]
        return (
            f"the row has none of the keys in the setting 'match_on' ({', '.join(names)}); mode "
            f"{self.mode.value} needs one"
        )

    def _keys_of(self, draft: Draft) -> tuple[str | None, tuple[str, ...]]:
        """The first match key of the row, and its other match keys."""
        match_on = self.match_on or (self.object_type.match_field,)
        found = keys_of_row(match_on, draft.values, draft.custom)
        return (found[0], found[1:]) if found else (None, ())

    def _field_of(self, name: str) -> str | None:
        """The field of a property that is no custom field."""
        if name in self.properties:
            return self.columns.fields.get(name)
        found = columns_of(self.object_type, (name,), self._custom_id, self.mapped).fields.get(name)
        # A property outside the schema takes no column's field from it by another spelling.
        is_taken = found not in (None, name) and self.columns.column_of(found or "") is not None
        return None if is_taken else found

    def _setter(self, name: str) -> Setter | None:
        if name in self.columns.displaced:
            return None
        of = self._field_of(name)
        if of is None:
            return self._custom_setter(name)
        if of == APOLLO_ID:
            return self._set_apollo_id
        if of == LABEL_NAMES:
            return leave_out if self.kept_out(of) else set_lists
        match_field, more_emails = self.object_type.match_field, self.object_type.more_emails
        if more_emails and of in (match_field, more_emails):
            if self.kept_out(match_field):
                return leave_out
            if of == more_emails:
                return self._set_listed_emails
            self._shapes[name] = (Shape.EMAIL, match_field)
            return self._set_email
        named = self.object_type.named_fields.get(of)
        if named is not None:
            return leave_out if self.kept_out(named) else self._named_setter(of, named)
        return leave_out if self.kept_out(of) else self._field_setter(name, of)

    def _link_by_email(self, draft: Draft, address: str) -> None:
        link = self.object_type.named_fields.get(ACCOUNT_DOMAIN)
        if link is None or link in draft.names or draft.values.get(link) or self.kept_out(link):
            return
        domain = company_of(address, self.allowed_domains)
        if domain is not None:
            draft.names[link] = BY_EMAIL, domain

    def _clears(self, name: str) -> bool:
        return (value_of(self.null_policies, name) or self.null_policy) is NullPolicy.CLEAR

    def _may_be_empty(self, field_name: str) -> bool:
        """Whether a null may empty a field."""
        return field_name not in (self.object_type.match_field, _OWNER)

    def _set_apollo_id(self, name: str, value: object, draft: Draft) -> None:
        # An insert creates a record, so an id in the record is ignored.
        if self.mode is not Mode.INSERT:
            draft.apollo_id = normalisers.apollo_id(name, value)

    def _set_email(self, name: str, value: object, draft: Draft) -> None:
        found = emails.addresses(name, value)
        self.emails_left_out += found.malformed
        if found.valid:
            draft.values[self.object_type.match_field] = found.valid[0]
            draft.more_emails = found.valid[1:]

    def _set_listed_emails(self, name: str, value: object, draft: Draft) -> None:
        try:
            found = emails.addresses(name, value)
        except RecordError as problem:
            # The record is rejected only if no other property has an address.
            draft.listed_fault = problem
            return
        self.emails_left_out += found.malformed
        draft.listed_emails = found.valid

    def _settle_emails(self, draft: Draft) -> tuple[str, ...]:
        """Makes the first address the row's match field and returns the others.

        Raises:
            RecordError: The only property with addresses has no valid one.
        """
        if not draft.listed_emails and not draft.listed_fault:
            return draft.more_emails
        field = self.object_type.match_field
        first = draft.values.get(field)
        if draft.listed_fault is not None:
            if first is None:
                raise draft.listed_fault
            self.emails_left_out += 1
        found = dict.fromkeys((*draft.more_emails, *draft.listed_emails))
        if first is None:
            first = next(iter(found))
            draft.values[field] = first
        return tuple(address for address in found if address != first)

    def _field_setter(self, column: str, of: str) -> Setter:
        field = self.object_type.fields[of]
        normalise = field.normalise
        if field.compare is Compare.DOMAIN:
            normalise = company_domain(self.allowed_domains)
        shape = SHAPES.get(normalise)
        if shape is not None:
            self._shapes[column] = (shape, field.name)
        clears = self._clears(field.name) and self._may_be_empty(field.name)
        return field_setter(field.name, normalise, clears=clears)

    def _named_setter(self, of: str, field_name: str) -> Setter:
        # A stage may have any name, also that of a placeholder.
        is_free = of == self.object_type.stage_name
        normalise = normalisers.text if is_free else normalisers.typed_text
        clears = self._clears(of) and self._may_be_empty(field_name)
        return named_setter(of, field_name, normalise, clears=clears)

    def _custom_setter(self, name: str) -> Setter | None:
        custom_field = self.custom_fields.custom_value(self.object_type, name)
        if custom_field is None:
            return None
        field_id, normalise = custom_field
        if self.kept_out(field_id):
            return leave_out
        return custom_setter(
            field_id,
            normalise,
            clears=self._clears(name),
            drops=self.drops(name),
            dropped=self.dropped,
        )


def key_of_record(
    key_properties: Sequence[str], record: Mapping[str, object]
) -> tuple[object, ...]:
    """The values of a record's key, in the form in which values are equal exactly where keys are.

    Raises:
        RecordError: A part of the key is missing, or can't be part of a key.
    """
    key = tuple(map(record.get, key_properties))
    for value in key:
        # Numbers and texts, as nearly all keys are. `type(True)` is bool.
        if type(value) is int or (type(value) is str and value.isprintable() and value.strip()):
            continue
        break
    else:
        return key
    missing = [
        f"'{name}'" for name, value in zip(key_properties, key, strict=True) if is_blank(value)
    ]
    if missing:
        # Records without a whole key would count as the same row, and overwrite each other.
        raise RecordError(
            Reason.MISSING_KEY_PROPERTY,
            f"the record has no key: nothing stands in {', '.join(missing)}; fill it in, or "
            "name another 'key' for the stream in the setting 'streams'",
        )
    return tuple(map(_key_value, key_properties, key))


def _key_value(name: str, value: object) -> object:
    """A value of a key.

    Raises:
        RecordError: It can't be part of a key.
    """
    if isinstance(value, (list, dict)):
        raise RecordError(
            Reason.WRONG_TYPE, f"the key property '{name}' must not be an object or array"
        )
    if isinstance(value, bool):
        return KeyFlag.TRUE if value else KeyFlag.FALSE
    if isinstance(value, (float, Decimal)):
        exact = Decimal(repr(value)) if isinstance(value, float) else value
        if not exact.is_finite():
            raise RecordError(
                Reason.WRONG_TYPE, f"the key property '{name}' must be a finite number"
            )
        return exact
    return value
