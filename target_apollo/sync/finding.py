"""Finds a record by its e-mail or domain, since Apollo has no search by either."""

from __future__ import annotations

from target_apollo.apollo import ApolloClient
from target_apollo.model.objects import Json, ObjectKind, ObjectType
from target_apollo.sync.match import match_keys


def find_record(client: ApolloClient, target: ObjectType, match_key: str) -> Json | None:
    """The record with an e-mail or a domain, normalised; as `find_records`."""
    return next(iter(find_records(client, target, match_key)), None)


def find_records(client: ApolloClient, target: ObjectType, match_key: str) -> list[Json]:
    """The records with an e-mail or a domain that one or two searches show.

    The searches are fuzzy (contacts) or by name only (accounts), so each hit is looked at.

    Raises:
        ApolloError: Apollo could not be asked.
    """
    if target.kind is ObjectKind.CONTACTS:
        hits = client.search_contacts(match_key)
        return [hit for hit in hits if match_key in match_keys(target, hit)]
    for words in (match_key, match_key.split(".", 1)[0]):
        hits = client.search_accounts(words)
        found = [hit for hit in hits if match_key in match_keys(target, hit)]
        if found:
            return found
    return []
