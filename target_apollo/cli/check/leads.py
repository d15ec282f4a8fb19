"""Checks map-apollo-leads against the streams of a source, and its owners against the team."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Any

from target_apollo.config.paths import problems_of_files
from target_apollo.config.settings import SettingsError
from target_apollo.config.sources import read_object
from target_apollo.mapper import settings as mapper_settings
from target_apollo.mapper.errors import LeadsError
from target_apollo.mapper.lead_stream import LeadStream
from target_apollo.mapper.rules import OwnerMapped
from target_apollo.mapper.rules.owner import OWNER_ID, Owner, Owners
from target_apollo.model.outcomes import RecordError
from target_apollo.sync.remarks import Remarks
from target_apollo.sync.team.directory import Directory
from target_apollo.sync.words import listed, plural

_MOST_LISTED = 10


class LeadsCheck:
    """The mapper as a run would apply it to the streams of a source.

    Args:
        path: JSON file with the mapper's settings.
        remarks: Gets what is found. It also has to be a handler of the log.

    Raises:
        SettingsError: The mapper could not begin with these settings.
    """

    def __init__(self, path: str, remarks: Remarks, log: logging.Logger) -> None:
        self._remarks = remarks
        self._log = log
        try:
            self._settings = mapper_settings.read_settings(read_object(path, "settings"))
            rules = (rule for rule in self._settings.rules if isinstance(rule, OwnerMapped))
            self._owners: Owners | None = next((rule.owners() for rule in rules), None)
            self._clock = mapper_settings.clock_from_environment()
        except LeadsError as wrong:
            raise SettingsError([f"map-apollo-leads: {wrong}"]) from None
        unfit = problems_of_files(mapper_settings.named_files(self._settings))
        if unfit:
            raise SettingsError(unfit)
        self._judged: set[str] = set()

    def announced(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """The SCHEMA message that the target gets in place of a tap's."""
        stream = message["stream"]
        if not self._settings.matches(stream):
            return message
        self._judged.add(stream)
        leads = LeadStream(stream, self._settings, self._clock, self._log, self._owners)
        with self._remarks.about(stream):
            faults = leads.missing_properties(message)
            for sentence in faults:
                self._remarks.fault(sentence)
            if not faults:
                try:
                    return leads.announce(message)
                except LeadsError as wrong:
                    self._remarks.fault(str(wrong))
        return {**message, "stream": leads.output}

    def is_judged(self, stream: str) -> bool:
        """Whether the mapper judges a stream: which of its records pass is not known here."""
        return stream in self._judged

    def finish(self, streams: Collection[str]) -> None:
        """Checks that some stream has leads.

        Args:
            streams: The tap's streams.
        """
        if streams and not self._judged:
            self._remarks.fault(self._settings.no_leads_in(streams))

    def check_owners(self, directory: Directory) -> None:
        """Checks that the users of the mapping are in the team.

        Raises:
            ApolloError: Apollo could not be asked for its users.
        """
        unknown = [
            user for user, owner in self._owners_by_user() if not _is_known(directory, owner)
        ]
        if unknown:
            users = listed([*map(_shown, unknown)], _MOST_LISTED)
            self._remarks.warning(
                f"The rule owner_mapped names nobody in the team for {plural(len(unknown), 'user')}"
                f" ({users}): their leads would be rejected, or get the default_owner. Correct the "
                "mapping, or invite them."
            )

    def _owners_by_user(self) -> list[tuple[str, Owner]]:
        return [] if self._owners is None else [*self._owners.items()]


def _is_known(directory: Directory, owner: Owner) -> bool:
    if owner.field == OWNER_ID:
        return directory.has_user(owner.value)
    try:
        directory.resolve(owner.field, owner.value)
    except RecordError:
        return False
    return True


def _shown(user: str) -> str:
    """A user of the warehouse as a sentence may show it."""
    return "one by an address" if "@" in user else user
