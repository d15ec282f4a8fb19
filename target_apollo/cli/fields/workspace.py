"""A team's custom fields, owners, stages and lists, which a stream can name.

It makes custom fields too, one after another. Each request is sent only once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from target_apollo.apollo import ApolloClient, CustomField, EndpointForbidden, Label, Stage, User
from target_apollo.cli.fields.missing import Proposal
from target_apollo.config.credentials import transport_of
from target_apollo.config.settings import Settings
from target_apollo.model.objects.registry import OBJECTS, ObjectKind

_Known = TypeVar("_Known")


@dataclass(frozen=True)
class Workspace:
    """A team's names; None where the key may not read them, with a sentence in `problems`."""

    custom_fields: Mapping[ObjectKind, list[CustomField]] | None
    owners: list[User] | None
    stages: Mapping[ObjectKind, list[Stage] | None]
    lists: Mapping[ObjectKind, list[Label]] | None
    problems: tuple[str, ...]


def read_workspace(client: ApolloClient, kinds: Collection[ObjectKind]) -> Workspace:
    """Reads a team's names for some objects, by five to seven requests that change nothing.

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
        stages={kind: allowed(partial(client.stages, OBJECTS[kind].endpoints)) for kind in kinds},
        lists=None
        if labels is None
        else {kind: [label for label in labels if label.modality == kind.value] for kind in kinds},
        problems=tuple(dict.fromkeys(problems)),
    )


@contextmanager
def client_of(settings: Settings, *, retries: bool) -> Iterator[ApolloClient]:
    """A client with the settings' credentials.

    Args:
        retries: Whether to send a request again whose answer is lost. To make fields it must be
            false: Apollo would make a second field with the same label.

    Raises:
        SettingsError: There are no usable credentials.
    """
    own = settings if retries else replace(settings, max_retries=0)
    with closing(transport_of(own, threading.Event())) as transport:
        yield ApolloClient(transport)


def create_fields(client: ApolloClient, proposals: Sequence[Proposal]) -> Iterator[Proposal]:
    """Make the fields, and yield each once Apollo has confirmed it.

    Raises:
        ApolloError: A field could not be made, or its answer was lost (`maybe_written`). The fields
            yielded before are made.
    """
    for proposal in proposals:
        client.create_custom_field(proposal.label, proposal.object.modality, proposal.kind)
        yield proposal
