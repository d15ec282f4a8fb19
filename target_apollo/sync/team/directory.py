"""Looks up ids: of users by e-mail, stages by name, accounts by domain, custom fields by label.

Each list is read from Apollo at most once per run, and only when a row needs it. A row with an
unknown name is rejected before it is sent, since one bad id makes Apollo refuse a whole request.
`find_record` finds one record by its e-mail or domain; Apollo has no exact search for these.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from target_apollo.apollo import ApolloClient, CustomField, EndpointForbidden, Stage, User
from target_apollo.model.custom_values import normaliser_of
from target_apollo.model.match_keys import addresses
from target_apollo.model.objects.registry import (
    BY_EMAIL,
    LINKS,
    OBJECTS,
    RECORD_TYPES,
    Json,
    ObjectKind,
    ObjectType,
    RecordType,
)
from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.model.texts.characters import visible
from target_apollo.model.texts.domains import bare_host, shared_fault
from target_apollo.model.texts.emails import compared
from target_apollo.model.texts.spelling import (
    folded,
    letters_of,
    meant,
    nearest_address,
    nearest_name,
    no_such,
    value_of,
)
from target_apollo.sync.exit import RunError

if TYPE_CHECKING:
    from target_apollo.sync.batch import PendingFlush
    from target_apollo.sync.team.companies import Companies


def find_record(client: ApolloClient, object_type: ObjectType, address: str) -> Json | None:
    """The record with a normalised e-mail or domain; errors as from `find_records`."""
    return next(iter(find_records(client, object_type, address)), None)


def find_records(client: ApolloClient, object_type: ObjectType, address: str) -> list[Json]:
    """The records with an e-mail or domain, found by one or two searches.

    The searches are fuzzy (contacts) or by name only (accounts), so each hit is compared.

    Raises:
        ApolloError: Apollo could not be asked.
    """
    for words in object_type.search_words(address):
        hits = client.search(object_type.endpoints, words)
        found = [hit for hit in hits if address in addresses(object_type, hit)]
        if found:
            return found
    return []


_OBJECT_OF_STAGE = {one.stage_name: one for one in OBJECTS.values()}
#: Most unknown addresses in a run for which a similar known one is searched: in a large team this
#: is slow.
_MOST_SUGGESTIONS = 100


class Directory:
    """The ids of a team's users, stages, lists, accounts and custom fields.

    Args:
        labels: Property of a stream -> label of the custom field, where they differ.
        pending_flush: It is finished before each request, so that no more requests run in parallel
            than the settings allow.
        companies: Finds accounts by domain.
        default_owner: The setting.
        allowed_domains: Hosts that count as a company's own though many companies share them.
    """

    def __init__(
        self,
        client: ApolloClient,
        labels: Mapping[str, str],
        logger: logging.Logger,
        pending_flush: PendingFlush,
        companies: Companies,
        default_owner: str | None = None,
        allowed_domains: frozenset[str] = frozenset(),
    ) -> None:
        self._asked = client
        self._pending_flush = pending_flush
        self._labels = labels
        self.companies = companies
        self._default_owner = default_owner
        self._allowed_domains = allowed_domains
        self._logger = logger
        #: Whether Apollo has refused to show the custom fields.
        self._hides_fields = False
        self._lists: dict[str, dict[str, str]] | None = None
        self._stages: dict[ObjectKind, dict[str, Stage]] = {}
        self._unknown_owners: dict[str, str | None] = {}

    @property
    def _client(self) -> ApolloClient:
        self._pending_flush.finish()
        return self._asked

    def resolve(self, name: str, value: str) -> str:
        """The id for the value of a property such as ``owner_email`` or ``contact_stage``.

        Raises:
            RecordError: Apollo knows no such name.
            ApolloError: Apollo could not be asked.
        """
        if name == "owner_email":
            return self._owner(name, value)
        if name in LINKS or name == BY_EMAIL:
            return self._account(name, value)
        stages = self._stages_of(_OBJECT_OF_STAGE[name])
        found = stages.get(folded(value))
        if found is None:
            what = name.replace("_", " ")
            known = (stage.display_name or stage.name for stage in stages.values())
            raise RecordError(Reason.UNKNOWN_NAME, no_such(what, name, value, known))
        return found.id

    def resolve_listed(self, name: str, value: str) -> str:
        """As `resolve`, but an account is not looked for: that takes requests for each domain."""
        if name in LINKS:
            return self.account_domain(name, value)
        return "" if name == BY_EMAIL else self.resolve(name, value)

    @cached_property
    def default_owner(self) -> str | None:
        """The id of the user in the setting `default_owner`; None if it is not set.

        Raises:
            RunError: The setting names no user of the team.
            ApolloError: Apollo could not be asked.
        """
        if not self._default_owner:
            return None
        address = self._default_owner.strip().lower()
        found = self._users.get(address)
        if found is None:
            near = self._nearest_owner(address)
            hint = "" if near is None else f" (nearest is that of user {near})"
            raise RunError(
                "The setting 'default_owner' can't be followed: no active Apollo user has that "
                f"e-mail address{hint}. Correct it, or invite that person to the team.",
                exit_code=2,
            )
        return found

    def has_user(self, user_id: str) -> bool:
        """Whether an active user of the team has an id.

        Raises:
            ApolloError: Apollo could not be asked.
        """
        return any(one.id == user_id and not one.deleted for one in self._all_users)

    def former_owner(self, name: str, value: str) -> str | None:
        """The id of a user who has left the team, for the value of ``owner_email``."""
        address = value.strip().lower()
        if name != "owner_email" or address in self._users:
            return None
        return self._former_users.get(address)

    def stage_ids(self, object_type: ObjectType, names: Iterable[str]) -> dict[str, str]:
        """Name -> id, for the named stages of an object that the team has."""
        stages = self._stages_of(object_type)
        return {name: stages[folded(name)].id for name in names if folded(name) in stages}

    def custom_value(
        self, object_type: RecordType, name: str
    ) -> tuple[str, Callable[[str, object], str | None]] | None:
        """Id and normaliser of the custom field for a property; None where there is none.

        A property belongs to the custom field with its name as label, or with the label in the
        setting `custom_fields`; `columns.meant` says which labels are equal.
        """
        found = self.custom_field(object_type, name)
        if found is None:
            return None
        return found.id, normaliser_of(found)

    def custom_field(self, object_type: RecordType, name: str) -> CustomField | None:
        """The custom field for a property or with a label, if there is just one."""
        found = self._custom_fields_of(object_type, name)
        return found[0] if len(found) == 1 else None

    def same_labels(self, object_type: RecordType, name: str) -> tuple[str, ...]:
        """The labels of the custom fields for a property, if nothing tells which one is meant."""
        found = self._custom_fields_of(object_type, name)
        return tuple(one.label for one in found) if len(found) > 1 else ()

    def _custom_fields_of(self, object_type: RecordType, name: str) -> list[CustomField]:
        label = value_of(self._labels, name) or name
        fields = self._custom_fields.get((object_type.modality, letters_of(label)), [])
        labels = meant(label, [one.label for one in fields])
        return [one for one in fields if one.label in labels]

    def custom_labels_of(self, object_type: RecordType) -> list[str]:
        """The labels of an object's custom fields."""
        of = object_type.modality
        return [
            one.label
            for (modality, _), fields in self._custom_fields.items()
            if modality == of
            for one in fields
        ]

    def label_meant(self, object_type: RecordType, label: str, prefix: str = "") -> str:
        """Which label of an object may be meant by one that no custom field has, in brackets.

        Empty if none is like it.

        Args:
            prefix: What the setting writes before a label.
        """
        near = nearest_name(label, self.custom_labels_of(object_type))
        return "" if near is None else f" (did you mean '{prefix}{near}'?)"

    def stage_meant(self, object_types: Iterable[ObjectType], name: str) -> str:
        """Which stage may be meant by a name that no stage has, in brackets; else empty.

        Raises:
            ApolloError: Apollo could not be asked.
        """
        known = [
            stage.display_name or stage.name
            for one in object_types
            for stage in self._stages_of(one).values()
        ]
        near = nearest_name(name, known)
        return "" if near is None else f" (did you mean '{near}'?)"

    def entries_without_label(self) -> list[str]:
        """A sentence for each entry of the setting `custom_fields` whose label no field has.

        None if Apollo does not show the custom fields, as has then been said.

        Raises:
            ApolloError: Apollo could not be asked.
        """
        # Asked for first, since that tells whether they are shown.
        if not self._labels or (not self._custom_fields and self._hides_fields):
            return []
        known = [label for one in RECORD_TYPES for label in self.custom_labels_of(one)]
        return [
            f"The entry '{name}' of the setting 'custom_fields' names the label '{label}', which "
            f"no custom field has{_hint(label, known)}"
            for name, label in self._labels.items()
            if not meant(label, known)
        ]

    def custom_field_by_name(self, object_type: RecordType, name: str) -> tuple[str, str] | None:
        """Id and label of the custom field for a property or with a label, if there is one."""
        found = self.custom_field(object_type, name)
        return None if found is None else (found.id, found.label)

    def list_ids(self, kind: ObjectKind) -> dict[str, str]:
        """Name -> id of the lists of one object, as they were at the first call.

        Lists that the run creates are missing. A record may be added to such a list twice, which
        changes nothing.
        """
        if self._lists is None:
            self._lists = {kind.value: {} for kind in ObjectKind}
            for label in self._client.labels():
                named = self._lists.setdefault(label.modality, {})
                named[label.name] = label.id
                # As in rows, where names of lists have no invisible characters.
                named.setdefault(visible(label.name), label.id)
        return self._lists[kind.value]

    def custom_labels(self) -> dict[str, str]:
        """Custom field id -> label."""
        return {one.id: one.label for fields in self._custom_fields.values() for one in fields}

    def account_domain(self, name: str, value: str) -> str:
        """The domain of an account that a property such as ``account_domain`` names.

        Raises:
            RecordError: The value is no domain, or a host that many companies share.
        """
        domain = bare_host(value)
        if domain is None:
            raise RecordError(Reason.MALFORMED_DOMAIN, f"'{name}' is not a domain")
        fault = shared_fault(name, domain, self._allowed_domains)
        if fault is not None:
            raise RecordError(Reason.UNKNOWN_NAME, fault)
        return domain

    def _owner(self, name: str, value: str) -> str:
        address = compared(value)
        found = self._users.get(address)
        if found is None:
            near = self._nearest_owner(address)
            hint = "" if near is None else f" (nearest is that of user {near})"
            raise RecordError(
                Reason.UNKNOWN_NAME,
                f"no active Apollo user has the e-mail address in '{name}'{hint}; correct it, "
                "invite that person to the team or map the owner to somebody who is in it",
            )
        return found

    def _nearest_owner(self, address: str) -> str | None:
        known = self._unknown_owners
        if address not in known:
            if len(known) >= _MOST_SUGGESTIONS:
                return None
            known[address] = nearest_address(address, self._users)
        return known[address]

    def _account(self, name: str, value: str) -> str:
        found = self.companies.find(self.account_domain(name, value))
        if found is None:
            raise RecordError(
                Reason.UNKNOWN_NAME,
                f"no Apollo account was found for the domain in '{name}'; write the accounts "
                "before the contacts, or send 'account_id'",
            )
        return found

    @cached_property
    def _users(self) -> dict[str, str]:
        return self._ids_by_address(deleted=False)

    @cached_property
    def _former_users(self) -> dict[str, str]:
        return self._ids_by_address(deleted=True)

    @cached_property
    def _all_users(self) -> list[User]:
        return list(self._client.users())

    def _ids_by_address(self, *, deleted: bool) -> dict[str, str]:
        return {
            compared(user.email): user.id
            for user in self._all_users
            if user.email and user.deleted is deleted
        }

    def _stages_of(self, object_type: ObjectType) -> dict[str, Stage]:
        found = self._stages.get(object_type.kind)
        if found is None:
            found = _by_name(self._client.stages(object_type.endpoints))
            self._stages[object_type.kind] = found
        return found

    @cached_property
    def _custom_fields(self) -> dict[tuple[str, str], list[CustomField]]:
        """Object and letters of the label -> the custom fields with such a label."""
        try:
            fields = self._client.custom_fields()
        except EndpointForbidden as refusal:
            self._logger.warning("Custom fields are not written: %s", refusal)
            self._hides_fields = True
            return {}
        found: dict[tuple[str, str], list[CustomField]] = {}
        for field in fields:
            found.setdefault((field.modality, letters_of(field.label)), []).append(field)
        return found


def _hint(label: str, known: Iterable[str]) -> str:
    near = nearest_name(label, known)
    return "." if near is None else f"; did you mean '{near}'?"


def _by_name(stages: Iterable[Stage]) -> dict[str, Stage]:
    found: dict[str, Stage] = {}
    for stage in stages:
        found.setdefault(folded(stage.name), stage)
        found.setdefault(folded(stage.display_name), stage)
    found.pop("", None)
    return found
