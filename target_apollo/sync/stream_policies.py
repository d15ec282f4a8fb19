"""The policies of one stream: the setting `field_policy`, by the names that the team has."""

from __future__ import annotations

from collections.abc import Container

from target_apollo.config.settings import Settings
from target_apollo.model.objects import ObjectType
from target_apollo.model.policies import (
    FieldPolicy,
    Policies,
    clashes,
    policies_of,
    unknown_names,
    unknown_policy,
)
from target_apollo.sync.directory import Directory
from target_apollo.sync.exit import RunError


def updated_at_field(settings: Settings) -> str | None:
    """The property that tells when a row changed, where a policy asks for it."""
    asked_for = FieldPolicy.NEWEST in settings.field_policy.values()
    return settings.updated_at_field if asked_for else None


def stream_policies(
    settings: Settings,
    target: ObjectType,
    directory: Directory,
    stream: str,
    properties: Container[str],
) -> Policies:
    """The policies for the rows of a stream.

    Args:
        properties: Properties of the stream's schema.

    Raises:
        RunError: A policy is for a field that there is not, or can't be followed.
        ApolloError: Apollo could not be asked for its custom fields.
    """
    named = settings.field_policy
    if not named:
        return Policies()
    unknown = unknown_names(named, directory.custom_field_by_name)
    if unknown:
        raise RunError(unknown_policy(unknown), exit_code=2)
    for sentence in clashes(named, directory.custom_field_by_name):
        raise RunError(sentence, exit_code=2)
    field = updated_at_field(settings)
    if field is not None and field not in properties:
        raise RunError(
            f"Stream '{stream}' has no property '{field}' (setting updated_at_field), and the "
            "policy 'newest' asks when a row changed: add it to the stream, name another, or "
            "choose another policy.",
            exit_code=2,
        )
    return policies_of(named, target, directory.custom_field_by_name)
