"""The settings of one stream, with custom fields looked up in Apollo."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from target_apollo.config.settings import Settings, StreamSettings
from target_apollo.model.match_keys import CUSTOM
from target_apollo.model.objects.registry import RECORD_TYPES, ObjectType, RecordType
from target_apollo.model.policies import (
    FieldPolicy,
    Policies,
    clashes,
    policies_of,
    unknown_names,
    unknown_policy,
)
from target_apollo.model.texts.spelling import spelled_as
from target_apollo.sync.exit import RunError
from target_apollo.sync.team.directory import Directory


def updated_at_field(settings: Settings, properties: Collection[str]) -> str | None:
    """The property with the time of a row's last change; None if no policy needs it.

    Args:
        properties: The properties of the stream's schema.
    """
    asked_for = FieldPolicy.NEWEST in settings.field_policy.values()
    return spelled_as(settings.updated_at_field, properties) if asked_for else None


def policies_for(
    settings: Settings,
    directory: Directory,
    object_type: RecordType,
    stream: str,
    properties: Collection[str],
) -> Policies:
    """The policies for the rows of a stream.

    Args:
        properties: The properties of the stream's schema.

    Raises:
        RunError: A policy is for an unknown field, or the field can't have it.
        ApolloError: Apollo could not be asked for its custom fields.
    """
    named = settings.field_policy
    if not named:
        return Policies()
    for sentence in wrong_policies(settings, directory):
        raise RunError(sentence, exit_code=2)
    field = updated_at_field(settings, properties)
    if field is not None and field not in properties:
        raise RunError(
            f"Stream '{stream}' has no property '{field}' (setting updated_at_field), "
            "and the policy 'newest' asks when a row changed: add it to the stream, name "
            "another, or choose another policy.",
            exit_code=2,
        )
    return policies_of(named, object_type, directory.custom_field_by_name)


def wrong_policies(settings: Settings, directory: Directory) -> Iterator[str]:
    """Yields a sentence for what is wrong with the setting `field_policy` in this team.

    Raises:
        ApolloError: Apollo could not be asked for its custom fields.
    """
    named = settings.field_policy
    unknown = unknown_names(named, directory.custom_field_by_name)
    if unknown:
        labels = [label for one in RECORD_TYPES for label in directory.custom_labels_of(one)]
        yield unknown_policy(unknown, labels)
    yield from clashes(named, directory.custom_field_by_name)


def match_on_for(
    own: StreamSettings, directory: Directory, object_type: ObjectType, stream: str
) -> tuple[str, ...]:
    """Kinds of keys by which the rows of a stream are recognised, in order.

    Custom fields have their id in place of the label, as for `match_keys.keys_of_row`.

    Raises:
        RunError: The setting names an unknown custom field.
        ApolloError: Apollo could not be asked for its custom fields.
    """
    return tuple(_match_kind(name, directory, object_type, stream) for name in own.match_on)


def _match_kind(name: str, directory: Directory, object_type: ObjectType, stream: str) -> str:
    if not name.startswith(CUSTOM):
        return name
    label = name[len(CUSTOM) :].strip()
    found = directory.custom_field_by_name(object_type, label)
    same = directory.same_labels(object_type, label)
    if same:
        raise RunError(
            f"The setting 'match_on' of stream '{stream}' names '{name}', and several custom "
            f"fields of {object_type.kind.value} have that label ({', '.join(same)}): name one "
            "exactly, or rename one in Apollo.",
            exit_code=2,
        )
    if found is None:
        raise RunError(
            f"The setting 'match_on' of stream '{stream}' names '{name}', and the team "
            f"has no custom field of {object_type.kind.value} with that label"
            f"{directory.label_meant(object_type, label, CUSTOM)}: correct it, or create the "
            "field in Apollo.",
            exit_code=2,
        )
    return f"{CUSTOM}{found[0]}"
