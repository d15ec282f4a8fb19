"""Which endpoints a sync uses, by object, mode and settings, and how each is probed. Pure.

The table must match the code in `sync`: when a sync begins to use an endpoint, add a line here, so
that `apollo-sync check` probes it. A probe changes nothing, counts as one request in its endpoint's
quota and costs no credits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from target_apollo.apollo import ENDPOINTS, Request, RequestRefused, endpoints, request_to
from target_apollo.apollo.endpoints import ProbeArguments
from target_apollo.config.settings import Settings, object_of_name
from target_apollo.model.columns import any_field_of
from target_apollo.model.objects.deal import DEAL
from target_apollo.model.objects.list_member import LIST_MEMBER
from target_apollo.model.objects.registry import LABEL_NAMES, OBJECTS, STREAM_OBJECTS, ObjectKind
from target_apollo.model.objects.sequence_member import SEQUENCE_MEMBER
from target_apollo.model.objects.task import TASK
from target_apollo.model.policies import ALL_OTHERS, FieldPolicy
from target_apollo.model.rows import MissingAccounts, Mode

_CONTACTS = frozenset({ObjectKind.CONTACTS})

_ACCOUNTS = frozenset({ObjectKind.ACCOUNTS})

_BOTH = _CONTACTS | _ACCOUNTS

_CREATING = frozenset({Mode.INSERT, Mode.UPSERT})

_UPDATING = frozenset({Mode.UPDATE, Mode.UPSERT})

_ALL = frozenset(Mode)


@dataclass(frozen=True)
class _Use:
    """A use of an endpoint.

    Attributes:
        only_for: What in a record or in Apollo makes a run use it; empty: every run uses it.
        setting: The settings with which a run needs it after all, by a name of `_asked_for`.
    """

    endpoint: str
    kinds: frozenset[ObjectKind]
    modes: frozenset[Mode]
    only_for: str = ""
    setting: str = ""


_SEARCHES = (
    "rows that a killed run left, on_delete, and a look at many records at once under the policies "
    "fill_if_empty and newest"
)

_USES = (
    _Use(endpoints.CREATE_ACCOUNTS, _ACCOUNTS, _CREATING),
    _Use(endpoints.PATCH_ACCOUNT, _ACCOUNTS, _UPDATING),
    _Use(endpoints.CREATE_CONTACTS, _CONTACTS, _CREATING),
    _Use(endpoints.UPDATE_CONTACT, _CONTACTS, _UPDATING),
    _Use(
        endpoints.UPDATE_CONTACT,
        _CONTACTS,
        frozenset({Mode.INSERT}),
        "typed phone numbers and website_url",
    ),
    _Use(
        endpoints.BULK_UPDATE_CONTACTS,
        _CONTACTS,
        _ALL,
        "many updates at once, owner and linkedin_url of existing contacts",
    ),
    _Use(endpoints.BULK_UPDATE_ACCOUNTS, _ACCOUNTS, _UPDATING, "many updates at once"),
    _Use(endpoints.UPDATE_CONTACT_OWNERS, _CONTACTS, _ALL, "owners of many contacts at once"),
    _Use(endpoints.UPDATE_CONTACT_STAGES, _CONTACTS, _UPDATING, "stages of many contacts at once"),
    _Use(
        endpoints.READ_CONTACT,
        _CONTACTS,
        _ALL,
        "telling namesakes apart, and the policies fill_if_empty and newest",
    ),
    _Use(
        endpoints.READ_CONTACT,
        _CONTACTS,
        _UPDATING,
        "the policies fill_if_empty and newest",
        "reading",
    ),
    _Use(
        endpoints.READ_ACCOUNT,
        _ACCOUNTS,
        _UPDATING,
        "the policies fill_if_empty and newest",
        "reading",
    ),
    _Use(endpoints.SEARCH_CONTACTS, _CONTACTS, _ALL, _SEARCHES),
    _Use(endpoints.FIELDS, _BOTH, _ALL, "custom fields", "custom_fields"),
    _Use(endpoints.TYPED_CUSTOM_FIELDS, _BOTH, _ALL, "picklists among the custom fields"),
    _Use(endpoints.USERS, _BOTH, _ALL, "owner_email"),
    _Use(endpoints.ACCOUNT_STAGES, _ACCOUNTS, _ALL, "account_stage"),
    _Use(endpoints.CONTACT_STAGES, _CONTACTS, _ALL, "contact_stage"),
    _Use(endpoints.ACCOUNT_STAGES, _ACCOUNTS, _UPDATING, "on_delete", "deletion stage"),
    _Use(endpoints.CONTACT_STAGES, _CONTACTS, _UPDATING, "on_delete", "deletion stage"),
    _Use(endpoints.ADD_TO_LISTS, _BOTH, _UPDATING, "on_delete", "deletion list"),
    _Use(endpoints.REMOVE_FROM_LISTS, _BOTH, _UPDATING, "rows that return after on_delete"),
    _Use(endpoints.SEARCH_ACCOUNTS, _CONTACTS, _ALL, "account_domain"),
    _Use(endpoints.SEARCH_ACCOUNTS, _ACCOUNTS, _ALL, "parent_account_domain"),
    _Use(endpoints.CREATE_ACCOUNTS, _CONTACTS, _CREATING, "missing_accounts", "missing accounts"),
    _Use(endpoints.SEARCH_ACCOUNTS, _ACCOUNTS, _ALL, _SEARCHES),
    # In mode upsert a run reads the lists of existing records first, to see which are missing.
    _Use(endpoints.LABELS, _BOTH, frozenset({Mode.UPSERT}), "lists", "lists"),
    _Use(endpoints.ADD_TO_LISTS, _BOTH, _ALL, "lists", "lists"),
)


#: Object besides contacts and accounts -> its endpoints, and the modes that use them.
_OBJECT_USES: Mapping[str, Mapping[str, frozenset[Mode]]] = {
    LIST_MEMBER.name: {
        endpoints.LABELS: _ALL,
        endpoints.ADD_TO_LISTS: _ALL,
        endpoints.REMOVE_FROM_LISTS: frozenset({Mode.MIRROR}),
        # Of members that the ledger does not know, and where counts do not tell who is on a list.
        endpoints.SEARCH_CONTACTS: _ALL,
        endpoints.SEARCH_ACCOUNTS: _ALL,
        endpoints.READ_CONTACT: _ALL,
        endpoints.READ_ACCOUNT: _ALL,
    },
    DEAL.name: {
        endpoints.FIELDS: _ALL,
        endpoints.SEARCH_DEALS: _ALL,
        endpoints.CREATE_DEAL: _CREATING,
        endpoints.UPDATE_DEAL: _UPDATING,
        # By the policy fill_if_empty, and where several deals have the key of a row.
        endpoints.READ_DEAL: _ALL,
        endpoints.DEAL_STAGES: _ALL,
        endpoints.USERS: _ALL,
        endpoints.SEARCH_ACCOUNTS: _ALL,
    },
    SEQUENCE_MEMBER.name: {
        endpoints.SEARCH_SEQUENCES: _ALL,
        endpoints.MAILBOXES: _ALL,
        endpoints.ADD_TO_SEQUENCE: _ALL,
        endpoints.LEAVE_SEQUENCES: frozenset({Mode.MIRROR}),
        # By the address of a contact that the ledger does not know, and by protected stages.
        endpoints.SEARCH_CONTACTS: _ALL,
        endpoints.CONTACT_STAGES: _ALL,
        endpoints.READ_CONTACT: _ALL,
    },
    TASK.name: {
        endpoints.SEARCH_TASKS: _ALL,
        endpoints.CREATE_TASK: _CREATING,
        # Apollo resets what an update leaves out, so a task is read before.
        endpoints.READ_TASK: _UPDATING,
        endpoints.UPDATE_TASK: _UPDATING,
        endpoints.COMPLETE_TASK: _UPDATING,
        endpoints.SKIP_TASK: _UPDATING,
        endpoints.SEARCH_CONTACTS: _ALL,
        endpoints.USERS: _ALL,
    },
}


@dataclass(frozen=True)
class Need:
    """An endpoint that a sync with given settings uses.

    Attributes:
        endpoint: Its label, as in `target_apollo.apollo.ENDPOINTS`.
        kinds: The objects whose sync uses it, in a fixed order.
        required: Whether a run can do nothing useful without it.
        only_for: What it is for, where it is not required.
        objects: Names of objects besides contacts and accounts whose sync uses it.
    """

    endpoint: str
    kinds: tuple[ObjectKind, ...]
    required: bool
    only_for: str = ""
    objects: tuple[str, ...] = ()


def modes_of(settings: Settings, kind: ObjectKind) -> frozenset[Mode]:
    """The modes in which an object is written.

    These are the modes of the entries in the setting `streams` whose streams are, or may be, of the
    object; without such an entry, the setting `mode`.
    """
    modes = {
        Mode(entry["mode"]) if "mode" in entry else settings.mode
        for pattern, entry in settings.streams.items()
        if entry is not False
        and (entry.get("object") or object_of_name(pattern) or kind.value) == kind.value
    }
    return frozenset(modes or {settings.mode})


def needs_of(settings: Settings, kinds: Collection[ObjectKind]) -> tuple[Need, ...]:
    """The endpoints that a sync of these objects uses, required endpoints first."""
    modes = {kind: modes_of(settings, kind) for kind in ObjectKind if kind in kinds}
    filled = _asked_for(settings)
    uses: dict[str, list[_Use]] = {}
    for use in _USES:
        if any(_applies(use, kind, modes) for kind in modes):
            uses.setdefault(use.endpoint, []).append(use)
    needs = {endpoint: _need(endpoint, of_it, modes, filled) for endpoint, of_it in uses.items()}
    for name in _objects_of(settings):
        for endpoint in _endpoints_of(settings, name):
            need = needs.get(endpoint) or Need(endpoint, (), required=True)
            objects = (*need.objects, name)
            needs[endpoint] = replace(need, required=True, only_for="", objects=objects)
    return tuple(sorted(needs.values(), key=lambda need: not need.required))


def _objects_of(settings: Settings) -> list[str]:
    """The objects besides contacts and accounts that the settings are about."""
    named = {
        entry.get("object") or object_of_name(pattern)
        for pattern, entry in settings.streams.items()
        if entry is not False
    }
    if settings.allow_sequences:
        named.add(SEQUENCE_MEMBER.name)
    return [name for name in _OBJECT_USES if name in named]


def _endpoints_of(settings: Settings, name: str) -> list[str]:
    """The endpoints that an object uses in the modes in which its streams are written."""
    default = STREAM_OBJECTS[name].default_mode or settings.mode
    modes = {
        Mode(entry["mode"]) if "mode" in entry else default
        for pattern, entry in settings.streams.items()
        if entry is not False and (entry.get("object") or object_of_name(pattern)) == name
    }
    modes = modes or {default}
    return [endpoint for endpoint, used_in in _OBJECT_USES[name].items() if used_in & modes]


def _asked_for(settings: Settings) -> set[str]:
    """Names for settings that are in use and without whose endpoints a run can't do its work."""
    policies = settings.field_policy
    named = {
        name
        for object_type in OBJECTS.values()
        for name in (*object_type.fields, *object_type.named_fields)
    }
    asked = {
        "custom_fields": settings.custom_fields
        or {any_field_of(name) for name in policies} - named - {ALL_OTHERS, LABEL_NAMES},
        "lists": settings.lists,
        "reading": {FieldPolicy.FILL_IF_EMPTY, FieldPolicy.NEWEST} & {*policies.values()},
        "missing accounts": settings.missing_accounts is MissingAccounts.CREATE,
        "deletion stage": settings.on_delete.stage,
        "deletion list": settings.on_delete.list_name,
    }
    return {name for name, value in asked.items() if value}


