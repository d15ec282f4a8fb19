"""Makes custom fields in Apollo, one by one, each a request that is sent once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from target_apollo.apollo import ApolloClient, Transport
from target_apollo.cli.fields.missing import Proposal
from target_apollo.config.credentials import auth_of
from target_apollo.config.settings import Settings


@contextmanager
def client_of(settings: Settings, *, retries: bool) -> Iterator[ApolloClient]:
    """A client with the settings' credentials.

    Args:
        retries: Whether a request whose answer is lost is sent again. A field's must not be: Apollo
            would make a second one of the same label.

    Raises:
        SettingsError: There are no credentials that could be sent.
    """
    stop = threading.Event()
    transport = Transport(
        api_url=settings.api_url,
        auth=auth_of(settings, stop),
        max_retries=settings.max_retries if retries else 0,
        request_timeout_seconds=settings.request_timeout_seconds,
        max_wait_seconds=settings.max_wait_seconds,
        parallel_requests=1,
        stop=stop,
    )
    try:
        yield ApolloClient(transport)
    finally:
        transport.close()


def create_fields(client: ApolloClient, proposals: Sequence[Proposal]) -> Iterator[Proposal]:
    """Make the fields, and yield each once Apollo has confirmed it.

    Raises:
        ApolloError: One could not be made, or may have been; those yielded before are.
    """
    for proposal in proposals:
        client.create_custom_field(proposal.label, proposal.object.singular, proposal.kind)
        yield proposal
