"""Makes rows of Singer records: names the fields and normalises values.

Each sink has one `RowParser`, made from the stream's settings and schema. A record then costs it a
look-up and a normaliser for each property. What names an owner, a stage or an account stays a name:
its id is looked up by `sync.names`, once it is known that the row needs it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

import msgspec

from target_apollo.model import emails
from target_apollo.model import values as normalisers
from target_apollo.model.domains import bare_host, company_domain, shared_fault
from target_apollo.model.objects import (
    ACCOUNT_DOMAIN,
    APOLLO_ID,
    BY_EMAIL,
    LABEL_NAMES,
    Compare,
    Field,
    ObjectType,
)
from target_apollo.model.outcomes import Reason, RecordError, Rejection
from target_apollo.model.rows import Mode, NullPolicy, Row, Values
from target_apollo.model.suggestions import FREE_MAIL
from target_apollo.model.values import moment


class CustomFields(Protocol):
    """Knows the custom fields. `sync.directory.Directory` asks Apollo; tests use a dictionary."""

    def custom_value(
        self, object_type: ObjectType, name: str
    ) -> tuple[str, Callable[[str, object], str | None]] | None:
        """Id and normaliser of the custom field that takes a property; None where there is none."""


#: The rejection in mode update where neither the record nor the ledger has the Apollo id.
UPDATE_NEEDS_ID = Rejection(
    Reason.UPDATE_NEEDS_ID,
    "update needs the Apollo id: give the stream a property 'apollo_id', make its single key "
    "property the Apollo id (24 hex digits), or write the row in mode upsert first, which notes "
    "its id in the ledger",
)

Setter = Callable[[str, object, "_Draft"], None]
#: The written properties of a record, each with its setter and whether its field takes any text.
_Layout = list[tuple[str, Setter, bool]]

#: How many setters a reader remembers for properties outside the schema, which have no limit.
_MOST_REMEMBERED = 1000
#: How many layouts a reader remembers, and of how many properties at most: taps that leave out
#: nulls send many sets of properties.
_LAYOUTS_REMEMBERED, _WIDEST_REMEMBERED = 200, 200
#: Addresses whose domain is remembered as a company's own or not.
_COMPANIES_REMEMBERED = 10_000
#: Types of key values that need no check. `type(True)` is bool, so booleans are checked.
_PLAIN_KEYS = frozenset({int, str})


class _Draft(msgspec.Struct):
    """The parts of a row while a record is read."""

    values: Values = {}
    custom: Values = {}
    names: dict[str, tuple[str, str]] = {}
    lists: tuple[str, ...] = ()
    apollo_id: str | None = None
    #: Addresses after the first in the property `email`, and those in `contact_emails`.
    more_emails: tuple[str, ...] = ()
    listed_emails: tuple[str, ...] = ()
    #: Why `contact_emails` has no address.
    listed_fault: RecordError | None = None


@dataclass
class RowParser:
    """Reads the records of one sink.

    Attributes:
        key_properties: The source key; empty where the stream has none.
        properties: Properties of the stream's schema.
        null_policy: The null policy of properties that `null_policies` lacks.
        null_policies: Property -> its own null policy.
        kept_out: Name of a field, or custom field id -> whether no row may write it.
        updated_at_field: Property with the time of a row's last change; None: not needed.
        lists: Names of the lists that every record is added to.
        drops: Name of a property -> whether a row is written without it where its value is no
            option of its custom field.
        dropped: Counts such values, by property.
        links_by_email: Whether a contact is linked to the account of its address' domain.
        allowed_domains: Hosts that count as a company's own though many companies share them.
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
    _setters: dict[str, Setter | None] = field(default_factory=dict)
    _layouts: dict[tuple[str, ...], _Layout] = field(default_factory=dict)
    #: Properties seen so far whose field, of the same name, takes any text.
    _texts: set[str] = field(default_factory=set)
    _others: int = 0

    def __post_init__(self) -> None:
        self.lists = normalisers.names("lists", list(self.lists))

    def read(self, number: int, record: Mapping[str, object]) -> Row:
        """The row of a record.

        Raises:
            RecordError: The record can't be written as it is; the rest of the stream can.
        """
        draft = _Draft()
        values = draft.values
        names = tuple(record)
        for name, setter, is_text in self._layouts.get(names) or self._layout(names):
            value = record[name]
            # Most values are clean text: this is what `values.text` returns, without the calls.
            if is_text and type(value) is str:
                written = value.strip()
                if written and written.isprintable():
                    values[name] = written
                    continue
            setter(name, value, draft)
        key = self._key(record)
        more_emails = self._settle_emails(draft)
        match_key = values.get(self.object_type.match_field)
        target_id = self._target_id(draft, key)
        self._check_identity(match_key, target_id)
        if self.links_by_email and match_key:
            self._link_by_email(draft, match_key)
        return Row(
            number,
            key or (match_key or target_id,),
            match_key,
            values,
            draft.custom,
            tuple(dict.fromkeys((*self.lists, *draft.lists))) if draft.lists else self.lists,
            target_id,
            changed_at=moment(record.get(self.updated_at_field)) if self.updated_at_field else None,
            names=_names_without_id(draft) if draft.names else {},
        )

    def read_deleted(
        self, number: int, record: Mapping[str, object], values: Values, lists: tuple[str, ...]
    ) -> Row:
        """The row of a record that was deleted at its source.

        Args:
            values: What moves the record in Apollo; the record's own values are ignored.
            lists: Names of the lists that the record is added to.

        Raises:
            RecordError: The record has no key, match key or Apollo id.
        """
        key = self._key(record)
        draft = _Draft()
        more_emails = self.object_type.more_emails
        for name in filter(None, (self.object_type.match_field, more_emails, APOLLO_ID)):
            with suppress(RecordError):
                setter = self._setter(name)
                if setter is not None:
                    setter(name, record.get(name), draft)
        with suppress(RecordError):
            self._settle_emails(draft)
        match_key = draft.values.get(self.object_type.match_field)
        target_id = self._target_id(draft, key)
        if not key and match_key is None and target_id is None:
            raise RecordError(
                self.object_type.missing_match, "nothing tells which row was deleted: it has no key"
            )
        return Row(
            number=number,
            key=key or (match_key or target_id,),
            match_key=match_key,
            values=dict(values),
            lists=lists,
            apollo_id=target_id,
            deleted=True,
        )

    def is_mapped(self, name: str) -> bool:
        """Whether a property is written to a field, custom field, list or id."""
        return self._setter_of(name) is not None

    def _layout(self, names: tuple[str, ...]) -> _Layout:
        """The setters for records with these properties; properties without a setter are left out.

        Most records of a stream have the same few sets of properties, so layouts are remembered.
        """
        placed = [(name, self._setter_of(name)) for name in names]
        layout = [(name, setter, name in self._texts) for name, setter in placed if setter]
        if len(self._layouts) < _LAYOUTS_REMEMBERED and len(names) <= _WIDEST_REMEMBERED:
            self._layouts[names] = layout
        return layout

    def _setter_of(self, name: str) -> Setter | None:
        """The setter of a property, remembered unless too many are."""
        if name in self._setters:
            return self._setters[name]
        setter = self._setter(name)
        if name not in self.properties:
            if self._others >= _MOST_REMEMBERED:
                return setter
            self._others += 1
        self._setters[name] = setter
        return setter

    def _key(self, record: Mapping[str, object]) -> tuple[object, ...]:
        key = tuple(map(record.get, self.key_properties))
        if key and _PLAIN_KEYS.issuperset(map(type, key)):
            return key
        for name, value in zip(self.key_properties, key, strict=True):
            if isinstance(value, (list, dict)):
                raise RecordError(
                    Reason.WRONG_TYPE, f"the key property '{name}' must not be an object or array"
                )
        if key and all(value is None for value in key):
            # Records without a key would count as one and the same row.
            names = ", ".join(f"'{name}'" for name in self.key_properties)
            raise RecordError(
                Reason.MISSING_KEY_PROPERTY,
                f"the record has no key: nothing stands in {names}; fill it in, or name another "
                "'key' for the stream in the setting 'streams'",
            )
        return key

    def _target_id(self, draft: _Draft, key: tuple[object, ...]) -> str | None:
        if draft.apollo_id or self.mode is not Mode.UPDATE or APOLLO_ID in self.properties:
            return draft.apollo_id
        if len(key) == 1 and isinstance(key[0], str) and normalisers.is_apollo_id(key[0].lower()):
            return key[0].lower()
        return None

    def _check_identity(self, match_key: str | None, target_id: str | None) -> None:
        if self.mode is Mode.UPDATE:
            # The ledger may have the Apollo id.
            return
        if match_key is None and not (self.mode is Mode.UPSERT and target_id):
            raise RecordError(
                self.object_type.missing_match,
                f"'{self.object_type.match_field}' is missing; mode {self.mode.value} needs it",
            )

    def _setter(self, name: str) -> Setter | None:
        if name == APOLLO_ID:
            return self._set_apollo_id
        if name == LABEL_NAMES:
            return _leave_out if self.kept_out(name) else _set_lists
        if self.object_type.more_emails and name in (
            self.object_type.match_field,
            self.object_type.more_emails,
        ):
            kept_out = self.kept_out(self.object_type.match_field)
            return _leave_out if kept_out else self._set_emails
        named = self.object_type.named_fields.get(name)
        if named is not None:
            return _leave_out if self.kept_out(named) else self._named_setter(name, named)
        field = self.object_type.fields.get(name)
        if field is not None and (field.create or field.update or field.bulk):
            return _leave_out if self.kept_out(name) else self._field_setter(field)
        return self._custom_setter(name)

    def _link_by_email(self, draft: _Draft, address: str) -> None:
        link = self.object_type.named_fields.get(ACCOUNT_DOMAIN)
        if link is None or link in draft.names or draft.values.get(link) or self.kept_out(link):
            return
        domain = _company_of(address, self.allowed_domains)
        if domain is not None:
            draft.names[link] = BY_EMAIL, domain

    def _clears(self, name: str) -> bool:
        return self.null_policies.get(name, self.null_policy) is NullPolicy.CLEAR

    def _set_apollo_id(self, name: str, value: object, draft: _Draft) -> None:
        # An insert creates a record, so an id in the record is ignored.
        if self.mode is not Mode.INSERT:
            draft.apollo_id = normalisers.apollo_id(name, value)

    def _set_emails(self, name: str, value: object, draft: _Draft) -> None:
        is_first = name == self.object_type.match_field
        address = emails.plain(value)
        if address is not None and is_first:
            # Nearly all values are one plain address.
            draft.values[name] = address
            return
        try:
            found = emails.addresses(name, value)
        except RecordError as problem:
            if is_first:
                raise
            # It costs the record only if no other property has its address.
            draft.listed_fault = problem
            return
        self.emails_left_out += found.malformed
        if not is_first:
            draft.listed_emails = found.valid
        elif found.valid:
            draft.values[name] = found.valid[0]
            draft.more_emails = found.valid[1:]

    def _settle_emails(self, draft: _Draft) -> tuple[str, ...]:
        """Makes the first address the record's and returns the others.

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

    def _field_setter(self, field: Field) -> Setter:
        normalise = field.normalise
        if field.compare is Compare.DOMAIN:
            normalise = company_domain(self.allowed_domains)
        clears = self._clears(field.name) and field.name != self.object_type.match_field
        if normalise is normalisers.text:
            self._texts.add(field.name)

        def set_field(name: str, value: object, draft: _Draft) -> None:
            if value is None and not clears:
                return
            normalised = normalise(name, value)
            if normalised is not None:
                draft.values[field.name] = normalised
            elif clears:
                # A property with a name may have set the id already.
                draft.values.setdefault(field.name, None)

        return set_field

    def _named_setter(self, name: str, field_name: str) -> Setter:
        clears = self._clears(name)

        def set_by_name(name: str, value: object, draft: _Draft) -> None:
            written = normalisers.text(name, value)
            if written is None:
                if clears:
                    draft.values.setdefault(field_name, None)
                return
            draft.names[field_name] = name, written

        return set_by_name

    def _custom_setter(self, name: str) -> Setter | None:
        custom_field = self.custom_fields.custom_value(self.object_type, name)
        if custom_field is None:
            return None
        field_id, normalise = custom_field
        if self.kept_out(field_id):
            return _leave_out
        clears, drops = self._clears(name), self.drops(name)

        def set_custom(name: str, value: object, draft: _Draft) -> None:
            try:
                normalised = None if value is None else normalise(name, value)
            except RecordError as problem:
                if not drops or problem.rejection.reason is not Reason.UNKNOWN_NAME:
                    raise
                self.dropped[name] += 1
                return
            if normalised is not None or clears:
                draft.custom[field_id] = normalised

        return set_custom


@lru_cache(maxsize=_COMPANIES_REMEMBERED)
def _company_of(address: str, allowed: frozenset[str]) -> str | None:
    """The domain of an e-mail address, if it is a company's own."""
    domain = bare_host(address.rpartition("@")[2])
    if domain is None or domain in FREE_MAIL or shared_fault(BY_EMAIL, domain, allowed):
        return None
    return domain


def _names_without_id(draft: _Draft) -> dict[str, tuple[str, str]]:
    """The names of a record, without those of fields whose id it has too: the id wins."""
    found = {name: named for name, named in draft.names.items() if draft.values.get(name) is None}
    for name in found:
        # The id is null, which clears nothing where a name stands beside it.
        draft.values.pop(name, None)
    return found


def _leave_out(name: str, value: object, draft: _Draft) -> None:
    """The setter of a property whose field no row may write."""


def _set_lists(name: str, value: object, draft: _Draft) -> None:
    draft.lists = normalisers.names(name, value)