def _applies(use: _Use, kind: ObjectKind, modes: Mapping[ObjectKind, frozenset[Mode]]) -> bool:
    return kind in use.kinds and bool(use.modes & modes[kind])


def _need(
    endpoint: str,
    uses: list[_Use],
    modes: Mapping[ObjectKind, frozenset[Mode]],
    filled: set[str],
) -> Need:
    required = any(not use.only_for or use.setting in filled for use in uses)
    return Need(
        endpoint,
        tuple(kind for kind in modes if any(_applies(use, kind, modes) for use in uses)),
        required,
        "" if required else uses[0].only_for,
    )


#: No record has this id: Apollo's ids are MongoDB's, which begin with the time of their creation.
NO_RECORD: Final = "0" * 24

# Statuses of refusals after the check of the key: 400 for a malformed request, 422 for a request
# for nothing. 404 is such a status only if the path names a record; else the address is wrong.
_REFUSED: Final = frozenset({400, 422})

_NO_SUCH_RECORD: Final = _REFUSED | {404}


@dataclass(frozen=True)
class Probe:
    """A request that changes nothing, to find out whether the key may use an endpoint.

    Attributes:
        lets_in: Statuses of refusals that Apollo gives only to a key that may use the endpoint.
    """

    request: Request
    lets_in: frozenset[int]

    def may_use(self, refusal: RequestRefused) -> bool:
        """Whether Apollo refused the request after it had accepted the key."""
        return refusal.from_apollo and refusal.status in self.lets_in


def _probe(endpoint: str, arguments: ProbeArguments) -> Probe:
    names_record = "{id}" in endpoint
    request = request_to(
        endpoint,
        None if arguments.body is None else dict(arguments.body),
        params=arguments.params,
        record_id=NO_RECORD if names_record else "",
    )
    return Probe(request, _NO_SUCH_RECORD if names_record else _REFUSED)


PROBES: Final[Mapping[str, Probe]] = {
    label: _probe(label, endpoint.probe)
    for label, endpoint in ENDPOINTS.items()
    if endpoint.probe is not None
}

#: Endpoint -> the endpoint to ask in its place where it is no route (404 or 405), as a sync does.
ELSE_ASKED: Final[Mapping[str, str]] = {
    object_type.endpoints.update: object_type.endpoints.update_instead
    for object_type in OBJECTS.values()
    if object_type.endpoints.update_instead is not None
}
