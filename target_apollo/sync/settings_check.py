"""Checks the settings against a team before a run, with the code by which a run follows them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from target_apollo.apollo import SequenceClient
from target_apollo.config.settings import StreamSettings
from target_apollo.model.columns import field_of
from target_apollo.model.custom_values import KNOWN_TYPES
from target_apollo.model.match_keys import match_on_of
from target_apollo.model.objects.registry import (
    CONTACT,
    OBJECTS,
    RECORD_TYPES,
    STREAM_OBJECTS,
    ObjectKind,
)
from target_apollo.model.outcomes import RecordError
from target_apollo.model.policies import PROTECTED_STAGES
from target_apollo.model.texts.spelling import letters_of, nearest_name, value_of
from target_apollo.sync.deletions.missing_rows import DeletionTarget
from target_apollo.sync.end_notices import hidden_entry
from target_apollo.sync.exit import RunError
from target_apollo.sync.objects.registry import ObjectSyncs
from target_apollo.sync.records.stream_settings import match_on_for, wrong_policies
from target_apollo.sync.remarks import SETTINGS, Remarks
from target_apollo.sync.run import SyncRun
from target_apollo.sync.sequences.directory import SequenceDirectory
from target_apollo.sync.team.protected_stages import StageGuard
from target_apollo.sync.words import ended


class SettingsCheck:
    """Finds what a run with these settings would refuse or warn of, whatever its rows are.

    Args:
        run: A dry run.
        kinds: The objects that it writes.
        is_sure: Whether it writes all of them; if not, what one of them lacks ends no run.
        streams: The streams that are checked by themselves.
        remarks: Gets what is found. It also has to be a handler of the run's log.
    """

    def __init__(
        self,
        run: SyncRun,
        kinds: Collection[ObjectKind],
        remarks: Remarks,
        *,
        is_sure: bool = False,
        streams: Collection[str] = (),
    ) -> None:
        self._run = run
        self._settings = run.settings
        self._types = [OBJECTS[kind] for kind in kinds]
        self._remarks = remarks
        self._is_sure = is_sure
        self._streams = streams

    def check(self) -> None:
        """Does all checks; each list of Apollo that a setting needs is read once.

        Raises:
            CredentialsRefused, TeamRefused: Apollo answers nothing.
        """
        for check in (
            self._check_team,
            self._check_policies,
            self._check_custom_fields,
            self._check_match_on,
            self._check_owner,
            self._check_protected_stages,
            self._check_on_delete,
            self._check_lists,
            self._check_sequences,
            self._check_entries,
        ):
            with self._remarks.about(SETTINGS):
                check()
        for pattern, entry in self._settings.streams.items():
            is_checked = any(self._settings.pattern_of(one) == pattern for one in self._streams)
            if entry is not False and not is_checked:
                with self._remarks.about(SETTINGS):
                    self._check_stream(pattern)

    def _check_team(self) -> None:
        # This also reads the profile of a probe, which must be of that team.
        _ = self._run.connection

    def _check_policies(self) -> None:
        if self._settings.field_policy:
            for sentence in wrong_policies(self._settings, self._run.directory):
                self._remarks.fault(sentence)

    def _check_custom_fields(self) -> None:
        directory = self._run.directory
        for name in self._settings.custom_fields:
            for one in RECORD_TYPES:
                found = directory.custom_field(one, name)
                if found is not None and found.type not in KNOWN_TYPES:
                    self._remarks.warning(
                        f"The entry '{name}' of the setting 'custom_fields' is for the field "
                        f"'{found.label}' of type {found.type}, which this release does not know: "
                        "its values are sent as text, and Apollo may refuse them."
                    )
        self._run.notices.custom_fields_without_effect(directory.entries_without_label())

    def _check_match_on(self) -> None:
        settings = self._settings
        wrong: list[str] = []
        for one in self._types if settings.match_on and not self._streams else ():
            kinds = match_on_of(one, [], settings.match_on)
            own = StreamSettings(one.kind, settings.mode, settings.update_method, None, kinds)
            try:
                match_on_for(own, self._run.directory, one, one.kind.value)
            except RunError as problem:
                wrong.append(str(problem))
        self._note_of_objects(wrong)

    def _check_owner(self) -> None:
        _ = self._run.directory.default_owner

    def _check_protected_stages(self) -> None:
        # Apollo gives the stage of the default to every team, so it needs no request.
        if not {*self._settings.protected_stages} <= {*PROTECTED_STAGES}:
            _ = StageGuard(self._run, CONTACT).has_stages

    def _check_on_delete(self) -> None:
        on_delete = self._settings.on_delete
        wrong: list[str] = []
        for one in self._types if on_delete.stage else ():
            try:
                DeletionTarget.of(on_delete, one, self._run.directory)
            except RunError as problem:
                wrong.append(str(problem))
        self._note_of_objects(wrong)

    def _note_of_objects(self, wrong: Collection[str]) -> None:
        """Notes what is wrong for some objects: a fault where a run is sure to meet it."""
        for sentence in wrong:
            if self._is_sure or len(wrong) == len(self._types):
                self._remarks.fault(sentence)
            else:
                self._remarks.warning(sentence)

    def _check_lists(self) -> None:
        named = dict.fromkeys(self._settings.lists, "lists")
        if self._settings.on_delete.list_name:
            named[self._settings.on_delete.list_name] = "on_delete"
        if not named:
            return
        known = [name for kind in ObjectKind for name in self._run.directory.list_ids(kind)]
        for name, setting in named.items():
            near = None if name in known else nearest_name(name, known)
            if near is not None:
                self._remarks.warning(
                    f"The setting '{setting}' names the list '{name}', which a run makes, since "
                    f"the team has none of that name; did you mean '{near}'?"
                )

    def _check_sequences(self) -> None:
        allowed = self._settings.allow_sequences
        directory = SequenceDirectory(SequenceClient(self._run.sender), allowed)
        for name in allowed:
            try:
                directory.sequence(name)
            except RecordError as problem:
                self._remarks.warning(
                    f"The entry '{name}' of the setting 'allow_sequences' enrols nobody: "
                    f"{ended(problem.rejection.detail)}"
                )

    def _check_entries(self) -> None:
        settings = self._settings
        for pattern in settings.streams:
            before = settings.entry_before(pattern)
            if before is not None:
                self._remarks.warning(hidden_entry(pattern, before))
        if self._streams:
            # The columns of these streams are checked, which tells more.
            return
        for setting, names in (
            ("unresolved", settings.unresolved),
            ("null_policy_per_field", settings.null_policy_per_field),
        ):
            for name in names:
                if not self._has_place(name):
                    near = nearest_name(name, self._known_names())
                    meant = "" if near is None else f" (did you mean '{near}'?)"
                    self._remarks.warning(
                        f"The entry '{name}' of the setting '{setting}' is no field and no custom "
                        f"field{meant}: it has an effect on no column."
                    )

    def _has_place(self, name: str) -> bool:
        if value_of(self._settings.custom_fields, name) is not None:
            return True
        columns = {letters_of(one) for of in STREAM_OBJECTS.values() for one in of.columns}
        return letters_of(name) in columns or any(
            field_of(one, name) or self._run.directory.custom_field(one, name)
            for one in RECORD_TYPES
        )

    def _known_names(self) -> Iterable[str]:
        for one in RECORD_TYPES:
            yield from one.named_fields
            yield from one.fields
            yield from self._run.directory.custom_labels_of(one)

    def _check_stream(self, pattern: str) -> None:
        """Checks an entry of the setting `streams` as a stream of its name."""
        settings = self._settings
        own = settings.object_stream(pattern)
        if own is not None:
            ObjectSyncs(self._run).of(pattern, own).check_settings()
        elif settings.has_object(pattern):
            of_records, entry = settings.of_stream(pattern), settings.streams[pattern]
            # The setting for all streams has been checked.
            if entry and entry.get("match_on"):
                object_type = OBJECTS[of_records.kind]
                match_on_for(of_records, self._run.directory, object_type, pattern)
