"""What a team has that can be named in a stream: custom fields, owners, stages, lists."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from target_apollo.apollo import (
    ApolloClient,
    CustomField,
    EndpointForbidden,
    Label,
    Stage,
    User,
)
from target_apollo.model.objects import ObjectKind

_Known = TypeVar("_Known")


@dataclass(frozen=True)
class Workspace:
    """A team's names; None where the key may not read them, and why under `problems`."""

    custom_fields: Mapping[ObjectKind, list[CustomField]] | None
    owners: list[User] | None
    stages: Mapping[ObjectKind, list[Stage] | None]
    lists: Mapping[ObjectKind, list[Label]] | None
    problems: tuple[str, ...]


def read_workspace(client: ApolloClient, kinds: Collection[ObjectKind]) -> Workspace:
    """A team's names for some objects: five to seven requests that change nothing.

    Raises:
        ApolloError: Apollo can't be asked at all.
    """
    problems: list[str] = []

    def allowed(read: Callable[[], Iterable[_Known]]) -> list[_Known] | None:
        try:
            return list(read())
        except EndpointForbidden as refusal:
            problems.append(str(refusal))
            return None

    stages = {
        ObjectKind.CONTACTS: client.contact_stages,
        ObjectKind.ACCOUNTS: client.account_stages,
    }
    fields = allowed(client.custom_fields)
    owners = allowed(client.users)
    labels = allowed(client.labels)
    return Workspace(
        custom_fields=None
        if fields is None
        else {
            kind: [field for field in fields if f"{field.modality}s" == kind.value]
            for kind in kinds
        },
        owners=None if owners is None else [user for user in owners if not user.deleted],
        stages={kind: allowed(stages[kind]) for kind in kinds},
        lists=None
        if labels is None
        else {kind: [one for one in labels if one.modality == kind.value] for kind in kinds},
        problems=tuple(dict.fromkeys(problems)),
    )
