"""The settings in their typed form, those of a run and those of one stream. Pure."""

from __future__ import annotations

import fnmatch
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from target_apollo.apollo import check_api_url
from target_apollo.config.schema import AUTO, MOST_PARALLEL, SCHEMA
from target_apollo.config.typed_values import typed_value
from target_apollo.model.match_keys import kind_named, match_on_of, match_on_problems
from target_apollo.model.objects.list_member import MirrorScope
from target_apollo.model.objects.registry import (
    LINKS,
    OBJECTS,
    STREAM_OBJECTS,
    ObjectKind,
    StreamObject,
)
from target_apollo.model.objects.sequence_member import SequenceExit
from target_apollo.model.policies import FieldPolicy
from target_apollo.model.rows import (
    RECORD_MODES,
    MissingAccounts,
    Mode,
    NullPolicy,
    OnApolloDelete,
    OnIdentityConflict,
    Unresolved,
    UpdateMethod,
)
from target_apollo.model.texts.domains import allowed_hosts
from target_apollo.model.texts.spelling import nearest_name, value_of


@dataclass(frozen=True)
class OnDelete:
    """The setting `on_delete`: where a record goes whose row was deleted at the source.

    Both are None, and the value is false, where deletions are ignored.

    Attributes:
        stage: Name of the stage that the record is moved to.
        list_name: Name of the list that the record is added to.
    """

    stage: str | None = None
    list_name: str | None = None

    @classmethod
    def of(cls, written: str) -> OnDelete:
        """Reads the setting.

        Raises:
            ValueError: It has none of the three forms; the message is a sentence.
        """
        kind, _, name = written.partition(":")
        if written == "ignore":
            return cls()
        if kind == "stage" and name.strip():
            return cls(stage=name.strip())
        if kind == "list" and name.strip():
            return cls(list_name=name.strip())
        raise ValueError(
            "The setting 'on_delete' must be 'ignore', 'stage:' with the name of a stage, or "
            "'list:' with the name of a list."
        )

    def __bool__(self) -> bool:
        return bool(self.stage or self.list_name)


