"""Names to ids: users by e-mail, stages by name, accounts by domain, custom fields by label.

Everything is read from Apollo at most once a run, and only when a record asks for it: one bad id
fails a whole request, so a name that Apollo does not know rejects its row before anything is sent.
"""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property

from target_apollo.api import ApolloClient, CustomField, EndpointForbidden, Stage
from target_apollo.custom_values import normaliser_of
from target_apollo.normalising import bare_host
from target_apollo.objects import ObjectKind, ObjectType
from target_apollo.outcomes import Reason, RecordError

_MODALITY = {ObjectKind.CONTACTS: "contact", ObjectKind.ACCOUNTS: "account"}
_NOT_A_LETTER = re.compile(r"[\s_-]+")


class Directory:
    """What a team calls its users, stages, lists, accounts and custom fields.

    Args:
        labels: Property of a stream -> label of the custom field, where they differ.
    """

    def __init__(
        self, client: ApolloClient, labels: Mapping[str, str], logger: logging.Logger
    ) -> None:
        self._client = client
        self._labels = labels
        self._logger = logger
        self._accounts: dict[str, str | None] = {}
        self._lists: dict[str, dict[str, str]] | None = None

    def resolve(self, name: str, value: str) -> str | None:
        """The id that a property such as ``owner_email`` or ``contact_stage`` stands for.

        Raises:
            RecordError: Apollo knows no such name.
            ApolloError: Apollo could not be asked.
        """
        if name == "owner_email":
            return self._owner(name, value)
        if name == "account_domain":
            return self._account(name, value)
        stages = self._contact_stages if name == "contact_stage" else self._account_stages
        found = stages.get(_folded(value))
        if found is None:
            raise RecordError(Reason.UNKNOWN_NAME, _no_such_stage(name, value, stages))
        return found.id

    def custom_value(
        self, target: ObjectType, name: str
    ) -> tuple[str, Callable[[str, object], str | None]] | None:
        """Where and how a property is written that is no field of the object itself.

        A property belongs to a custom field whose label equals its name (or its entry in the
        setting `custom_fields`), case, blanks and underscores aside.
        """
        label = self._labels.get(name, name)
        found = self._custom_fields.get((_MODALITY[target.kind], _folded(label)))
        if found is None:
            return None
        normalise = normaliser_of(found)
        return None if normalise is None else (found.id, normalise)

    def list_ids(self, kind: ObjectKind) -> dict[str, str]:
        """Ids of the lists of one object by name, as they were when first asked for.

        A list that the run makes is not among them: a record is then added to it once more, which
        changes nothing.
        """
        if self._lists is None:
            self._lists = {kind.value: {} for kind in ObjectKind}
            for label in self._client.labels():
                self._lists.setdefault(label.modality, {})[label.name] = label.id
        return self._lists[kind.value]

    def learn_account(self, domain: str, account_id: str) -> None:
        """Notes an account that this run wrote, for the contacts that name its domain."""
        self._accounts[domain] = account_id

    def _owner(self, name: str, value: str) -> str:
        found = self._users.get(value.strip().lower())
        if found is None:
            raise RecordError(
                Reason.UNKNOWN_NAME,
                f"no active Apollo user has the e-mail address in '{name}'; invite that person "
                "to the team or map the owner to somebody who is in it",
            )
        return found

    def _account(self, name: str, value: str) -> str:
        domain = bare_host(value)
        if domain is None:
            raise RecordError(Reason.MALFORMED_DOMAIN, f"'{name}' is not a domain")
        if domain not in self._accounts:
            self._accounts[domain] = self._search_account(domain)
        found = self._accounts[domain]
        if found is None:
            raise RecordError(
                Reason.UNKNOWN_NAME,
                f"no Apollo account was found for the domain in '{name}'; write the accounts "
                "before the contacts, or send 'account_id'",
            )
        return found

    def _search_account(self, domain: str) -> str | None:
        # Accounts can be searched by name only, so each hit's domain is looked at.
        for words in (domain, domain.split(".", 1)[0]):
            for account in self._client.search_accounts(words):
                if bare_host(str(account.get("domain") or "")) == domain:
                    return str(account["id"])
        return None

    @cached_property
    def _users(self) -> dict[str, str]:
        return {
            user.email.strip().lower(): user.id
            for user in self._client.users()
            if user.email and not user.deleted
        }

    @cached_property
    def _contact_stages(self) -> dict[str, Stage]:
        return _by_name(self._client.contact_stages())

    @cached_property
    def _account_stages(self) -> dict[str, Stage]:
        return _by_name(self._client.account_stages())

    @cached_property
    def _custom_fields(self) -> dict[tuple[str, str], CustomField]:
        try:
            fields = self._client.custom_fields()
        except EndpointForbidden as refusal:
            self._logger.warning("Custom fields are not written: %s", refusal)
            return {}
        return {(field.modality, _folded(field.label)): field for field in fields}


def _by_name(stages: Iterable[Stage]) -> dict[str, Stage]:
    found: dict[str, Stage] = {}
    for stage in stages:
        found.setdefault(_folded(stage.name), stage)
        found.setdefault(_folded(stage.display_name), stage)
    found.pop("", None)
    return found


def _folded(name: str) -> str:
    return _NOT_A_LETTER.sub(" ", name).strip().casefold()


def _no_such_stage(name: str, value: str, known: Mapping[str, Stage]) -> str:
    # The value is not shown: a wrong mapping may have put anything there.
    what = f"stage of the name in '{name}'"
    near = difflib.get_close_matches(_folded(value), list(known), n=1)
    if near:
        return f"Apollo has no {what}; did you mean '{known[near[0]].name}'?"
    names = ", ".join(dict.fromkeys(stage.name for stage in known.values()))
    return f"Apollo has no {what}; it has {names or 'none'}"