class SettingsError(Exception):
    """No run can start with these settings; `problems` has a sentence for each wrong one."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(" ".join(self.problems))


@dataclass(frozen=True)
class StreamSettings:
    """The settings of one stream.

    Attributes:
        key: Its key properties; None: those of the SCHEMA message.
        match_on: Kinds of keys by which its rows are recognised, in order.
    """

    kind: ObjectKind
    mode: Mode
    update_method: UpdateMethod
    key: tuple[str, ...] | None
    match_on: tuple[str, ...]


@dataclass(frozen=True)
class ObjectStreamSettings:
    """The settings of a stream of an object besides contacts and accounts.

    Attributes:
        key: Its key properties; None: those of the SCHEMA message.
        members_of: The stream whose keys `member_key` has; None if the settings do not say.
        mirror_scope: Whose members a mirrored list may lose.
    """

    stream_object: StreamObject
    mode: Mode
    key: tuple[str, ...] | None
    members_of: str | None = None
    mirror_scope: MirrorScope = MirrorScope.OURS


@dataclass(frozen=True)
class Settings:
    """All settings of a run, checked and typed; names and meanings as in `SCHEMA`.

    `quota_share` is the smaller one of what itself and `quota_percent` say. `parallel_requests` is
    a number: with `auto` the transport holds back what the minute's limit does not let through.
    """

    api_key: str | None = field(repr=False)
    client_id: str | None
    client_secret: str | None = field(repr=False)
    refresh_token: str | None = field(repr=False)
    oauth_token_url: str
    token_path: str
    api_url: str
    mode: Mode
    update_method: UpdateMethod
    #: Pattern -> the stream's own settings, or false for a stream that is left out.
    streams: Mapping[str, Mapping[str, Any] | Literal[False]]
    match_on: tuple[str, ...]
    field_policy: Mapping[str, FieldPolicy]
    protected_stages: tuple[str, ...]
    updated_at_field: str
    null_policy: NullPolicy
    null_policy_per_field: Mapping[str, NullPolicy]
    on_delete: OnDelete
    on_apollo_delete: OnApolloDelete
    on_identity_conflict: OnIdentityConflict
    max_identity_changes: int | None
    custom_fields: Mapping[str, str]
    deal_key_field: str
    unknown_fields: str
    unresolved: Mapping[str, Unresolved]
    missing_accounts: MissingAccounts
    mirror_scope: MirrorScope
    link_by_email_domain: bool
    default_owner: str | None
    allow_domains: frozenset[str]
    lists: tuple[str, ...]
    create_in_two_steps: bool
    batch_size: int
    parallel_requests: int
    max_retries: int
    request_timeout_seconds: float
    quota_share: float
    quota_percent: int
    max_wait_seconds: float
    ledger_url: str = field(repr=False)
    source: str
    full_resync: bool
    rejects_path: str
    on_record_error: str
    max_rejected_percent: float
    abort_rejected_percent: float
    max_creates: int | None
    max_updates: int | None
    allow_sequences: tuple[str, ...]
    max_enrolments: int | None
    sequence_exit: SequenceExit
    max_records: int | None
    dry_run: bool
    sample_diffs: int
    profile_path: str
    summary_path: str | None
    state_interval_seconds: float
    max_record_age_seconds: float

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Settings:
        """The typed form of a config that `validation` finds right and that has all defaults.

        Raises:
            ValueError: A value is not allowed.
        """
        own: dict[str, Any] = {
            name: typed_value(name, config.get(name), SCHEMA["properties"][name])
            for name in cls.__dataclass_fields__
            if name not in _READERS
        }
        own["quota_share"] = min(own["quota_share"], own["quota_percent"] / 100)
        parallel = own["parallel_requests"]
        own["parallel_requests"] = MOST_PARALLEL if parallel == AUTO else int(parallel)
        own["match_on"] = tuple(kind_named(name) for name in config.get("match_on") or ())
        own["source"] = config.get("source") or ""
        return cls(**own, **{name: read(config[name]) for name, read in _READERS.items()})

    def drops(self, name: str) -> bool:
        """Whether a row is written without a property whose value Apollo does not know."""
        default = Unresolved.DROP if name in LINKS else Unresolved.REJECT
        if name in LINKS and self.missing_accounts is MissingAccounts.REJECT:
            default = Unresolved.REJECT
        return (value_of(self.unresolved, name) or default) is Unresolved.DROP

    def null_policy_of(self, name: str) -> NullPolicy:
        """What a null in a property means for the field in Apollo."""
        return value_of(self.null_policy_per_field, name) or self.null_policy

    def pattern_of(self, stream: str) -> str | None:
        """The first pattern in the setting `streams` that matches a stream's name, or None."""
        fitting = (name for name in self.streams if fnmatch.fnmatchcase(stream, name))
        return next(fitting, None)

    def entry_before(self, pattern: str) -> str | None:
        """The entry of `streams` before this one that fits all of its streams, if there is one."""
        earlier = itertools.takewhile(lambda one: one != pattern, self.streams)
        return next((one for one in earlier if fnmatch.fnmatchcase(pattern, one)), None)

    def leaves_out(self, stream: str) -> bool:
        """Whether the setting `streams` has false for a stream, so that its records are skipped."""
        return self.streams.get(self.pattern_of(stream) or "") is False

    @property
    def follows_whole_tables(self) -> bool:
        """Whether something follows from rows that are missing in a whole table."""
        own = [one for one in self.streams.values() if one]
        return bool(self.on_delete) or any(one.get("mode") == Mode.MIRROR.value for one in own)

    def has_object(self, stream: str) -> bool:
        """Whether it is known which object a stream holds."""
        return self._object_of(stream) is not None

    def _object_of(self, stream: str) -> str | None:
        return self._own(stream).get("object") or object_of_name(stream)

    def _own(self, stream: str) -> Mapping[str, Any]:
        return self.streams.get(self.pattern_of(stream) or "") or {}

    def object_stream(self, stream: str) -> ObjectStreamSettings | None:
        """The settings of a stream of an object besides contacts and accounts; None for others.

        Raises:
            SettingsError: The object has no such mode.
        """
        own = self._own(stream)
        stream_object = STREAM_OBJECTS.get(self._object_of(stream) or "")
        if stream_object is None:
            return None
        key = own.get("key")
        return ObjectStreamSettings(
            stream_object,
            self._mode_of(stream, stream_object.name, stream_object.modes, stream_object),
            tuple(key) if key else None,
            own.get("members_of"),
            self.mirror_scope,
        )

    def _mode_of(
        self,
        stream: str,
        name: str,
        modes: Sequence[Mode],
        stream_object: StreamObject | None = None,
    ) -> Mode:
        default = stream_object.default_mode if stream_object is not None else None
        mode = Mode(self._own(stream).get("mode", default or self.mode))
        if mode not in modes:
            allowed = " or ".join(one.value for one in modes)
            raise SettingsError(
                [
                    f"The setting 'streams.{self.pattern_of(stream)}.mode' is {mode.value}, and "
                    f"{name} can't be written so: it must be {allowed}."
                ]
            )
        return mode

    def of_stream(self, stream: str) -> StreamSettings:
        """The settings of one stream, by the first pattern in `streams` that matches its name.

        Raises:
            SettingsError: Neither the setting nor the stream's name tells the object, it is none
                of contacts and accounts, or the stream's `match_on` names keys of another object.
        """
        own = self._own(stream)
        kind = self._object_of(stream)
        if kind in STREAM_OBJECTS:
            raise SettingsError([f"Stream '{stream}' holds {kind}, not contacts or accounts."])
        if kind is None:
            raise SettingsError(
                [
                    f"Stream '{stream}' fits neither contacts nor accounts by its name: set "
                    f"'streams' to say which it is, for example "
                    f'{{"{stream}": {{"object": "{_likely_object(stream)}"}}}}, or '
                    f'{{"{stream}": false}} to '
                    "leave its records out."
                ]
            )
        key, object_type = own.get("key"), OBJECTS[ObjectKind(kind)]
        wrong = match_on_problems(
            f"streams.{self.pattern_of(stream)}.match_on", own.get("match_on") or (), object_type
        )
        if wrong:
            raise SettingsError(wrong)
        return StreamSettings(
            kind=ObjectKind(kind),
            mode=self._mode_of(stream, kind, RECORD_MODES),
            update_method=UpdateMethod(own.get("update_method", self.update_method)),
            key=tuple(key) if key else None,
            match_on=match_on_of(
                object_type, [kind_named(name) for name in own.get("match_on") or ()], self.match_on
            ),
        )


def _stream_entry(entry: Any) -> Any:
    """An entry of the setting `streams`: an object, or false."""
    if isinstance(entry, str):
        entry = entry.lower() == "true"
    return {} if entry is True else entry


def _each(read: Callable[[Any], Any]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Reads each value of an object."""
    return lambda given: {name: read(value) for name, value in given.items()}


#: Setting -> what makes its typed form of its value; settings that are not here stay as they are.
_READERS: Mapping[str, Callable[[Any], Any]] = {
    "api_url": check_api_url,
    "mode": Mode,
    "update_method": UpdateMethod,
    "streams": _each(_stream_entry),
    "field_policy": _each(FieldPolicy),
    "protected_stages": tuple,
    "null_policy": NullPolicy,
    "null_policy_per_field": _each(NullPolicy),
    "on_delete": OnDelete.of,
    "on_apollo_delete": OnApolloDelete,
    "on_identity_conflict": OnIdentityConflict,
    "unresolved": _each(Unresolved),
    "missing_accounts": MissingAccounts,
    "mirror_scope": MirrorScope,
    "allow_domains": allowed_hosts,
    "lists": tuple,
    "allow_sequences": tuple,
    "sequence_exit": SequenceExit,
}


def object_of_name(stream: str) -> str | None:
    """The object at the end of a stream's name (``public-contacts``, ``crm.accounts``), or None."""
    last = _last_part(stream)
    names = [kind.value for kind in ObjectKind]
    names += [one.name for one in STREAM_OBJECTS.values() if one.is_told_by_name]
    return next((name for name in names if last.removesuffix("s") == name[:-1]), None)


def _last_part(stream: str) -> str:
    return re.split(r"[-.:/]|__", stream)[-1].strip().lower()


def _likely_object(stream: str) -> str:
    """The object that a stream's name is most like; contacts where it is like none."""
    names = [kind.value for kind in ObjectKind] + [*STREAM_OBJECTS]
    return nearest_name(_last_part(stream), names) or ObjectKind.CONTACTS.value
